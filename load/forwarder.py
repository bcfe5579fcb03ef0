"""Passes TCP connections on to another address."""

from typing import Any

from twisted.protocols.portforward import ProxyFactory

__all__ = ["Forwarder"]


class Forwarder(ProxyFactory):
    """Whoever connects talks with `host`:`port`."""

    noisy = False

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self._made: list[Any] = []

    def buildProtocol(self, addr: Any) -> Any:
        protocol = super().buildProtocol(addr)
        self._made.append(protocol)
        return protocol

    def abort(self) -> None:
        """Break off all connections."""
        for protocol in self._made:
            protocol.transport.abortConnection()
        self._made.clear()
