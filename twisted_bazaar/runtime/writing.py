"""Writes to a connection at once.

Twisted keeps what is written until its loop comes round, and sends it when the socket is reported
as writable. That takes two system calls and some forty function calls more for each message, and
all else that the turn does delays it. A socket nearly always has room, so it is tried first.
"""

from typing import Any

from twisted.internet.interfaces import ITCPTransport
from twisted.internet.tcp import Connection
from twisted.python.components import proxyForInterface

__all__ = ["AtOnce", "WritesNow", "write_now", "writes_now"]


class WritesNow:
    """A transport over another one, which can write at once if that can."""

    def write_now(self, data: bytes) -> None:
        """Like `write_now` of this module."""
        raise NotImplementedError


def writes_now(transport: Any) -> bool:
    """Whether `write_now` sends at once. Twisted's transport of TLS, for one, must be given its
    turn."""
    if isinstance(transport, Connection):
        return not transport.TLS
    return isinstance(transport, WritesNow)


def write_now(transport: Any, data: bytes) -> None:
    """Write `data` like `transport.write`; at once, if the transport can and nothing waits there
    already. An error of the socket is reported when Twisted tries again."""
    if isinstance(transport, Connection):
        if (
            not (transport.TLS or transport.disconnecting)
            and transport.connected
            # Both parts of Twisted's buffer. The first may keep what was sent up to `offset`.
            and not (transport._tempDataBuffer or transport.dataBuffer)
        ):
            try:
                sent = transport.socket.send(data)
            except OSError:
                sent = 0
            if sent == len(data):
                return
            data = data[sent:]
    elif isinstance(transport, WritesNow):
        transport.write_now(data)
        return
    transport.write(data)


class AtOnce(proxyForInterface(ITCPTransport, "below")):  # type: ignore[misc]
    """A transport for a protocol of a library, which writes in Twisted's way: what it writes leaves
    by `write_now`."""

    below: ITCPTransport

    def write(self, data: bytes) -> None:
        write_now(self.below, data)
