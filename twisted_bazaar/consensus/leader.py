"""What a replica keeps only while it leads: how far everybody is, and what follows from it.

Rules: Raft figure 2, "Leaders"; learners as in the project's protocol page. Pure.
"""

from collections.abc import Iterable, Iterator

from twisted_bazaar.backoff import Backoff
from twisted_bazaar.errors import InvariantBroken
from twisted_bazaar.leases import Holder, kept
from twisted_bazaar.timing import Timing

from .entries import GENESIS
from .log import Log
from .messages import Append, AppendReply, Apply, ApplyReply, LearnerRequest, Message, Request
from .progress import Progress, reached_by_majority

__all__ = ["MAX_BATCH_ENTRIES", "LeaderState", "longest_lease"]

MAX_BATCH_ENTRIES = 1024
"""Entries that one message carries at most: about 200 KB of records."""

_SILENT_HEARTBEATS = 3
"""A catalog that is well answers in this time: it is asked every heartbeat, and may hold its
answer back for one."""
_STUCK_LEASES = 2
"""A catalog that is well releases an entry in this time: it waits for each front-end for at most
one lease."""


def longest_lease(log: Log, timing: Timing) -> float:
    """Seconds of the longest lease that a leader of this log can have granted, or may grant.

    Leaders may be given other leases one after the other. Each records its own in its opening,
    which is committed before it grants any.
    """
    return max([timing.lease, *(opened.lease for opened in log.openings)])


class _Learner(Progress):
    """A catalog's progress, and what it may hold. `match` is what it has released."""

    def __init__(self, name: str, last_index: int, now: float) -> None:
        super().__init__(last_index, now)
        self.name = name
        self.holder = Holder()
        self.answered_at = now
        self.released_at = now
        """When it said last that it has released something new, or had nothing to release."""
        self.rebuild = False
        self.current_at = 0
        """If it answers that it has applied this much, it has all that it was told of."""
        self.life = 0
        """The life in which it answered last; 0: it never did."""


class LeaderState:
    """One leadership: from the election that a replica won until it steps down."""

    def __init__(
        self,
        *,
        replica: int,
        term: int,
        cluster: str,
        log: Log,
        peers: Iterable[int],
        learners: Iterable[str],
        timing: Timing,
        batch: int,
        now: float,
    ) -> None:
        self._replica = replica
        self._term = term
        self._cluster = cluster
        self._log = log
        self._timing = timing
        self._batch = batch
        self.opened = log.last_index + 1
        """Index of this leadership's first entry. Once it is committed, so is all before it."""
        self.round = 0
        """Rounds of heartbeats that were asked for, by reads that must be sure."""
        self._history = ""
        last = log.last_index
        self._peers = {peer: Progress(last, now) for peer in peers}
        self._learners = {name: _Learner(name, last, now) for name in learners}
        self.backoff = Backoff(timing.lease)
        """Which catalogs get no lease for now, by name, as they held answers up."""
        self._counted_at = now
        self._reader: _Learner | None = None
        """The one catalog that may hold a lease of this leader."""
        self._longest_lease = longest_lease(log, timing)
        self._inherited_until = now + self._longest_lease
        """Until then, one of them may hold a lease of a leader before this one."""
        before = {name for opened in log.openings for name in opened.catalogs}
        self._knows_all = before <= self._learners.keys()
        """Whether that one must be among the learners."""

    def requests(self, now: float, commit: int, released: int) -> Iterator[Message]:
        """Whatever should go out to peers and learners now."""
        heartbeat = self._timing.heartbeat
        for peer, progress in self._peers.items():
            if progress.due(now, self._log.last_index, self.round, heartbeat):
                progress.sending(now, self.round)
                yield Request(peer, self._append(peer, progress, commit, released, now))
        if commit < self.opened:
            # Before that, this leader does not know all that is committed, and a catalog
            # would take itself for current too early.
            return
        for name, learner in self._learners.items():
            if learner.due(now, commit, 0, heartbeat):
                learner.sending(now, 0)
                yield LearnerRequest(name, self._apply(learner, commit, now))

    @property
    def history(self) -> str:
        """Names the log that versions are indexes of."""
        if not self._history:
            # No other leadership has it: not one before a log was cut or copied, nor one of a copy.
            self._history = self._log.digest_at(self.opened)
        return self._history

    def _append(
        self, peer: int, progress: Progress, commit: int, released: int, now: float
    ) -> Append:
        previous = progress.next - 1
        upto = min(self._log.last_index, previous + self._batch)
        return Append(
            term=self._term,
            leader=self._replica,
            previous_index=previous,
            previous_term=self._log.term_at(previous),
            entries=self._log.entries(previous, upto),
            commit=commit,
            released=released,
            round=self.round,
            sent=now,
            cluster=self._cluster,
            to=peer,
            previous_digest=self._log.digest_at(previous),
        )

    def _apply(self, learner: _Learner, commit: int, now: float) -> Apply:
        previous = 0 if learner.rebuild else min(learner.next - 1, commit)
        upto = min(commit, previous + self._batch)
        learner.current_at = commit
        return Apply(
            term=self._term,
            previous_index=previous,
            previous_digest=self._log.digest_at(previous) if previous else GENESIS,
            entries=self._log.entries(previous, upto),
            commit=commit,
            rebuild=learner.rebuild,
            history=self.history,
            stamp=learner.holder.earned if learner is self._reader else None,
            lease=self._timing.lease,
            sent=now,
            cluster=self._cluster,
            longest=self._longest_lease,
        )

    def append_answered(self, reply: AppendReply) -> None:
        """Take in a follower's answer to one of this term's appends."""
        progress = self._peers[reply.follower]
        progress.answered(reply.sent, reply.round)
        if not reply.fits:
            progress.back_up(reply.index)
            return
        if reply.index > self._log.last_index:
            raise InvariantBroken(f"replica {reply.follower} acknowledges entry {reply.index}")
        progress.matched(reply.index)
        progress.took(min(reply.taken, self._log.last_index))

    def apply_answered(self, name: str, reply: ApplyReply, released: int, now: float) -> None:
        """Take in the answer of learner `name`: how far it is, on which history.

        A learner that is ahead of this log, or on another history than this log's, keeps what
        a lost log once said: every committed entry is in a leader's log (Raft §5.4.3). It is
        told to rebuild.
        """
        learner = self._learners[name]
        learner.answered(reply.sent, 0)
        learner.answered_at = now
        applied = reply.applied
        learner.rebuild = (
            applied > self._log.last_index or self._log.digest_at(applied) != reply.digest
        )
        if learner.rebuild:
            return
        learner.next = applied + 1
        life = reply.stamp.life if reply.stamp else 0
        if life != learner.life:
            if learner is self._reader and learner.holder.attached(now):
                # Another process answers at this address, or the same one in a later life. The
                # earlier one may go on showing what it knows until its lease has run out.
                learner.holder.earned = None
                return
            learner.life = life
        if reply.released > learner.match:
            learner.released_at = now
        learner.match = reply.released
        if not self._may_read(learner, reply.holds, now):
            return
        # Clients may have seen whatever was committed before this leader was elected.
        if reply.released >= max(released, self.opened) and self._unreplaced(now):
            learner.holder.earns(reply.stamp, now, self._waits_for(now))
            self._reader = learner
        elif reply.released and applied >= learner.current_at:
            # One that has much to catch up with would hold up every answer until it has; one
            # that has just started releases nothing yet, and may start again and again.
            learner.holder.answered(now, self._waits_for(now))
            self._reader = learner

    def _waits_for(self, now: float) -> float:
        """Seconds for which a catalog that answers `now` is waited for: this leader's lease, or
        what is left of one that a leader before it may have granted for longer."""
        return max(self._timing.lease, self._inherited_until - now)

    def _may_read(self, learner: _Learner, holds: bool, now: float) -> bool:
        """Whether no other catalog can hold a lease: two would have to agree on each answer.
        One that is kept out can have none, and is waited for until its last one has run out."""
        if self.backoff.left(learner.name, now):
            return False
        reader = self._reader
        if reader is not None and reader.holder.attached(now):
            return reader is learner
        return holds or now >= self._inherited_until

    def _unreplaced(self, now: float) -> bool:
        """Whether nobody else can have been elected by now: a majority refuses its votes."""
        return now < self._heard(now) + kept(self._timing.election_timeout)

    def unreachable(self, to: int | str, sent: float, now: float) -> None:
        """The request to `to` made at `sent` got no answer."""
        progress = self._peers[to] if isinstance(to, int) else self._learners[to]
        progress.lost(sent, now + self._timing.heartbeat)

    def committed(self, commit: int) -> int:
        """The commit index, which was `commit`: on disk at a majority, and of this term."""
        index = reached_by_majority(
            [self._log.durable, *(progress.match for progress in self._peers.values())]
        )
        # An entry of an earlier term is committed only by one of this term (Raft §5.4.2).
        return index if index > commit and index >= self.opened else commit

    def released(self, commit: int, released: int, now: float) -> int:
        """Up to where clients may see: committed, and released by whoever may hold a lease."""
        waiting: list[_Learner] = []
        self._count(commit, now)
        if self._reader is not None:
            waiting = [self._reader] if self._reader.holder.attached(now) else []
        elif now < self._inherited_until:
            if not self._knows_all:
                return released
            waiting = list(self._learners.values())
        return max(released, min([commit, *(learner.match for learner in waiting)]))

    def _count(self, commit: int, now: float) -> None:
        """Tell `backoff` for how long the reader has held up answers since the last time."""
        # This leader may have stood still itself.
        passed = min(now - self._counted_at, self._timing.heartbeat)
        self._counted_at = now
        reader = self._reader
        if reader is None or not reader.holder.attached(now):
            return
        if reader.match >= commit:
            reader.released_at = now
            return
        silent = now - reader.answered_at > _SILENT_HEARTBEATS * self._timing.heartbeat
        stuck = now - reader.released_at > _STUCK_LEASES * self._timing.lease
        if silent or stuck:
            self.backoff.delayed(reader.name, passed, now)

    @property
    def confirmed(self) -> int:
        """The last round that a majority has answered."""
        return reached_by_majority(
            [self.round, *(progress.round for progress in self._peers.values())]
        )

    def in_touch(self, now: float) -> bool:
        """Whether a majority answered what was sent within the election timeout."""
        return now - self._heard(now) <= self._timing.election_timeout

    def _heard(self, now: float) -> float:
        """When the last was sent that a majority answered."""
        return reached_by_majority([now, *(progress.heard for progress in self._peers.values())])
