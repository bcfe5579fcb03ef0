"""What is asked of a trading desk, and what it answers. Pure."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.errors import BazaarError, OrderUnread
from twisted_bazaar.market import Change, Judged, Placed, Stock, Trade, Traded
from twisted_bazaar.sending import UNGUARDED, Sending
from twisted_bazaar.tracing.followed import NONE, Followed

__all__ = ["Batch", "IndexUpdate", "Known", "Operation", "Outcome", "Question"]

Outcome = Placed | Judged | BazaarError
"""What becomes of one trade."""


class Known(msgspec.Struct, frozen=True):
    """What the index on disk says of the keys of a batch."""

    orders: Mapping[str, Traded]
    """By key. A key that is neither here nor in `unread` has no order among the entries up to
    `index`."""
    index: int
    """The last entry that the index had taken in when it was read."""
    elsewhere: Mapping[str, tuple[int, Traded]] = {}
    """By key: an order in another partition, and which that is."""
    searched: Collection[int] = ()
    """The other partitions that were searched."""
    unread: Mapping[str, OrderUnread] = {}
    """The keys of orders that cannot be read now."""


class IndexUpdate(msgspec.Struct, frozen=True):
    """What the index on disk is to take in."""

    entries: Sequence[Entry]
    stocks: Sequence[Stock]
    """The stocks that the entries changed, as they are after them."""
    last_number: int
    """The number of the last order after the entries."""


class Batch:
    """Trades that came together and are answered together."""

    def __init__(
        self,
        trades: Sequence[Trade],
        sending: Sending = UNGUARDED,
        followed: Mapping[int, Followed] = NONE,
    ) -> None:
        self.trades = trades
        self.sending = sending
        self.followed = followed
        """Whose they are, as far as they are followed, by position."""
        self.outcomes: list[Outcome | None] = [None] * len(trades)
        """One for each trade, in the same order; None: not settled yet."""
        self._open = len(trades)

    def settle(self, position: int, outcome: Outcome) -> bool:
        """Set the outcome of the trade at `position`; returns whether all are settled."""
        self.outcomes[position] = outcome
        self._open -= 1
        return not self._open

    @property
    def answer(self) -> list[Outcome]:
        """The outcomes, once all are settled."""
        return [outcome for outcome in self.outcomes if outcome is not None]


class Question:
    """Asks for the number of the last order, as of some moment after the question came."""

    def __init__(self) -> None:
        self.answer: int | BazaarError | None = None
        """None: not settled yet."""


class Operation:
    """Asks for a change of the market."""

    def __init__(self, change: Change, sending: Sending) -> None:
        self.change = change
        self.sending = sending
        self.answer: int | BazaarError | None = None
        """The index of the entry that holds the change; 0: nothing had to be changed; None: not
        settled yet."""
