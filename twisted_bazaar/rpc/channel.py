"""Calling out: a gRPC call is a Deferred, and waits on a thread of a pool made for it."""

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
    # Retries are ours to decide: an append or a trade is not sent twice behind our back.
    ("grpc.enable_retries", 0),
    # Who is asked for the address of a name may be silent; gRPC would wait for two minutes.
    ("grpc.dns_ares_query_timeout", 1000),
)


class Channel:
    """A connection to one service of another process, made again whenever it is lost."""

    def __init__(self, reactor: Reactor, threads: Threads, address: Address) -> None:
        self._reactor = reactor
        self._threads = threads
        self.address = address
        self.grpc = ReconnectingChannel(
            address,
            lambda: grpc.insecure_channel(str(address), options=_OPTIONS),
            reactor.seconds,
        )
        """What stubs are made of."""

    def call(self, ask: Callable[[float], Answer], timeout: float) -> Deferred[Answer]:
        """Have `ask(seconds left)` make a call on a thread: encode, wait, decode.

        Fails with a `BazaarError`: `Unavailable` if there is no answer within `timeout`
        seconds, of which waiting for a thread is part. Cancelling gives up waiting; the call
        itself goes on until its timeout.
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
                # What gRPC says of a channel that was closed meanwhile.
                raise Unavailable(f"{self.address}: {closed}") from None

        return self._threads.defer(self._reactor, wait)


class Channels(Service):
    """The channels of one process, and the threads that wait on them."""

    def __init__(self, reactor: Reactor, threads: int) -> None:
        """`threads` bounds the calls that are under way at a time; further ones queue."""
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
