"""A deterministic simulator around the code that ships: one seed decides everything.

Start with `run`, which plays one `plan`. `world` has time, processes and the trace; `network`
loses, doubles, delays and cuts messages; `members`, `catalogs`, `frontends` and `clients` are the
processes, around the replica, desk, publisher, floors and queues of the package; `bazaar` puts them
together, and `faults` does to them what a plan says. `truth` checks the invariants of
docs/protocol.md at every step. `scenarios` and its like are directed schedules; `mutants` and its
like are deliberate faults in the code, each of which `mutation` must catch.

Of a bazaar whose log is in an engine, `engine_servers` are the servers, `engine_members` what a
member does about a partition, `engine_bazaar` all of it, and `engine_faults` what goes wrong.
`engine_lanes` puts several partitions together, between which `engine_clients` move stocks;
`engine_truth` checks what holds over all of them.

    python -m tests.simulation --seeds 1000        # many schedules
    python -m tests.simulation --engine --partitions 2
    python -m tests.simulation --replay 42         # one, with its trace
"""
