"""HTTP sessions: connections are kept, and a request without an answer has a precise outcome."""

import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import protocol
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.fakes.until import until
from twisted_bazaar.client.answers import Broken
from twisted_bazaar.client.plain_http import Connection
from twisted_bazaar.client.requests import Request
from twisted_bazaar.client.session import Session, Stream

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nETag: "7"\r\n\r\n{}'


POST = Request(
    "POST", "/orders", {"Content-Type": "application/json", "Idempotency-Key": "k"}, b'{"a":1}'
)


def a_get(path: str) -> Request:
    return Request("GET", path)


@implementer(IPushProducer)
class Endless:
    """A body without end, sent as fast as it is taken."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._sending = False
        self.resumeProducing()

    def resumeProducing(self) -> None:
        self._sending = True
        self._send()

    def _send(self) -> None:
        from twisted.internet import reactor

        transport = self._server.transport
        if self._sending and transport is not None and self._server.connected:
            self._server.factory.sent += 1
            transport.write(b"x" * 65536)
            reactor.callLater(0, self._send)  # type: ignore[attr-defined]

    def pauseProducing(self) -> None:
        self._sending = False

    stopProducing = pauseProducing


class Server(protocol.Protocol):
    """Answers 200, except for paths that ask for something else."""

    factory: Any

    def connectionMade(self) -> None:
        self.factory.connections += 1

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:
        self.factory.lost += 1

    def dataReceived(self, data: bytes) -> None:
        self.factory.requests.append(data)
        assert self.transport is not None
        if b"/half" in data:
            self.transport.write(ANSWER[:-1])
        elif b"/broken" in data:
            self.transport.abortConnection()
        elif b"/cut" in data:
            self.transport.write(ANSWER[:-1])
            self.transport.loseConnection()
        elif b"/endless" in data:
            self.transport.write(b"HTTP/1.1 200 OK\r\n\r\n")
            self.transport.registerProducer(Endless(self), True)
        elif b"/silent" not in data:
            self.transport.write(ANSWER)


@pytest_twisted.async_yield_fixture
async def server() -> AsyncIterator[Any]:
    """A server at `url` on this machine, with the `requests` and the counts of `connections`
    made and `lost`."""
    from twisted.internet import reactor

    factory: Any = protocol.Factory.forProtocol(Server)
    factory.requests, factory.connections, factory.lost, factory.sent = [], 0, 0, 0
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")  # type: ignore[attr-defined]
    factory.url = f"http://127.0.0.1:{port.getHost().port}"
    yield factory
    await port.stopListening()


async def passed(seconds: float) -> None:
    from twisted.internet import reactor

    await deferLater(reactor, seconds)  # type: ignore[arg-type]


TIMES = {"silent": 1.0, "half": 1.0, "broken": 20.0, "cut": 20.0}
"""By path: seconds for the answer. Those that end in time leave a busy machine some to connect."""


def new_session(connections: int) -> Session:
    from twisted.internet import reactor

    return Session(reactor, connections)  # type: ignore[arg-type]


@pytest_twisted.ensureDeferred
async def test_an_answer_is_complete(server: Any) -> None:
    session = new_session(2)
    reply = await session.send(server.url, a_get("/well"), 5.0)
    assert (reply.status, reply.body, reply.header("ETag")) == (200, b"{}", '"7"')
    assert reply.header("X-Cache") is None
    await session.close()


@pytest_twisted.ensureDeferred
async def test_the_api_key_is_shown_with_each_request(server: Any) -> None:
    from twisted.internet import reactor

    session = Session(reactor, 1, "bz_mine")  # type: ignore[arg-type]
    await session.send(server.url, a_get("/well"), 5.0)
    await session.send(server.url, POST, 5.0)
    assert [b"Bearer bz_mine" in each for each in server.requests] == [True, True]
    assert b"Idempotency-Key: k" in server.requests[1]
    await session.close()


@pytest_twisted.ensureDeferred
async def test_one_connection_is_kept_for_all_requests(server: Any) -> None:
    session = new_session(1)
    for _ in range(3):
        await session.send(server.url, a_get("/stocks/Fish"), 5.0)
        await session.send(server.url, POST, 5.0)
    assert (len(server.requests), server.connections, server.lost) == (6, 1, 0)
    await session.close()
    await passed(0.05)
    assert server.lost == 1


@pytest_twisted.ensureDeferred
async def test_a_request_is_sent_as_it_was_given(server: Any) -> None:
    session = new_session(1)
    await session.send(server.url, a_get("/stocks/Fish%20%26%20Co"), 5.0)
    await session.send(server.url, POST, 5.0)
    await session.close()
    looked_up, traded = server.requests
    assert looked_up.startswith(b"GET /stocks/Fish%20%26%20Co HTTP/1.1\r\n")
    head, _, body = traded.partition(b"\r\n\r\n")
    first, *headers = head.split(b"\r\n")
    assert first == b"POST /orders HTTP/1.1"
    assert {
        b"Content-Length: 7", b"Content-Type: application/json", b"Idempotency-Key: k",
        b"Host: " + server.url.removeprefix("http://").encode(),
    } <= set(headers)  # fmt: skip
    assert body == b'{"a":1}'


@pytest.mark.parametrize("connections", [1, 2])
@pytest.mark.parametrize("path", ["silent", "half", "broken", "cut"])
@pytest_twisted.ensureDeferred
async def test_a_request_without_a_whole_answer_may_have_been_served_and_is_sent_once(
    server: Any, path: str, connections: int
) -> None:
    session = new_session(connections)
    reply = await session.send(server.url, a_get(f"/{path}"), TIMES[path])
    assert isinstance(reply, Broken)
    assert reply.served
    assert reply.late == (path in ("silent", "half"))
    assert (reply.why == "no answer in time") == reply.late
    assert len(server.requests) == 1
    await session.close()


@pytest.mark.parametrize("path", ["silent", "half", "broken", "cut"])
@pytest_twisted.ensureDeferred
async def test_on_a_kept_connection_it_is_sent_once_as_well(server: Any, path: str) -> None:
    session = new_session(1)
    await session.send(server.url, a_get("/stocks/Fish"), 5.0)
    reply = await session.send(server.url, a_get(f"/{path}"), TIMES[path])
    assert isinstance(reply, Broken)
    assert reply.served
    assert len(server.requests) == 2
    # The next one has a new connection.
    assert (await session.send(server.url, a_get("/stocks/Fish"), 5.0)).status == 200
    assert server.connections == 2
    await session.close()


@pytest_twisted.ensureDeferred
async def test_a_refused_connection_is_reported_at_once_and_nothing_was_sent(server: Any) -> None:
    from twisted.internet import reactor

    port = reactor.listenTCP(  # type: ignore[attr-defined]
        0, protocol.Factory(), interface="127.0.0.1"
    )
    url = f"http://127.0.0.1:{port.getHost().port}"
    await port.stopListening()
    reply = await new_session(2).send(url, a_get("/"), 20.0)
    assert isinstance(reply, Broken)
    assert not reply.served
    assert not reply.late
    assert "refused" in reply.why


@pytest_twisted.ensureDeferred
async def test_a_connection_that_is_not_made_in_time_is_late_and_nothing_was_sent() -> None:
    # A connection beyond the backlog is not taken.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        at = full.getsockname()
        taken = [socket.socket() for _ in range(4)]
        for each in taken:
            each.setblocking(False)
            each.connect_ex(at)
        url = f"http://127.0.0.1:{at[1]}"
        reply = await new_session(1).send(url, a_get("/"), 0.3)
        blocking = await deferToThread(Connection(url).send, a_get("/"), 0.3)
        for each in taken:
            each.close()
    assert reply == blocking == Broken("no connection in time", served=False, late=True)


@pytest.mark.parametrize("path", ["silent", "half"])
@pytest_twisted.ensureDeferred
async def test_a_cancelled_request_had_no_answer_and_its_connection_is_closed(
    server: Any, path: str
) -> None:
    call = new_session(2).send(server.url, a_get(f"/{path}"), 20.0)
    await until(lambda: len(server.requests) == 1)
    assert server.lost == 0
    call.cancel()
    reply = await call
    assert isinstance(reply, Broken)
    assert reply.served
    await until(lambda: server.lost == 1)


@pytest_twisted.ensureDeferred
async def test_what_is_not_read_of_a_stream_is_not_taken_from_the_connection(server: Any) -> None:
    session = new_session(1)
    stream = await session.open(server.url, a_get("/endless"), 5.0)
    assert isinstance(stream, Stream)
    assert await stream.read()
    # The buffers of both ends take some; then no more is sent.
    sent = -1
    for _ in range(50):
        if server.sent == sent:
            break
        sent = server.sent
        await passed(0.2)
    assert server.sent == sent
    for _ in range(100):
        assert await stream.read()
    assert server.sent > sent
    stream.close()
    await until(lambda: server.lost == 1)


@pytest.mark.parametrize("path", ["silent", "broken"])
@pytest_twisted.ensureDeferred
async def test_a_stream_that_does_not_open_is_broken(server: Any, path: str) -> None:
    assert isinstance(await new_session(1).open(server.url, a_get(f"/{path}"), 0.2), Broken)


@pytest_twisted.ensureDeferred
async def test_a_stream_that_is_cut_is_over(server: Any) -> None:
    stream = await new_session(1).open(server.url, a_get("/cut"), 5.0)
    assert isinstance(stream, Stream)
    pieces = [await stream.read() for _ in range(3)]
    assert pieces == [b"{", b"", b""]
