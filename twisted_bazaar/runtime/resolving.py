"""Resolves host names on threads that no exit waits for.

The system's resolver blocks, for half a minute and longer if the name server is silent, and
cannot be cancelled. Twisted's own threads are joined when the reactor stops.
"""

import socket
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IReactorFromThreads,
    IResolutionReceiver,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from .threads import Threads

__all__ = ["Resolver"]

_THREADS = 8
"""Names that are resolved at a time. Further names wait."""

Question = tuple[str, int, int]
Found = Sequence[Any]
"""What `socket.getaddrinfo` returns."""


@implementer(IHostnameResolver)
class Resolver:
    """Resolves names as the system does. All calls for one name share one query while it is under
    way, also calls that were given up."""

    def __init__(
        self,
        reactor: IReactorFromThreads,
        resolve: Callable[[str, int, int, int], Found] = socket.getaddrinfo,
    ) -> None:
        self._reactor = reactor
        self._resolve = resolve
        self._waiting: dict[Question, list[IResolutionReceiver]] = {}
        """The receivers that wait for each query under way."""
        self._threads: Threads | None = None

    def resolveHostName(  # noqa: N802 - IHostnameResolver's
        self,
        resolutionReceiver: IResolutionReceiver,  # noqa: N803
        hostName: str,  # noqa: N803
        portNumber: int = 0,  # noqa: N803
        addressTypes: Sequence[type[IAddress]] | None = None,  # noqa: N803
        transportSemantics: str = "TCP",  # noqa: N803
    ) -> IHostResolution:
        """As in IHostnameResolver: a name that cannot be resolved has no addresses."""
        if self._threads is None:
            # Not earlier: threads would not survive twistd's fork.
            self._threads = Threads(_THREADS, "names")
            self._threads.start()
        resolution = _Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        question = hostName, portNumber, _family(addressTypes)
        waiting = self._waiting.setdefault(question, [])
        waiting.append(resolutionReceiver)
        if len(waiting) == 1:
            resolved = self._threads.defer(
                self._reactor, self._resolve, *question, socket.SOCK_STREAM
            )
            resolved.addErrback(self._not_found).addCallback(self._found, question)
        return resolution

    def _not_found(self, failure: Failure) -> Found:
        # UnicodeError: the name cannot be encoded.
        failure.trap(OSError, UnicodeError)
        return ()

    def _found(self, found: Found, question: Question) -> None:
        for receiver in self._waiting.pop(question):
            for family, _, _, _, address in found:
                kind: Any = {socket.AF_INET: IPv4Address, socket.AF_INET6: IPv6Address}.get(family)
                if kind is not None:
                    receiver.addressResolved(kind("TCP", *address))
            receiver.resolutionComplete()


def _family(kinds: Sequence[type[IAddress]] | None) -> int:
    if kinds is None or {IPv4Address, IPv6Address} <= set(kinds):
        return socket.AF_UNSPEC
    return socket.AF_INET6 if IPv6Address in kinds else socket.AF_INET


@implementer(IHostResolution)
class _Resolution:
    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> NoReturn:
        """The system's resolver cannot be cancelled."""
        raise NotImplementedError
