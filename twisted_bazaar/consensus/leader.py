"""What a replica keeps while it leads: how far peers and learners are, which entries are
committed, and which catalog may hold a lease. Pure.

The catalog that may hold a lease is sent entries when they are proposed, like a peer: so its
front-ends learn of them while the disks write. The others are sent what is committed.

The rules are those of Raft figure 2, "Leaders", and of docs/protocol.md for learners and leases.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from twisted_bazaar.backoff import Backoff
from twisted_bazaar.errors import InvariantBroken
from twisted_bazaar.leases import Holder, kept
from twisted_bazaar.timing import Timing

from .entries import GENESIS, Entry
from .lag import ProposalTimes
from .log import Log
from .messages import (
    Append,
    AppendReply,
    Apply,
    ApplyReply,
    FollowerLag,
    LearnerRequest,
    Message,
    Request,
)
from .progress import Progress, majority, reached_by_majority

__all__ = ["MAX_BATCH_ENTRIES", "LeaderState", "longest_lease"]

MAX_BATCH_ENTRIES = 1024
"""Entries that one message carries at most: about 200 KB of records."""

_SILENT_HEARTBEATS = 3
"""A catalog that works answers within this time: it is asked every heartbeat, and may hold its
answer back for one."""
_NOTICE_SECONDS = 0.002
"""How long a catalog is not told that an entry is committed, if the next proposal, which says it,
too, follows as quickly as the last one did."""
_STUCK_LEASES = 2
"""A catalog that works clears an entry within this time: it waits for its front-ends for one
lease at most."""


def longest_lease(log: Log, timing: Timing) -> float:
    """Seconds of the longest lease that a leader of this log can have granted, or may grant.

    Options may differ from leader to leader. Each records its lease in its `opened` entry, which
    is committed before it grants any.
    """
    return max([timing.lease, *(opened.lease for opened in log.openings)])


class _Learner(Progress):
    """How far a catalog is, and the lease that it may hold."""

    def __init__(self, name: str, last_index: int, now: float) -> None:
        super().__init__(last_index, now)
        self.name = name
        self.holder = Holder()
        self.answered_at = now
        self.cleared_at = now
        """When it had last cleared something new, or had nothing to clear."""
        self.rebuild = False
        """Its state is of another history: it is to begin at index 0."""
        self.sent_commit = 0
        """The commit index that it was told last."""
        self.life = 0
        """The life in which it answered last; 0: it never did."""
        self.offered = 0
        """The last proposed entry that the request in flight carries; 0: it carries none."""
        self.sent_last = 0
        """The last entry that it was sent. Each proposed entry is sent once: a catalog of an
        earlier release takes none."""
        self._notice_since: float | None = None
        """When the notice in flight was sent; None: none is."""

    def took_proposals(self, taken: int, last: int) -> None:
        """It has entries up to `taken`, applied or proposed, of a log that ends at `last`."""
        self.next = taken + 1
        if self.next <= self.offered:
            # It takes none now: send none again before there is another.
            self.sent_last = last
        self.offered = 0

    def knows_of(self, last: int, commit: int) -> bool:
        """Whether it has entries up to `commit` and was sent those up to `last`: what is new for it
        is at most that they are committed."""
        return self.next > commit and self.sent_last >= last

    def due_notice(self, released: int) -> bool:
        """Whether to tell it at once that entries were released, though a request is in flight:
        lookups wait for that."""
        return self.in_flight and self.sent_commit < released and self._notice_since is None

    def sending_notice(self, now: float) -> None:
        """A notice is sent `now`."""
        self._notice_since = now

    def notice_ended(self, sent: float) -> None:
        """The request sent at `sent` was answered, or lost."""
        if self._notice_since == sent:
            self._notice_since = None


class LeaderState:
    """State of one leadership, from the election until the leader steps down. Times are seconds
    on the leader's clock."""

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
        lag: float = 0.0,
    ) -> None:
        """Peers without which there is a majority are told what is new `lag` seconds later, with
        what has come up by then; 0: at once."""
        self._replica = replica
        self._term = term
        self._cluster = cluster
        self._log = log
        self._timing = timing
        self._batch = batch
        self._lag = lag
        self.opened = log.last_index + 1
        """Index of this leadership's first entry. Once it is committed, so is all before it."""
        self.round = 0
        """The last round of heartbeats that was begun (`Replica.confirm`)."""
        self.wake_at: float | None = None
        """When `requests` may have something to send though nothing has come in; None: not before
        the next tick."""
        self._confirmed = 0
        self._commit_seen, self._commit_seen_at = 0, now
        """The commit index, and since when it is that."""
        self._proposals_follow = False
        """Whether the last proposal came within `_NOTICE_SECONDS` of the commit before it."""
        self._history = ""
        last = log.last_index
        self._proposal_times = ProposalTimes(last, now)
        self._peers = {peer: Progress(last, now) for peer in peers}
        self._learners = {name: _Learner(name, last, now) for name in learners}
        self.backoff = Backoff(timing.lease)
        """Which catalogs are kept out, by name."""
        self._counted_at = now
        self._lease_holder: _Learner | None = None
        """The one catalog that may hold a lease of this leader."""
        self._longest_lease = longest_lease(log, timing)
        self._inherited_until = now + self._longest_lease
        """Until then, a catalog may hold a lease of a leader before this one."""
        before = {name for opened in log.openings for name in opened.catalogs}
        self._knows_all_catalogs = before <= self._learners.keys()
        """Whether the learners include each catalog that may hold such a lease."""

    def requests(self, now: float, commit: int, released: int) -> Sequence[Message]:
        """The requests to send now, to peers and learners. What is proposed goes to the catalog
        first: its way is the longest. Sets `wake_at`."""
        self.wake_at = None
        requests: list[Message] = []
        # Until then this leader does not know all that is committed, and a catalog would take
        # itself for current too early.
        if commit >= self.opened:
            self._ask_learners(requests, now, commit, released)
        last, heartbeat = self._log.last_index, self._timing.heartbeat
        self._proposal_times.reached(last, now)
        at_once: Collection[int] | None = None
        for peer, progress in self._peers.items():
            if not progress.due(now, last, self.round, heartbeat):
                continue
            if at_once is None:
                at_once = self._told_at_once(now)
            lag = 0.0 if peer in at_once else self._lag
            if lag and not progress.due(now, last, self.round, heartbeat, lag=lag):
                self._wake_for(progress, lag)
                continue
            progress.sending(now, self.round)
            requests.append(Request(peer, self._append(peer, progress, commit, released, now)))
        return requests

    def _wake_for(self, progress: Progress, lag: float) -> None:
        """Something new is not told to `progress` yet, but `lag` seconds after it came up."""
        if progress.news_since is not None:
            at = progress.news_since + lag
            self.wake_at = at if self.wake_at is None else min(at, self.wake_at)

    def _told_at_once(self, now: float) -> Collection[int]:
        """The peers that are told at once what is new: as many as a majority needs, those that
        are furthest; all, if too few answer."""
        if not self._lag:
            return self._peers.keys()
        answering = [
            (-progress.match, peer)
            for peer, progress in self._peers.items()
            if progress.answers(now, self._lag)
        ]
        needed = majority(len(self._peers) + 1) - 1
        if len(answering) < needed:
            return self._peers.keys()
        answering.sort()
        return [peer for _, peer in answering[:needed]]

    def _ask_learners(
        self, requests: list[Message], now: float, commit: int, released: int
    ) -> None:
        """Add the requests to send to learners."""
        heartbeat = self._timing.heartbeat
        if commit > self._commit_seen:
            self._commit_seen, self._commit_seen_at = commit, now
        for name, learner in self._learners.items():
            hears_proposals = self._hears_proposals(learner, now)
            last = self._log.last_index if hears_proposals else commit
            untold = learner.sent_commit < commit or learner.sent_last < last
            lag = 0.0
            if self._proposals_follow and hears_proposals and learner.knows_of(last, commit):
                lag = _NOTICE_SECONDS
            if learner.due(now, commit, 0, heartbeat, untold=untold, lag=lag):
                learner.sending(now, 0)
                message = self._apply(learner, last, commit, now)
                # Counted, as to look at one may mean to read it from the disk.
                end = message.previous_index + len(message.entries) + len(message.proposed)
                learner.offered = 0
                if message.proposed:
                    learner.offered = end
                    self._proposals_follow = now - self._commit_seen_at <= _NOTICE_SECONDS
                learner.sent_last = max(learner.sent_last, learner.offered, min(last, commit))
                requests.append(LearnerRequest(name, message))
            elif hears_proposals and learner.due_notice(released):
                learner.sending_notice(now)
                requests.append(LearnerRequest(name, self._apply(learner, 0, commit, now)))
            elif lag:
                self._wake_for(learner, lag)

    def _hears_proposals(self, learner: _Learner, now: float) -> bool:
        """Whether what is released waits for this catalog."""
        return learner is self._lease_holder and learner.holder.attached(now)

    @property
    def history(self) -> str:
        """Names the log that versions of stocks are indexes of. No other leadership has this
        name: neither one before a log was cut or copied, nor one of a copy."""
        if not self._history:
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

    def _apply(self, learner: _Learner, last: int, commit: int, now: float) -> Apply:
        """A request with entries up to `last`, which may be beyond `commit`."""
        previous = 0 if learner.rebuild else min(learner.next - 1, max(last, commit))
        committed, proposed = self._entries_for_learner(previous, last, commit)
        learner.sent_commit = commit
        return Apply(
            term=self._term,
            previous_index=previous,
            previous_digest=self._log.digest_at(previous) if previous else GENESIS,
            entries=committed,
            proposed=proposed,
            commit=commit,
            rebuild=learner.rebuild,
            history=self.history,
            stamp=learner.holder.earned if learner is self._lease_holder else None,
            lease=self._timing.lease,
            sent=now,
            cluster=self._cluster,
            longest=self._longest_lease,
        )

    def _entries_for_learner(
        self, previous: int, last: int, commit: int
    ) -> tuple[Sequence[Entry], Sequence[Entry]]:
        """The committed entries after `previous`, and those up to `last` that are proposed; a
        batch of them together."""
        end = previous + self._batch
        committed: Sequence[Entry] = ()
        if previous < min(last, commit):
            committed = self._log.entries(previous, min(last, commit, end))
        reached = previous + len(committed)
        if not commit <= reached < min(last, end):
            return committed, ()
        return committed, self._log.entries(reached, min(last, end))

    def append_answered(self, reply: AppendReply) -> None:
        """Take in a follower's answer to an append of this term."""
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
        """Take in the answer of learner `name` to an apply of this term.

        A learner that is ahead of this log, or on another history, is told to rebuild: it holds
        entries of a log that was lost, since a leader has every committed entry (Raft §5.4.3).
        """
        learner = self._learners[name]
        learner.answered(reply.sent, 0)
        learner.notice_ended(reply.sent)
        learner.answered_at = now
        applied = reply.applied
        learner.rebuild = (
            applied > self._log.last_index or self._log.digest_at(applied) != reply.digest
        )
        if learner.rebuild:
            return
        # A catalog of an earlier release says neither what it has taken nor what it has cleared.
        # What it has taken of this leader's proposals is in this log, which only grows.
        last = self._log.last_index
        learner.took_proposals(max(applied, min(reply.taken, last)), last)
        cleared = max(reply.released, min(reply.cleared, last))
        life = reply.stamp.life if reply.stamp else 0
        if life != learner.life:
            if learner is self._lease_holder and learner.holder.attached(now):
                # Another process answers at this address, or this one after a restart. The
                # earlier life may show what it knows until its lease has run out.
                learner.holder.earned = None
                return
            learner.life = life
        if cleared > learner.match:
            learner.cleared_at = now
        learner.match = cleared
        if not self._may_hold_lease(learner, reply.holds, now):
            return
        # Clients may have seen all that was committed before this leader was elected.
        if cleared >= max(released, self.opened) and self._surely_leads(now):
            learner.holder.earns(reply.stamp, now, self._wait_seconds(now))
            self._lease_holder = learner
        elif reply.released and applied >= learner.sent_commit:
            # Not a catalog with much to catch up with, which would delay every answer until it
            # has; nor one that has just started, which releases nothing yet, and may go on
            # starting.
            learner.holder.answered(now, self._wait_seconds(now))
            self._lease_holder = learner

    def _wait_seconds(self, now: float) -> float:
        """Seconds to wait for a catalog that answers `now`: this leader's lease, or what is left
        of a longer one that a leader before it may have granted."""
        return max(self._timing.lease, self._inherited_until - now)

    def _may_hold_lease(self, learner: _Learner, holds: bool, now: float) -> bool:
        """Whether `learner` may be given a lease: it is not kept out, and no other catalog can
        hold one. `holds`: it says that it holds one, of a leader before this one."""
        if self.backoff.left(learner.name, now):
            return False
        other = self._lease_holder
        if other is not None and other.holder.attached(now):
            return other is learner
        return holds or now >= self._inherited_until

    def _surely_leads(self, now: float) -> bool:
        """Whether no other leader can have been elected by now: a majority refuses its votes."""
        return now < self._heard_at(now) + kept(self._timing.election_timeout)

    def unreachable(self, to: int | str, sent: float, now: float) -> None:
        """The request sent to `to` at `sent` got no answer."""
        if isinstance(to, str):
            self._learners[to].notice_ended(sent)
        progress = self._peers[to] if isinstance(to, int) else self._learners[to]
        progress.lost(sent, now + self._timing.heartbeat)

    def committed(self, commit: int) -> int:
        """The commit index; it was `commit`. The entry there is on the disks of a majority, and
        of this term."""
        if self._log.last_index == commit:
            return commit
        index = reached_by_majority(
            [self._log.durable, *[progress.match for progress in self._peers.values()]]
        )
        # An entry of an earlier term is committed by one of this term only (Raft §5.4.2).
        return index if index > commit and index >= self.opened else commit

    def released(self, commit: int, released: int, now: float) -> int:
        """Up to which entry clients may see; it was `released`. It is committed, and each catalog
        that may hold a lease has cleared it."""
        learner = self._lease_holder
        if learner is not None:
            waited_for = learner.holder.attached(now)
            self._count_delay(learner if waited_for else None, commit, now)
            return max(released, min(commit, learner.match) if waited_for else commit)
        self._count_delay(None, commit, now)
        if now >= self._inherited_until:
            return max(released, commit)
        if not self._knows_all_catalogs:
            return released
        cleared = [learner.match for learner in self._learners.values()]
        return max(released, min([commit, *cleared]))

    def _count_delay(self, learner: _Learner | None, commit: int, now: float) -> None:
        """Tell `backoff` for how long the lease holder, for which answers wait, has delayed them
        since the last call. None: they wait for no one."""
        # At most a heartbeat: this leader may have stood still itself.
        passed = min(now - self._counted_at, self._timing.heartbeat)
        self._counted_at = now
        if learner is None:
            return
        if learner.match >= commit:
            learner.cleared_at = now
            return
        silent = now - learner.answered_at > _SILENT_HEARTBEATS * self._timing.heartbeat
        stuck = now - learner.cleared_at > _STUCK_LEASES * self._timing.lease
        if silent or stuck:
            self.backoff.delayed(learner.name, passed, now)

    def follower_lags(self, now: float) -> Sequence[FollowerLag]:
        """How far each follower is behind this log."""
        last, times = self._log.last_index, self._proposal_times
        behind = {peer: progress.acknowledged for peer, progress in self._peers.items()}
        times.forget(min(behind.values(), default=last))
        return [
            FollowerLag(
                replica=peer,
                entries=max(0, last - index),
                seconds=max(0.0, now - times.proposed_at(index + 1)) if index < last else 0.0,
            )
            for peer, index in behind.items()
        ]

    @property
    def cleared(self) -> int:
        """Up to which entry the catalog that may hold a lease has cleared; 0: there is none."""
        return self._lease_holder.match if self._lease_holder is not None else 0

    def catalog_lags(self) -> Mapping[str, int]:
        """How many entries of this log each catalog has not cleared, by name."""
        last = self._log.last_index
        return {name: max(0, last - each.match) for name, each in self._learners.items()}

    @property
    def confirmed(self) -> int:
        """The last round of heartbeats that a majority has answered."""
        if self._confirmed < self.round:
            self._confirmed = reached_by_majority(
                [self.round, *[progress.round for progress in self._peers.values()]]
            )
        return self._confirmed

    def in_touch(self, now: float) -> bool:
        """Whether a majority answered requests that were sent within the election timeout."""
        return now - self._heard_at(now) <= self._timing.election_timeout

    def _heard_at(self, now: float) -> float:
        """When the last requests were sent that a majority answered."""
        return reached_by_majority([now, *[progress.heard_at for progress in self._peers.values()]])
