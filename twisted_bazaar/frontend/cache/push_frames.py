"""Receives pushes in frames, on the internal endpoint, beside those over HTTP (`invalidation`).

As over HTTP, a caller that has not shown that it knows the key of the pushes can have little kept:
a longer push is received only if the request before it, which is signed, announced its length.
"""

from collections.abc import Callable
from random import Random

from twisted.internet.interfaces import IReactorTime

from twisted_bazaar.errors import Malformed, NotAuthorised
from twisted_bazaar.metrics.figures import Counter
from twisted_bazaar.rpc.figures import CallFigures
from twisted_bazaar.rpc.frames.greeter import FRONTEND, Greeter
from twisted_bazaar.rpc.frames.server import Announced, Bounds, FrameServer, Method
from twisted_bazaar.rpc.push import (
    ANNOUNCEMENT_KIND,
    ANNOUNCEMENT_METHOD,
    MAX_PUSH_BYTES,
    MAX_UNANNOUNCED_BYTES,
    PUSH_KIND,
    PUSH_METHOD,
    SIGNATURE_BYTES,
    encode,
)

from .signed_pushes import NOT_SIGNED, SignedPushes

__all__ = ["BOUNDS", "push_frames"]

_CONNECTIONS = 64
"""Many times the number of catalogs."""

BOUNDS = Bounds(
    connections=_CONNECTIONS,
    held=2 * MAX_PUSH_BYTES + _CONNECTIONS * MAX_UNANNOUNCED_BYTES,
    body=MAX_UNANNOUNCED_BYTES,
)
"""Of what is not announced, 1 MiB is kept, over all connections; with what is, 13 MiB."""


def push_frames(
    pushes: SignedPushes,
    reactor: IReactorTime,
    cluster: Callable[[], str],
    random: Random,
    refused: Counter | None = None,
    figures: CallFigures | None = None,
) -> FrameServer:
    """The server of a front-end of the cluster that `cluster` returns; empty: it knows none yet.
    `refused` counts the pushes that are refused, and `figures` all."""
    count = Counter() if refused is None else refused
    counted = None if figures is None else figures.of(PUSH_METHOD)

    def take(body: bytes) -> bytes:
        try:
            return encode(pushes.take(body[SIGNATURE_BYTES:], body[:SIGNATURE_BYTES]))
        except (Malformed, NotAuthorised):
            count.value += 1
            raise

    def announced(body: bytes) -> Announced:
        try:
            length = pushes.announced(body)
        except NotAuthorised:
            count.value += 1
            raise
        if length > MAX_PUSH_BYTES:
            count.value += 1
            raise NotAuthorised(NOT_SIGNED)
        return Announced(SIGNATURE_BYTES + length)

    methods = {
        PUSH_KIND: Method("a push", take, counted, PUSH_METHOD),
        ANNOUNCEMENT_KIND: Method(
            "the announcement of a push", announced, path=ANNOUNCEMENT_METHOD
        ),
    }
    greeter = Greeter(FRONTEND, 0, cluster)
    return FrameServer(reactor, methods, greeter.welcome, random, BOUNDS)
