"""The client on Deferreds: what is cancelled ends, and a stream is told until then."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_twisted
from twisted.internet import protocol
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from tests.fakes.leaks import nothing_leaks  # noqa: F401
from tests.fakes.until import until
from twisted_bazaar.client.deferreds import Deferreds
from twisted_bazaar.client.errors import OutcomeUnknown, Unavailable
from twisted_bazaar.client.values import Event, Order

from .small_server import answer

CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
PLACED = answer(b'{"data":{"transaction_number":3,"price":2.50,"total":5.00}}')


def shown(number: int) -> bytes:
    order = {"number": number, "name": "Fish", "type": "buy", "quantity": 1,
             "time": "2026-01-01T00:00:00Z"}  # fmt: skip
    return msgspec.json.encode(order)


def chunk(*numbers: int) -> bytes:
    events = b"retry: 10\n\n"
    events += b"".join(b"event: order\nid: %d\ndata: %s\n\n" % (n, shown(n)) for n in numbers)
    return b"%x\r\n%s\r\n" % (len(events), events)


class Server(protocol.Protocol):
    """Has `factory.serve` answer each request."""

    factory: Any

    def dataReceived(self, data: bytes) -> None:
        self.factory.requests.append(data)
        self.factory.serve(self.transport, data)

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:
        self.factory.lost += 1


@pytest_twisted.async_yield_fixture
async def server() -> AsyncIterator[Any]:
    from twisted.internet import reactor

    factory: Any = protocol.Factory.forProtocol(Server)
    factory.requests, factory.lost = [], 0
    factory.serve = lambda transport, data: None
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")  # type: ignore[attr-defined]
    factory.url = f"http://127.0.0.1:{port.getHost().port}"
    factory.client = Deferreds(reactor, factory.url, deadline=5.0)  # type: ignore[arg-type]
    yield factory
    await factory.client.close()
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_calls_are_under_way_at_the_same_time_and_trades_have_keys(server: Any) -> None:
    server.serve = lambda transport, data: transport.write(PLACED)
    calls = [server.client.place("Fish", "buy", 2) for _ in range(3)]
    placed = [await call for call in calls]
    assert [each.number for each in placed] == [3, 3, 3]
    assert len({each.client_order_id for each in placed}) == 3


@pytest_twisted.ensureDeferred
async def test_a_trade_whose_answer_is_lost_is_sent_again_with_its_key(server: Any) -> None:
    def serve(transport: Any, data: bytes) -> None:
        if len(server.requests) == 1:
            transport.abortConnection()
        else:
            transport.write(PLACED)

    server.serve = serve
    placed = await server.client.place("Fish", "buy", 2)
    keys = [msgspec.json.decode(each.partition(b"\r\n\r\n")[2])["client_order_id"]
            for each in server.requests]  # fmt: skip
    assert keys == [placed.client_order_id] * 2


@pytest_twisted.ensureDeferred
async def test_a_call_that_is_not_answered_fails_at_its_deadline(server: Any) -> None:
    with pytest.raises(OutcomeUnknown):
        await server.client.place("Fish", "buy", 2, deadline=0.2)
    with pytest.raises(Unavailable):
        await server.client.stock("Fish", deadline=0.2)


@pytest_twisted.ensureDeferred
async def test_a_call_that_is_cancelled_is_not_sent_again(server: Any) -> None:
    call = server.client.place("Fish", "buy", 2)
    await until(lambda: server.requests)
    call.cancel()
    with pytest.raises(CancelledError):
        await call
    await until(lambda: server.lost)
    assert len(server.requests) == 1


@pytest_twisted.ensureDeferred
async def test_a_call_is_cancelled_between_its_attempts_as_well(server: Any) -> None:
    busy = b'{"error":{"code":503,"reason":"overloaded","message":"busy"}}'
    later = answer(busy, "503 Busy", "Retry-After: 2\r\n")
    server.serve = lambda transport, data: transport.write(later)
    call = server.client.stock("Fish")
    await until(lambda: server.requests)
    from twisted.internet import reactor

    await deferLater(reactor, 0.05)  # type: ignore[arg-type]
    call.cancel()
    with pytest.raises(CancelledError):
        await call


@pytest_twisted.ensureDeferred
async def test_all_orders_are_iterated_over_page_by_page(server: Any) -> None:
    def serve(transport: Any, data: bytes) -> None:
        first = b"cursor" not in data
        number, following = (1, b"1") if first else (2, b"null")
        body = b'{"data":[%s],"next":%s,"cursor":"c"}' % (shown(number), following)
        transport.write(answer(body))

    server.serve = serve
    assert [order.number async for order in server.client.orders(stock="Fish")] == [1, 2]


@pytest_twisted.ensureDeferred
async def test_events_are_told_one_by_one_and_the_stream_is_taken_up_again(server: Any) -> None:
    def serve(transport: Any, data: bytes) -> None:
        first = b"last-event-id: 2" not in data.lower()
        transport.write(CHUNKS + (chunk(1, 2) if first else chunk(3)))
        if first:
            transport.loseConnection()

    server.serve = serve
    seen: list[Event] = []
    events = server.client.events(seen.append, after=0)
    await until(lambda: len(seen) == 3)
    assert [each.number for each in seen if isinstance(each, Order)] == [1, 2, 3]
    assert server.lost == 1
    events.cancel()
    with pytest.raises(CancelledError):
        await events
    await until(lambda: server.lost == 2)


@pytest_twisted.ensureDeferred
async def test_the_function_that_is_told_may_end_the_stream(server: Any) -> None:
    server.serve = lambda transport, data: transport.write(CHUNKS + chunk(1, 2, 3))
    seen: list[Event] = []
    events: list[Deferred[None]] = []

    def tell(event: Event) -> None:
        seen.append(event)
        if len(seen) == 2:
            events[0].cancel()

    events.append(server.client.events(tell, after=0))
    with pytest.raises(CancelledError):
        await events[0]
    await until(lambda: server.lost)
    assert len(seen) == 2


@pytest_twisted.ensureDeferred
async def test_an_error_in_the_function_that_is_told_ends_the_stream(server: Any) -> None:
    server.serve = lambda transport, data: transport.write(CHUNKS + chunk(1))

    def tell(event: Event) -> None:
        raise LookupError("of the user")

    with pytest.raises(LookupError):
        await server.client.events(tell, after=0)
    await until(lambda: server.lost)
