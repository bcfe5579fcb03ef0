"""The gRPC server begins and stops: ports, graces, sockets of other kinds."""

import socket
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import grpc
import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet.defer import gatherResults
from twisted.internet.endpoints import SSL4ServerEndpoint, UNIXServerEndpoint
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from tests.fakes.grpc_world import SOON, UNBOUNDED, World
from twisted_bazaar.errors import Unusable
from twisted_bazaar.rpc.keepalive import CALLER
from twisted_bazaar.rpc.serving.methods import blocking
from twisted_bazaar.rpc.serving.server import GrpcServer


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.stop()


# Stops.


@pytest_twisted.ensureDeferred
async def test_a_stop_lets_calls_finish_and_the_caller_finds_the_next_server(
    world: World,
) -> None:
    under_way = [world.call("hold"), world.call("wait")]
    await world.until(lambda: world.service.held and world.service.threads)
    stopping = world.server.stopService()
    assert stopping is not None
    await deferLater(world.reactor, 0.1)
    failed = await world.fails(
        deferToThread(world.channel.unary_unary("/S/echo"), b"", timeout=SOON)
    )
    assert failed.code() is grpc.StatusCode.UNAVAILABLE, "new ones are refused"
    assert not stopping.called
    world.service.held[0].callback(b"words")
    world.service.open.set()
    assert await gatherResults(under_way) == [b"words", b""]
    await stopping
    world.server = world.serve()
    assert await world.call("echo", b"words") == b"words"


@pytest_twisted.ensureDeferred
async def test_a_stop_waits_no_longer_than_the_grace(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twisted_bazaar.rpc.serving.server.GRACE_SECONDS", 0.3)
    under_way = world.call("hold")
    await world.until(lambda: world.service.held)
    started = time.monotonic()
    await world.server.stopService()
    assert 0.3 <= time.monotonic() - started < 2
    failed = await world.fails(under_way)
    assert failed.code() is grpc.StatusCode.UNAVAILABLE
    assert world.service.held[0].called
    world.server = world.serve()


@pytest_twisted.ensureDeferred
async def test_calls_that_come_while_the_server_stops_are_all_answered_or_refused(
    world: World,
) -> None:
    """None is lost: what is refused was certainly not executed."""
    executed = 0
    outcomes: list[grpc.StatusCode | None] = []
    rpc = world.channel.unary_unary("/S/echo")
    await world.call("echo")
    world.service.contexts.clear()

    def calls() -> None:
        for _ in range(200):
            try:
                rpc(b"", timeout=SOON)
                outcomes.append(None)
            except grpc.RpcError as failed:
                code: Any = failed
                outcomes.append(code.code())

    called = deferToThread(calls)
    await world.until(lambda: len(world.service.contexts) > 20)
    await world.server.stopService()
    world.server = world.serve()
    await called
    executed = len(world.service.contexts)
    assert outcomes.count(None) == executed
    assert set(outcomes) <= {None, grpc.StatusCode.UNAVAILABLE}


@pytest_twisted.ensureDeferred
async def test_a_port_that_is_taken_is_refused_with_its_name(world: World) -> None:
    second = GrpcServer(world.reactor, world.address, 1, lambda _: None, Random(1))
    with pytest.raises(Unusable, match=rf"^cannot listen on {world.address}: is the port taken"):
        second.startService()
    assert second.stopService() is None


def test_methods_that_cannot_be_served_are_refused_at_the_start(world: World) -> None:
    def streams_requests(server: grpc.Server) -> None:
        method = grpc.stream_unary_rpc_method_handler(lambda requests, context: b"")
        server.add_registered_method_handlers("S", {"up": method})

    def streams_on_a_thread(server: grpc.Server) -> None:
        method = grpc.unary_stream_rpc_method_handler(blocking(lambda request, context: iter(())))
        server.add_registered_method_handlers("S", {"down": method})

    for add, line in ((streams_requests, "/S/up streams"), (streams_on_a_thread, "/S/down stre")):
        with pytest.raises(ValueError, match=line):
            GrpcServer(world.reactor, world.address, 1, add, Random(1))


# Ways.


@pytest_twisted.ensureDeferred
async def test_a_caller_that_keeps_alive_stays_connected(world: World) -> None:
    channel = world.connect(*CALLER)
    await world.call("echo", channel=channel)
    peers = {world.service.contexts[-1].peer()}
    await deferLater(world.reactor, 3.5)
    await world.call("echo", channel=channel)
    peers.add(world.service.contexts[-1].peer())
    assert len(peers) == 1, "it is the same connection"


@pytest_twisted.ensureDeferred
async def test_it_serves_on_a_unix_socket(world: World, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    server = world.serve(UNIXServerEndpoint(world.reactor, path))
    channel = world.connect(at=f"unix:{path}")
    assert await world.call("echo", b"words", channel=channel) == b"words"
    assert world.service.contexts[-1].peer() == "unix:"
    await server.stopService()


def self_signed() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """A key, and a certificate for `localhost` that is good for an hour."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    return key, certificate.sign(key, hashes.SHA256())


@pytest_twisted.ensureDeferred
async def test_it_serves_over_tls(world: World) -> None:
    key, certificate = self_signed()
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    pair: Any = {"privateKey": key, "certificate": certificate}
    options = CertificateOptions(**pair)
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    server = world.serve(SSL4ServerEndpoint(world.reactor, port, options, interface="127.0.0.1"))
    trusted = grpc.ssl_channel_credentials(pem)
    channel = grpc.secure_channel(f"localhost:{port}", trusted, UNBOUNDED)
    world.channels.append(channel)
    assert await world.call("echo", b"words", channel=channel) == b"words"
    assert len(await world.call("echo", bytes(3_000_000), channel=channel)) == 3_000_000
    await server.stopService()
