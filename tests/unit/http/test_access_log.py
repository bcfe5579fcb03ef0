"""The access log: one event for each request, on real sockets."""

import json
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, succeed
from twisted.logger import LogEvent, capturedLogs

from tests.fakes.frontend_world import FrontEnd
from tests.fakes.served import Served, serving
from tests.fakes.until import until
from twisted_bazaar.access import Client
from twisted_bazaar.http.access_log import AccessLog
from twisted_bazaar.http.client_address import TrustedProxies, read_network
from twisted_bazaar.http.site import BazaarRequest
from twisted_bazaar.runtime.log_lines import json_line, text_line

CLOSE = b"Host: localhost\r\nConnection: close\r\n"


@pytest.fixture
def served() -> Iterator[Served]:
    from twisted.internet import reactor

    frontend = FrontEnd(reactor)
    frontend.site.access_log = AccessLog()
    with serving(frontend) as served:
        yield served


@pytest.fixture
def events() -> Iterator[list[LogEvent]]:
    with capturedLogs() as captured:
        yield captured


def hang_up(client: socket.socket) -> None:
    """Reset the connection. One that is closed may still be answered."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def logged(events: list[LogEvent]) -> list[LogEvent]:
    return [each for each in events if each["log_namespace"].endswith(".AccessLog")]


def only(events: list[LogEvent]) -> dict[str, Any]:
    (event,) = logged(events)
    shown: dict[str, Any] = json.loads(json_line(event, "frontend"))
    return shown


@pytest_twisted.ensureDeferred
async def test_a_request_is_one_event_with_what_was_asked_and_answered(
    served: Served, events: list[LogEvent]
) -> None:
    answer = await served.send(
        b'GET /orders/1?secret=key HTTP/1.1\r\nUser-Agent: an "agent"\r\nX-Request-ID: mine\r\n'
        b"%b\r\n" % CLOSE
    )
    body = answer.partition(b"\r\n\r\n")[2]
    event = only(events)
    seconds = event.pop("seconds")
    assert 0 < seconds < 5
    del event["time"], event["message"], event["logger"]
    assert event == {
        "level": "info",
        "service": "frontend",
        "request_id": "mine",
        "method": "GET",
        "path": "/orders/1",
        "route": "/orders/<number>",
        "code": 404,
        "bytes": len(body),
        "client": "127.0.0.1",
        "user_agent": 'an "agent"',
    }
    text = text_line(logged(events)[0]).decode()
    assert f'127.0.0.1 "GET /orders/1" 404 {len(body)} bytes in ' in text
    assert "request_id=mine route=/orders/<number> user_agent='an \"agent\"'" in text
    assert "key" not in text


@pytest_twisted.ensureDeferred
async def test_the_client_that_has_shown_an_api_key_is_named_in_a_field_of_its_own(
    served: Served, events: list[LogEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BazaarRequest, "caller", Client("alice", frozenset()))
    await served.send(b"GET /ping HTTP/1.1\r\n%b\r\n" % CLOSE)
    event = only(events)
    assert (event["caller"], event["client"]) == ("alice", "127.0.0.1")
    assert 'alice at 127.0.0.1 "GET /ping" 200 ' in event["message"]
    text = text_line(logged(events)[0]).decode()
    assert text.count("alice") == 1


@pytest_twisted.ensureDeferred
async def test_requests_of_one_connection_are_an_event_each(
    served: Served, events: list[LogEvent]
) -> None:
    ping = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"
    await served.send(ping, ping, b"HEAD /nowhere HTTP/1.1\r\n%b\r\n" % CLOSE)
    found = [(each["path"], each["code"], each["route"]) for each in logged(events)]
    assert found == [("/ping", 200, "/ping")] * 2 + [("/nowhere", 404, "other")]
    assert logged(events)[-1]["bytes"] == 0, "HEAD has no body"


@pytest_twisted.ensureDeferred
async def test_no_path_can_forge_what_follows_it(served: Served, events: list[LogEvent]) -> None:
    await served.send(b'GET /x"200"{code} HTTP/1.1\r\n%b\r\n' % CLOSE)
    only(events)
    text = text_line(logged(events)[0]).decode()
    assert '127.0.0.1 "GET /x%22200%22{code}" 404 ' in text


@pytest.mark.parametrize(
    ("header", "trace"),
    [
        (b"00-%b-b7ad6b7169203331-01" % (b"0af7" * 8), "0af7" * 8),
        (b"00-%b-b7ad6b7169203331-00" % (b"0af7" * 8), "0af7" * 8),
        (b"00-%b-b7ad6b7169203331-01" % (b"0" * 32), None),
        (b"nonsense", None),
    ],
)
@pytest_twisted.ensureDeferred
async def test_an_event_names_the_trace_of_its_request(
    served: Served, events: list[LogEvent], header: bytes, trace: str | None
) -> None:
    await served.send(b"GET /ping HTTP/1.1\r\ntraceparent: %b\r\n%b\r\n" % (header, CLOSE))
    assert only(events).get("trace_id") == trace


@pytest.mark.parametrize(
    ("request_bytes", "code", "method"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400, "GET"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400, "GET"),
        (b"POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999\r\n\r\n", 413, "POST"),
        (b"\x16\x03\x01\x02\0", 400, None),
        (b"nonsense\r\n\r\n", 400, None),
        (b"GET /%b HTTP/1.1\r\n\r\n" % (b"x" * 70000), 414, None),
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_is_refused_before_it_is_complete_is_one_event(
    served: Served,
    events: list[LogEvent],
    request_bytes: bytes,
    code: int,
    method: str | None,
) -> None:
    answer = await served.send(request_bytes)
    event = only(events)
    assert event["code"] == code
    assert event.get("method") == method
    assert event["bytes"] == len(answer.partition(b"\r\n\r\n")[2])
    assert f"X-Request-ID: {event['request_id']}\r\n".encode() in answer


@pytest_twisted.ensureDeferred
async def test_a_client_that_hangs_up_before_its_answer_is_499(
    served: Served, events: list[LogEvent]
) -> None:
    body = b'{"name": "GameStart", "quantity": 5, "type": "buy"}'
    head = b"Host: localhost\r\nContent-Type: application/json\r\n"
    length = b"Content-Length: %d\r\n" % len(body)
    served.frontend.bazaar.answer = Deferred()
    with served.client() as client:
        client.sendall(b"POST /orders HTTP/1.1\r\n%b%b\r\n%b" % (head, length, body))
        await until(lambda: bool(served.asked))
        assert not logged(events)
        hang_up(client)
    await until(lambda: bool(logged(events)))
    event = only(events)
    assert (event["code"], event["bytes"], event["route"]) == (499, 0, "/orders")


class Stream:
    """An answer without end that says one word."""

    def __init__(self, request: BazaarRequest) -> None:
        self.request = request
        request.begin_stream(self)
        request.write(b"hello")

    def end(self) -> None:
        self.request.end_stream()

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass


@pytest.mark.parametrize("hangs_up", [True, False])
@pytest_twisted.ensureDeferred
async def test_a_stream_is_one_event_at_its_end_with_its_own_status(
    served: Served, events: list[LogEvent], hangs_up: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams: list[Stream] = []

    def opened(request: BazaarRequest, _: object) -> Deferred[None]:
        streams.append(Stream(request))
        return succeed(None)

    monkeypatch.setattr(served.frontend.bazaar, "open", opened)
    with served.client() as client:
        client.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(lambda: bool(streams))
        assert not logged(events)
        if hangs_up:
            hang_up(client)
        else:
            streams[0].end()
        await until(lambda: bool(logged(events)))
    await until(lambda: bool(logged(events)) and not served.frontend.site.connections)
    event = only(events)
    assert (event["code"], event["bytes"], event["route"]) == (200, 5, "/events")


@pytest_twisted.ensureDeferred
async def test_a_request_that_never_comes_whole_is_499(
    served: Served, events: list[LogEvent]
) -> None:
    with served.client() as client:
        client.sendall(b"GET /ping HTTP/1.1\r\nHost: local")
        await until(lambda: any(each.requests for each in served.frontend.site.connections))
    await until(lambda: bool(logged(events)))
    event = only(events)
    assert (event["code"], event["method"], event["path"]) == (499, "GET", "/ping")


@pytest_twisted.ensureDeferred
async def test_the_client_behind_a_trusted_proxy_is_the_one_that_it_names(
    served: Served, events: list[LogEvent]
) -> None:
    ping = b"GET /ping HTTP/1.1\r\nX-Forwarded-For: 1.1.1.1, 198.51.100.1\r\n%b\r\n" % CLOSE
    await served.send(ping)
    served.frontend.site.proxies = TrustedProxies([read_network("127.0.0.0/8")])
    await served.send(ping)
    assert [each["client"] for each in logged(events)] == ["127.0.0.1", "198.51.100.1"]
