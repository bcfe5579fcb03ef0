"""A deterministic simulator around the code that ships: one seed decides everything.

`world` has time, processes and trace; `network` loses, doubles, delays and cuts; `disk` tears
what was not synced; `members` and `frontends` run the real replication core, desk, projection,
leadership and queue; `truth` checks the invariants at every step; `plan` draws the faults.

    python -m tests.simulation --seeds 1000        # many schedules
    python -m tests.simulation --replay 42         # one, with its trace
"""
