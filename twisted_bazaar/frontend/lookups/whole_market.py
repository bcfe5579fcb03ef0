"""The whole market, as `GET /stocks` shows it: asked for once, however many want to see it. Pure.

One question at a time is under way. It is for those who came before it was sent; those who came
since are shown its answer, too, if that is still true when it comes: the lease holds, and no floor
is above the entry that it is as of. As long as that is so, the answer is kept and shown at once;
and after that it still saves asking for all that has not changed since.

A large market costs its catalog and this front-end much more than a lookup does. So after each
answer there is a pause, in proportion to what it cost, in which lookups and trades have their turn.
"""

from collections.abc import Mapping, Sequence

import msgspec

from twisted_bazaar.errors import BazaarError, Unavailable
from twisted_bazaar.frontend.cache.floors import Floors
from twisted_bazaar.frontend.http import answers
from twisted_bazaar.market import Stock

__all__ = ["Question", "Whole", "WholeMarket"]

_BYTES_PER_SECOND = 50_000_000
"""Of bodies that are put together; it is many times faster than that."""
_BYTES_PER_STOCK = 1000
"""A stock that has to come from a catalog costs as much as so many bytes that are there."""


class Whole(msgspec.Struct, frozen=True, eq=False):
    """The market after one entry of a log. Made on a thread, shown on another."""

    history: str
    """Names the log; empty: it is not known which, nor after which entry."""
    upto: int
    """The index of that entry."""
    shown: Mapping[str, bytes]
    """Each stock as a body shows it, by name and in that order."""
    body: bytes
    fresh: int
    """How many of the stocks were not known before."""

    @classmethod
    def of(cls, stocks: Sequence[Stock], history: str, upto: int) -> "Whole":
        """The market that consists of `stocks`."""
        shown = {each.name: answers.shown_stock(each) for each in sorted(stocks, key=_name)}
        return cls(history, upto, shown, answers.joined(shown.values()), len(shown))

    def changed(self, stocks: Sequence[Stock], upto: int) -> "Whole":
        """The market after entry `upto`, where `stocks` are those that have changed since."""
        shown = {**self.shown, **{each.name: answers.shown_stock(each) for each in stocks}}
        if len(shown) > len(self.shown):
            shown = dict(sorted(shown.items()))
        body = answers.joined(shown.values()) if stocks else self.body
        return Whole(self.history, upto, shown, body, len(stocks))

    @property
    def cost(self) -> float:
        """Seconds to pause for after it was put together."""
        return (len(self.body) + _BYTES_PER_STOCK * self.fresh) / _BYTES_PER_SECOND


def _name(stock: Stock) -> str:
    return stock.name


class Question(msgspec.Struct, frozen=True, eq=False):
    """Ask a catalog, or the leader, for the whole market."""

    known: Whole | None
    """What it may have changed since."""


class WholeMarket:
    """Those who want to see all stocks. Times are on the front-end's own clock."""

    def __init__(self, floors: Floors | None, capacity: int = 10_000) -> None:
        """Without `floors` nothing is kept to be shown again. `capacity` bounds those who wait."""
        self._floors = floors
        self._capacity = capacity
        self._known: Whole | None = None
        self._asked: dict[object, None] = {}
        """They came before the question that is under way was sent: any answer is true for them."""
        self._waiting: dict[object, None] = {}
        self._question: Question | None = None
        self._not_before = float("-inf")
        self._answered: list[tuple[object, bytes | BazaarError]] = []

    def ask(self, ticket: object, now: float) -> bytes | None:
        """A client wants to see all stocks: the body that shows them, or None: it is among
        `take_answered` later. Raises `Unavailable` if too many wait."""
        if self._known is not None and self._may_show(self._known, now):
            return self._known.body
        if len(self._asked) + len(self._waiting) >= self._capacity:
            raise Unavailable("too many wait for the whole market")
        self._waiting[ticket] = None
        return None

    def withdraw(self, ticket: object) -> None:
        """Nobody wants the answer to `ticket` any more."""
        self._asked.pop(ticket, None)
        self._waiting.pop(ticket, None)

    def take_question(self, now: float) -> Question | None:
        """What to ask now; say `answered` or `failed` afterwards."""
        if self._question is not None or not self._waiting or now < self._not_before:
            return None
        self._asked, self._waiting = self._waiting, {}
        self._question = Question(self._known)
        return self._question

    @property
    def pause_until(self) -> float | None:
        """When there may be something to ask next; None: not before something else happens."""
        return self._not_before if self._waiting and self._question is None else None

    def answered(self, whole: Whole, now: float) -> None:
        """This is the answer."""
        self._question = None
        self._not_before = now + whole.cost
        if whole.history and whole.upto:
            self._known = whole
        self._answered += ((ticket, whole.body) for ticket in self._asked)
        self._asked = {}
        if self._may_show(whole, now):
            self._answered += ((ticket, whole.body) for ticket in self._waiting)
            self._waiting = {}

    def failed(self, error: BazaarError, now: float) -> None:
        """Nobody answered."""
        self._question = None
        self._not_before = now
        self._answered += ((ticket, error) for ticket in self._asked)
        self._asked = {}

    def take_answered(self) -> Sequence[tuple[object, bytes | BazaarError]]:
        """What was answered since the last call, by ticket."""
        answered, self._answered = self._answered, []
        return answered

    def _may_show(self, whole: Whole, now: float) -> bool:
        """Whether nothing has changed since `whole` that anybody can have been told of."""
        floors = self._floors
        return floors is not None and floors.current(whole.history, whole.upto, now)
