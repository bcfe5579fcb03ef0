"""Trades on their way to the leader: queued, batched, and sent again until they are settled.

Each batch carries everything that came up while the ones before were under way. A trade whose
batch failed goes back to the head of the queue and is sent to whoever leads next, under the
same key, so that it is executed once at most; at its deadline the client is told that the
outcome is unknown, or that it was certainly not executed.

What a leader says of the last sending of a trade says nothing of those before, but for two
answers. An order settles the trade. So does a rejection: it comes from a leader that cannot take
any earlier sending (see `sending`), nor can any later one (docs/protocol.md, "A trade"). Pure.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence

import msgspec

from twisted_bazaar.errors import (
    BazaarError,
    KeyReused,
    NotExecuted,
    NotLeader,
    OutcomeUnknown,
    Overloaded,
    Rejected,
)
from twisted_bazaar.market import Placed, Trade
from twisted_bazaar.sending import MAX_EXPECTED_SENDINGS, MAX_SENDING_SECONDS, Sending

__all__ = ["MAX_BATCH_TRADES", "Batch", "Pending", "TradeQueue"]

MAX_BATCH_TRADES = 512
"""Trades that one call carries at most."""

Outcome = Placed | BazaarError


class Pending:
    """A trade that a client waits for."""

    def __init__(self, trade: Trade, ticket: object, deadline: float) -> None:
        self.trade = trade
        self.ticket = ticket
        self.deadline = deadline
        self.doubtful = False
        """It was sent before, and may have been executed."""
        self.settled = False
        self.place = 0
        """In the queue; it keeps it when it is sent again."""


class Batch(msgspec.Struct, frozen=True, eq=False):
    """Trades that are sent together."""

    leader: int
    term: int
    """The leadership that it is sent to."""
    number: int
    """Grows from batch to batch."""
    expected: Sequence[int]
    """The numbers of the batches before that this leadership may still answer."""
    pending: Sequence[Pending]
    deadline: float
    """When the last of them is given up."""

    def sending(self, life: int, now: float, clock_at: Callable[[float], float]) -> Sending:
        """What goes with this batch if it is sent `now`, in this life of the front-end.

        `clock_at` says what the leader's clock will show at a moment on the front-end's, or
        less.
        """
        latest = now + MAX_SENDING_SECONDS
        return Sending(
            term=self.term,
            life=life,
            number=self.number,
            expected=self.expected,
            expires=[clock_at(min(each.deadline, latest)) for each in self.pending],
        )


class TradeQueue:
    """All trades of one front-end that are not settled.

    `capacity` bounds them; `in_flight` is how many batches may be under way at a time. With one,
    the next carries all that came up meanwhile. A batch costs as much as 35 trades, so that
    a second one under way costs more than it gains (docs/scaling.md).
    """

    def __init__(self, capacity: int = 10_000, in_flight: int = 1) -> None:
        assert 0 < in_flight <= MAX_EXPECTED_SENDINGS
        self._capacity = capacity
        self._max_in_flight = in_flight
        self._waiting: deque[Pending] = deque()
        self._in_flight: list[Batch] = []
        self._settled: list[tuple[Pending, Outcome]] = []
        self._open = 0
        self._added = 0
        self._taken = 0

    def add(self, pending: Pending) -> None:
        """Take in a trade. Raises `Overloaded` if too many are open."""
        if self._open >= self._capacity:
            raise Overloaded("too many trades are waiting")
        self._open += 1
        self._added += 1
        pending.place = self._added
        self._waiting.append(pending)

    def take(self, leader: int, term: int) -> Batch | None:
        """The batch to send now to `leader`, which leads in `term`; None: there is nothing to
        send, or nobody (0)."""
        if not leader or not self._waiting or len(self._in_flight) >= self._max_in_flight:
            return None
        size = min(len(self._waiting), MAX_BATCH_TRADES)
        pending = [self._waiting.popleft() for _ in range(size)]
        self._taken += 1
        expected = [each.number for each in self._in_flight if each.term == term]
        deadline = max(each.deadline for each in pending)
        batch = Batch(leader, term, self._taken, expected, pending, deadline)
        self._in_flight.append(batch)
        return batch

    def answered(self, batch: Batch, outcomes: Iterable[Outcome]) -> bool:
        """The leader answered. Whether it took the trades: if not, it may lead no more."""
        if not self._landed(batch):
            return True
        again = []
        for pending, outcome in zip(batch.pending, outcomes, strict=True):
            if isinstance(outcome, NotLeader):
                again.append(pending)
            elif isinstance(outcome, OutcomeUnknown):
                pending.doubtful = True
                again.append(pending)
            elif pending.doubtful and not isinstance(outcome, Placed | Rejected | KeyReused):
                self._settle(pending, _unknown(pending))
            else:
                self._settle(pending, outcome)
        self._wait_again(again)
        return not again

    def lost(self, batch: Batch) -> bool:
        """There was no answer: the trades may have been executed, or not.

        Whether that is news: nothing was expected any more of a batch that was given up.
        """
        if not self._landed(batch):
            return False
        for pending in batch.pending:
            pending.doubtful = True
        self._wait_again(batch.pending)
        return True

    def led_by(self, leader: int, term: int) -> None:
        """`leader` leads in `term`: nothing is expected of what other leaderships were sent."""
        for batch in list(self._in_flight):
            if (batch.leader, batch.term) != (leader, term):
                self.lost(batch)

    def expire(self, now: float) -> None:
        """Give up the trades whose deadline has passed."""
        sent = [pending for batch in self._in_flight for pending in batch.pending]
        for pending in sent:
            if pending.deadline <= now and not pending.settled:
                self._settle(pending, _unknown(pending))
        if any(pending.deadline <= now for pending in self._waiting):
            late = [pending for pending in self._waiting if pending.deadline <= now]
            self._waiting = deque(each for each in self._waiting if each.deadline > now)
            for pending in late:
                if pending.doubtful:
                    self._settle(pending, _unknown(pending))
                else:
                    self._settle(pending, NotExecuted("no order replica leads"))

    def take_settled(self) -> Sequence[tuple[Pending, Outcome]]:
        """What was settled since the last call."""
        settled, self._settled = self._settled, []
        return settled

    def _landed(self, batch: Batch) -> bool:
        """Whether `batch` was still in flight: not given up for another leader."""
        if batch not in self._in_flight:
            return False
        self._in_flight.remove(batch)
        return True

    def _wait_again(self, again: Sequence[Pending]) -> None:
        if waiting := [pending for pending in again if not pending.settled]:
            # Two runs, each in order already: that is quick.
            waiting.extend(self._waiting)
            self._waiting = deque(sorted(waiting, key=lambda pending: pending.place))

    def _settle(self, pending: Pending, outcome: Outcome) -> None:
        if pending.settled:
            return
        if isinstance(outcome, Placed) and pending.doubtful:
            # That the key was known is no news: it may be this very trade's first sending.
            outcome = Placed(outcome.number, replayed=False)
        pending.settled = True
        self._open -= 1
        self._settled.append((pending, outcome))


def _unknown(pending: Pending) -> OutcomeUnknown:
    return OutcomeUnknown(f"no answer in time for key {pending.trade.key}")
