"""The calls of the client, without I/O: a `Core` makes the steps of each. Pure.

`blocking` and `deferreds` take these steps, and have the methods of a `Core` as their own.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from . import requests
from .batch import settle_each
from .errors import CallFailed
from .requests import Call
from .retries import Attempts
from .settling import Frontends, settle
from .steps import Findings, Found, Steps
from .stream import follow
from .values import (
    Direction,
    Event,
    EventName,
    Judged,
    Order,
    Page,
    Placed,
    Quote,
    Side,
    SideName,
    Trade,
)

if TYPE_CHECKING:
    from random import Random

__all__ = ["DEADLINE_SECONDS", "Core"]

T = TypeVar("T")

DEADLINE_SECONDS = 15.0
"""For a call with all its attempts: one that is not answered, and another one."""


class Core:
    """The calls to one bazaar. Each takes `deadline` seconds at most, with all its attempts."""

    def __init__(
        self,
        urls: Sequence[str],
        *,
        seconds: Callable[[], float],
        random: "Random",
        fresh_key: Callable[[], str],
        deadline: float,
    ) -> None:
        """`urls` are its front-ends. `seconds` is a monotonic clock, `random` spreads the pauses,
        `fresh_key` returns a key that was never used, and `deadline` is for calls without one."""
        self._frontends = Frontends(urls)
        self._seconds = seconds
        self._random = random
        self._fresh_key = fresh_key
        self._deadline = deadline

    def ping(self, *, deadline: float | None = None) -> Steps[None]:
        """Return once a front-end answers."""
        return self._settle(requests.ping(), deadline)

    def stock(self, name: str, *, deadline: float | None = None) -> Steps[Quote]:
        """A stock as it is now, never older than what any client was shown before. A name that
        is not listed is `Refused`."""
        return self._settle(requests.stock(name), deadline)

    def stocks(self, *, deadline: float | None = None) -> Steps[tuple[Quote, ...]]:
        """All stocks by name, as they were at one moment."""
        return self._settle(requests.stocks(), deadline)

    def order(self, number: int, *, deadline: float | None = None) -> Steps[Order | None]:
        """The order with this number; None: there is none."""
        return self._settle(requests.order(number), deadline)

    def find(self, client_order_id: str, *, deadline: float | None = None) -> Steps[Order | None]:
        """The order with this key; None: there is none now. A trade with this key that is still
        on its way may become one: a `valid_until` that has passed rules that out."""
        return self._settle(requests.find(client_order_id), deadline)

    def page(
        self,
        *,
        after: int | None = None,
        limit: int | None = None,
        direction: Direction | None = None,
        stock: str | None = None,
        type: SideName | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        partition: int | None = None,
        cursor: str | None = None,
        mine: bool | None = None,
        deadline: float | None = None,
    ) -> Steps[Page]:
        """Up to `limit` orders: those with numbers beyond `after` in that direction, of that stock
        and side, and decided in [`since`, `until`). A `cursor` goes on where its page ended, and
        brings its own filters. Of a market of several partitions, they are those of `partition`,
        or without it those of all, by time; then `after` is not known. `mine`: only those that the
        API key's client placed."""
        asked = requests.page(
            after=after,
            limit=limit,
            direction=direction,
            stock=stock,
            type=type,
            since=since,
            until=until,
            partition=partition,
            cursor=cursor,
            mine=mine,
        )
        return self._settle(asked, deadline)

    def orders(
        self,
        *,
        after: int | None = None,
        limit: int | None = None,
        direction: Direction | None = None,
        stock: str | None = None,
        type: SideName | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        partition: int | None = None,
        mine: bool | None = None,
        deadline: float | None = None,
    ) -> Findings[Order]:
        """All orders that `page` would show, page by page, to the last that there is now. `limit`
        is that of a page, and so is `deadline`."""
        page = yield from self.page(
            after=after,
            limit=limit,
            direction=direction,
            stock=stock,
            type=type,
            since=since,
            until=until,
            partition=partition,
            mine=mine,
            deadline=deadline,
        )
        while True:
            for order in page.orders:
                yield Found(order)
            if not page.goes_on:
                return
            page = yield from self.page(cursor=page.cursor, limit=limit, deadline=deadline)

    def place(
        self,
        name: str,
        type: SideName,
        quantity: int,
        *,
        client_order_id: str | None = None,
        limit_price: Decimal | None = None,
        valid_until: datetime | None = None,
        deadline: float | None = None,
    ) -> Steps[Placed]:
        """Buy or sell so many shares, once, however often that has to be sent.

        `client_order_id` is the key; without one the client makes one. Raises `Refused`,
        `NotExecuted` or `OutcomeUnknown`, which all name the key.
        """
        trade = Trade(name, Side(type), quantity, None, limit_price, valid_until)
        key = self._fresh_key() if client_order_id is None else client_order_id
        return self._settle(requests.place(trade, key), deadline)

    def validate(
        self,
        name: str,
        type: SideName,
        quantity: int,
        *,
        client_order_id: str | None = None,
        limit_price: Decimal | None = None,
        valid_until: datetime | None = None,
        deadline: float | None = None,
    ) -> Steps[Judged]:
        """What `place` would do now, without doing it. Raises `Refused` if it would."""
        trade = Trade(name, Side(type), quantity, None, limit_price, valid_until)
        # An earlier release executes it: once at most, as it has a key.
        key = self._fresh_key() if client_order_id is None else client_order_id
        return self._settle(requests.validate(trade, key), deadline)

    def place_batch(
        self, trades: Sequence[Trade], *, deadline: float | None = None
    ) -> Steps[list[Placed | CallFailed]]:
        """The outcome of each of up to 100 trades, in order. Each is judged by itself; those that
        fail are among the outcomes, as the exceptions that `place` would raise."""
        keys = [
            self._fresh_key() if each.client_order_id is None else each.client_order_id
            for each in trades
        ]
        return settle_each(trades, keys, self._frontends, self._attempts(deadline))

    def events(
        self,
        *,
        after: int | str | None = None,
        stocks: Sequence[str] = (),
        events: Sequence[EventName] = (),
        deadline: float | None = None,
    ) -> Findings[Event]:
        """The orders behind number `after` (None: from now on), and quotes and leaders as they
        change; of these stocks and kinds of events, or of all. Of a market of several partitions,
        `after` is 0, or the `event_id` of an order.

        Each order comes once, and in order within its partition. A stream that breaks is taken up
        again, at any front-end; if that does not succeed within `deadline`, this raises
        `Unavailable`.
        """
        attempts = partial(self._attempts, deadline)
        if after is None:
            last = yield from self.page(direction="desc", limit=1, deadline=deadline)
            if last.more is None:
                after = last.orders[0].number if last.orders else 0
        opening = partial(requests.events, stocks=stocks, events=events)
        yield from follow(self._frontends, attempts, opening, after)

    def _attempts(self, deadline: float | None) -> Attempts:
        seconds = self._deadline if deadline is None else deadline
        return Attempts(self._seconds, self._random, seconds)

    def _settle(self, call: Call[T], deadline: float | None) -> Steps[T]:
        return settle(call, self._frontends, self._attempts(deadline))
