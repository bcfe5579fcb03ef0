"""Order logs, marks and indexes damaged in every way: is anything lost without a verdict?

    python -m tests.damage --files 100000

`moments.py` makes folders in which something was acknowledged, `kinds.py` damages them, and
`judge.py` opens them as a replica does. Either everything acknowledged is there, or the replica
must know that it may not be. One seed decides everything.
"""
