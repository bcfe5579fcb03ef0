"""Passes TCP connections on to another address."""

import socket
from typing import Any, cast

from twisted.protocols.portforward import ProxyFactory

from twisted_bazaar.runtime.reactor import Reactor

__all__ = ["Forwarder"]

IP_TRANSPARENT = 19
"""From Linux's <linux/in.h>: the socket may have an address that is another host's."""


class Forwarder(ProxyFactory):
    """Whoever connects talks with `host`:`port`."""

    noisy = False

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self._made: list[Any] = []

    def listen_as(self, reactor: Reactor, host: str, port: int) -> Any:
        """Take in connections to `host`:`port`, which is another's address, as far as they are
        routed to us; the listening port. Needs the rights of a router. Raises OSError."""
        with socket.socket() as listening:
            listening.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((host, port))
            listening.listen()
            listening.setblocking(False)
            return reactor.adoptStreamPort(listening.fileno(), socket.AF_INET, cast(Any, self))

    def buildProtocol(self, addr: Any) -> Any:
        protocol = super().buildProtocol(addr)
        self._made.append(protocol)
        return protocol

    def abort(self) -> None:
        """Break off all connections."""
        for protocol in self._made:
            protocol.transport.abortConnection()
        self._made.clear()
