"""Batches trades for the leader, and sends each again until it is settled. Pure.

A batch carries every trade that came while the batches before it were under way; if they are more
than fit, `Lanes` shares the batch between the clients that they are of. A trade whose batch failed
goes back to the head of its client's queue and is sent to the next leader under the same key, so
that it is executed at most once (invariant 5). At its deadline it is settled as `NotExecuted` or,
if it was sent, as `OutcomeUnknown`.

An answer speaks of the last sending of a trade only, with two exceptions. An order settles the
trade. So does a rejection: the leader that rejects can take no earlier sending (see `sending`),
nor can a later leader (docs/protocol.md, "A trade").
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

import msgspec

from twisted_bazaar.consensus.messages import LEVEL
from twisted_bazaar.errors import (
    BazaarError,
    KeyReused,
    NotExecuted,
    NotLeader,
    OrderUnread,
    OutcomeUnknown,
    Overloaded,
    Rejected,
)
from twisted_bazaar.market import Judged, Placed, Trade
from twisted_bazaar.sending import MAX_EXPECTED_SENDINGS, MAX_SENDING_SECONDS, Sending
from twisted_bazaar.tracing.context import TraceContext
from twisted_bazaar.tracing.spans import Span

from .lanes import Lanes

__all__ = ["MAX_BATCH_TRADES", "Batch", "Pending", "TradeQueue"]

MAX_BATCH_TRADES = 512
"""Trades that one call carries at most, but for those that came together with the last of them."""

_LEVEL_0 = "the order leader is of an earlier release, without limit_price, valid_until, validate"

Outcome = Placed | Judged | BazaarError

T = TypeVar("T")
"""A ticket: what the caller knows a trade by."""


class Pending(Generic[T]):
    """A trade that is not settled. `deadline` is on the front-end's clock."""

    context: TraceContext | None = None
    """Where in a trace it is sent; None: in none."""
    span: Span | None = None
    """From when it was taken until it is settled."""

    def __init__(
        self, trade: Trade, ticket: T, deadline: float, request_id: str = "", owner: str = ""
    ) -> None:
        self.trade = trade
        self.ticket = ticket
        self.deadline = deadline
        self.request_id = request_id
        """Of the request that it came with."""
        self.owner = owner
        """The client, or its address: trades of one share what there is for one."""
        self.doubtful = False
        """An earlier sending may have been executed."""
        self.settled = False
        self.place = 0
        """Its order in the queue, also when it is sent again."""
        self.together = 0
        """The same for trades that are always sent together, and for no others."""

    @property
    def is_guarded(self) -> bool:
        """Whether a leader of level 0 would execute it though it is not to be executed."""
        trade = self.trade
        return trade.validate or trade.limit is not None or trade.valid_until is not None


class Batch(msgspec.Struct, Generic[T], frozen=True, eq=False):
    """Trades that are sent together."""

    leader: int
    term: int
    """The leadership that it is for."""
    number: int
    """Grows from batch to batch."""
    expected: Sequence[int]
    """The numbers of the earlier batches that this leadership may still answer."""
    pending: Sequence[Pending[T]]
    deadline: float
    """The latest deadline of its trades."""

    def sending(self, life: int, now: float, clock_at: Callable[[float], float]) -> Sending:
        """What goes with this batch if it is sent `now`, in this life of the front-end.

        `clock_at` maps a time on the front-end's clock to what the leader's shows then, or less.
        """
        latest = now + MAX_SENDING_SECONDS
        return Sending(
            term=self.term,
            life=life,
            number=self.number,
            expected=self.expected,
            expires=[clock_at(min(each.deadline, latest)) for each in self.pending],
        )


class TradeQueue(Generic[T]):
    """The unsettled trades of one front-end; `TradeService` sends what it decides.

    `capacity` bounds those of one client, and twice as many are open in all. A client may have as
    many as there is room left for others: one alone has `capacity`, each of two has two thirds of
    that, each of nine a fifth. So there is always room for another one. `in_flight` bounds the
    batches under way. With one, the next batch carries all that came meanwhile. A batch costs as
    much as 35 trades, so that a second one under way costs more than it gains (docs/scaling.md).
    """

    def __init__(self, capacity: int = 10_000, in_flight: int = 1) -> None:
        assert 0 < in_flight <= MAX_EXPECTED_SENDINGS
        self._capacity = 2 * capacity
        self._max_in_flight = in_flight
        self._lanes: Lanes[Pending[T]] = Lanes()
        self._in_flight: list[Batch[T]] = []
        self._settled: list[tuple[Pending[T], Outcome]] = []
        self._open = 0
        self._added = 0
        self._taken = 0

    @property
    def waiting(self) -> int:
        """How many trades wait to be sent."""
        return len(self._lanes)

    @property
    def is_busy(self) -> bool:
        """Whether so many batches are under way that no other one is sent."""
        return len(self._in_flight) >= self._max_in_flight

    def add(self, pending: Pending[T]) -> None:
        """Take in a trade. Raises `Overloaded` if its client has too many open."""
        left = self._capacity - self._open - 1
        self._added += 1
        pending.place = pending.together = self._added
        if left <= 0 or not self._lanes.open(pending, left):
            raise Overloaded("too many trades are waiting")
        self._open += 1

    def add_together(self, together: Sequence[Pending[T]]) -> None:
        """Take in trades of one client, with one deadline, that are always sent in one batch.
        Raises `Overloaded`, and takes in none, if not all have room."""
        if not together:
            return
        left = self._capacity - self._open - len(together)
        if self._lanes.open_of(together[0].owner) + len(together) > left:
            raise Overloaded("too many trades are waiting")
        first = self._added + 1
        for pending in together:
            self.add(pending)
            pending.together = first

    def take(self, leader: int, term: int, level: int | None = LEVEL) -> Batch[T] | None:
        """The batch to send now to `leader`, which leads in `term`; None: there is nothing to
        send, or no leader (0). Each batch must be followed by `answered` or `lost`.

        `level` is what the leader understands; None: it has not said. Then trades that a leader of
        level 0 would not judge by all that they say wait; if it is 0, they are `NotExecuted`.
        """
        if not leader or not self._lanes or self.is_busy:
            return None
        pending = self._lanes.take(MAX_BATCH_TRADES) if level else self._next_for(level)
        if not pending:
            return None
        self._taken += 1
        expected = [each.number for each in self._in_flight if each.term == term]
        deadline = max(each.deadline for each in pending)
        batch = Batch(leader, term, self._taken, expected, pending, deadline)
        self._in_flight.append(batch)
        return batch

    def _next_for(self, level: int | None) -> list[Pending[T]]:
        """The next batch for a leader that may be of level 0."""
        lanes = self._lanes
        if level is not None:
            for pending in lanes.remove(lambda each: each.is_guarded and not each.doubtful):
                self._settle(pending, NotExecuted(_LEVEL_0))
        # What came together with one that waits for another leader waits, too.
        held = {pending.together for pending in lanes if pending.is_guarded}
        kept = lanes.remove(lambda pending: pending.together in held)
        batch = lanes.take(MAX_BATCH_TRADES)
        lanes.wait_again(kept)
        return batch

    def answered(self, batch: Batch[T], outcomes: Iterable[Outcome]) -> bool:
        """The leader answered. Returns whether it took the trades; if not, it may have been
        deposed."""
        if not self._landed(batch):
            return True
        again = []
        for pending, outcome in zip(batch.pending, outcomes, strict=True):
            if isinstance(outcome, NotLeader):
                again.append(pending)
            elif isinstance(outcome, OrderUnread):
                self._settle(
                    pending, NotExecuted(str(outcome)) if pending.trade.validate else outcome
                )
            elif isinstance(outcome, OutcomeUnknown):
                pending.doubtful = True
                again.append(pending)
            elif pending.doubtful and not isinstance(
                outcome, Placed | Judged | Rejected | KeyReused
            ):
                self._settle(pending, _unknown(pending))
            else:
                self._settle(pending, outcome)
        self._wait_again(again)
        return not again

    def lost(self, batch: Batch[T]) -> bool:
        """There was no answer: the trades may have been executed. Returns whether an answer was
        still expected."""
        if not self._landed(batch):
            return False
        for pending in batch.pending:
            pending.doubtful = True
        self._wait_again(batch.pending)
        return True

    def led_by(self, leader: int, term: int) -> None:
        """`leader` leads in `term`: batches for other leaderships are lost."""
        for batch in list(self._in_flight):
            if (batch.leader, batch.term) != (leader, term):
                self.lost(batch)

    def expire(self, now: float) -> None:
        """Settle the trades whose deadline has passed."""
        sent = [pending for batch in self._in_flight for pending in batch.pending]
        for pending in sent:
            if pending.deadline <= now and not pending.settled:
                self._settle(pending, _unknown(pending))
        for pending in self._lanes.remove(lambda pending: pending.deadline <= now):
            if pending.doubtful:
                self._settle(pending, _unknown(pending))
            else:
                self._settle(pending, NotExecuted("no order replica leads"))

    def take_settled(self) -> Sequence[tuple[Pending[T], Outcome]]:
        """The trades settled since the last call, with their outcomes."""
        settled, self._settled = self._settled, []
        return settled

    def _landed(self, batch: Batch[T]) -> bool:
        """Take `batch` out of those in flight. Returns whether it was one: not lost before."""
        if batch not in self._in_flight:
            return False
        self._in_flight.remove(batch)
        return True

    def _wait_again(self, again: Sequence[Pending[T]]) -> None:
        if waiting := [pending for pending in again if not pending.settled]:
            self._lanes.wait_again(waiting)

    def _settle(self, pending: Pending[T], outcome: Outcome) -> None:
        if pending.settled:
            return
        if isinstance(outcome, Placed) and pending.doubtful and not pending.trade.validate:
            # The key is known from an earlier sending of this very trade: no replay.
            outcome = Placed(outcome.number, False, outcome.price, outcome.partition)
        pending.settled = True
        self._open -= 1
        self._lanes.close(pending)
        self._settled.append((pending, outcome))


def _unknown(pending: Pending[T]) -> OutcomeUnknown | NotExecuted:
    """The outcome of a trade that was sent, and not answered in time."""
    if pending.trade.validate:
        return NotExecuted("no order replica has judged it in time")
    return OutcomeUnknown(f"no answer in time for key {pending.trade.key}")
