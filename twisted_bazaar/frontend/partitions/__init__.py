"""One front-end of several partitions: what is in front of the parts that there are of each.

With one partition, none of this is used. `trades`, `lookups`, `orders`, `lists` and `operations`
stand before the parts that they are named for, and `subscriptions` before those that take pushes.
`placements` and `whereabouts` find the partition of a stock; `numbers` says how orders of all are
numbered for clients. Start with `placements`.
"""
