"""The site on real sockets: requests, malformed or not, and connections."""

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.web.resource import Resource

from tests.fakes.frontend_world import FrontEnd, failures_logged
from tests.fakes.placed import number_in
from tests.fakes.served import Served, read_all, serving
from tests.fakes.until import until
from twisted_bazaar.http import channel
from twisted_bazaar.http.refusals import Reason
from twisted_bazaar.market import Placed, Side, Trade
from twisted_bazaar.runtime.writing import write_now

TRADE_BODY = b'{"name": "GameStart", "quantity": 5, "type": "buy"}'
TRADE = Trade("fresh-1", "GameStart", Side.BUY, 5, made=True)
OURS = b"Host: localhost", b"Content-Type: application/json"
LIMIT = 64 * 1024
DISCARDED = 8 * 1024 * 1024
PING = b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture
def served() -> Iterator[Served]:
    from twisted.internet import reactor

    with serving(FrontEnd(reactor)) as served:
        yield served


def post(*headers: bytes) -> bytes:
    return b"".join(b"%b\r\n" % line for line in (b"POST /orders HTTP/1.1", *OURS, *headers, b""))


def sized(length: int, *headers: bytes) -> bytes:
    return post(b"Content-Length: %d" % length, *headers)


def chunked(body: bytes, size: int = 1000) -> bytes:
    pieces = (body[start : start + size] for start in range(0, len(body), size))
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return post(b"Transfer-Encoding: chunked") + chunks + b"0\r\n\r\n"


def assert_refused(raw: bytes, code: int, message: str) -> None:
    """`raw` is one answer, in JSON, with a date, that says `message`."""
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % code), raw
    assert b"\r\nContent-Type: application/json" in head
    assert b"\r\nDate: " in head
    assert json.loads(body)["error"]["reason"] in {each.word for each in Reason}
    assert json.loads(body)["error"]["code"] == code
    assert message in json.loads(body)["error"]["message"]


TOO_LARGE = "the body is larger than 65536 bytes"


# Bodies


@pytest_twisted.ensureDeferred
async def test_a_body_in_pieces_is_one_body(served: Served) -> None:
    head = sized(len(TRADE_BODY), b"Connection: close")

    def slowly(client: socket.socket) -> bytes:
        for byte in head + TRADE_BODY:
            client.sendall(bytes([byte]))
        return read_all(client)

    assert number_in(await served.run(slowly)) == 1
    assert served.asked == [TRADE]


@pytest_twisted.ensureDeferred
async def test_a_chunked_body_is_one_body(served: Served) -> None:
    answered = await served.send(chunked(TRADE_BODY, 7), PING)
    assert number_in(answered) == 1
    assert served.asked == [TRADE]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("shape", [lambda body: sized(len(body)) + body, chunked])
async def test_a_body_may_have_64_kib_and_not_one_byte_more(
    served: Served, shape: Callable[[bytes], bytes]
) -> None:
    assert b"transaction_number" in await served.send(shape(TRADE_BODY.rjust(LIMIT)), PING)
    answered = await served.send(shape(TRADE_BODY.rjust(LIMIT + 1)), PING)
    assert_refused(answered.partition(b"HTTP/1.1 200")[0], 413, TOO_LARGE)
    assert served.asked == [TRADE]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("shape", [lambda body: sized(len(body)) + body, chunked])
async def test_after_a_body_of_1_mb_the_connection_goes_on(
    served: Served, shape: Callable[[bytes], bytes]
) -> None:
    answered = await served.send(shape(b" " * 1_000_000), PING)
    assert answered.startswith(b"HTTP/1.1 413 ")
    assert answered.endswith(b'{"data":"pong"}')
    assert served.asked == []


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "request_bytes",
    [
        sized(3 * DISCARDED) + b" " * 3 * DISCARDED,
        chunked(b" " * 3 * DISCARDED),
        chunked(b" " * (DISCARDED + 1)),
    ],
    ids=["with its length", "chunked", "chunked and complete"],
)
async def test_a_body_beyond_all_bounds_is_answered_before_the_end_and_not_by_a_reset(
    served: Served, request_bytes: bytes
) -> None:
    assert_refused(await served.send(request_bytes), 413, TOO_LARGE)
    assert_refused(await served.send(request_bytes[: DISCARDED + 100_000]), 413, TOO_LARGE)
    assert served.asked == []


def test_what_exceeds_the_limit_is_not_kept() -> None:
    connection = FrontEnd().connect()
    connection.send(sized(1_000_000) + b" " * 900_000)
    [request] = connection.channel.requests
    assert len(request.content.getvalue()) <= LIMIT


@pytest_twisted.ensureDeferred
async def test_a_client_that_hangs_up_within_a_body_has_asked_for_nothing(served: Served) -> None:
    def hang_up_after(data: bytes) -> Callable[[socket.socket], bytes]:
        def talk(client: socket.socket) -> bytes:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            return read_all(client)

        return talk

    with failures_logged() as failures:
        for data in sized(len(TRADE_BODY)) + TRADE_BODY[:-1], chunked(TRADE_BODY)[:-2]:
            assert await served.run(hang_up_after(data)) == b""
    assert (served.asked, failures) == ([], [])


@pytest_twisted.ensureDeferred
async def test_a_client_that_expects_100_continue_gets_it(served: Served) -> None:
    def talk(client: socket.socket) -> bytes:
        client.sendall(sized(len(TRADE_BODY), b"Expect: 100-continue", b"Connection: close"))
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(TRADE_BODY)
        return read_all(client)

    assert b"transaction_number" in await served.run(talk)


@pytest_twisted.ensureDeferred
async def test_a_client_that_expects_100_continue_is_refused_before_a_large_body(
    served: Served,
) -> None:
    answered = await served.send(sized(LIMIT + 1, b"Expect: 100-continue"))
    assert_refused(answered, 413, TOO_LARGE)
    assert b"\r\nConnection: close\r\n" in answered


# What is not HTTP, or too much of it


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "request_bytes",
    [
        b"hello\r\n\r\n",
        b"GET /ping\r\n\r\n",
        b"GET /ping HTTP/2.0\r\n\r\n",
        b"G\xffT /ping HTTP/1.1\r\n\r\n",
        b"GET /stocks/\xc3\x9c HTTP/1.1\r\n\r\n",
        b"GET /stocks/\x80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /a b HTTP/1.1\r\n\r\n",
        post(b"Content-Length: five") + TRADE_BODY,
        post(b"Content-Length: -5") + TRADE_BODY,
        post(b"Content-Length: 51", b"Content-Length: 52") + TRADE_BODY,
        post(b"Content-Length: 51", b"Transfer-Encoding: chunked") + TRADE_BODY,
        post(b"Transfer-Encoding: gzip") + TRADE_BODY,
        post(b"Content-Length: 51", b"No colon", b"Accept: */*") + TRADE_BODY,
        post(b"Content-Length: 51", b"Accept: */*", b"No colon") + TRADE_BODY,
        post(b"Content-Length: 51", b"Bad name: x", b"Accept: */*") + TRADE_BODY,
        post(b"Content-Length: 51", b"X: \0", b"Accept: */*") + TRADE_BODY,
        post(b"Transfer-Encoding: chunked") + b"zz\r\n",
        post(b"Transfer-Encoding: chunked") + b"5\r\nhello!\r\n0\r\n\r\n",
        post(b"Transfer-Encoding: chunked") + b"-1\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_400_in_json_and_nothing_is_done(
    served: Served, request_bytes: bytes
) -> None:
    with failures_logged() as failures:
        assert_refused(await served.send(request_bytes), 400, "not well-formed HTTP/1.1")
        # Whether it comes in one piece or not, nothing after the fault is read as a request.
        assert_refused(await served.send(request_bytes, PING), 400, "not well-formed HTTP/1.1")
    assert (served.asked, failures) == ([], [])


@pytest.mark.parametrize("target", ["xping", "*ping", "ftp://x/ping", "ping", "http://", "x:80"])
def test_a_target_that_is_no_path_is_404(target: str) -> None:
    for method in "GET", "OPTIONS", "CONNECT":
        asked = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        raw = FrontEnd().connect().send(asked)
        assert_refused(raw, 404, "there is nothing at this path")


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("size", [17_000, 100_000, 5_000_000])
async def test_a_path_that_is_too_long_is_414(served: Served, size: int) -> None:
    line = b"GET /" + b"x" * size + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert_refused(await served.send(line), 414, "the path is longer than 16384 bytes")


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "headers",
    [[b"X: " + b"x" * 17_000], [b"X: " + b"x" * 1000] * 20, [b"X: x"] * 501, [b"X: x"] * 100_000],
)
async def test_headers_that_are_too_many_or_too_long_are_431(
    served: Served, headers: list[bytes]
) -> None:
    raw = await served.send(post(*headers, b"Content-Length: 51") + TRADE_BODY)
    assert_refused(raw, 431, "the headers are more than 500 headers or 16384 bytes")
    assert raw.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert served.asked == []


def test_a_resource_that_raises_is_500_in_json(logged_failures: list[Failure]) -> None:
    class Broken(Resource):
        isLeaf = True

        def render(self, request: object) -> bytes:
            raise ValueError("secret")

    frontend = FrontEnd(resource=Broken())
    with failures_logged() as failures:
        answer = frontend.get("/anything?client_order_id=a-key")
    assert (answer.code, answer.header("x-request-id")) == (500, "request-1")
    assert answer.message == "the service failed; its log knows this request as request-1"
    # A query may hold keys of trades.
    assert [line.splitlines()[0] for line in failures] == [
        "request request-1 failed: GET /anything"
    ]
    logged_failures.clear()


# Connections


def test_an_idle_connection_is_closed_after_a_minute() -> None:
    frontend = FrontEnd()
    connection = frontend.connect()
    frontend.clock.advance(50)
    assert connection.send(b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
    frontend.clock.advance(50)
    assert not connection.transport.disconnecting
    frontend.clock.advance(11)
    assert connection.transport.disconnecting


def test_a_client_that_waits_for_its_trade_is_not_idle() -> None:
    frontend = FrontEnd()
    frontend.bazaar.answer = Deferred()
    connection = frontend.connect()
    connection.send(sized(len(TRADE_BODY)) + TRADE_BODY)
    frontend.clock.advance(100)
    assert not connection.transport.disconnecting


@pytest_twisted.ensureDeferred
async def test_requests_are_not_logged(served: Served) -> None:
    with capturedLogs() as events:
        await served.send(PING)
    assert [formatEvent(event) for event in events if "ping" in formatEvent(event)] == []


@pytest_twisted.ensureDeferred
async def test_draining_closes_idle_connections_and_lets_the_others_have_their_answer(
    served: Served,
) -> None:
    served.frontend.bazaar.answer = work = Deferred()
    with served.client() as idle, served.client() as uploading, served.client() as waiting:
        uploading.sendall(sized(len(TRADE_BODY)) + TRADE_BODY[:-1])
        waiting.sendall(sized(len(TRADE_BODY)) + TRADE_BODY)
        await until(lambda: len(served.frontend.site.connections) == 3 and served.asked == [TRADE])
        drained: list[object] = []
        served.frontend.site.drain().addCallback(drained.append)
        await until(lambda: len(served.frontend.site.connections) == 1)
        assert (idle.recv(1), uploading.recv(1), drained) == (b"", b"", [])
        work.callback(Placed(7, False))
        await until(lambda: drained == [None])
        answered = read_all(waiting)
    assert b"\r\nConnection: close\r\n" in answered
    assert number_in(answered) == 7


def test_draining_a_site_without_connections_is_done_at_once() -> None:
    drained: list[object] = []
    FrontEnd().site.drain().addCallback(drained.append)
    assert drained == [None]


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest_twisted.ensureDeferred
async def test_head_and_body_of_an_answer_leave_together(
    served: Served, monkeypatch: pytest.MonkeyPatch, method: bytes
) -> None:
    """And at once: `write_now` sends what it is given."""
    written: list[bytes] = []

    def noted(transport: Any, data: bytes) -> None:
        written.append(data)
        write_now(transport, data)

    monkeypatch.setattr(channel, "write_now", noted)
    request = method + b" /nothing HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
    answer = await served.send(request)
    assert written == [answer]
    assert answer.endswith(b"\r\n\r\n") == (method == b"HEAD")
