"""The processes that an order replica calls: its peers and the catalogs.

They are called in frames, and by gRPC if they are of an earlier release. A call fails with
`Unusable` only if the entries to be sent cannot be read from this replica's log.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from twisted_bazaar.consensus.far_behind import Earlier, EarlierReply, Snapshot, SnapshotReply
from twisted_bazaar.consensus.messages import Apply, ApplyReply, Fetch, PeerReply, PeerRequest
from twisted_bazaar.errors import Malformed, Unavailable
from twisted_bazaar.market import Listing
from twisted_bazaar.rpc.bazaar.v1 import catalog_pb2
from twisted_bazaar.rpc.bazaar.v1.catalog_pb2_grpc import CatalogStub
from twisted_bazaar.rpc.bazaar.v1.replication_pb2_grpc import ReplicationStub
from twisted_bazaar.rpc.channel import Channel
from twisted_bazaar.rpc.frames.channel import FrameChannel, NotFrames
from twisted_bazaar.rpc.frames.exchanges import (
    APPLYING,
    FAR_BEHIND,
    REPLICATION,
    Blocking,
    Exchange,
    decode,
    decodes_at_once,
    encode,
    encodes_at_once,
)
from twisted_bazaar.rpc.stocks import stocks_from_wire
from twisted_bazaar.rpc.wire import from_wire, to_wire
from twisted_bazaar.timing import Timing

__all__ = ["Catalog", "Peer"]

T = TypeVar("T", bound=msgspec.Struct)

_Ways = Mapping[type[Any], tuple[Exchange, Callable[..., Any]]]
"""By type of request: the exchange, and the method of gRPC."""

Encoder = Callable[[Any], bytes]
"""`encode`, or what adds to it."""

_COPY_SECONDS = 120.0
_FETCH_SECONDS = 5.0
"""Bound for a fetch, which may read the log from a cold disk, for a listing, and for a snapshot."""


def _understand(reply: Any, kind: type[T]) -> T:
    """The message that a neighbour answered. Raises `Unavailable` if it is malformed."""
    try:
        return from_wire(reply, kind)
    except Malformed as error:
        raise Unavailable(f"a reply that makes no sense: {error}") from None


class _Called:
    """A process that is called in frames, or by gRPC if it is of an earlier release."""

    def __init__(
        self,
        frames: FrameChannel,
        channel: Channel,
        blocking: Blocking,
        exchanges: _Ways,
        encoder: Encoder,
    ) -> None:
        """`blocking` runs what would hold up the reactor. `exchanges` are by type of request.
        `encoder` makes the body of a frame."""
        self._frames = frames
        self._channel = channel
        self._blocking = blocking
        self._exchanges = exchanges
        self._encode = encoder

    @property
    def leaves_at_once(self) -> bool:
        """Whether a request is with the kernel when `ask` returns."""
        return self._frames.leaves_at_once

    @property
    def reached(self) -> bool:
        """Whether there is a connection, as far as that can be told."""
        return self._frames.connected or self._frames.lacks_frames

    def _call(self, message: Any, timeout: float) -> Deferred[Any]:
        exchange, _ = self._exchanges[type(message)]
        if encodes_at_once(message):
            body = self._frames.call(exchange.kind, self._encode(message), timeout)
        else:
            body = self._blocking(self._encode, message).addCallback(
                partial(self._frames.call, exchange.kind), timeout
            )
        return body.addCallbacks(
            self._answered, self._call_by_grpc, (exchange,), {}, (message, timeout)
        )

    def _answered(self, body: bytes, exchange: Exchange) -> Any:
        if decodes_at_once(body):
            return _decode_reply(body, exchange)
        return self._blocking(_decode_reply, body, exchange)

    def _call_by_grpc(self, failure: Failure, message: Any, timeout: float) -> Deferred[Any]:
        failure.trap(NotFrames)
        exchange, rpc = self._exchanges[type(message)]
        answer: Deferred[Any] = self._channel.call(
            lambda left: _understand(rpc(to_wire(message), timeout=left), exchange.reply),
            timeout,
            rpc,
        )
        return answer.addErrback(self._perhaps_upgraded)

    def _perhaps_upgraded(self, failure: Failure) -> Failure:
        # A process that is restarted may come back with frames.
        self._frames.retry()
        return failure


def _by_request(exchanges: Sequence[Exchange], stub: ReplicationStub | CatalogStub) -> _Ways:
    return {each.request: (each, getattr(stub, each.name)) for each in exchanges}


def _decode_reply(body: bytes, exchange: Exchange) -> Any:
    try:
        return decode(body, exchange.reply_body, exchange.reply)
    except Malformed as error:
        raise Unavailable(f"a reply that makes no sense: {error}") from None


class Peer(_Called):
    """Another order replica."""

    def __init__(
        self,
        frames: FrameChannel,
        channel: Channel,
        blocking: Blocking,
        timing: Timing,
        encoder: Encoder = encode,
    ) -> None:
        """`blocking` runs what would hold up the reactor."""
        ways = _by_request((*REPLICATION, *FAR_BEHIND), ReplicationStub(channel.grpc))
        super().__init__(frames, channel, blocking, ways, encoder)
        self._timeout = timing.election_timeout

    def ask(self, message: PeerRequest) -> Deferred[PeerReply]:
        """Send a request; answers with the reply, and never before this returns."""
        return self._call(message, _FETCH_SECONDS if isinstance(message, Fetch) else self._timeout)

    def ask_far_behind(self, message: Snapshot | Earlier) -> Deferred[SnapshotReply | EarlierReply]:
        """As `ask`, for what has left the log. The first answer may take long: the peer copies its
        index."""
        return self._call(message, _COPY_SECONDS)


class Catalog(_Called):
    """A catalog, which learns from the leader."""

    def __init__(
        self,
        frames: FrameChannel,
        channel: Channel,
        blocking: Blocking,
        timing: Timing,
        cluster: Callable[[], str] = lambda: "",
        encoder: Encoder = encode,
    ) -> None:
        """`blocking` runs what would hold up the reactor. `cluster` returns the name of this
        replica's cluster; it is called on any thread."""
        self._stub = CatalogStub(channel.grpc)
        super().__init__(frames, channel, blocking, _by_request(APPLYING, self._stub), encoder)
        self._cluster = cluster
        self._timeout = timing.election_timeout

    def ask(self, message: Apply) -> Deferred[ApplyReply]:
        """Send entries; answers with the reply, and never before this returns."""
        return self._call(message, self._timeout if message.snapshot is None else _FETCH_SECONDS)

    def listing(self, partition: int = 0) -> Deferred[Sequence[Listing]]:
        """The stocks in the catalog's file that are at home in `partition`, for its first leader to
        list. By gRPC."""
        ask = partial(self._ask_for_listing, partition)
        return self._channel.call(ask, _FETCH_SECONDS, self._stub.Listing)

    def _ask_for_listing(self, partition: int, timeout: float) -> Sequence[Listing]:
        request = catalog_pb2.ListingRequest(cluster=self._cluster(), partition=partition)
        reply = self._stub.Listing(request, timeout=timeout)
        stocks = stocks_from_wire(reply.stocks)
        return [Listing(stock.name, stock.price, stock.quantity) for stock in stocks]
