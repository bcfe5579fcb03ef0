"""Sends pushes to front-ends in frames: on one connection to each, which is kept open.

A push is written in the turn of the reactor in which it is sent. One that is long is announced
first, in the same turn, as a front-end keeps little of what comes from a caller that it does not
know (see `rpc.push.announcement`).
"""

from collections import OrderedDict
from functools import partial
from random import Random

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall

from twisted_bazaar.rpc.figures import CallFigures
from twisted_bazaar.rpc.frames.channel import FrameChannel
from twisted_bazaar.rpc.frames.connection import BY_HTTP, FrameConnection
from twisted_bazaar.rpc.frames.greeter import FRONTEND, Greeter
from twisted_bazaar.rpc.push import (
    ANNOUNCEMENT_KIND,
    MAX_REPLY_BYTES,
    MAX_UNANNOUNCED_BYTES,
    PUSH_KIND,
    PUSH_METHOD,
    announcement,
)
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.tcp import client_endpoint
from twisted_bazaar.security.contexts import Certificates
from twisted_bazaar.security.roles import Kind, Role

__all__ = ["KEEP_SECONDS", "MAX_CHANNELS", "PushFrames"]

MAX_CHANNELS = 256
"""As many front-ends may subscribe. Of more, the one is closed that was used least recently."""
KEEP_SECONDS = 10.0
"""For how long, at least, a channel stays that brings no push: the front-end has no subscription.
While it has one, pushes go out several times in each lease."""


class PushFrames(Service):
    """The channels to the front-ends that take pushes in frames."""

    def __init__(
        self,
        reactor: Reactor,
        secret: bytes,
        greeter: Greeter,
        random: Random,
        figures: CallFigures | None = None,
        certificates: Certificates | None = None,
    ) -> None:
        """`secret` is the cluster's; empty: none. `figures` count the pushes. None of
        `certificates`: in plain text."""
        self._certificates = certificates
        self._figures = None if figures is None else {PUSH_KIND: figures.of(PUSH_METHOD)}
        self._reactor = reactor
        self._secret = secret
        self._greeter = greeter
        self._random = random
        self._channels: OrderedDict[Address, FrameChannel] = OrderedDict()
        """The least recently used first."""
        self._used: set[Address] = set()
        """Those of the last `KEEP_SECONDS` or less."""
        self._closing: set[Deferred[None]] = set()
        self._sweeping = LoopingCall(self._sweep)
        self._sweeping.clock = reactor

    def startService(self) -> None:
        super().startService()
        self._sweeping.start(KEEP_SECONDS, now=False)

    def stopService(self) -> Deferred[None]:
        """The pushes on their way fail. Fires when all connections have ended."""
        super().stopService()
        self._sweeping.stop()
        for address in tuple(self._channels):
            self._close(address)
        return gatherResults(self._closing).addCallback(lambda _: None)

    def push(
        self, address: Address, token: str, body: bytes, signature: bytes, timeout: float
    ) -> Deferred[bytes]:
        """Send the push with this body to the front-end at `address`. Fires with the body of the
        answer, or fails as `FrameChannel.call` does: with `NotFrames` if it is to be sent over
        HTTP. `token` is that of the subscription."""
        channel = self._channel(address)
        if not (channel.connected or channel.lacks_frames):
            # A front-end that was restarted has subscribed again: it is up.
            channel.retry()
        if len(body) > MAX_UNANNOUNCED_BYTES - len(signature):
            announced = announcement(self._secret, token, len(body), signature)
            # If it is refused, so is the push.
            channel.call(ANNOUNCEMENT_KIND, announced, timeout).addErrback(lambda _: None)
        return channel.call(PUSH_KIND, signature + body, timeout)

    def _channel(self, address: Address) -> FrameChannel:
        self._used.add(address)
        channel = self._channels.get(address)
        if channel is not None:
            self._channels.move_to_end(address)
            return channel
        if len(self._channels) >= MAX_CHANNELS:
            self._close(next(iter(self._channels)))
        peer = f"front-end {address}"
        endpoint = client_endpoint(self._reactor, address)
        if self._certificates is not None:
            endpoint = self._certificates.client(endpoint, Role(Kind.FRONTEND))
        connection = FrameConnection(
            self._reactor,
            endpoint,
            peer,
            partial(self._greeter.greeting, FRONTEND, 0),
            partial(self._greeter.mistake, FRONTEND, 0),
            self._random,
            BY_HTTP,
            MAX_REPLY_BYTES,
        )
        channel = self._channels[address] = FrameChannel(
            self._reactor, connection, peer, self._figures
        )
        channel.startService()
        return channel

    def _sweep(self) -> None:
        for address in [each for each in self._channels if each not in self._used]:
            self._close(address)
        self._used.clear()

    def _close(self, address: Address) -> None:
        closed = self._channels.pop(address).stopService()
        self._closing.add(closed)
        closed.addCallback(lambda _: self._closing.discard(closed))
