"""Probes and scrapers get their pages on a port that is there for other protocols, and cannot hold
that up."""

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import maybeDeferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.internet.threads import deferToThread

from tests.fakes.served import read_all
from tests.fakes.until import until
from twisted_bazaar.http import probes
from twisted_bazaar.http.connections import Phase
from twisted_bazaar.http.probes import MAX_CONNECTIONS, METHODS, Probes, ProbeSite, readiness
from twisted_bazaar.http.site import BazaarRequest
from twisted_bazaar.rpc.first_bytes import FirstBytes

HOST = b"Host: localhost\r\n"
LARGE = b"x" * 100_000


class Echo(Protocol):
    """The protocol that the port is there for."""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


@attrs.define
class Service:
    """A port of `Echo` that serves probes as well."""

    port: int = 0
    missing: str | None = None
    """Why it is not ready."""
    body: bytes = LARGE
    made: int = 0
    """How often the page was made."""
    site: Any = None

    def page(self, request: BazaarRequest) -> bytes:
        self.made += 1
        request.responseHeaders.setRawHeaders(b"Content-Type", [b"text/plain"])
        return self.body

    async def ask(self, *pieces: bytes) -> bytes:
        """What is answered until the connection is closed."""

        def talk() -> bytes:
            with socket.create_connection(("127.0.0.1", self.port), timeout=10) as client:
                for piece in pieces:
                    client.sendall(piece)
                return read_all(client)

        answered: bytes = await deferToThread(talk)
        return answered

    async def get(self, path: bytes, method: bytes = b"GET") -> tuple[int, bytes, bytes]:
        """Status, head and body."""
        head, _, body = (
            await self.ask(b"%b %b HTTP/1.1\r\n%b\r\n" % (method, path, HOST))
        ).partition(b"\r\n\r\n")
        return int(head.split()[1]), head, body


def made_site(service: Service, reactor: Any) -> ProbeSite:
    pages = {b"/readyz": readiness(lambda: service.missing), b"/metrics": service.page}
    return ProbeSite(pages, reactor, lambda: 0.0, lambda: "id-1")


@pytest.fixture
def service() -> Iterator[Service]:
    from twisted.internet import reactor

    service = Service()
    service.site = made_site(service, reactor)
    choices: Any = {b"ECHO": Factory.forProtocol(Echo), **dict.fromkeys(METHODS, service.site)}
    listens: Any = FirstBytes(reactor, choices)  # type: ignore[arg-type]
    port: Any = reactor.listenTCP(0, listens, 1024, "127.0.0.1")  # type: ignore[attr-defined]
    service.port = port.getHost().port
    yield service
    pytest_twisted.blockon(maybeDeferred(port.stopListening))
    pytest_twisted.blockon(service.site.drain())


@pytest_twisted.ensureDeferred
async def test_pages_are_served_to_get_and_head(service: Service) -> None:
    code, head, body = await service.get(b"/metrics")
    assert (code, body) == (200, LARGE)
    assert b"\r\nContent-Type: text/plain\r\n" in head + b"\r\n"
    code, head, body = await service.get(b"/metrics?name=x", b"HEAD")
    assert (code, body) == (200, b"")
    assert b"\r\nContent-Length: %d\r\n" % len(LARGE) in head + b"\r\n"


@pytest_twisted.ensureDeferred
async def test_it_says_whether_it_lives_and_is_ready(service: Service) -> None:
    assert (await service.get(b"/livez"))[::2] == (200, b'{"data":"alive"}')
    assert (await service.get(b"/readyz"))[::2] == (200, b'{"data":"ready"}')
    service.missing = "it knows no leader"
    code, head, body = await service.get(b"/readyz")
    assert (code, json.loads(body)["error"]["reason"]) == (503, "not_ready")
    assert json.loads(body)["error"]["message"] == "not ready: it knows no leader"
    assert b"\r\nRetry-After: 1" in head
    assert (await service.get(b"/livez"))[0] == 200


@pytest.mark.parametrize("path", [b"/", b"/nothing", b"/stocks", b"//metrics", b"/metrics/x"])
@pytest_twisted.ensureDeferred
async def test_there_is_nothing_else(service: Service, path: bytes) -> None:
    code, _, body = await service.get(path)
    assert (code, json.loads(body)["error"]["reason"]) == (404, "no_such_path")
    assert service.made == 0


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"OPTIONS", b"GETTER", b"get"])
@pytest_twisted.ensureDeferred
async def test_a_connection_of_another_method_is_closed(service: Service, method: bytes) -> None:
    """As one of any other protocol is: the first bytes tell nothing else apart."""
    with suppress(ConnectionResetError):
        assert await service.ask(b"%b /livez HTTP/1.1\r\n%b\r\n" % (method, HOST)) == b""


@pytest_twisted.ensureDeferred
async def test_of_requests_that_are_sent_at_once_one_is_answered(service: Service) -> None:
    """Each page takes the reactor milliseconds, which other connections wait for."""
    answered = await service.ask(b"GET /metrics HTTP/1.1\r\n%b\r\n" % HOST * 500)
    assert answered.count(b"HTTP/1.1 ") == 1
    assert b"\r\nConnection: close\r\n" in answered
    assert service.made == 1


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 1000000000\r\n",
        b"Content-Length: 1\r\n",
        b"Transfer-Encoding: chunked\r\n",
    ],
)
@pytest_twisted.ensureDeferred
async def test_no_body_is_received(service: Service, head: bytes) -> None:
    answered = await service.ask(b"GET /metrics HTTP/1.1\r\n%b%b\r\n" % (HOST, head))
    assert answered.startswith(b"HTTP/1.1 413 ")
    assert service.made == 0


@pytest_twisted.ensureDeferred
async def test_a_client_that_has_closed_its_side_gets_its_answer(service: Service) -> None:
    service.body = b"x" * 5_000_000

    def talk() -> bytes:
        with socket.create_connection(("127.0.0.1", service.port), timeout=10) as client:
            client.sendall(b"GET /metrics HTTP/1.1\r\n%b\r\n" % HOST)
            client.shutdown(socket.SHUT_WR)
            return read_all(client)

    assert (await deferToThread(talk)).endswith(b"\r\n\r\n" + service.body)


@pytest_twisted.ensureDeferred
async def test_many_slow_connections_keep_out_neither_probes_nor_other_protocols(
    service: Service,
) -> None:
    slow = [
        socket.create_connection(("127.0.0.1", service.port)) for _ in range(4 * MAX_CONNECTIONS)
    ]
    try:
        for client in slow:
            client.sendall(b"GET /metrics HTTP/1.1\r\n")
        await until(lambda: len(service.site.connections) >= MAX_CONNECTIONS)

        def echo() -> bytes:
            with socket.create_connection(("127.0.0.1", service.port), timeout=10) as client:
                client.sendall(b"ECHO")
                return client.recv(100)

        assert await deferToThread(echo) == b"ECHO"
        assert (await service.get(b"/livez"))[0] == 200
        await until(lambda: len(service.site.connections) <= 2 * MAX_CONNECTIONS)
    finally:
        for client in slow:
            client.close()


def test_a_head_that_does_not_end_is_refused_in_time() -> None:
    clock = Clock()
    site = made_site(Service(), clock)
    channel: Any = site.buildProtocol(None)
    transport: Any = StringTransport()
    transport.loseWriteConnection = lambda: None
    transport.abortConnection = lambda: None
    channel.makeConnection(transport)
    channel.dataReceived(b"GET /metrics HTTP/1.1\r\n")
    for _ in range(5):
        assert transport.value() == b""
        channel.dataReceived(b"X: y\r\n")
        clock.advance(1.0)
    assert transport.value().startswith(b"HTTP/1.1 408 ")


@pytest_twisted.ensureDeferred
async def test_a_client_that_does_not_read_does_not_delay_the_end(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    from twisted.internet import reactor

    monkeypatch.setattr(probes, "_STOP_SECONDS", 0.1)
    service.body = b"x" * 50_000_000
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\n%b\r\n" % HOST)
        connections = service.site.connections
        await until(
            lambda: [connections.phase(each) for each in connections] not in ([], [Phase.HEAD])
        )
        await Probes(reactor, service.site).stopService()  # type: ignore[arg-type]
        assert len(connections) == 0
