"""Host names are resolved on threads that no exit joins, each once at a time."""

import socket
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address

from twisted_bazaar.runtime.resolving import Resolver

SOON = 10.0

V4 = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))
V6 = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", 80, 0, 0))
OTHER = (socket.AF_UNIX, socket.SOCK_STREAM, 0, "", "/nowhere")


class Receiver:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.addresses: list[Any] = []
        self.began = self.complete = False

    def resolutionBegan(self, resolution: Any) -> None:  # noqa: N802  # IResolutionReceiver's
        self.began = True

    def addressResolved(self, address: Any) -> None:  # noqa: N802
        self.addresses.append(address)

    def resolutionComplete(self) -> None:  # noqa: N802
        self.complete = True


class World:
    """A resolver of the system that answers when the test lets it, and a reactor's queue."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.free = threading.Event()
        self._answer = answer
        self._calls: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        self.resolver = Resolver(self, self._lookup)

    def _lookup(self, *question: Any) -> Any:
        self.asked.append(question)
        assert self.free.wait(SOON)
        return self._answer()

    def callFromThread(self, call: Any, *args: Any) -> None:
        self._calls.put((call, *args))

    def run(self) -> None:
        """What the reactor does next."""
        call, *args = self._calls.get(timeout=SOON)
        call(*args)

    def resolve(self, name: str, *args: Any) -> Receiver:
        receiver = Receiver()
        self.resolver.resolveHostName(receiver, name, 80, *args)
        return receiver


def test_calls_for_one_name_share_one_query() -> None:
    world = World(lambda: [V4, V6, OTHER])
    told = [world.resolve("order-1") for _ in range(100)]
    assert all(each.began and not each.complete for each in told)
    world.free.set()
    world.run()
    assert world.asked == [("order-1", 80, socket.AF_UNSPEC, socket.SOCK_STREAM)]
    addresses = [IPv4Address("TCP", "192.0.2.1", 80), IPv6Address("TCP", "2001:db8::1", 80)]
    assert all(each.complete and each.addresses == addresses for each in told)
    world.resolve("order-1")
    world.run()
    assert len(world.asked) == 2, "what was found is not remembered"


@pytest.mark.parametrize(
    ("kinds", "family"),
    [
        (None, socket.AF_UNSPEC),
        ([IPv6Address, IPv4Address], socket.AF_UNSPEC),
        ([IPv4Address], socket.AF_INET),
        ([IPv6Address], socket.AF_INET6),
    ],
)
def test_only_the_wanted_kind_of_address_is_resolved(kinds: Any, family: int) -> None:
    world = World(list)
    world.free.set()
    world.resolve("order-1", kinds)
    world.run()
    assert [question[2] for question in world.asked] == [family]


@pytest.mark.parametrize("why", [socket.gaierror(-2, "unknown"), UnicodeError("too long")])
def test_a_name_that_cannot_be_resolved_has_no_addresses(why: Exception) -> None:
    def fail() -> None:
        raise why

    world = World(fail)
    world.free.set()
    told = world.resolve("nobody")
    world.run()
    assert told.complete
    assert told.addresses == []


def test_no_exit_waits_for_a_query() -> None:
    world = World(list)
    world.resolve("silent")
    threads = [each for each in threading.enumerate() if each.name.startswith("names-")]
    assert threads
    assert all(each.daemon for each in threads)
    world.free.set()
