"""What replicas, and a leader and its learners, say to one another. Frozen values.

Each request names the cluster that the asker is of, and the replica that it is for (`to`), so
that a process at a wrong address refuses it. An empty cluster and id 0 name nothing: release 0.1
sends none, and a new cluster has no name before its first election.

Requests are answered exactly once; one that gets no answer is `Declined`, so that its asker
need not wait and nothing is kept of it. `sent` and `round` come back in the answer as
they went out: `sent` is the asker's clock when it asked, so that what an answer proves is
counted from then; `round` numbers the leader's rounds of heartbeats, so that a read waits for
one begun after it arrived.
"""

from collections.abc import Sequence
from typing import NewType

import msgspec

from twisted_bazaar.leases import Stamp

from .entries import Entry

__all__ = [
    "Append",
    "AppendReply",
    "Apply",
    "ApplyReply",
    "CampaignReply",
    "Declined",
    "Fetch",
    "FetchReply",
    "LearnerRequest",
    "Message",
    "PeerReply",
    "PeerRequest",
    "Poll",
    "PollReply",
    "Reply",
    "Request",
    "Status",
    "Ticket",
    "Vote",
    "VoteReply",
]


class Append(msgspec.Struct, frozen=True, kw_only=True):
    """The leader's entries for a follower; with none, a heartbeat (Raft figure 2)."""

    term: int
    leader: int
    previous_index: int
    previous_term: int
    entries: Sequence[Entry]
    commit: int
    released: int
    """The leader's `released` index: what every client may see."""
    round: int
    sent: float
    cluster: str = ""
    to: int = 0
    previous_digest: str = ""
    """Names the leader's history up to `previous_index`; empty: not said."""


class AppendReply(msgspec.Struct, frozen=True, kw_only=True):
    term: int
    follower: int
    fits: bool
    """Whether `previous_index` and `previous_term` are in the follower's log."""
    index: int
    """If it fits: the follower's disk holds the leader's log up to here. If not: the leader
    tries again after this index."""
    round: int
    sent: float
    taken: int = 0
    """If it fits: the follower has the entries up to here, on its disk or soon."""


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
    """The ids of all replicas, as the candidate counts them, ascending; empty: not said."""


class VoteReply(msgspec.Struct, frozen=True, kw_only=True):
    term: int
    voter: int
    granted: bool


class Poll(msgspec.Struct, frozen=True, kw_only=True):
    """Before it raises its term, or fetches, a replica asks how far the others are."""

    replica: int
    nonce: int = 0
    """Comes back in the answer, which is then none to a question of an earlier life."""
    to: int = 0


class PollReply(msgspec.Struct, frozen=True, kw_only=True):
    replica: int
    term: int
    last_index: int
    last_term: int
    leader: int
    """The leader that this replica has heard within the election timeout; 0: none."""
    wait: float
    """Seconds until it would vote (PreVote, Ongaro 2014 §9.6); 0: it would now."""
    suspect: bool = False
    """It may have forgotten votes, or entries that it acknowledged."""
    nonce: int = 0
    copied: bool = False
    """It is suspect only since its folder is a copy: what it has is good, and what came after
    the copy may be missing."""
    cluster: str = ""
    """The cluster that it is of; empty: it knows none yet."""
    members: tuple[int, ...] = ()
    """The ids of all replicas, as it counts them, ascending; empty: not said."""
    last_digest: str = ""
    """Names its history; empty: not said."""
    disk_seconds: float = 0.0
    """How long a write to its disk takes, the longest of the last few."""


class Declined(msgspec.Struct, frozen=True):
    """The request gets no answer: for its asker, this replica is as good as down."""

    why: str


class Fetch(msgspec.Struct, frozen=True, kw_only=True):
    """What came after the history named `digest`, which ends at `after`?"""

    replica: int
    after: int
    digest: str
    cluster: str = ""
    to: int = 0


class FetchReply(msgspec.Struct, frozen=True, kw_only=True):
    replica: int
    term: int
    """To be adopted before the entries are: else a deposed leader could overwrite them."""
    after: int
    """As asked."""
    fits: bool
    """Whether the asker's history is part of the answering replica's log. If it is not, there
    are no entries, and the asker tries again from further back."""
    entries: Sequence[Entry]
    last_index: int
    last_term: int


class Apply(msgspec.Struct, frozen=True, kw_only=True):
    """The leader's committed entries for a learner; with none, a heartbeat."""

    term: int
    previous_index: int
    previous_digest: str
    entries: Sequence[Entry]
    commit: int
    rebuild: bool
    """The learner's state is of another history: throw it away and begin at index 0."""
    history: str
    """Names this log: the digest of the leader's first entry in its term."""
    stamp: Stamp | None
    """The learner's answer that earned it a lease, if one did."""
    lease: float
    """The seconds of that lease, from when that answer was sent."""
    sent: float
    cluster: str = ""
    longest: float = 0.0
    """Seconds of the longest lease that any leader of this log has granted or may grant."""


class ApplyReply(msgspec.Struct, frozen=True, kw_only=True):
    term: int
    """The highest term the learner has seen."""
    applied: int
    digest: str
    """Names the history up to `applied`."""
    released: int
    """Up to here nobody who reads from this learner sees anything older."""
    stamp: Stamp | None
    """What a lease for this answer is counted from; None: it earns none."""
    holds: bool
    """Whether the learner held a lease when it answered."""
    sent: float


class CampaignReply(msgspec.Struct, frozen=True, kw_only=True):
    """How a nomination ended."""

    leader: int
    """The leader this replica knows now: itself, if it won; 0: none."""
    term: int
    wait: float
    """Seconds until asking this replica again can help, if it refused. If it hears a leader, or
    has just started, the others must wait as well."""
    unable: str = ""
    """Why this replica cannot lead now though others may, for the operator; empty: it could."""
    campaigning: bool = False
    """It is asking for votes: ask it again after `wait`, and nobody else before."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How a replica sees itself. Only a leader that a majority has heard lately says so."""

    replica: int
    role: str
    """`leader`, `candidate`, `follower` or `suspect`."""
    term: int
    leader: int
    """Itself, or the leader heard within the election timeout; 0: none."""
    last_index: int
    """The last entry that it knows to be committed."""
    last_number: int
    """The last order up to there."""
    digest: str
    """Names the history up to there."""
    cluster: str = ""
    """The cluster that it is of; empty: it knows none yet."""
    clock: float = 0.0
    """Seconds on the replica's clock, that only goes forward, when it said so."""
    disk_seconds: float = 0.0
    """How long a write to its disk takes: the longest of the last few, or the one under way."""


PeerRequest = Append | Vote | Poll | Fetch
PeerReply = AppendReply | VoteReply | PollReply | FetchReply

Ticket = NewType("Ticket", int)
"""Names a request, or a nomination, that this replica is to answer. The owner chooses it, each
once in a life, and keeps what the answer is for."""


class Request(msgspec.Struct, frozen=True):
    """Ask replica `to`, and say `answered`; if no answer comes in time, `unreachable`."""

    to: int
    message: PeerRequest


class LearnerRequest(msgspec.Struct, frozen=True):
    """Ask learner `to`, by its name, and say `applied`; if no answer comes, `unreachable`."""

    to: str
    message: Apply


class Reply(msgspec.Struct, frozen=True):
    """Answer the request, or the nomination, that came with `ticket`."""

    ticket: Ticket
    message: PeerReply | CampaignReply | Declined


Message = Request | LearnerRequest | Reply
