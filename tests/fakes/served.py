"""A front-end that listens on a real port, and clients that send it bytes.

Importing this module imports Klein, and so installs the reactor: only test modules may.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest_twisted
from twisted.internet.defer import maybeDeferred
from twisted.internet.threads import deferToThread

from .frontend_world import FrontEnd


@dataclass
class Served:
    """A front-end that listens, and a client that sends it bytes."""

    frontend: FrontEnd
    port: int

    @property
    def asked(self) -> list[object]:
        return self.frontend.bazaar.asked

    def client(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    async def run(self, talk: Callable[[socket.socket], Any]) -> Any:
        """Let `talk` have a connection, on a thread, while the reactor runs."""

        def connected() -> Any:
            with self.client() as client:
                return talk(client)

        return await deferToThread(connected)

    async def send(self, *pieces: bytes) -> bytes:
        """What the site answers until it closes, to a client that first sends everything."""

        def talk(client: socket.socket) -> bytes:
            for piece in pieces:
                client.sendall(piece)
            return read_all(client)

        answered = await self.run(talk)
        assert isinstance(answered, bytes)
        return answered


def read_all(client: socket.socket) -> bytes:
    answered = []
    while received := client.recv(65536):
        answered.append(received)
    return b"".join(answered)


@contextmanager
def serving(frontend: FrontEnd) -> Iterator[Served]:
    """`frontend`, which was made with the process's reactor, on a port of this machine."""
    from twisted.internet import reactor

    port = reactor.listenTCP(0, frontend.site, 1024, "127.0.0.1")  # type: ignore[attr-defined]
    yield Served(frontend, port.getHost().port)
    pytest_twisted.blockon(maybeDeferred(port.stopListening))
    pytest_twisted.blockon(frontend.site.drain())
