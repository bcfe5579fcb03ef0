"""Slow clients, and many connections, do not keep other clients out."""

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from tests.fakes.frontend_world import Connection, FrontEnd
from tests.fakes.placed import number_in
from tests.fakes.served import Served, read_all, serving
from tests.fakes.until import until
from twisted_bazaar.http import site
from twisted_bazaar.http.connections import REQUEST_SECONDS, SECONDS, Phase
from twisted_bazaar.market import Placed

PING = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"
PONG = b'{"data":"pong"}'
BODY = b'{"name": "GameStart", "quantity": 5, "type": "buy"}'
HEAD = (
    b"POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n" % len(BODY)
)
LONG_HEAD = PING[:-2] + b"X: x\r\n" * 500
LARGE_BYTES = 20_000_000


def trickle(frontend: FrontEnd, connection: Connection, data: bytes, every: float) -> float:
    """Send a byte each `every` seconds until something is answered. After how long that is."""
    began = frontend.clock.seconds()
    connection.transport.clear()
    for n in range(len(data)):
        connection.channel.dataReceived(data[n : n + 1])
        if connection.transport.value():
            return frontend.clock.seconds() - began
        frontend.clock.advance(every)
    raise AssertionError("nothing is answered")


def assert_too_slow(connection: Connection) -> None:
    answered = connection.transport.value()
    assert answered.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b'"reason":"too_slow"' in answered
    assert b"\r\nConnection: close\r\n" in answered
    assert connection.transport.half_closed


# What comes in has a time as a whole


@pytest.mark.parametrize("every", [0.1, 1.0, 4.0, 20.0])
@pytest.mark.parametrize("before", [b"", PING], ids=["first", "after another"])
def test_a_head_that_trickles_in_is_refused_in_the_end(every: float, before: bytes) -> None:
    frontend = FrontEnd()
    connection = frontend.connect()
    connection.send(before)
    frontend.clock.advance(30.0)
    took = trickle(frontend, connection, LONG_HEAD, every)
    assert SECONDS[Phase.HEAD] <= took <= SECONDS[Phase.HEAD] + 1 + every
    assert_too_slow(connection)


@pytest.mark.parametrize("chunk", [0, 1])
def test_a_body_that_trickles_in_is_refused_in_the_end(chunk: int) -> None:
    frontend = FrontEnd()
    connection = frontend.connect()
    head = HEAD
    body = BODY
    if chunk:
        head = head.replace(b"Content-Length: %d" % len(BODY), b"Transfer-Encoding: chunked")
        body = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY)
    connection.send(head[:-1])
    frontend.clock.advance(9.0)
    connection.send(head[-1:])
    took = trickle(frontend, connection, body, 3.0)
    left = REQUEST_SECONDS - 9.0
    assert left <= took <= left + 1 + 3.0
    assert_too_slow(connection)
    assert frontend.bazaar.asked == []


def test_a_body_that_is_too_large_and_stops_is_refused_for_that() -> None:
    frontend = FrontEnd()
    connection = frontend.connect()
    connection.send(HEAD.replace(b": %d" % len(BODY), b": 1000000") + b" " * 100_000)
    frontend.clock.advance(REQUEST_SECONDS)
    assert connection.transport.value().startswith(b"HTTP/1.1 413 ")


def test_a_request_that_begins_in_the_same_piece_as_another_has_its_time_from_there() -> None:
    frontend = FrontEnd()
    connection = frontend.connect()
    waits: Deferred[Placed] = Deferred()
    frontend.bazaar.answer = waits
    connection.send(HEAD + BODY + b"GET /ping HT")
    waits.callback(Placed(1, False))
    connection.transport.clear()
    frontend.clock.advance(SECONDS[Phase.HEAD])
    assert_too_slow(connection)


def test_after_a_refusal_bytes_are_read_for_two_seconds_at_most() -> None:
    frontend = FrontEnd()
    connection = frontend.connect()
    connection.send(b"junk")
    frontend.clock.advance(SECONDS[Phase.REFUSED] - 0.1)
    assert not connection.transport.disconnecting
    frontend.clock.advance(1.0)
    assert connection.transport.disconnecting


def test_one_that_is_idle_for_too_long_is_closed_even_if_it_does_not_take_what_it_was_sent() -> (
    None
):
    frontend = FrontEnd()
    connection = frontend.connect()
    connection.send(PING)
    frontend.clock.advance(SECONDS[Phase.IDLE])
    assert connection.transport.disconnecting
    assert not connection.transport.aborting
    frontend.clock.advance(SECONDS[Phase.SENDING])
    assert connection.transport.aborting


def test_without_connections_there_is_no_timer() -> None:
    frontend = FrontEnd()
    connections = [frontend.connect() for _ in range(3)]
    frontend.clock.advance(1.0)
    for connection in connections:
        connection.hang_up()
    assert frontend.clock.getDelayedCalls() == []


# There is a place for one more


@pytest.mark.parametrize("sent", [b"", PING, b"G", PING[:-2], HEAD, HEAD + BODY[:-1], b"junk"])
def test_a_new_client_gets_in_and_the_oldest_goes(sent: bytes) -> None:
    frontend = FrontEnd(max_connections=5)
    others = [frontend.connect() for _ in range(5)]
    for other in others:
        other.send(sent)
    new = frontend.connect()
    assert new.send(PING).endswith(PONG)
    assert [other.transport.disconnecting for other in others] == [True] + [False] * 4
    # Who is idle is told in good order.
    assert others[0].transport.aborting == (sent not in (b"", PING))
    assert not new.transport.disconnecting


def test_however_many_come_each_is_served_and_no_more_are_kept() -> None:
    frontend = FrontEnd(max_connections=5)
    connections = []
    for n in range(200):
        connection = frontend.connect()
        connections.append(connection)
        assert connection.send(PING).endswith(PONG)
        connection.send((b"", b"G", HEAD)[n % 3])
        for other in connections:
            if other.transport.disconnecting and other.channel in frontend.site.connections:
                other.hang_up()
        assert len(frontend.site.connections) <= 5


def test_one_that_is_idle_and_does_not_go_when_told_to_is_cut_off() -> None:
    frontend = FrontEnd(max_connections=1)
    old = frontend.connect()
    frontend.connect()
    assert old.transport.disconnecting
    frontend.clock.advance(SECONDS[Phase.EVICTED])
    assert old.transport.aborting


def test_what_is_worked_on_is_never_cut_off() -> None:
    frontend = FrontEnd(max_connections=2)
    works: list[Deferred[Placed]] = [Deferred(), Deferred()]
    trading = [frontend.connect() for _ in works]
    for connection, frontend.bazaar.answer in zip(trading, works, strict=True):
        connection.send(HEAD + BODY)
    frontend.clock.advance(1000.0)
    turned_away = frontend.connect()
    answered = turned_away.transport.value()
    assert answered.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nRetry-After: 1\r\n" in answered
    assert b'"reason":"overloaded"' in answered
    assert turned_away.transport.half_closed
    for work, connection in zip(works, trading, strict=True):
        work.callback(Placed(7, False))
        assert number_in(connection.transport.value()) == 7
    assert frontend.connect().send(PING).endswith(PONG)


# What goes out has a time as a whole, too


class Large(Resource):
    """Answers everything with a body that no socket's buffers hold, later."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def render(self, request: Any) -> int:
        from twisted.internet import reactor

        self.asked += 1
        deferLater(reactor, 0, request.respond, b"x" * LARGE_BYTES)
        return NOT_DONE_YET


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Large, Served]]:
    from twisted.internet import reactor

    monkeypatch.setattr(site, "CHECK_SECONDS", 0.05)
    monkeypatch.setattr(site, "PIECE_BYTES", LARGE_BYTES)
    monkeypatch.setitem(SECONDS, Phase.SENDING, 1.0)
    resource = Large()
    with serving(FrontEnd(reactor, resource)) as served:
        yield resource, served


@pytest_twisted.ensureDeferred
async def test_a_client_that_takes_its_answer_has_it_whole(
    large: tuple[Large, Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, served = large
    monkeypatch.setitem(SECONDS, Phase.SENDING, 30.0)
    answered = await served.send(PING.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert len(answered.partition(b"\r\n\r\n")[2]) == LARGE_BYTES


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("option", [b"", b"Connection: close\r\n"])
@pytest.mark.parametrize("end", [False, True], ids=["open", "half closed"])
async def test_a_client_that_takes_no_answer_is_cut_off(
    large: tuple[Large, Served], option: bytes, end: bool
) -> None:
    resource, served = large
    with served.client() as client:
        client.sendall((PING[:-2] + option + b"\r\n") * 5)
        if end:
            client.shutdown(socket.SHUT_WR)
        await until(lambda: resource.asked == 1)
        await until(lambda: not served.frontend.site.connections)
    assert resource.asked == 1, "the next is not begun before it has taken the one before"


@pytest_twisted.ensureDeferred
async def test_answers_go_on_once_they_are_taken(
    large: tuple[Large, Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    resource, served = large
    monkeypatch.setitem(SECONDS, Phase.SENDING, 30.0)

    def talk(client: socket.socket) -> int:
        client.sendall(PING * 3)
        client.shutdown(socket.SHUT_WR)
        return len(read_all(client))

    assert await served.run(talk) > 3 * LARGE_BYTES
    assert resource.asked == 3


@pytest_twisted.ensureDeferred
async def test_one_that_takes_an_answer_piece_by_piece_makes_way_as_well(
    large: tuple[Large, Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "PIECE_BYTES", LARGE_BYTES - 1)
    resource, served = large
    channels = served.frontend.site.connections
    monkeypatch.setattr(channels, "_limit", 1)
    with served.client() as slow:
        slow.sendall(PING)
        await until(lambda: [*map(channels.phase, channels)] == [Phase.STREAMING])
        [sending] = channels
        with served.client() as new:
            await until(lambda: sending not in channels)
            new.sendall(PING)
            await until(lambda: resource.asked == 2)


# Over real connections


@pytest.fixture
def crowded() -> Iterator[Served]:
    from twisted.internet import reactor

    with serving(FrontEnd(reactor, max_connections=20)) as served:
        yield served


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("sent", [b"", PING, b"G", HEAD + b"{"])
async def test_real_clients_get_in_among_many_that_stay(crowded: Served, sent: bytes) -> None:
    def talk(client: socket.socket) -> bytes:
        with ExitStack() as stack:
            for _ in range(60):
                stack.enter_context(crowded.client()).sendall(sent)
            with crowded.client() as new:
                return ask_twice(new)

    assert (await crowded.run(talk)).endswith(PONG)


def ask_twice(client: socket.socket) -> bytes:
    client.sendall(PING)
    assert client.recv(65536).endswith(PONG)
    client.sendall(PING)
    return client.recv(65536)


@pytest_twisted.ensureDeferred
async def test_a_client_that_is_told_to_go_reads_the_end(crowded: Served) -> None:
    def talk(client: socket.socket) -> bytes:
        with ExitStack() as stack:
            for _ in range(20):
                stack.enter_context(crowded.client())
            return read_all(client)

    assert await crowded.run(talk) == b""


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("seconds", [0.0, 0.2])
async def test_a_half_closed_client_gets_the_answer_to_its_trade(
    crowded: Served, seconds: float
) -> None:
    from twisted.internet import reactor

    crowded.frontend.bazaar.answer = deferLater(reactor, seconds, lambda: Placed(7, False))

    def talk(client: socket.socket) -> bytes:
        client.sendall(HEAD + BODY)
        client.shutdown(socket.SHUT_WR)
        return read_all(client)

    assert number_in(await crowded.run(talk)) == 7
    await until(lambda: not crowded.frontend.site.connections)


@pytest_twisted.ensureDeferred
async def test_a_client_that_resets_its_connection_meanwhile_is_forgotten(crowded: Served) -> None:
    crowded.frontend.bazaar.answer = work = Deferred()
    client = crowded.client()
    client.sendall(HEAD + BODY)
    client.shutdown(socket.SHUT_WR)
    await until(lambda: len(crowded.asked) == 1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    work.callback(Placed(7, False))
    await until(lambda: not crowded.frontend.site.connections)
