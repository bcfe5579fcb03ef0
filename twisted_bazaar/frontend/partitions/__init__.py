"""One front-end of several partitions: what is in front of the parts that there are of each.

With one partition, none of this is used. `numbers` says how orders of all of them are numbered for
clients.
"""
