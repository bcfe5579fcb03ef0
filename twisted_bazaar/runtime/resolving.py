"""Addresses of names, found out on threads that no exit waits for.

The system's resolver blocks, for half a minute and longer if the name server is silent, and
cannot be told to give up. Twisted's own threads would be joined when the reactor stops.
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
)
from twisted.python.failure import Failure
from zope.interface import implementer

from .threads import Threads

__all__ = ["Resolver"]

_LOOKUPS = 8
"""At a time. Further names wait."""

Question = tuple[str, int, int]
Found = Sequence[Any]
"""What `socket.getaddrinfo` returns."""


@implementer(IHostnameResolver)
class Resolver:
    """Looks names up as the system does. A name is looked up once at a time, however often it is
    asked for, and given up, in the meantime."""

    def __init__(
        self,
        reactor: IReactorFromThreads,
        lookup: Callable[[str, int, int, int], Found] = socket.getaddrinfo,
    ) -> None:
        self._reactor = reactor
        self._lookup = lookup
        self._waiting: dict[Question, list[Any]] = {}
        """Who waits for each lookup that is under way."""
        self._threads: Threads | None = None

    def resolveHostName(  # noqa: N802 - IHostnameResolver's
        self,
        resolutionReceiver: Any,  # noqa: N803
        hostName: str,  # noqa: N803
        portNumber: int = 0,  # noqa: N803
        addressTypes: Sequence[type[IAddress]] | None = None,  # noqa: N803
        transportSemantics: str = "TCP",  # noqa: N803
    ) -> Any:
        """Tell an IResolutionReceiver; what cannot be resolved has no addresses."""
        if self._threads is None:
            # Not earlier: twistd may have forked.
            self._threads = Threads(_LOOKUPS, "names")
            self._threads.start()
        resolution = _Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        question = hostName, portNumber, _family(addressTypes)
        waiting = self._waiting.setdefault(question, [])
        waiting.append(resolutionReceiver)
        if len(waiting) == 1:
            looked_up = self._threads.defer(
                self._reactor, self._lookup, *question, socket.SOCK_STREAM
            )
            looked_up.addErrback(self._not_found).addCallback(self._found, question)
        return resolution

    def _not_found(self, failure: Failure) -> Found:
        # A name may also be one that cannot be encoded.
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
        """Not a thing that the system's resolver can do."""
        raise NotImplementedError
