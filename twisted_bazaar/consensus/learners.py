"""What a leader knows of the catalogs, its learners: how far they are, and which of them may hold a
lease. Pure.

The same for a leader of a Raft group and for one whose log is in an engine: what this needs of
either is its log, how far that is committed, and whether another leader can have come by now.

The catalog that may hold a lease is sent entries when they are proposed, as followers are: so its
front-ends learn of them while the disks write. The others are sent what is committed. One that is
on another history is told to begin again: from the beginning of the log, or from a snapshot, where
the log is not in memory from the beginning on.

The rules are those of docs/protocol.md for learners and leases.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from twisted_bazaar.backoff import Backoff
from twisted_bazaar.leases import Holder
from twisted_bazaar.timing import Timing

from .entries import Entry
from .member import MemberLog
from .messages import Apply, ApplyReply, LearnerRequest, MarketSnapshot, Message
from .progress import Progress

__all__ = ["Learners"]

_SILENT_HEARTBEATS = 3
"""A catalog that works answers within this time: it is asked every heartbeat, and may hold its
answer back for one."""
_LEAST_NOTICE_SECONDS, _MOST_NOTICE_SECONDS = 0.002, 0.005
"""How long a catalog is not told that an entry is committed, as the next proposal says it, too:
between these two, twice as long as the last proposal took to follow. If it took longer than the
most, the catalog is told at once."""
_STUCK_LEASES = 2
"""A catalog that works clears an entry within this time: it waits for its front-ends for one
lease at most."""


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


class Learners:
    """The catalogs of one leadership. Times are seconds on the leader's clock."""

    def __init__(
        self,
        *,
        term: int,
        cluster: str,
        log: MemberLog,
        names: Iterable[str],
        timing: Timing,
        batch: int,
        now: float,
        longest_lease: float,
        catalogs_before: Collection[str],
        surely_leads: Callable[[float], bool],
        snapshot: Callable[[], MarketSnapshot] | None = None,
        partition: int = 0,
    ) -> None:
        """The leadership begins `now`, with a `log` to which its first entry is still to be added.

        `longest_lease` is that of all that leaders up to now may have granted, in seconds, and
        this one may grant; `catalogs_before` names each catalog that may hold one.
        `surely_leads` says of a moment whether no other leader can have come by then. A message
        carries `batch` entries at most.

        `snapshot` returns the market after some committed entry whose digest the log knows, for a
        catalog that lacks entries which the log does not know. None: the log knows all of its
        entries. `partition` is the one whose log it is.
        """
        self._term = term
        self._cluster = cluster
        self._log = log
        self._timing = timing
        self._batch = batch
        self._surely_leads = surely_leads
        self._snapshot = snapshot
        self._partition = partition
        self.opened = log.last_index + 1
        """Index of this leadership's first entry. Once it is committed, so is all before it."""
        self.wake_at: float | None = None
        """When `requests` may have something to send though nothing has come in; None: not before
        the next tick."""
        self._commit_seen, self._commit_seen_at = 0, now
        """The commit index, and since when it is that."""
        self._notice_after = 0.0
        """How long what is committed waits for the next proposal, in seconds."""
        self._history = ""
        last = log.last_index
        self._learners = {name: _Learner(name, last, now) for name in names}
        self.backoff = Backoff(timing.lease)
        """Which catalogs are kept out, by name."""
        self._counted_at = now
        self._lease_holder: _Learner | None = None
        """The one catalog that may hold a lease of this leader."""
        self._longest_lease = longest_lease
        self._inherited_until = now + longest_lease
        """Until then, a catalog may hold a lease of a leader before this one."""
        self._knows_all_catalogs = self._learners.keys() >= set(catalogs_before)
        """Whether the learners include each catalog that may hold such a lease."""

    def requests(self, requests: list[Message], now: float, commit: int, released: int) -> None:
        """Add to `requests` those to send now. Sets `wake_at`."""
        self.wake_at = None
        if commit < self.opened:
            # Until then this leader does not know all that is committed, and a catalog would take
            # itself for current too early.
            return
        heartbeat = self._timing.heartbeat
        if commit > self._commit_seen:
            self._commit_seen, self._commit_seen_at = commit, now
        for name, learner in self._learners.items():
            hears_proposals = self._hears_proposals(learner, now)
            last = self._log.last_index if hears_proposals else commit
            untold = learner.sent_commit < commit or learner.sent_last < last
            lag = 0.0
            if hears_proposals and learner.knows_of(last, commit):
                lag = self._notice_after
            if learner.due(now, commit, 0, heartbeat, untold=untold, lag=lag):
                learner.sending(now, 0)
                message = self._apply(learner, last, commit, now)
                # Counted, as to look at one may mean to read it from the disk.
                end = message.previous_index + len(message.entries) + len(message.proposed)
                learner.offered = 0
                if message.proposed:
                    learner.offered = end
                    self._notice_after = _notice_after(now - self._commit_seen_at)
                learner.sent_last = max(learner.sent_last, learner.offered, min(last, commit))
                requests.append(LearnerRequest(name, message))
            elif hears_proposals and learner.due_notice(released):
                if not self._begins_again(learner, commit):
                    learner.sending_notice(now)
                    requests.append(LearnerRequest(name, self._apply(learner, 0, commit, now)))
            elif lag and learner.news_since is not None:
                at = learner.news_since + lag
                self.wake_at = at if self.wake_at is None else min(at, self.wake_at)

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

    def _begins_again(self, learner: _Learner, last: int) -> bool:
        """Whether `learner`, which is to hear of entries up to `last`, needs a snapshot: its state
        is of another history, or lacks entries that the log does not know."""
        return self._snapshot is not None and (
            not self._log.digest_at(0 if learner.rebuild else min(learner.next - 1, last))
        )

    def _apply(self, learner: _Learner, last: int, commit: int, now: float) -> Apply:
        """A request with entries up to `last`, which may be beyond `commit`."""
        snapshot, rebuild = None, learner.rebuild
        if self._snapshot is not None and self._begins_again(learner, max(last, commit)):
            snapshot, rebuild = self._snapshot(), True
            previous, digest = snapshot.index, snapshot.digest
        else:
            previous = 0 if rebuild else min(learner.next - 1, max(last, commit))
            digest = self._log.digest_at(previous)
        committed, proposed = self._entries_for_learner(previous, last, commit)
        learner.sent_commit = commit
        return Apply(
            term=self._term,
            previous_index=previous,
            previous_digest=digest,
            entries=committed,
            proposed=proposed,
            commit=commit,
            rebuild=rebuild,
            history=self.history,
            stamp=learner.holder.earned if learner is self._lease_holder else None,
            lease=self._timing.lease,
            sent=now,
            cluster=self._cluster,
            longest=self._longest_lease,
            snapshot=snapshot,
            partition=self._partition,
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

    def answered(self, name: str, reply: ApplyReply, released: int, now: float) -> None:
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

    def unreachable(self, name: str, sent: float, now: float) -> None:
        """The request sent to learner `name` at `sent` got no answer."""
        learner = self._learners[name]
        learner.notice_ended(sent)
        learner.lost(sent, now + self._timing.heartbeat)

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

    @property
    def cleared(self) -> int:
        """Up to which entry the catalog that may hold a lease has cleared; 0: there is none."""
        return self._lease_holder.match if self._lease_holder is not None else 0

    def catalog_lags(self) -> Mapping[str, int]:
        """How many entries of this log each catalog has not cleared, by name."""
        last = self._log.last_index
        return {name: max(0, last - each.match) for name, each in self._learners.items()}


def _notice_after(took: float) -> float:
    """For how long a commit waits for the next proposal, if the last one took so long to follow."""
    if took > _MOST_NOTICE_SECONDS:
        return 0.0
    return min(max(2 * took, _LEAST_NOTICE_SECONDS), _MOST_NOTICE_SECONDS)
