"""The state of a bazaar that is not trading: its orders, market data and the replicas' logs."""

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutputAndValue

from load.client.api_keys import api_key
from load.client.http import NoAnswer, get
from load.errors import CannotRun, NotInTime
from load.history.records import Closing, Opening, Order, Quote
from twisted_bazaar.client.session import Session
from twisted_bazaar.errors import Unusable
from twisted_bazaar.market import Side, Traded
from twisted_bazaar.partitions import partition_of
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.storage.logfile import LogReader

from .processes import environment

__all__ = ["CHUNK_ENTRIES", "Log", "closing", "opening", "orders_in_log", "verify", "with_keys"]

PAGE_ORDERS = 500
ANSWER_SECONDS = 10.0
CHUNK_ENTRIES = 4096


class _Page(msgspec.Struct):
    data: tuple[Order, ...]
    next: int | None
    cursor: str
    more: bool | None = None
    """None: there is one partition."""

    @property
    def goes_on(self) -> bool:
        return self.next is not None if self.more is None else self.more


class _Replica(msgspec.Struct):
    partitions: tuple[msgspec.Raw, ...] = ()


class _Replicas(msgspec.Struct):
    data: tuple[_Replica, ...]


class _Market(msgspec.Struct):
    data: tuple[Quote, ...]


class Log(msgspec.Struct, frozen=True):
    """The log of one replica, or of one partition in an engine, as `twisted_bazaar verify` judges
    it."""

    replica: str
    sound: bool
    said: str
    """The output of `verify`, in one line."""
    last_number: int = 0
    digest: str = ""


async def opening(reactor: Reactor, url: str, at: float, note: str) -> Opening:
    """The first record of a history. Raises `CannotRun` if `url` is not a bazaar's, or trades
    are under way."""
    state = await _all(reactor, url)
    orders, market = state.orders, state.market
    listed = {quote.name: quote.quantity for quote in market}
    volumes = dict.fromkeys(listed, 0)
    for order in orders:
        listed[order.name] += order.quantity if order.type is Side.BUY else -order.quantity
        volumes[order.name] += order.quantity
    if volumes != {quote.name: quote.volume for quote in market}:
        raise CannotRun(f"something else trades at {url}: a history needs the bazaar for itself")
    return Opening(
        at=at,
        listed=listed,
        known=orders[-1].number if orders and not state.positions else 0,
        positions=state.positions,
        prices={quote.name: quote.price for quote in market},
        halted=tuple(quote.name for quote in market if quote.halted),
        note=note,
    )


async def closing(reactor: Reactor, url: str, at: float) -> Closing:
    """The last record of a history. Raises `NotInTime` if the bazaar does not answer."""
    try:
        state = await _all(reactor, url)
    except CannotRun as why:
        raise NotInTime(str(why)) from None
    return Closing(at=at, orders=state.orders, market=state.market)


class _State(msgspec.Struct):
    """All orders, and the market data after them."""

    orders: tuple[Order, ...]
    market: tuple[Quote, ...]
    partitions: int

    @property
    def positions(self) -> tuple[int, ...]:
        """The last order of each partition; empty: there is one."""
        if self.partitions == 1:
            return ()
        last = [0] * self.partitions
        for order in self.orders:
            last[partition_of(order.number, self.partitions)] += 1
        return tuple(last)


async def _all(reactor: Reactor, url: str) -> _State:
    session = Session(reactor, 1, api_key())
    orders: list[Order] = []
    try:
        partitions = await _partitions(session, url)
        market = await _market(session, url)
        # A late trade may be placed while this reads: read again until there are no more orders.
        more, cursor = await _orders_after(session, url, None)
        while more:
            orders += more
            market = await _market(session, url)
            more, cursor = await _orders_after(session, url, cursor)
    except NoAnswer as why:
        raise CannotRun(f"{url} does not answer: {why}") from None
    except msgspec.DecodeError as why:
        raise CannotRun(f"{url} is no bazaar: {why}") from None
    finally:
        await session.close()
    return _State(tuple(orders), market, partitions)


async def _partitions(session: Session, url: str) -> int:
    """How many partitions the market has."""
    replicas = msgspec.json.decode(await _body(session, url, "/replicas"), type=_Replicas).data
    return max((len(replica.partitions) for replica in replicas), default=0) or 1


async def _market(session: Session, url: str) -> tuple[Quote, ...]:
    return msgspec.json.decode(await _body(session, url, "/stocks"), type=_Market).data


async def _orders_after(session: Session, url: str, cursor: str | None) -> tuple[list[Order], str]:
    """The orders that there are now after those that `cursor` stands for, and what stands for them
    as well."""
    orders: list[Order] = []
    while True:
        begin = "" if cursor is None else f"&cursor={cursor}"
        path = f"/orders?limit={PAGE_ORDERS}{begin}"
        page = msgspec.json.decode(await _body(session, url, path), type=_Page)
        orders += page.data
        cursor = page.cursor
        if not page.goes_on:
            return orders, cursor


async def _body(session: Session, url: str, path: str) -> bytes:
    reply = await get(session, url, path, ANSWER_SECONDS)
    if reply.status != 200:
        raise NoAnswer(f"status {reply.status}")
    return reply.body


async def verify(data: Path, replicas: Sequence[str]) -> Sequence[Log]:
    """Check the logs of `replicas`, each in its folder in `data`, with `twisted_bazaar verify`."""
    logs = []
    for replica in replicas:
        command = ["-Pm", "twisted_bazaar", "verify", str(data / replica)]
        out, err, status = await getProcessOutputAndValue(sys.executable, command, environment())
        said = " ".join((out or err).decode("utf-8", "replace").split())
        found = re.search(r"last_number=(\d+).*digest=([0-9a-f]+)", said)
        if status == 0 and found:
            logs.append(Log(replica, True, said, int(found[1]), found[2]))
        else:
            logs.append(Log(replica, False, said or f"status {status}"))
    return logs


def with_keys(ending: Closing, logged: Iterable[Order]) -> Closing:
    """`ending`, with the key of each order that is `logged`."""
    keys = {order.number: order.key for order in logged}
    orders = tuple(
        msgspec.structs.replace(order, key=keys.get(order.number)) for order in ending.orders
    )
    return msgspec.structs.replace(ending, orders=orders)


async def orders_in_log(folder: Path) -> Sequence[Order]:
    """The orders in the log of the replica in `folder`, with their keys; empty: it is damaged."""
    try:
        orders: Sequence[Order] = await deferToThread(_read_orders, folder)
    except Unusable:
        return ()
    return orders


def _read_orders(folder: Path) -> Sequence[Order]:
    log = LogReader(folder)
    events = (
        entry.event
        for after in range(0, log.last_index, CHUNK_ENTRIES)
        for entry in log.read(after, min(after + CHUNK_ENTRIES, log.last_index))
    )
    return [
        Order(event.number, event.stock, event.side, event.quantity, event.key)
        for event in events
        if isinstance(event, Traded)
    ]
