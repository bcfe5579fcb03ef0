"""Raft, without I/O: what a replica does with each message, and when. Pure; imports nothing of
ours but the vocabulary (`backoff`, `errors`, `leases`, `market`, `timing`).

Start with `replica.Replica`, whose docstring shows how its owner drives it. A replica's role is
one of four, and `role.TRANSITIONS` has every change, with the method that makes it:

    suspect ───▶ follower ◀────▶ candidate ───▶ leader
                     ▲                             │
                     └─────────────────────────────┘

A `Replica` is a `Nominee`, which canvasses its peers (`canvass`) and stands (`candidacy`), which
is a `Voter`, which answers its peers; `leader` has what it keeps while it leads: who is how far,
what is committed, which catalog holds a lease. What they say is in `messages`, and goes out
through `outbox` once the `log` on disk holds what it rests on. `identity` keeps strangers out.
`membership` says who the members are, and how that changes; `beginning` where a log begins, and
`far_behind` what a replica asks for that lacks more than the logs of others hold.
"""
