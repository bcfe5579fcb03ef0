"""gRPC calls to other processes: each blocks a thread of a pool, and fires a Deferred."""

from collections.abc import Callable, Collection
from functools import partial
from typing import TypeVar

import grpc
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from twisted_bazaar.errors import Unavailable
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.threads import Threads
from twisted_bazaar.security.contexts import Certificates
from twisted_bazaar.security.roles import Role

from . import keepalive
from .figures import CANCELLED, DEADLINE_EXCEEDED, OK, UNAVAILABLE, CallFigures, MethodFigures
from .reconnect import ReconnectingChannel, Rpc
from .status import error_of, number_in

__all__ = ["FORMER_SECONDS", "Channel", "Channels"]

FORMER_SECONDS = 60.0
"""For how long a channel with former certificates stays open: longer than any call."""

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

    def __init__(
        self,
        reactor: Reactor,
        threads: Threads,
        address: Address,
        figures: CallFigures | None,
        make: Callable[[], grpc.Channel],
    ) -> None:
        """`make` makes a channel of gRPC to `address`."""
        self._reactor = reactor
        self._figures = figures
        self._threads = threads
        self.address = address
        self.grpc = ReconnectingChannel(address, make, reactor.seconds)
        """The channel for stubs."""

    def call(
        self, ask: Callable[[float], Answer], timeout: float, rpc: object = None
    ) -> Deferred[Answer]:
        """Call `ask(seconds left)` on a thread, where it encodes, waits and decodes. The call is
        counted as one of `rpc`, a method of a stub that was made with `grpc`.

        Fails with a `BazaarError`: `Unavailable` if there is no answer within `timeout`
        seconds, the wait for a thread included. Cancelling gives up the answer; the call goes
        on until its timeout.
        """
        began = self._reactor.seconds()
        give_up = began + timeout
        status = OK

        def wait() -> Answer:
            nonlocal status
            left = give_up - self._reactor.seconds()
            if left <= 0:
                status = DEADLINE_EXCEEDED
                raise Unavailable(f"{self.address}: too many calls are under way")
            try:
                return ask(left)
            except grpc.RpcError as failure:
                status = number_in(failure)
                raise error_of(failure, self.address) from None
            except ValueError as closed:
                status = UNAVAILABLE
                # What gRPC raises if the channel has been closed.
                raise Unavailable(f"{self.address}: {closed}") from None

        answer = self._threads.defer(self._reactor, wait)
        if self._figures is not None and isinstance(rpc, Rpc):
            figures = self._figures.of_path(rpc.path)
            answer.addBoth(lambda answered: self._ended(answered, figures, status, began))
        return answer

    def _ended(
        self, answered: Answer | Failure, figures: MethodFigures, status: int, began: float
    ) -> Answer | Failure:
        given_up = isinstance(answered, Failure) and answered.check(CancelledError)
        figures.ended(CANCELLED if given_up else status, self._reactor.seconds() - began)
        return answered


class Channels(Service):
    """The channels of one process, and the threads that wait on them."""

    def __init__(
        self,
        reactor: Reactor,
        threads: int,
        figures: CallFigures | None = None,
        certificates: Certificates | None = None,
    ) -> None:
        """`threads` is the number of calls under way at a time; further ones queue. `figures` count
        the calls. None of `certificates`: in plain text."""
        self._reactor = reactor
        self._figures = figures
        self._threads = Threads(threads, "calls")
        self._channels: dict[tuple[Address, Role | None], Channel] = {}
        self._kept: Collection[Address] = ()
        self._sweep: IDelayedCall | None = None
        """Closes the channels to others than these."""
        self._certificates = certificates
        self._former: dict[grpc.Channel, IDelayedCall] = {}
        """Channels that were replaced, and when they are closed."""
        if certificates is not None:
            certificates.on_change(self._renew)

    def to(self, address: Address, role: Role | None = None) -> Channel:
        """The channel to `address`. With certificates, only a server with `role` is called."""
        key = address, role
        if key not in self._channels:
            make = partial(_connect, address, self._certificates, role)
            self._channels[key] = Channel(
                self._reactor, self._threads, address, self._figures, make
            )
        return self._channels[key]

    def keep_only(self, addresses: Collection[Address], seconds: float) -> None:
        """Close the channels to others than `addresses`, once the calls under way have had
        `seconds` to end."""
        self._kept = frozenset(addresses)
        if not (self._sweep and self._sweep.active()):
            self._sweep = self._reactor.callLater(seconds, self._close_others)

    def _close_others(self) -> None:
        for key in [each for each in self._channels if each[0] not in self._kept]:
            self._channels.pop(key).grpc.close()

    def allow(self, threads: int) -> None:
        """So many calls may be under way at a time from now on, if that is more than before."""
        self._threads.grow(threads)

    def _renew(self) -> None:
        """Call by other channels from now on, as the certificates are others."""
        if not self.running:
            return
        for channel in self._channels.values():
            former = channel.grpc.renew()
            self._former[former] = self._reactor.callLater(
                FORMER_SECONDS, self._close_former, former
            )

    def _close_former(self, former: grpc.Channel) -> None:
        del self._former[former]
        former.close()

    def startService(self) -> None:
        super().startService()
        self._threads.start()

    def stopService(self) -> None:
        super().stopService()
        if self._sweep and self._sweep.active():
            self._sweep.cancel()
        for former, closing in self._former.items():
            closing.cancel()
            former.close()
        self._former.clear()
        for channel in self._channels.values():
            channel.grpc.close()
        self._threads.stop()


def _connect(
    address: Address, certificates: Certificates | None, role: Role | None
) -> grpc.Channel:
    if certificates is None:
        return grpc.insecure_channel(str(address), options=_OPTIONS)
    assert role is not None, "with certificates, each server has a role"
    # gRPC finds this name in the server's certificate.
    options = (*_OPTIONS, ("grpc.ssl_target_name_override", role.host_name))
    pem = certificates.pem
    credentials = grpc.ssl_channel_credentials(pem.authorities, pem.key, pem.certificate)
    return grpc.secure_channel(str(address), credentials, options=options)
