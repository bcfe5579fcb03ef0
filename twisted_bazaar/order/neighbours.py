"""The processes that an order replica calls: its peers and the catalogs.

A call fails with `Unusable` only if the entries to be sent cannot be read from this replica's log.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
from twisted.internet.defer import Deferred

from twisted_bazaar.consensus.messages import (
    Append,
    AppendReply,
    Apply,
    ApplyReply,
    Fetch,
    FetchReply,
    PeerReply,
    PeerRequest,
    Poll,
    PollReply,
    Vote,
    VoteReply,
)
from twisted_bazaar.errors import Malformed, Unavailable
from twisted_bazaar.market import Listing
from twisted_bazaar.rpc.bazaar.v1 import catalog_pb2
from twisted_bazaar.rpc.bazaar.v1.catalog_pb2_grpc import CatalogStub
from twisted_bazaar.rpc.bazaar.v1.replication_pb2_grpc import ReplicationStub
from twisted_bazaar.rpc.channel import Channel
from twisted_bazaar.rpc.wire import from_wire, stocks_from_wire, to_wire
from twisted_bazaar.timing import Timing

__all__ = ["Catalog", "Peer"]

T = TypeVar("T", bound=msgspec.Struct)

_FETCH_SECONDS = 5.0
"""Bound for a fetch, which may read the log from a cold disk, and for a listing."""


def _understand(reply: Any, kind: type[T]) -> T:
    """The message that a neighbour answered. Raises `Unavailable` if it is malformed."""
    try:
        return from_wire(reply, kind)
    except Malformed as error:
        raise Unavailable(f"a reply that makes no sense: {error}") from None


class Peer:
    """Another order replica."""

    def __init__(self, channel: Channel, timing: Timing) -> None:
        self._channel = channel
        self._timeout = timing.election_timeout
        stub = ReplicationStub(channel.grpc)
        self._rpcs: dict[type[PeerRequest], tuple[Any, type[PeerReply]]] = {
            Append: (stub.Append, AppendReply),
            Vote: (stub.Vote, VoteReply),
            Poll: (stub.Poll, PollReply),
            Fetch: (stub.Fetch, FetchReply),
        }

    def ask(self, message: PeerRequest) -> Deferred[PeerReply]:
        """Send a request; answers with the reply."""
        timeout = _FETCH_SECONDS if isinstance(message, Fetch) else self._timeout
        rpc, reply = self._rpcs[type(message)]
        return self._channel.call(
            lambda timeout: _understand(rpc(to_wire(message), timeout=timeout), reply), timeout
        )


class Catalog:
    """A catalog, which learns from the leader."""

    def __init__(
        self,
        channel: Channel,
        timing: Timing,
        cluster: Callable[[], str] = lambda: "",
    ) -> None:
        """`cluster` returns the name of this replica's cluster; it is called on any thread."""
        self._cluster = cluster
        self._channel = channel
        self._timeout = timing.election_timeout
        self._stub = CatalogStub(channel.grpc)

    def ask(self, message: Apply) -> Deferred[ApplyReply]:
        """Send entries; answers with the reply."""
        return self._channel.call(
            lambda timeout: _understand(
                self._stub.Apply(to_wire(message), timeout=timeout), ApplyReply
            ),
            self._timeout,
        )

    def listing(self) -> Deferred[Sequence[Listing]]:
        """The stocks in the catalog's file, for the first leader to list."""
        return self._channel.call(self._ask_for_listing, _FETCH_SECONDS)

    def _ask_for_listing(self, timeout: float) -> Sequence[Listing]:
        request = catalog_pb2.ListingRequest(cluster=self._cluster())
        reply = self._stub.Listing(request, timeout=timeout)
        stocks = stocks_from_wire(reply.stocks)
        return [Listing(stock.name, stock.price, stock.quantity) for stock in stocks]
