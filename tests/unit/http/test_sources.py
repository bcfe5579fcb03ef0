"""The connections of one client are bounded, and those of others are not closed for them."""

from collections.abc import Callable

import pytest
from twisted.internet.address import IPv4Address

from tests.fakes.frontend_world import Connection, FrontEnd
from twisted_bazaar.http.client_address import TrustedProxies, read_network
from twisted_bazaar.http.connections import Phase
from twisted_bazaar.http.sources import Sources, is_loopback

PING = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"
HERE = "198.51.100.7"


def nobody(address: str) -> bool:
    return False


def test_each_client_has_so_many_connections() -> None:
    sources = Sources(2, nobody)
    opened = [sources.opened(address) for address in ("a", "b", "a", "a", "b", "b")]
    assert opened == [True, True, True, False, True, False]


def test_one_that_was_closed_makes_room_and_one_that_was_refused_does_not() -> None:
    sources = Sources(1, nobody)
    assert sources.opened("a")
    assert not sources.opened("a")
    sources.closed("a")
    assert sources.opened("a")
    assert not sources.opened("a")


def test_who_has_no_connection_is_forgotten() -> None:
    sources = Sources(2, nobody)
    for number in range(100):
        sources.opened(f"198.51.100.{number}")
    assert len(sources) == 100
    for number in range(100):
        sources.closed(f"198.51.100.{number}")
    assert len(sources) == 0


def test_the_addresses_of_one_network_are_one_client() -> None:
    sources = Sources(1, nobody)
    assert sources.opened("2001:db8:0:5::7")
    assert not sources.opened("2001:db8:0:5:1::9")
    assert sources.opened("2001:db8:0:6::7")


def test_a_trusted_proxy_may_have_any_number() -> None:
    proxies = TrustedProxies([read_network("10.0.0.0/8")])
    sources = Sources(1, proxies.trusts)
    assert [sources.opened("10.1.2.3") for _ in range(3)] == [True] * 3
    assert [sources.opened("11.1.2.3") for _ in range(2)] == [True, False]


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("", True),
        ("203.0.113.9", False),
        ("fe80::1%eth0", False),
        ("0.0.0.0", False),
    ],
)
def test_what_is_of_this_machine_is_known(address: str, found: bool) -> None:
    assert is_loopback(address) is found


class World:
    """A site that bounds the connections of each address."""

    def __init__(self, most: int = 2, of_all: int = 100) -> None:
        self.frontend = FrontEnd(max_connections=of_all)
        self.site = self.frontend.site
        self.site.sources = Sources(most, nobody)

    def connect(self, address: str = HERE) -> Connection:
        return self.frontend.connect(IPv4Address("TCP", address, 4711))

    @property
    def refused(self) -> tuple[float, float]:
        figures = self.site.figures
        return figures.refused_connections.value, figures.refused_connections_of_one.value


def assert_served(connection: Connection) -> None:
    connection.transport.clear()
    connection.send(PING)
    assert connection.transport.value().endswith(b'{"data":"pong"}')


def test_a_connection_too_many_from_one_address_is_refused_and_others_are_served() -> None:
    world = World()
    first, second = world.connect(), world.connect()
    refused = world.connect()
    head, _, body = refused.transport.value().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
    assert b"\r\nRetry-After: 1" in head
    assert b"\r\nConnection: close\r\n" in head
    assert b'"reason":"too_many_connections"' in body
    assert world.refused == (0, 1)
    for connection in (first, second, world.connect("203.0.113.9")):
        assert_served(connection)


def test_once_one_is_closed_there_is_room() -> None:
    world = World()
    first, _ = world.connect(), world.connect()
    world.connect().hang_up()
    first.hang_up()
    assert_served(world.connect())
    assert world.refused == (0, 1)


@pytest.mark.parametrize("close", [Connection.hang_up, lambda each: each.channel.abort()])
def test_a_connection_counts_until_it_has_ended(close: Callable[[Connection], None]) -> None:
    world = World(most=1)
    connection = world.connect()
    close(connection)
    if connection.transport.aborting:
        connection.hang_up()
    assert len(world.site.sources or ()) == 0


def test_no_other_connection_is_closed_for_one_that_is_refused() -> None:
    world = World(most=1, of_all=2)
    idle, own = world.connect("203.0.113.9"), world.connect()
    for _ in range(10):
        refused = world.connect()
        assert refused.transport.aborting
        refused.hang_up()
    assert world.site.connections.phase(idle.channel) is Phase.IDLE
    assert world.refused == (0, 10)
    assert_served(idle)
    assert_served(own)


def test_the_access_log_is_asked_for_no_request() -> None:
    world = World(most=1)
    world.connect()
    world.connect()
    assert world.site.figures.requests.values == {}
