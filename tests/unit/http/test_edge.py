"""Clients are served by TLS, with the certificate that is in the files now."""

import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import maybeDeferred
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.logger import capturedLogs, formatEvent

from tests.fakes.edge_files import ServerFiles
from tests.fakes.frontend_world import FrontEnd, Transport
from tests.fakes.internal_endpoint import InternalEndpoint
from tests.fakes.tracer import FakeTracer
from tests.fakes.until import until
from twisted_bazaar.errors import Unusable
from twisted_bazaar.http import edge
from twisted_bazaar.http.connections import SECONDS, Phase
from twisted_bazaar.http.edge import CHECK_SECONDS, EdgeCertificate, EdgeFiles, TlsEdge
from twisted_bazaar.http.listener import Listener
from twisted_bazaar.http.sources import Sources
from twisted_bazaar.http.traced import trace_requests
from twisted_bazaar.runtime.endpoint import Endpoint

GET = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture
def files(tmp_path: Path) -> ServerFiles:
    made = ServerFiles(tmp_path)
    made.write(1)
    return made


def serial(certificate: EdgeCertificate) -> int:
    certificate.context()
    return certificate._certificate.serial_number


def named(files: ServerFiles) -> EdgeFiles:
    return EdgeFiles.of(Endpoint.parse(f"ssl:0:{files.endpoint}"))


def test_new_files_are_read_when_a_connection_comes_at_most_once_a_second(
    files: ServerFiles,
) -> None:
    clock = Clock()
    certificate = EdgeCertificate(named(files), clock.seconds)
    files.write(2)
    clock.advance(CHECK_SECONDS - 0.01)
    assert serial(certificate) == 1
    clock.advance(0.02)
    assert serial(certificate) == 2
    before = certificate.context()
    clock.advance(CHECK_SECONDS)
    assert certificate.context() is before, "nothing has changed"


def test_files_that_do_not_fit_leave_the_certificate_before_and_one_line(
    files: ServerFiles,
) -> None:
    clock = Clock()
    certificate = EdgeCertificate(named(files), clock.seconds)
    key = files.key.read_bytes()
    files.write(2)
    files.key.write_bytes(key)
    with capturedLogs() as events:
        for _ in range(3):
            clock.advance(CHECK_SECONDS)
            assert serial(certificate) == 1
    (line,) = [formatEvent(event) for event in events]
    assert line.startswith("the new certificate for clients is not used: ")
    files.write(3)
    clock.advance(CHECK_SECONDS)
    assert serial(certificate) == 3


def test_files_that_cannot_be_read_for_a_while_are_read_once_they_can(
    files: ServerFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(files: EdgeFiles) -> None:
        raise Unusable("Too many open files")

    clock = Clock()
    certificate = EdgeCertificate(named(files), clock.seconds)
    files.write(2)
    with monkeypatch.context() as patched:
        patched.setattr(EdgeFiles, "load", fail)
        clock.advance(CHECK_SECONDS)
        assert serial(certificate) == 1
    clock.advance(CHECK_SECONDS)
    assert serial(certificate) == 2


@pytest.mark.parametrize("missing", ["key", "certificate"])
def test_a_file_that_is_not_there_is_one_line_that_names_it(
    files: ServerFiles, missing: str
) -> None:
    path: Path = getattr(files, missing)
    path.unlink()
    with pytest.raises(Unusable, match=f"^{path} cannot be read: No such file") as refused:
        EdgeCertificate(named(files), Clock().seconds)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("which", ["key", "certificate"])
def test_a_pipe_in_place_of_a_file_is_not_waited_for(files: ServerFiles, which: str) -> None:
    clock = Clock()
    certificate = EdgeCertificate(named(files), clock.seconds)
    path: Path = getattr(files, which)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(Unusable, match=f"^{path} is no file$"):
        EdgeCertificate(named(files), clock.seconds)
    with capturedLogs() as events:
        clock.advance(CHECK_SECONDS)
        assert serial(certificate) == 1
    assert [formatEvent(event) for event in events] == [
        f"the new certificate for clients is not used: {path} is no file"
    ]


def test_a_key_beside_its_certificate_is_written_nowhere_else(
    files: ServerFiles, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    both = tmp_path / "server.pem"
    both.write_bytes(files.key.read_bytes() + files.certificate.read_bytes())
    read: list[bytes] = []

    def load(context: ssl.SSLContext, certificate: str, *others: Any) -> None:
        read.append(Path(certificate).read_bytes())
        loading(context, certificate, *others)

    loading = ssl.SSLContext.load_cert_chain
    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", load)
    _, certificate = EdgeFiles.of(Endpoint.parse(f"ssl:0:{both}")).load()
    assert certificate.serial_number == 1
    [content] = read
    assert b"PRIVATE" not in content


def test_wrong_parameters_are_one_line_that_names_their_file(files: ServerFiles) -> None:
    text = f"ssl:0:{files.endpoint}:dhParameters={files.certificate}"
    with pytest.raises(Unusable, match=f"^{files.certificate} holds no parameters") as refused:
        EdgeFiles.of(Endpoint.parse(text)).load()
    assert "\n" not in str(refused.value)


def test_the_certificates_of_issuers_may_be_in_a_file_of_their_own(
    files: ServerFiles, tmp_path: Path
) -> None:
    issuer = ServerFiles(tmp_path / "issuer")
    issuer.folder.mkdir()
    issuer.write(7)
    text = f"tls:0:{files.endpoint}:extraCertChain={issuer.certificate}"
    context, certificate = EdgeFiles.of(Endpoint.parse(text)).load()
    assert certificate.serial_number == 1
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    shown = first_flight(context, files)
    for each in (files, issuer):
        assert ssl.PEM_cert_to_DER_cert(each.certificate.read_text()) in shown


def first_flight(context: ssl.SSLContext, files: ServerFiles) -> bytes:
    """What a server with this context first sends, by TLS 1.2, which does not encrypt that."""
    ways = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = files.trust()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    ends = [
        client.wrap_bio(ways[1], ways[0], server_hostname="localhost"),
        context.wrap_bio(ways[0], ways[1], server_side=True),
    ]
    for end in ends:
        with pytest.raises(ssl.SSLWantReadError):
            end.do_handshake()
    return ways[1].read()


Start = Callable[[str], Listener]


@pytest_twisted.async_yield_fixture
async def start() -> AsyncIterator[Start]:
    from twisted.internet import reactor

    started = []

    def starts(endpoint: str) -> Listener:
        site = InternalEndpoint(reactor=reactor).site
        site.hsts = b"max-age=60"
        listener = Listener(reactor, endpoint, site)  # type: ignore[arg-type]
        listener.startService()
        started.append(listener)
        return listener

    yield starts
    for listener in started:
        await maybeDeferred(listener.stopService)


def asked(port: int, context: ssl.SSLContext | None, sent: bytes = GET) -> bytes:
    """What a server answers to a client that speaks TLS, or does not."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        spoken: Any = plain
        if context is not None:
            spoken = context.wrap_socket(plain, server_hostname="localhost")
        spoken.sendall(sent)
        answer = b""
        while part := spoken.recv(65536):
            answer += part
        return answer


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("kind", ["ssl", "tls"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_requests_are_answered_by_tls_and_say_that_it_is_to_be_used(
    start: Start, files: ServerFiles, kind: str, version: ssl.TLSVersion
) -> None:
    listener = start(f"{kind}:0:{files.endpoint}:interface=127.0.0.1")
    context = files.trust()
    context.maximum_version = context.minimum_version = version
    answer = await deferToThread(asked, listener.address.port, context)
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"\r\nStrict-Transport-Security: max-age=60\r\n" in answer
    refused = await deferToThread(asked, listener.address.port, context, b"nonsense\r\n\r\n")
    assert refused.startswith(b"HTTP/1.1 400 ")
    assert b"\r\nStrict-Transport-Security: max-age=60\r\n" in refused
    assert listener.url == f"https://127.0.0.1:{listener.address.port}"


@pytest_twisted.ensureDeferred
async def test_the_span_of_a_request_by_tls_says_so(start: Start, files: ServerFiles) -> None:
    for endpoint, scheme in (
        (f"ssl:0:{files.endpoint}:interface=127.0.0.1", "https"),
        ("tcp:0:interface=127.0.0.1", "http"),
    ):
        listener = start(endpoint)
        tracer = FakeTracer(all_of_them=True)
        trace_requests(listener._site, tracer)
        context = files.trust() if scheme == "https" else None
        await deferToThread(asked, listener.address.port, context)
        [span] = tracer.spans
        assert span.attributes["url.scheme"] == scheme


@pytest_twisted.ensureDeferred
async def test_who_does_not_speak_tls_gets_no_answer_and_is_counted(
    start: Start, files: ServerFiles
) -> None:
    listener = start(f"ssl:0:{files.endpoint}:interface=127.0.0.1")
    answer = await deferToThread(asked, listener.address.port, None)
    assert b"HTTP" not in answer
    assert listener._site.figures.failed_handshakes.value == 1


@pytest_twisted.ensureDeferred
async def test_a_listener_shows_the_certificate_that_is_in_the_files_now(
    start: Start, files: ServerFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "CHECK_SECONDS", 0.0)
    listener = start(f"ssl:0:{files.endpoint}:interface=127.0.0.1")
    port = listener.address.port
    former = files.trust()
    await deferToThread(asked, port, former)
    files.write(2)
    assert (await deferToThread(asked, port, files.trust())).startswith(b"HTTP/1.1 404 ")
    with pytest.raises(ssl.SSLCertVerificationError):
        await deferToThread(asked, port, former)


@pytest_twisted.ensureDeferred
async def test_a_body_that_is_too_large_is_refused_before_the_connection_is_closed(
    start: Start, files: ServerFiles
) -> None:
    listener = start(f"ssl:0:{files.endpoint}:interface=127.0.0.1")
    head = b"POST /invalidations HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    sent = head % 2_000_000 + b"x" * 2_000_000
    answer = await deferToThread(asked, listener.address.port, files.trust(), sent)
    assert b" 4" in answer[:13]


def test_a_certificate_that_cannot_be_used_is_one_line_that_names_the_option(
    files: ServerFiles, tmp_path: Path
) -> None:
    from twisted.internet import reactor

    files.key.unlink()
    endpoint = f"ssl:0:{files.endpoint}"
    listener = Listener(reactor, endpoint, InternalEndpoint().site)  # type: ignore[arg-type]
    with pytest.raises(Unusable, match=f"^--listen {endpoint}: {files.key} cannot be read"):
        listener.startService()


@pytest_twisted.ensureDeferred
async def test_a_connection_too_many_is_told_so_by_tls(start: Start, files: ServerFiles) -> None:
    listener = start(f"ssl:0:{files.endpoint}:interface=127.0.0.1")
    site = listener._site
    site.sources = Sources(1, lambda address: False)
    port = listener.address.port
    first = await deferToThread(socket.create_connection, ("127.0.0.1", port), 10)
    await until(lambda: len(site.connections) == 1)
    answer = await deferToThread(asked, port, files.trust())
    assert answer.startswith(b"HTTP/1.1 429 ")
    assert b"too_many_connections" in answer
    first.close()
    await until(lambda: len(site.connections) == 0)
    assert (await deferToThread(asked, port, files.trust())).startswith(b"HTTP/1.1 404 ")


class Below:
    """An endpoint, whose factory a test uses."""

    factory: Any

    def listen(self, factory: Any) -> Any:
        self.factory = factory


class Ended(Transport):
    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802 - Twisted's name
        pass


@pytest.mark.parametrize("hello", [b"", b"\x16\x03\x01\x02\x00\x01\x00"])
def test_who_never_ends_the_handshake_is_cut_off_as_an_idle_client_is(
    files: ServerFiles, hello: bytes
) -> None:
    frontend = FrontEnd()
    figures = frontend.site.figures
    certificate = EdgeCertificate(named(files), frontend.clock.seconds)
    below: Any = Below()
    TlsEdge(below, certificate, figures.failed_handshakes).listen(frontend.site)
    ends = [Ended() for _ in range(3)]
    for each in ends:
        tls = below.factory.buildProtocol(None)
        tls.makeConnection(each)
        tls.dataReceived(hello)
    frontend.clock.pump([1.0] * (round(SECONDS[Phase.IDLE]) - 1))
    assert not any(each.aborting for each in ends)
    frontend.clock.pump([1.0] * 3)
    assert all(each.aborting for each in ends)
