"""A gRPC channel that soon reaches a service whose name has got another address.

While a container or machine is down, its name has no address, and afterwards it may have another
one. gRPC resolves it again less and less often, up to every two minutes, and no option changes
that; a new channel resolves it at once.
"""

import ipaddress
from collections.abc import Callable
from threading import Lock
from typing import Any

import grpc

from twisted_bazaar.runtime.address import Address

from .status import said_by_peer

__all__ = ["RENEW_SECONDS", "ReconnectingChannel", "Rpc"]

RENEW_SECONDS = 1.0
"""How long a channel may take to reach its peer before another one is made."""


class ReconnectingChannel:
    """The part of `grpc.Channel` that a stub uses, over a channel that is replaced while its peer
    cannot be reached by name. May be used on any thread.
    """

    def __init__(
        self, address: Address, make: Callable[[], grpc.Channel], seconds: Callable[[], float]
    ) -> None:
        """`make` makes a channel to `address`; `seconds` is a monotonic clock."""
        self._make = make
        self._seconds = seconds
        self._named = _is_name(address.host)
        self._lock = Lock()
        self._closed = False
        self._made_at = seconds()
        self.current = make()

    def unary_unary(self, path: str, *args: Any, **kwargs: Any) -> "Rpc":
        """As of a `grpc.Channel`; what it returns takes a request, a timeout and metadata."""
        return Rpc(self, path, lambda channel: channel.unary_unary(path, *args, **kwargs))

    def unreachable(self, channel: grpc.Channel) -> None:
        """`channel` did not reach its peer."""
        with self._lock:
            young = self._seconds() - self._made_at < RENEW_SECONDS
            if channel is not self.current or young or self._closed or not self._named:
                return
            self._made_at = self._seconds()
            self.current = self._make()
        # No call is lost: a channel has one connection, and this one has none.
        channel.close()

    def renew(self) -> grpc.Channel:
        """Call by a new channel from now on. Returns the former one, on which calls may be under
        way."""
        with self._lock:
            former, self.current = self.current, self._make()
            self._made_at = self._seconds()
            return former

    def close(self) -> None:
        """Fail the calls under way, and take no more."""
        with self._lock:
            self._closed = True
        self.current.close()


class Rpc:
    """A method of the peer, called over the current channel."""

    def __init__(
        self, channels: ReconnectingChannel, path: str, bind: Callable[[grpc.Channel], Any]
    ) -> None:
        self.path = path
        """`/package.Service/Method`."""
        self._channels = channels
        self._bind = bind
        self._bound = (channels.current, bind(channels.current))

    def __call__(
        self, request: Any, timeout: float | None = None, metadata: Any | None = None
    ) -> Any:
        channel, rpc = self._bound
        if channel is not self._channels.current:
            channel = self._channels.current
            rpc = self._bind(channel)
            self._bound = channel, rpc
        try:
            return rpc(request, timeout=timeout, metadata=metadata)
        except grpc.RpcError as failure:
            if _is_unavailable(failure) and not said_by_peer(failure):
                self._channels.unreachable(channel)
            raise


def _is_unavailable(failure: Any) -> bool:
    return failure.code() is grpc.StatusCode.UNAVAILABLE


def _is_name(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False
