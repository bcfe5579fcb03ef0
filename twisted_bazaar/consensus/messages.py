"""The messages between replicas, and between a leader and its learners. Frozen values. Pure.

A request names the sender's cluster, unless it is a poll, and the replica that it is for (`to`),
unless that is a learner, so that a process at a wrong address refuses it. An empty cluster and id
0 name nothing: release 0.1 sends neither, and a new cluster has no name before its first
election.

Each request is answered once, if need be with `Declined`, so that no caller waits in vain and
nothing is kept of it. `sent` and `round` come back in the answer as they went out: `sent` is the
sender's clock, so that what an answer proves is counted from then; `round` is the leader's round
of heartbeats, so that a read waits for a round begun after it. `wait`, `lease`, `longest`, `sent`
and `disk_seconds` are seconds.

The .proto files have fields of the same names, but for `entries`, which travel as records. Fields
with defaults are not sent by release 0.1.
"""

from collections.abc import Sequence
from typing import NewType

import msgspec

from twisted_bazaar.leases import Stamp
from twisted_bazaar.market import Stock

from .entries import Entry, MemberInfo

__all__ = [
    "LEVEL",
    "Append",
    "AppendReply",
    "Apply",
    "ApplyReply",
    "CampaignReply",
    "Declined",
    "Fetch",
    "FetchReply",
    "FollowerLag",
    "LearnerRequest",
    "MarketSnapshot",
    "Message",
    "PartitionStatus",
    "PeerReply",
    "PeerRequest",
    "Poll",
    "PollReply",
    "Reply",
    "Request",
    "Status",
    "StockPlacement",
    "Ticket",
    "Vote",
    "VoteReply",
]

LEVEL = 2
"""What a replica of this release understands. 1: prices, limits, `valid_until` and `validate` of
trades, conditions of a list of orders, `Watch` and `Change`. 2: changes of the members."""


class Append(msgspec.Struct, frozen=True, kw_only=True):
    """The leader's entries for a follower; with none, a heartbeat (Raft figure 2)."""

    term: int
    leader: int
    previous_index: int
    previous_term: int
    entries: Sequence[Entry]
    """Those after `previous_index`."""
    commit: int
    """The leader's commit index."""
    released: int
    """The leader's released index: clients may see entries up to here."""
    round: int
    sent: float
    cluster: str = ""
    to: int = 0
    previous_digest: str = ""
    """Names the leader's history up to `previous_index`; empty: not said."""
    begins: int = 0
    """The leader's log begins after this entry, which the follower lacks, as far as is known: it is
    to take a snapshot. 0: it need not."""


class AppendReply(msgspec.Struct, frozen=True, kw_only=True):
    """A follower's answer to `Append`."""

    term: int
    """The follower's term."""
    follower: int
    fits: bool
    """Whether the entry at `previous_index` has `previous_term` in the follower's log."""
    index: int
    """If it fits: the follower's disk holds the leader's log up to here. If not: the leader
    tries again after this index."""
    round: int
    """As in the append; 0: the answer counts for no round."""
    sent: float
    taken: int = 0
    """If it fits: the follower has the leader's log up to here, on its disk or soon."""


class Vote(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate asks for a vote (Raft figure 2)."""

    term: int
    candidate: int
    last_index: int
    last_term: int
    cluster: str = ""
    to: int = 0
    last_digest: str = ""
    """Names the candidate's history; empty: not said."""
    members: tuple[int, ...] = ()
    """The ids of all that count, as far as the candidate knows, ascending; empty: not said."""
    members_index: int = 0
    """The index of the entry that says so; 0: its options do."""


class VoteReply(msgspec.Struct, frozen=True, kw_only=True):
    """A voter's answer to `Vote`."""

    term: int
    """The voter's term."""
    voter: int
    granted: bool


class Poll(msgspec.Struct, frozen=True, kw_only=True):
    """A replica asks how far a peer is, and whether it would vote, before it raises its term or
    fetches."""

    replica: int
    """The sender."""
    nonce: int = 0
    """Comes back in the answer, so that an answer to an earlier canvass is told apart."""
    to: int = 0


class PollReply(msgspec.Struct, frozen=True, kw_only=True):
    """A peer's answer to `Poll`."""

    replica: int
    """The sender, as in all fields below."""
    term: int
    last_index: int
    last_term: int
    leader: int
    """The leader that it has heard within the election timeout; 0: none."""
    wait: float
    """Seconds until it would vote (PreVote, Ongaro 2014 §9.6); 0: it would now."""
    suspect: bool = False
    """It may have forgotten votes, or entries that it acknowledged."""
    nonce: int = 0
    copied: bool = False
    """It is suspect only because its folder is a copy: what it has is good, and what came after
    the copy was made may be missing."""
    cluster: str = ""
    """Its cluster; empty: it knows none yet."""
    members: tuple[int, ...] = ()
    """The ids of all that count, as far as it knows, ascending; empty: not said."""
    last_digest: str = ""
    """Names its history; empty: not said."""
    members_index: int = 0
    """The index of the entry that names the members; 0: its options do."""
    roster: tuple[MemberInfo, ...] = ()
    """All members, as far as it knows; empty: not said."""
    before: tuple[int, ...] = ()
    """The voters before the change of the members that is under way; empty: none is."""
    settled: bool = False
    """There is such an entry, it is committed, and no change is under way."""
    level: int = 0
    """What it understands: `LEVEL` of its release."""
    disk_seconds: float = 0.0
    """How long a write to its disk takes: the longest of the last 8, or the one under way."""


class Declined(msgspec.Struct, frozen=True):
    """The request gets no answer: for the caller, this replica is as good as down."""

    why: str


class Fetch(msgspec.Struct, frozen=True, kw_only=True):
    """A replica asks for the entries after the history named `digest`, which ends at `after`."""

    replica: int
    """The sender."""
    after: int
    digest: str
    cluster: str = ""
    to: int = 0
    snapshots: bool = False
    """Whether the sender can take a snapshot in place of entries."""


class FetchReply(msgspec.Struct, frozen=True, kw_only=True):
    """A peer's answer to `Fetch`."""

    replica: int
    """The sender."""
    term: int
    """The sender's. To be adopted before the entries are taken: else a deposed leader could
    overwrite them."""
    after: int
    """As in the request."""
    fits: bool
    """Whether the history in the request is part of the sender's log. If not, there are no
    entries, and the caller tries again from further back."""
    entries: Sequence[Entry]
    last_index: int
    """The end of the sender's log, as is `last_term`."""
    last_term: int
    begins: int = 0
    """The sender's log begins after this entry: of those up to it, it has a snapshot only."""


class MarketSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All stocks after an entry of a log: what a learner begins with where the entries up to there
    are not at hand."""

    index: int
    """Of that entry."""
    digest: str
    """Names the history up to `index`."""
    stocks: Sequence[Stock]
    last_number: int
    """Of the last order up to there; 0: there is none."""
    listed: bool = True
    """Whether the market is open; it may have no stocks."""


class Apply(msgspec.Struct, frozen=True, kw_only=True):
    """The leader's entries for a learner; with none, a heartbeat."""

    term: int
    previous_index: int
    previous_digest: str
    """Names the history up to `previous_index`."""
    entries: Sequence[Entry]
    """Those after `previous_index` that are committed."""
    commit: int
    """The leader's commit index."""
    rebuild: bool
    """The learner's state is of another history, or lacks entries that the leader has not at hand:
    drop it, and begin with `snapshot`."""
    history: str
    """Names this log: the digest of the leader's first entry in its term."""
    stamp: Stamp | None
    """Of the learner's answer that earned it a lease; None: none did."""
    lease: float
    """Length of that lease, from when that answer was sent."""
    sent: float
    cluster: str = ""
    longest: float = 0.0
    """The longest lease that any leader of this log has granted or may grant."""
    proposed: Sequence[Entry] = ()
    """The entries of the leader's log after those, which are not committed. Only the learner that
    may hold a lease gets any."""
    snapshot: MarketSnapshot | None = None
    """With `rebuild`: the state at `previous_index`. None: begin at index 0, with none."""
    partition: int = 0
    """Whose log this is."""


class ApplyReply(msgspec.Struct, frozen=True, kw_only=True):
    """A learner's answer to `Apply`."""

    term: int
    """The highest term that the learner has seen."""
    applied: int
    """The last entry that the learner has applied."""
    digest: str
    """Names the history up to `applied`."""
    released: int
    """Each client of this learner sees entries up to here."""
    stamp: Stamp | None
    """What a lease for this answer is counted from; None: it earns none."""
    holds: bool
    """Whether the learner held a lease when it answered."""
    sent: float
    taken: int = 0
    """The last entry that the learner has, applied or proposed by the leader of `term`."""
    cleared: int = 0
    """No client of this learner sees anything older than what entries up to here left. Those
    beyond `applied` it waits for: it answers no lookup of their stocks until it knows whether
    they are committed."""


class CampaignReply(msgspec.Struct, frozen=True, kw_only=True):
    """How a nomination ended, or that the campaign goes on."""

    leader: int
    """The leader that this replica knows: itself, if it won; 0: none."""
    term: int
    """This replica's term."""
    wait: float
    """Seconds until another nomination can help, if this one was refused. If this replica hears
    a leader, or has just started, other replicas would refuse for as long."""
    unable: str = ""
    """Why this replica cannot lead now though others may, for the operator; empty: it could."""
    campaigning: bool = False
    """It is asking for votes: nominate it again after `wait`, and no other replica before."""


class FollowerLag(msgspec.Struct, frozen=True, kw_only=True):
    """How far a follower is behind the log of its leader."""

    replica: int
    entries: int
    """At the end of the log, which it has not acknowledged."""
    seconds: float
    """Since when it lacks the first of them. At most the age of the leadership."""


class PartitionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a member sees itself in one partition. Fields are those of `Status`."""

    partition: int
    role: str
    term: int
    leader: int
    last_index: int
    last_number: int
    digest: str
    cluster: str
    preferred: int = 0
    """The member that an operator wants to lead the partition; 0: the usual one."""


class StockPlacement(msgspec.Struct, frozen=True, kw_only=True):
    """A stock that was moved, perhaps back to its home since."""

    stock: str
    partition: int
    """Where it is, or goes."""
    arrived: bool
    """Whether it is there. If not, it is in no partition now."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How a replica sees itself, in answer to a ping. Of a member of a bazaar with an engine: in
    partition 0, and in `partitions`."""

    replica: int
    role: str
    """A value of `role.Role`; `leader` only if a majority was heard within the election timeout."""
    term: int
    leader: int
    """Itself, or the leader heard within the election timeout; 0: none."""
    last_index: int
    """The last entry that it knows to be committed, and has applied."""
    last_number: int
    """The last order up to there."""
    digest: str
    """Names the history up to there."""
    cluster: str = ""
    """Its cluster; empty: it knows none yet."""
    clock: float = 0.0
    """Seconds on its clock, which only goes forward, when it answered."""
    disk_seconds: float = 0.0
    """How long a write to its disk takes: the longest of the last 8, or the one under way."""
    level: int = 0
    """What it understands: 0 in earlier releases, `LEVEL` in this one."""
    followers: Sequence[FollowerLag] = ()
    """How far the others are behind, as this leader knows; empty: it does not lead."""
    partitions: Sequence[PartitionStatus] = ()
    """All partitions, by number; empty: there is no engine."""
    roster: tuple[MemberInfo, ...] = ()
    """The members, as the last committed entry that changed them has them, by id; empty: none
    did."""
    members_index: int = 0
    """Of that entry; 0: there is none."""
    before: tuple[int, ...] = ()
    """The voters before a change that is under way in that entry; empty: none is."""
    placements: Sequence[StockPlacement] = ()
    """The stocks that were ever moved. A leader knows of each that its log has moved away."""


PeerRequest = Append | Vote | Poll | Fetch
PeerReply = AppendReply | VoteReply | PollReply | FetchReply

Ticket = NewType("Ticket", int)
"""Names a request, or a nomination, that this replica is to answer. The owner chooses it, each
once in a life, and remembers who waits for the answer."""


class Request(msgspec.Struct, frozen=True):
    """Send `message` to replica `to`, and call `answered`; without an answer, `unreachable`."""

    to: int
    message: PeerRequest


class LearnerRequest(msgspec.Struct, frozen=True):
    """Send `message` to learner `to`, and call `applied`; without an answer, `unreachable`."""

    to: str
    message: Apply


class Reply(msgspec.Struct, frozen=True):
    """Answer the request, or the nomination, that came with `ticket`."""

    ticket: Ticket
    message: PeerReply | CampaignReply | Declined


Message = Request | LearnerRequest | Reply
