"""What a member keeps while it leads a partition whose log is in an engine. Pure.

A leader proves that it leads by writing: an `Append`, or a `Beat` if there is nothing to append. No
other leader had claimed the partition when a write that succeeded was made. So

- a round is confirmed by a write that was made after it was begun;
- no other leader can come for a tenure from when the write was made *for the first time*. A server
  may have shown that one to others, have lost it, and show it again when it is made again.

An entry is committed once its append has succeeded: it is on a majority of the engine's disks.
"""

from collections.abc import Callable, Sequence

from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.consensus.learners import Learners
from twisted_bazaar.consensus.messages import ApplyReply, MarketSnapshot, Message
from twisted_bazaar.leases import kept
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import Moved, Stock, Traded
from twisted_bazaar.timing import Timing

from .calls import Append, Attempt, Beat, Claim
from .shared_log import HANDED_OVER, Batch, Released, Snapshot
from .window import Window

__all__ = ["BEATS", "Leadership"]

BEATS = 4
"""Writes in a tenure, at least: one that takes long must not cost a leader its place."""


class Leadership:
    """One leadership, from the claim that succeeded until the leader steps down. Times are seconds
    on the leader's clock."""

    def __init__(
        self,
        *,
        claim: Claim,
        made: float,
        snapshot: Snapshot,
        cluster: str,
        catalogs: Sequence[str],
        timing: Timing,
        market: Callable[[], MarketSnapshot],
        now: float,
        batch: int,
        keep: int,
    ) -> None:
        """`claim`, made at `made` for the first time, is known `now` to have succeeded. It was of
        the log's end as `snapshot` has it.

        `market` returns the committed market, to send it to catalogs. A write carries `batch`
        entries at most; `keep` settled entries stay in memory.
        """
        seen = claim.seen
        self.term = claim.term
        self.snapshot = snapshot
        self.log = _window(snapshot, keep)
        self.learners = Learners(
            term=claim.term,
            cluster=cluster,
            log=self.log,
            names=catalogs,
            timing=timing,
            batch=batch,
            now=now,
            longest_lease=claim.longest_lease,
            catalogs_before=seen.catalogs,
            surely_leads=self.holds_lease,
            snapshot=market,
            partition=seen.partition,
        )
        self.log.append(claim.opened.entries)
        self.opened = self.log.last_index
        """Index of this leadership's first entry."""
        self.history = self.learners.history
        self._timing = timing
        self._batch = batch
        self._leaving_since: float | None = None
        self.left = False
        """Whether others were told, or are being told, that this leader leaves. It relies on
        nothing from then on."""
        self._begin(snapshot)
        self._prove(made, now)

    def _begin(self, snapshot: Snapshot) -> None:
        """The log ends with this leadership's first entry."""
        seen = snapshot.tail
        self._ledger = Ledger(snapshot.stocks, seen.last_number)
        """The market after what the engine was given."""
        self._given = self.opened
        """The engine was given the entries up to here."""
        self.commit = self.opened
        self.released = seen.released.index
        """Clients may see entries up to here."""
        self.applied = seen.index
        """Entries up to here were handed to the owner."""
        self._told = seen.released
        """How far clients may see, with the number of the last order up to there."""
        self.told_released = seen.released.index
        """The engine knows, for certain, that entries up to here are released."""

    def _prove(self, made: float, now: float) -> None:
        """The claim, made at `made` for the first time, is the first proof that this one leads."""
        self.round = 0
        """The last round that was begun (`Member.confirm`)."""
        self.confirmed = 0
        """The last round that is confirmed."""
        self._covered = 0
        """The last round that the newest write confirms, if it succeeds."""
        self._beat = 0
        """That of the newest write."""
        self._made_at = made
        """When the newest write came up."""
        self._leads_from = made
        """When the last write that succeeded was made for the first time."""
        self.heard_at = now
        """When the engine said last that a write had succeeded."""

    def holds_lease(self, now: float) -> bool:
        """Whether no other leader can have come by now."""
        return not self.left and now < self._leads_from + kept(self._timing.tenure)

    def in_touch(self, now: float) -> bool:
        """Whether the engine has answered within two tenures."""
        return now - self.heard_at <= 2 * self._timing.tenure

    # Leaving.

    @property
    def leaving(self) -> bool:
        """Whether it hands over: nothing more is to be proposed."""
        return self._leaving_since is not None

    def leave(self, now: float) -> None:
        """Hand over: settle what is open, tell the others, and be done."""
        if self._leaving_since is None:
            self._leaving_since = now

    def _has_settled(self, now: float) -> bool:
        """Whether all that was proposed is answered, or has had its time. A catalog that does not
        answer delays that for one lease."""
        if self._leaving_since is None:
            return False
        patience = self._timing.lease + self._timing.tenure
        settled = self.released >= self.applied == self.log.last_index
        settled &= self.confirmed >= self.round
        return settled or now >= self._leaving_since + patience

    # Writes.

    def next_write(self, now: float) -> Attempt | None:
        """What is to be written next; None: nothing yet. No other write may be under way."""
        if self._has_settled(now):
            self.left = True
            beat = Beat(term=self.term, beat=HANDED_OVER, released=self._told)
            return self._attempt(beat, now)
        if self._given < self.log.last_index:
            append = Append(
                batch=self._next_batch(),
                term=self.term,
                beat=self._beat + 1,
                released=self._told,
            )
            return self._attempt(append, now)
        if self.round > self._covered or now >= self.next_beat_at:
            beat = Beat(term=self.term, beat=self._beat + 1, released=self._told)
            return self._attempt(beat, now)
        return None

    @property
    def next_beat_at(self) -> float:
        """When to write though there is nothing to append."""
        return self._made_at + self._timing.tenure / BEATS

    def _attempt(self, write: Append | Beat, now: float) -> Attempt:
        self._beat, self._made_at, self._covered = write.beat, now, self.round
        return Attempt(write, self.round)

    def _next_batch(self) -> Batch:
        """The next entries to give to the engine, with the stocks as they leave them."""
        log, ledger = self.log, self._ledger
        previous = log.digest_at(self._given)
        entries = log.entries(self._given, min(log.last_index, self._given + self._batch))
        touched: dict[str, None] = {}
        gone: list[Stock] = []
        for entry in entries:
            event = entry.event
            if isinstance(event, Moved):
                gone.append(ledger.stocks[event.stock])
            for name in ledger.apply(entry.index, event):
                touched[name] = None
        self._given = entries[-1].index
        return Batch(
            previous=previous,
            entries=entries,
            stocks=[ledger.stocks[name] for name in touched if name in ledger.stocks],
            gone=gone,
            last_number=ledger.last_number,
        )

    def succeeded(self, attempt: Attempt, now: float) -> None:
        """A write of this leadership has succeeded."""
        assert isinstance(attempt.call, Append | Beat)
        assert attempt.first_made_at is not None
        self.heard_at = now
        self._leads_from = attempt.first_made_at
        self.confirmed = attempt.round
        self.told_released = attempt.call.released.index
        if isinstance(attempt.call, Append):
            self.commit = attempt.call.batch.entries[-1].index

    # What follows.

    def answered(self, learner: str, reply: ApplyReply, now: float) -> None:
        """Take in an answer of `learner` to a request of this term."""
        # Once the lease of the catalog before has run out, all that is committed is released: the
        # next holder must not be behind that.
        self.released = self.learners.released(self.commit, self.released, now)
        self.learners.answered(learner, reply, self.released, now)

    def look(self, messages: list[Message], now: float) -> None:
        """Find what is released, and add what the catalogs are to be told."""
        self.released = self.learners.released(self.commit, self.released, now)
        self._count_released()
        self.learners.requests(messages, now, self.commit, self.released)

    def _count_released(self) -> None:
        """Find the number of the last order that is released. It is known from the snapshot on."""
        base = self.snapshot.tail
        while max(self._told.index, base.index) < self.released:
            index = max(self._told.index, base.index)
            number = max(self._told.number, base.last_number)
            for entry in self.log.entries(index, self.released):
                index = entry.index
                if isinstance(entry.event, Traded):
                    number = entry.event.number
            self._told = Released(index=index, number=number)

    def take_committed(self) -> Sequence[Entry]:
        """Newly committed entries for the owner, a batch at most, each exactly once."""
        self.log.settled(min(self.applied, self.released))
        if self.applied >= self.commit:
            return ()
        upto = min(self.commit, self.applied + self._batch)
        entries = self.log.entries(self.applied, upto)
        self.applied = entries[-1].index
        return entries


def _window(snapshot: Snapshot, keep: int) -> Window:
    """The end of the log that was claimed: what was read of it, if that is of the same history."""
    tail, recent = snapshot.tail, snapshot.recent
    if not recent or recent[-1].digest != tail.digest:
        return Window(tail.index, tail.digest, tail.at_milliseconds, keep)
    first = recent[0]
    window = Window(first.index, first.digest, first.at_milliseconds, keep)
    window.append(recent[1:])
    return window
