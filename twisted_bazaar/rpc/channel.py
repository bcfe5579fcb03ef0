"""gRPC calls to other processes: each blocks a thread of a pool, and fires a Deferred."""

from collections.abc import Callable
from typing import TypeVar

import grpc
from twisted.application.service import Service
from twisted.internet.defer import Deferred

from twisted_bazaar.errors import Unavailable
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.threads import Threads

from . import keepalive
from .reconnect import ReconnectingChannel
from .status import error_of

__all__ = ["Channel", "Channels"]

Answer = TypeVar("Answer")

_OPTIONS = (
    *keepalive.CALLER,
    # A peer that was restarted is found again in a fifth of a second; the defaults take
    # seconds (grpc#11277).
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    # No retries by gRPC: an append or a trade must not be sent twice unless its caller does so.
    ("grpc.enable_retries", 0),
    # A name server may be silent; gRPC would wait for two minutes.
    ("grpc.dns_ares_query_timeout", 1000),
)


class Channel:
    """A connection to a service of another process, which is made again when it is lost."""

    def __init__(self, reactor: Reactor, threads: Threads, address: Address) -> None:
        self._reactor = reactor
        self._threads = threads
        self.address = address
        self.grpc = ReconnectingChannel(
            address,
            lambda: grpc.insecure_channel(str(address), options=_OPTIONS),
            reactor.seconds,
        )
        """The channel for stubs."""

    def call(self, ask: Callable[[float], Answer], timeout: float) -> Deferred[Answer]:
        """Call `ask(seconds left)` on a thread, where it encodes, waits and decodes.

        Fails with a `BazaarError`: `Unavailable` if there is no answer within `timeout`
        seconds, the wait for a thread included. Cancelling gives up the answer; the call goes
        on until its timeout.
        """
        give_up = self._reactor.seconds() + timeout

        def wait() -> Answer:
            left = give_up - self._reactor.seconds()
            if left <= 0:
                raise Unavailable(f"{self.address}: too many calls are under way")
            try:
                return ask(left)
            except grpc.RpcError as failure:
                raise error_of(failure, self.address) from None
            except ValueError as closed:
                # What gRPC raises if the channel has been closed.
                raise Unavailable(f"{self.address}: {closed}") from None

        return self._threads.defer(self._reactor, wait)


class Channels(Service):
    """The channels of one process, and the threads that wait on them."""

    def __init__(self, reactor: Reactor, threads: int) -> None:
        """`threads` is the number of calls under way at a time; further ones queue."""
        self._reactor = reactor
        self._threads = Threads(threads, "calls")
        self._channels: dict[Address, Channel] = {}

    def to(self, address: Address) -> Channel:
        """The channel to `address`."""
        if address not in self._channels:
            self._channels[address] = Channel(self._reactor, self._threads, address)
        return self._channels[address]

    def startService(self) -> None:
        super().startService()
        self._threads.start()

    def stopService(self) -> None:
        super().stopService()
        for channel in self._channels.values():
            channel.grpc.close()
        self._threads.stop()
