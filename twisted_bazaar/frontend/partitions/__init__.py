"""One front-end of several partitions: what is in front of the parts that there are of each.

With one partition, nothing here changes anything. `trades`, `lookups`, `orders`, `lists` and
`operations` stand before the parts that they are named for, and `subscriptions` before those that
take pushes. They decide nothing: `placements` does for the first ones, together with `whereabouts`,
which asks leaders where a stock is; `markets` for the whole market; `merging` for lists.

`numbers` says how orders of all are numbered for clients. `listing` and `streams` decode what
clients ask for, and `description` says what of the API differs. Start with `placements`.
"""
