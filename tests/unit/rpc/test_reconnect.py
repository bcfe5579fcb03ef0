"""A service that is reached by name is found again at another address."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from twisted_bazaar.errors import Unavailable
from twisted_bazaar.rpc.reconnect import RENEW_SECONDS, ReconnectingChannel
from twisted_bazaar.rpc.status import abort_with
from twisted_bazaar.runtime.address import Address

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
DEADLINE = grpc.StatusCode.DEADLINE_EXCEEDED


class Failure(grpc.RpcError):
    def __init__(self, code: grpc.StatusCode) -> None:
        self.code = lambda: code
        self.trailing_metadata = lambda: None


class Channel:
    """Answers with its number, or fails."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.failure: Failure | None = None
        self.closed = False

    def unary_unary(self, method: str) -> Any:
        def call(request: str, timeout: float | None, metadata: object) -> str:
            if self.failure is not None:
                raise self.failure
            return f"{self.number}: {method} {request} {timeout}"

        return call

    def close(self) -> None:
        self.closed = True


class World:
    def __init__(self, host: str = "order-3") -> None:
        self.now = 100.0
        self.made: list[Channel] = []
        self.channel = ReconnectingChannel(Address(host, 7001), self.make, lambda: self.now)
        self.say = self.channel.unary_unary("say")

    def make(self) -> Any:
        self.made.append(Channel(len(self.made) + 1))
        return self.made[-1]

    def fail(self, failure: Failure) -> None:
        self.made[-1].failure = failure
        with pytest.raises(Failure):
            self.say("hello", timeout=1)


@pytest.mark.parametrize("later", [RENEW_SECONDS, 1000.0])
def test_a_channel_that_does_not_reach_its_peer_is_replaced(later: float) -> None:
    world = World()
    assert world.say("hello", timeout=2) == "1: say hello 2"
    world.now += later
    world.fail(Failure(UNAVAILABLE))
    assert world.say("hello", timeout=2) == "2: say hello 2"
    assert [channel.closed for channel in world.made] == [True, False]


def test_a_new_channel_is_not_replaced_at_once() -> None:
    world = World()
    world.now += 10 * RENEW_SECONDS
    world.fail(Failure(UNAVAILABLE))
    world.now += 0.9 * RENEW_SECONDS
    world.fail(Failure(UNAVAILABLE))
    assert len(world.made) == 2
    world.now += 0.2 * RENEW_SECONDS
    world.fail(Failure(UNAVAILABLE))
    assert len(world.made) == 3


def test_a_slow_peer_keeps_its_channel() -> None:
    world = World()
    world.now += 10.0
    world.fail(Failure(DEADLINE))
    assert len(world.made) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.7", "::1", "fd00::7"])
def test_a_channel_to_a_numeric_address_is_kept(host: str) -> None:
    world = World(host)
    world.now += 10.0
    world.fail(Failure(UNAVAILABLE))
    assert len(world.made) == 1


def test_two_calls_that_fail_together_make_one_new_channel() -> None:
    world = World()
    world.now += 10.0
    first = world.made[0]
    world.channel.unreachable(first)  # type: ignore[arg-type]
    world.now += 10.0
    world.channel.unreachable(first)  # type: ignore[arg-type]
    assert len(world.made) == 2


def test_a_closed_channel_stays_closed() -> None:
    world = World()
    world.now += 10.0
    world.channel.close()
    world.fail(Failure(UNAVAILABLE))
    assert [channel.closed for channel in world.made] == [True]


# The same with gRPC itself, on loopback.

METHOD = "/bazaar.v1.Orders/Status"


class Real:
    """Channels to a port of `localhost`, which is a name, and when each was made."""

    def __init__(self, port: int) -> None:
        self.now = 100.0
        self.made = 0
        self.target = f"localhost:{port}"
        self.channel = ReconnectingChannel(Address("localhost", port), self.make, lambda: self.now)
        self.now += 10.0

    def make(self) -> grpc.Channel:
        self.made += 1
        return grpc.insecure_channel(self.target)

    def fail(self) -> grpc.StatusCode:
        with pytest.raises(grpc.RpcError) as failure:
            self.channel.unary_unary(METHOD)(b"", timeout=10.0)
        self.channel.close()
        raised: Any = failure.value
        code: grpc.StatusCode = raised.code()
        return code


@pytest.fixture
def server() -> Iterator[grpc.Server]:
    server = grpc.server(ThreadPoolExecutor(1))
    yield server
    server.stop(0).wait()


def test_a_refused_connection_makes_a_new_channel() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
    real = Real(port)
    assert real.fail() is UNAVAILABLE
    assert real.made == 2


def test_a_peer_that_answers_unavailable_keeps_its_channel(server: grpc.Server) -> None:
    def refuse(request: bytes, context: grpc.ServicerContext) -> bytes:
        abort_with(context, Unavailable("no lease"))

    rpc = grpc.unary_unary_rpc_method_handler(refuse)
    _, service, method = METHOD.split("/")
    handlers = grpc.method_handlers_generic_handler(service, {method: rpc})
    server.add_generic_rpc_handlers((handlers,))
    real = Real(server.add_insecure_port("localhost:0"))
    server.start()
    assert real.fail() is UNAVAILABLE
    assert real.made == 1
