"""Several protocols on one port, told apart by what the client says first."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
import pytest_twisted
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from tests.fakes.frame_world import ECHO, SOON, World
from tests.fakes.leaks import nothing_leaks  # noqa: F401
from twisted_bazaar.rpc import first_bytes
from twisted_bazaar.rpc.first_bytes import FirstBytes, SharedPort
from twisted_bazaar.rpc.frames.format import HTTP2_PREFACE, MAGIC

ONE, OTHER = b"ONE\n", b"OTHER\n"


class Said(Protocol):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[bytes] = []
        self.lost = False
        self.out: Any = None

    def connectionMade(self) -> None:
        self.out = self.transport

    def dataReceived(self, data: bytes) -> None:
        self.said.append(data)

    def connectionLost(self, reason: Failure = Failure(ConnectionError())) -> None:  # noqa: B008
        self.lost = True


class Collecting(Factory):
    """Makes `Said`s, or none."""

    noisy = False

    def __init__(self) -> None:
        self.made: list[Said] = []
        self.full = False

    def buildProtocol(self, addr: Any) -> Said | None:
        if self.full:
            return None
        self.made.append(Said())
        return self.made[-1]


class Ports:
    """A port with two protocols."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.one, self.other = Collecting(), Collecting()
        self.factory = FirstBytes(world.reactor, {ONE: self.one, OTHER: self.other}, undecided=3)
        world.factory = self.factory
        world.listen()

    async def client(self) -> Said:
        at = TCP4ClientEndpoint(self._world.reactor, "127.0.0.1", self._world.port)
        client: Any = await at.connect(Factory.forProtocol(Said))
        assert isinstance(client, Said)
        return client


@pytest_twisted.async_yield_fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.stop()


@pytest.fixture
def ports(world: World) -> Ports:
    return Ports(world)


@pytest_twisted.ensureDeferred
async def test_the_first_bytes_choose_and_are_handed_on(world: World, ports: Ports) -> None:
    one, other = await ports.client(), await ports.client()
    one.out.write(ONE + b"more")
    for byte in OTHER:
        other.out.write(bytes([byte]))
        await world.sleep(0.005)
    await world.until(lambda: ports.one.made and ports.other.made)
    assert (ports.one.made[0].said, ports.other.made[0].said) == ([ONE + b"more"], [OTHER])
    one.out.write(b"again")
    await world.until(lambda: ports.one.made[0].said[1:] == [b"again"])
    ports.one.made[0].out.write(b"answer")
    await world.until(lambda: one.said == [b"answer"])
    one.out.loseConnection()
    await world.until(lambda: ports.one.made[0].lost)
    assert len(ports.factory.undecided) == 0
    other.out.loseConnection()
    await world.until(lambda: ports.other.made[0].lost)


@pytest.mark.parametrize("said", [b"\0", b"ONX", b"OTHER\r", b"GET / HTTP/1.1\r\n\r\n"])
@pytest_twisted.ensureDeferred
async def test_anything_else_is_closed_at_once(world: World, ports: Ports, said: bytes) -> None:
    client = await ports.client()
    client.out.write(said)
    await world.until(lambda: client.lost, 1.0)
    assert (ports.one.made, ports.other.made, len(ports.factory.undecided)) == ([], [], 0)


@pytest_twisted.ensureDeferred
async def test_a_client_that_says_too_little_is_closed_in_time(
    world: World, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_bytes, "FIRST_BYTES_SECONDS", 0.2)
    silent, short, good = [await ports.client() for _ in range(3)]
    short.out.write(ONE[:2])
    good.out.write(ONE)
    await world.sleep(0.05)
    assert (silent.lost, short.lost) == (False, False)
    await world.until(lambda: silent.lost and short.lost)
    assert len(ports.factory.undecided) == 0
    await world.sleep(0.1)
    assert not good.lost
    good.out.loseConnection()
    await world.until(lambda: ports.one.made[0].lost)


@pytest_twisted.ensureDeferred
async def test_a_client_that_leaves_is_forgotten(world: World, ports: Ports) -> None:
    before = len(world.reactor.getDelayedCalls())
    client = await ports.client()
    await world.until(lambda: len(ports.factory.undecided) == 1)
    client.out.loseConnection()
    await world.until(lambda: len(ports.factory.undecided) == 0)
    assert len(world.reactor.getDelayedCalls()) <= before + 1


@pytest_twisted.ensureDeferred
async def test_those_that_say_nothing_are_bounded_and_hold_up_nobody_else(
    world: World, ports: Ports
) -> None:
    clients = [await ports.client() for _ in range(3)]
    await world.until(lambda: len(ports.factory.undecided) == 3)
    another = await ports.client()
    another.out.write(OTHER)
    await world.until(lambda: ports.other.made)
    await world.until(lambda: clients[0].lost)
    clients[1].out.write(ONE)
    await world.until(lambda: ports.one.made)
    for each in (*clients[1:], another):
        each.out.loseConnection()
    await world.until(lambda: ports.one.made[0].lost and ports.other.made[0].lost)


@pytest_twisted.ensureDeferred
async def test_a_protocol_that_takes_no_more_closes_the_connection(
    world: World, ports: Ports
) -> None:
    ports.one.full = True
    client = await ports.client()
    client.out.write(ONE)
    await world.until(lambda: client.lost)
    assert len(ports.factory.undecided) == 0


class Forward(Protocol):
    """To a server that speaks gRPC, and back."""

    def __init__(self, world: World, port: int) -> None:
        self._world = world
        self._port = port
        self._early: list[bytes] = []
        self._far: Any = None

    def connectionMade(self) -> None:
        at = TCP4ClientEndpoint(self._world.reactor, "127.0.0.1", self._port)
        at.connect(Factory.forProtocol(Said)).addCallback(self._connected)

    def _connected(self, far: Any) -> None:
        self._far = far
        far.dataReceived = self.transport.write  # type: ignore[union-attr]
        far.out.write(b"".join(self._early))

    def dataReceived(self, data: bytes) -> None:
        if self._far is None:
            self._early.append(data)
        else:
            self._far.out.write(data)

    def connectionLost(self, reason: Failure = Failure(ConnectionError())) -> None:  # noqa: B008
        self._far.out.loseConnection()


@pytest_twisted.ensureDeferred
async def test_grpc_and_frames_share_a_port(world: World) -> None:
    """grpcio's own client, and a channel of ours."""
    server = grpc.server(ThreadPoolExecutor(1))
    rpc = grpc.unary_unary_rpc_method_handler(lambda request, context: request)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Parrot", {"Say": rpc}),))
    behind = server.add_insecure_port("127.0.0.1:0")
    server.start()
    speaks_grpc: Any = Factory.forProtocol(lambda: Forward(world, behind))
    tcp = TCP4ServerEndpoint(world.reactor, 0, interface="127.0.0.1")
    others = {MAGIC: world.server.connections}
    listening: Any = await SharedPort(world.reactor, tcp, HTTP2_PREFACE, others).listen(speaks_grpc)
    world.port = listening.getHost().port
    world.channel.startService()
    await world.connected()

    def by_grpc() -> bytes:
        with grpc.insecure_channel(f"127.0.0.1:{world.port}") as channel:
            answer: bytes = channel.unary_unary("/Parrot/Say")(b"by gRPC", timeout=SOON)
            return answer

    assert await deferToThread(by_grpc) == b"by gRPC"
    assert await world.channel.call(ECHO, b"by frames", SOON) == b"by frames"
    await deferToThread(server.stop(0).wait)
    await maybeDeferred(listening.stopListening)
