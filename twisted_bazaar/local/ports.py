"""Ports that stay reserved while the process that listens on them restarts.

`twistd bazaar` passes the addresses of all processes to each of them, so another program must not
take one of their ports during a restart. On Linux it is enough to bind a port without listening:
no other program can bind it, no outgoing connection gets it, a client is refused at once, and yet
a child that sets SO_REUSEADDR, as Twisted, gRPC and Redis do, can listen there. On other systems
two sockets cannot share an address in this way, and a port is only chosen here.
"""

import errno
import socket
import sys

from twisted_bazaar.errors import Unusable
from twisted_bazaar.runtime.address import Address

__all__ = ["Ports"]

LOOPBACK = "127.0.0.1"


class Ports:
    """The ports that this process has reserved, until `release` or its end."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []

    def reserve(self, preferred: int) -> Address:
        """Reserve a port on the loopback address: `preferred` if it is free, else another."""
        try:
            return self._bind(LOOPBACK, preferred, share=False)
        except OSError:
            return self._bind(LOOPBACK, 0, share=False)

    def reserve_public(self, host: str, port: int) -> Address:
        """Reserve `port`, or any free one if it is 0. Raises `Unusable` if it cannot be had.

        `host` is the interface to listen on, an IPv4 or IPv6 address; empty: all.
        """
        try:
            # SO_REUSEADDR from the start: connections of an earlier run may linger on the port.
            return self._bind(host, port, share=True)
        except OverflowError:
            raise Unusable(f"port {port} is not a number from 0 to 65535") from None
        except OSError as why:
            where = f"port {port} of {host or 'this machine'}"
            if why.errno == errno.EADDRINUSE:
                raise Unusable(f"{where} is taken by another process") from None
            raise Unusable(f"{where} cannot be listened on: {why.strerror}") from None

    def release(self) -> None:
        """Give up all ports. Harmless the second time."""
        while self._sockets:
            self._sockets.pop().close()

    def _bind(self, host: str, port: int, *, share: bool) -> Address:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # Python's sockets are not inherited by children.
        held = socket.socket(family, socket.SOCK_STREAM)
        try:
            if share:
                held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind((host, port))
        except BaseException:
            held.close()
            raise
        # Only after an exclusive bind has shown that the port is free: now a child may bind it.
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        address = Address(*held.getsockname()[:2])
        if sys.platform == "linux":
            self._sockets.append(held)
        else:
            held.close()
        return address
