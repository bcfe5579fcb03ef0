"""Damages order logs, marks and indexes, and checks that nothing is lost without being suspect.

    python -m tests.damage --files 100000

`moments.py` makes folders in which something was acknowledged, `kinds.py` damages them, and
`judge.py` opens them as a replica does. Either everything acknowledged is there, or the replica
must know that it may not be. One seed decides everything.
"""
