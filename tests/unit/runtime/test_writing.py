"""Writes to a connection at once."""

import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Connection
from twisted.internet.testing import MemoryReactor, StringTransport

from twisted_bazaar.runtime.writing import AtOnce, write_now, writes_now


class Pair:
    """A connection of Twisted's, and the socket at the other end."""

    def __init__(self) -> None:
        near, self.far = socket.socketpair()
        self.far.setblocking(False)
        self.reactor = MemoryReactor()
        self.transport = Connection(near, Protocol(), cast(Any, self.reactor))
        self.transport.connected = True

    def received(self) -> bytes:
        received = b""
        try:
            while data := self.far.recv(1 << 20):
                received += data
        except BlockingIOError:
            pass
        return received

    @property
    def watched(self) -> bool:
        """Whether Twisted waits for the socket to be writable."""
        return self.transport in self.reactor.getWriters()


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.transport.socket.close()
    pair.far.close()


def test_what_is_written_leaves_at_once(pair: Pair) -> None:
    assert writes_now(pair.transport)
    write_now(pair.transport, b"first")
    write_now(pair.transport, b"second")
    assert pair.received() == b"firstsecond"
    assert not pair.watched


def test_it_leaves_after_what_waits_already(pair: Pair) -> None:
    pair.transport.write(b"first")
    write_now(pair.transport, b"second")
    assert pair.received() == b""
    assert pair.watched
    pair.transport.doWrite()
    write_now(pair.transport, b"third")
    assert pair.received() == b"firstsecondthird"


def test_what_the_socket_does_not_take_follows_in_order(pair: Pair) -> None:
    parts = [bytes([n]) * 100_000 for n in range(20)]
    for part in parts:
        write_now(pair.transport, part)
    received = pair.received()
    assert pair.watched
    assert len(received) < 2_000_000
    while pair.watched:
        pair.transport.doWrite()
        received += pair.received()
    assert received == b"".join(parts)


def test_a_connection_that_is_lost_is_reported_by_twisted(pair: Pair) -> None:
    pair.far.close()
    for _ in range(2):
        write_now(pair.transport, b"lost")
    assert pair.watched
    assert isinstance(pair.transport.doWrite(), Exception)


def test_a_connection_that_is_closing_or_closed_takes_nothing_at_once(pair: Pair) -> None:
    pair.transport.write(b"last")
    pair.transport.loseConnection()
    write_now(pair.transport, b"late")
    assert pair.received() == b""
    pair.transport.connected = False
    write_now(pair.transport, b"later")
    assert pair.received() == b""


def test_other_transports_are_written_to_as_ever() -> None:
    transport = StringTransport()
    assert not writes_now(transport)
    write_now(transport, b"said")
    assert transport.value() == b"said"


def test_tls_is_not_written_around(pair: Pair) -> None:
    written: list[bytes] = []
    transport: Any = pair.transport
    transport.TLS, transport.write = True, written.append
    assert not writes_now(transport)
    write_now(transport, b"secret")
    assert (written, pair.received()) == ([b"secret"], b"")


def test_what_a_library_writes_to_a_transport_at_once_leaves_at_once(pair: Pair) -> None:
    transport = AtOnce(pair.transport)
    transport.write(b"first")
    assert pair.received() == b"first"
    assert not pair.watched
    transport.loseConnection()
    assert pair.transport.disconnecting
