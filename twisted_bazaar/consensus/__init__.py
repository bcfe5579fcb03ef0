"""Raft, without I/O: what a replica does with each message, and when. Pure; imports nothing of
ours but the vocabulary (`backoff`, `errors`, `leases`, `market`, `timing`).

Start with `replica.Replica`, whose docstring shows how its owner drives it. A replica's role is
one of four, and `role.TRANSITIONS` has every change, with the method that makes it:

    suspect ───▶ follower ◀────▶ candidate ───▶ leader
                     ▲                             │
                     └─────────────────────────────┘

What a replica does in each role: `elector` votes, canvasses the peers (`canvass`) and stands
(`candidacy`); `leader` replicates, commits, and grants leases to catalogs. All of them share the
`log` and say what they have to say by the `outbox`, in terms of `messages`.
"""
