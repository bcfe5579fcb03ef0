"""The calls of the REST API. Each is recorded in a history, also when it fails."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Generic, NamedTuple, TypedDict, TypeVar

from twisted.internet.defer import CancelledError

from load.history.records import (
    Call,
    History,
    LookupCall,
    MarketCall,
    Order,
    OrderCall,
    PageCall,
    Quote,
    TradeCall,
    Verdict,
)
from twisted_bazaar.client import requests, values
from twisted_bazaar.client.answers import Answer, Broken
from twisted_bazaar.client.deferreds import Deferreds
from twisted_bazaar.client.errors import CallFailed, NotExecuted, OutcomeUnknown, Refused
from twisted_bazaar.client.session import Session
from twisted_bazaar.market import Side

__all__ = ["EXPECTED", "Caller"]

EXPECTED = {0, 200, 404, 409, 422, 503}
"""The statuses with which a bazaar may answer well-formed calls; 0: no answer."""

T = TypeVar("T")


class _Common(TypedDict):
    """The fields that all kinds of calls have."""

    client: int
    via: int
    sent: float
    ended: float
    status: int
    message: str


class _Outcome(TypedDict):
    """What the fields of a trade say of its outcome."""

    verdict: Verdict
    number: int | None
    replayed: bool
    price: float | None
    reason: str


class _Asked(NamedTuple, Generic[T]):
    """A request that was sent once."""

    call: _Common
    reply: Answer | Broken
    value: T | None
    failed: CallFailed | None


class Caller:
    """Makes the calls of one client, and adds them to `history`.

    No call raises: one that fails, or is cancelled, is recorded as a call without an answer.
    """

    def __init__(
        self,
        session: Session,
        seconds: Callable[[], float],
        urls: Sequence[str],
        history: History,
        client: int,
    ) -> None:
        """`seconds` is the clock of the history; `urls` are the front-ends; `client` is the
        number of this client in the history."""
        self._session = session
        self._seconds = seconds
        self._urls = urls
        self._history = history
        self._client = client

    @property
    def frontends(self) -> int:
        """How many front-ends there are. A call is made `via` one of them, counted from 0, and
        waits `timeout` seconds for its whole answer."""
        return len(self._urls)

    async def lookup(self, via: int, name: str, timeout: float) -> LookupCall:
        asked = await self._ask(via, requests.stock(name), timeout)
        found = None if asked.value is None else _quote(asked.value)
        source = asked.reply.header("X-Cache") if isinstance(asked.reply, Answer) else None
        return self._record(LookupCall(**asked.call, name=name, found=found, source=source or ""))

    async def market(self, via: int, timeout: float) -> MarketCall:
        asked = await self._ask(via, requests.stocks(), timeout)
        found = tuple(_quote(each) for each in asked.value or ())
        return self._record(MarketCall(**asked.call, found=found))

    async def order(self, via: int, number: int, timeout: float) -> OrderCall:
        asked = await self._ask(via, requests.order(number), timeout)
        found = None if asked.value is None else _order(asked.value)
        return self._record(OrderCall(**asked.call, number=number, found=found))

    async def page(
        self, via: int, after: int, limit: int, timeout: float, partition: int | None = None
    ) -> PageCall:
        """Of several partitions, `partition` says of which."""
        wanted = requests.page(after=after, limit=limit, partition=partition)
        asked = await self._ask(via, wanted, timeout)
        page = asked.value or values.Page(())
        found = tuple(_order(each) for each in page.orders)
        return self._record(
            PageCall(
                **asked.call,
                after=after,
                limit=limit,
                found=found,
                next=page.next,
                partition=partition,
            )
        )

    async def trade(
        self, via: int, key: str, name: str, side: Side, quantity: int, timeout: float
    ) -> TradeCall:
        sending = requests.place(values.Trade(name, side, quantity), key)
        asked = await self._ask(via, sending, timeout)
        outcome = _outcome(asked.value, asked.failed)
        return self._record(
            TradeCall(**asked.call, **outcome, key=key, name=name, type=side, quantity=quantity)
        )

    async def settled_trade(
        self, bazaar: Deferreds, key: str, name: str, side: Side, quantity: int
    ) -> TradeCall:
        """A trade that `bazaar` sends again as often as it takes, to any front-end: one call, by
        its last answer. If it is cancelled, the outcome is unknown."""
        sent = self._seconds()
        placed, failed = None, None
        try:
            placed = await bazaar.place(name, side, quantity, client_order_id=key)
        except CallFailed as why:
            failed = why
        except CancelledError:
            failed = OutcomeUnknown("cancelled")
        call = self._common(0, sent, 200 if failed is None else failed.code, failed)
        outcome = _outcome(placed, failed)
        return self._record(
            TradeCall(**call, **outcome, key=key, name=name, type=side, quantity=quantity)
        )

    async def _ask(self, via: int, call: requests.Call[T], timeout: float) -> "_Asked[T]":
        """Send it once."""
        sent = self._seconds()
        reply = await self._session.send(self._urls[via], call.request, timeout)
        value, failed = None, None
        try:
            value = call.value(reply)
        except CallFailed as why:
            failed = why
        status = reply.status if isinstance(reply, Answer) else 0
        return _Asked(self._common(via + 1, sent, status, failed), reply, value, failed)

    def _common(self, via: int, sent: float, status: int, failed: CallFailed | None) -> _Common:
        return {
            "client": self._client,
            "via": via,
            "sent": sent,
            "ended": self._seconds(),
            "status": status,
            "message": str(failed) if failed is not None else "",
        }

    def _record(self, call: T) -> T:
        assert isinstance(call, Call)
        self._history.add(call)  # type: ignore[arg-type]
        return call


def _outcome(placed: values.Placed | None, failed: CallFailed | None) -> _Outcome:
    outcome: _Outcome = {
        "verdict": _verdict(failed),
        "number": None,
        "replayed": False,
        "price": None,
        "reason": failed.reason if failed is not None else "",
    }
    if placed is not None:
        outcome["number"] = placed.number
        outcome["replayed"] = placed.replayed
        outcome["price"] = _float(placed.price)
    return outcome


def _verdict(failed: CallFailed | None) -> Verdict:
    """What is known of a trade that was sent once."""
    match failed:
        case None:
            return Verdict.PLACED
        case Refused(code=409):
            return Verdict.REJECTED
        case Refused(code=422):
            return Verdict.REUSED
        case Refused() | NotExecuted():
            return Verdict.NOT_EXECUTED
    return Verdict.UNKNOWN


def _quote(shown: values.Quote) -> Quote:
    return Quote(
        name=shown.name,
        price=float(shown.price),
        quantity=shown.quantity,
        volume=shown.volume,
        version=shown.version,
        halted=shown.halted,
    )


def _order(shown: values.Order) -> Order:
    return Order(
        number=shown.number,
        name=shown.name,
        type=shown.type,
        quantity=shown.quantity,
        price=_float(shown.price),
        limit_price=_float(shown.limit_price),
        client_order_id=shown.client_order_id,
        time=shown.time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    )


def _float(price: Decimal | None) -> float | None:
    return None if price is None else float(price)
