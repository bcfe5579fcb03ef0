"""The calls of the REST API. Each is recorded in a history, also when it fails."""

from collections.abc import Callable, Sequence
from typing import Generic, TypedDict, TypeVar
from urllib.parse import quote

import msgspec

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
from twisted_bazaar.market import Side

from .http import NoAnswer, NotSent, Reply, Session

__all__ = ["EXPECTED", "Caller"]

EXPECTED = {0, 200, 404, 409, 422, 503}
"""The statuses with which a bazaar may answer well-formed calls; 0: no answer."""

_NOT_EXECUTED = ("not_executed", "overloaded")
"""The reasons of a 503 that say that a trade was certainly not executed (docs/reference.md)."""

T = TypeVar("T")


class _Answer(msgspec.Struct, Generic[T]):
    data: T


class _Page(msgspec.Struct):
    data: tuple[Order, ...]
    next: int | None


class _Placed(msgspec.Struct):
    transaction_number: int
    price: float | None = None
    """Earlier releases do not show it."""


class _Error(msgspec.Struct):
    message: str
    reason: str = ""
    """Empty in the answers of older releases."""


class _Failure(msgspec.Struct):
    error: _Error


class _Common(TypedDict):
    """The fields that all kinds of calls have."""

    client: int
    via: int
    sent: float
    ended: float
    status: int
    message: str


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
        call, reply = await self._get(via, f"/stocks/{quote(name, safe='')}", timeout)
        found, source = None, ""
        if reply is not None:
            source = reply.header(b"X-Cache") or ""
        if reply is not None and reply.status == 200:
            shown, call = _decode(reply, _Answer[Quote], call)
            # "<history>-<version>"; a front-end that does not know the history sends no tag.
            version = (reply.header(b"ETag") or "").strip('"').rpartition("-")[2]
            if shown is not None:
                known = int(version) if version.isdecimal() else None
                found = msgspec.structs.replace(shown.data, version=known)
        return self._record(LookupCall(**call, name=name, found=found, source=source))

    async def market(self, via: int, timeout: float) -> MarketCall:
        call, reply = await self._get(via, "/stocks", timeout)
        found: tuple[Quote, ...] = ()
        if reply is not None and reply.status == 200:
            shown, call = _decode(reply, _Answer[tuple[Quote, ...]], call)
            found = shown.data if shown is not None else ()
        return self._record(MarketCall(**call, found=found))

    async def order(self, via: int, number: int, timeout: float) -> OrderCall:
        call, reply = await self._get(via, f"/orders/{number}", timeout)
        found = None
        if reply is not None and reply.status == 200:
            shown, call = _decode(reply, _Answer[Order], call)
            found = shown.data if shown is not None else None
        return self._record(OrderCall(**call, number=number, found=found))

    async def page(self, via: int, after: int, limit: int, timeout: float) -> PageCall:
        call, reply = await self._get(via, f"/orders?after={after}&limit={limit}", timeout)
        shown = None
        if reply is not None and reply.status == 200:
            shown, call = _decode(reply, _Page, call)
        shown = shown or _Page((), None)
        return self._record(
            PageCall(**call, after=after, limit=limit, found=shown.data, next=shown.next)
        )

    async def trade(
        self, via: int, key: str, name: str, side: Side, quantity: int, timeout: float
    ) -> TradeCall:
        body = {"name": name, "quantity": quantity, "type": side}
        sent = self._seconds()
        number, replayed, price, reason = None, False, None, ""
        try:
            reply = await self._session.post(
                f"{self._urls[via]}/orders", body, {"Idempotency-Key": key}, timeout
            )
        except NoAnswer as why:
            call = self._common(via, sent, None, str(why))
            verdict = Verdict.NOT_EXECUTED if isinstance(why, NotSent) else Verdict.UNKNOWN
        else:
            call = self._common(via, sent, reply)
            verdict = _verdict(reply)
            reason = error.reason if (error := _error(reply)) is not None else ""
            if verdict is Verdict.PLACED:
                placed, call = _decode(reply, _Answer[_Placed], call)
                if placed is None:
                    verdict = Verdict.UNKNOWN
                else:
                    number, price = placed.data.transaction_number, placed.data.price
                    replayed = reply.header(b"Idempotent-Replayed") == "true"
        return self._record(
            TradeCall(
                **call,
                key=key,
                name=name,
                type=side,
                quantity=quantity,
                verdict=verdict,
                number=number,
                replayed=replayed,
                price=price,
                reason=reason,
            )
        )

    async def _get(self, via: int, path: str, timeout: float) -> tuple[_Common, Reply | None]:
        sent = self._seconds()
        try:
            reply = await self._session.get(self._urls[via] + path, timeout)
        except NoAnswer as why:
            return self._common(via, sent, None, str(why)), None
        return self._common(via, sent, reply), reply

    def _common(self, via: int, sent: float, reply: Reply | None, message: str = "") -> _Common:
        if reply is not None and reply.status != 200:
            error = _error(reply)
            message = error.message if error is not None else _malformed(reply)
        return {
            "client": self._client,
            "via": via + 1,
            "sent": sent,
            "ended": self._seconds(),
            "status": reply.status if reply is not None else 0,
            "message": message,
        }

    def _record(self, call: T) -> T:
        assert isinstance(call, Call)
        self._history.add(call)  # type: ignore[arg-type]
        return call


def _error(reply: Reply) -> _Error | None:
    """The error in the body of a failure; None: it has none."""
    try:
        return msgspec.json.decode(reply.body, type=_Failure).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _verdict(reply: Reply) -> Verdict:
    """What a client knows of a trade with this answer. A 503 or 5xx without a reason that says
    so leaves the outcome unknown."""
    error = _error(reply)
    match reply.status:
        case 200:
            return Verdict.PLACED
        case 409:
            return Verdict.REJECTED
        case 422:
            return Verdict.REUSED
        case 503 if error is not None and error.reason in _NOT_EXECUTED:
            return Verdict.NOT_EXECUTED
        case status if 400 <= status < 500:
            return Verdict.NOT_EXECUTED
    return Verdict.UNKNOWN


def _decode(reply: Reply, shape: type[T], call: _Common) -> tuple[T | None, _Common]:
    """The body as `shape`; None, and the call with a message that says so, if it is not one."""
    try:
        return msgspec.json.decode(reply.body, type=shape), call
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None, {**call, "message": _malformed(reply)}


def _malformed(reply: Reply) -> str:
    return f"a malformed body: {reply.body[:80]!r}"
