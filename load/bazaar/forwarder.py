"""Forwards TCP connections to another address."""

import socket
from typing import Any, cast

from twisted.internet.interfaces import IAddress, IListeningPort, ITCPTransport
from twisted.protocols.portforward import ProxyFactory, ProxyServer

from twisted_bazaar.runtime.reactor import Reactor

__all__ = ["Forwarder"]

IP_TRANSPARENT = 19
"""From Linux's <linux/in.h>: the socket may have an address that is another host's."""


class Forwarder(ProxyFactory):
    """Connects each of its clients with `host`:`port`."""

    noisy = False

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self._made: list[ProxyServer] = []

    def listen_as(self, reactor: Reactor, host: str, port: int) -> IListeningPort:
        """Listen at `host`:`port`, the address of another host, for connections that are routed
        here. Needs the rights of a router. Raises OSError."""
        with socket.socket() as listening:
            listening.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((host, port))
            listening.listen()
            listening.setblocking(False)
            return reactor.adoptStreamPort(listening.fileno(), socket.AF_INET, cast(Any, self))

    def buildProtocol(self, addr: IAddress | None) -> ProxyServer | None:
        protocol = super().buildProtocol(addr)
        if protocol is not None:
            self._made.append(protocol)
        return protocol

    def abort(self) -> None:
        """Abort all connections."""
        for protocol in self._made:
            cast(ITCPTransport, protocol.transport).abortConnection()
        self._made.clear()
