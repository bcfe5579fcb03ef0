"""The gRPC service of a catalog. Runs on the reactor; the whole market is encoded on a thread."""

from typing import Any

from twisted.internet.defer import Deferred, DeferredLock, TimeoutError

from twisted_bazaar.consensus import messages
from twisted_bazaar.errors import NotOurs, Overloaded
from twisted_bazaar.market import Stock
from twisted_bazaar.rpc.bazaar.v1 import catalog_pb2, market_pb2
from twisted_bazaar.rpc.bazaar.v1.catalog_pb2_grpc import CatalogServicer
from twisted_bazaar.rpc.catalog_status import status_to_wire
from twisted_bazaar.rpc.serving.context import Context
from twisted_bazaar.rpc.status import abort_with
from twisted_bazaar.rpc.stocks import stock_to_wire
from twisted_bazaar.rpc.wire import (
    from_wire,
    lookup_to_wire,
    subscription_from_wire,
    to_wire,
)
from twisted_bazaar.runtime.reactor import Reactor

from .admission import Admission
from .node import CatalogNode, Found
from .partitions import Partitions

__all__ = ["Catalog"]

_TURN_SECONDS = 5.0
"""How long a request for the whole market waits for those before it, at most."""

_Request = (
    catalog_pb2.CatalogStatusRequest
    | catalog_pb2.ListingRequest
    | catalog_pb2.SubscribeRequest
    | market_pb2.LookupRequest
)
"""A request that names the cluster, and the partition of it, that it is meant for."""


class Catalog(CatalogServicer):
    """What the leader (Apply, Listing) and front-ends (Lookup, Subscribe, Status) call."""

    def __init__(self, reactor: Reactor, partitions: Partitions, admission: Admission) -> None:
        self._reactor = reactor
        self._partitions = partitions
        self._admission = admission
        self._whole_market = DeferredLock()

    def _node(self, request: _Request, context: Context) -> CatalogNode:
        """The node that `request` is for. Aborts the call if it is for a catalog of another
        cluster. Raises `NotOurs` if there is no such partition."""
        node = self._partitions.node(request.partition)
        refusal = node.not_meant(request.cluster)
        if refusal is not None:
            abort_with(context, NotOurs(refusal))
        return node

    async def Apply(self, request: catalog_pb2.ApplyRequest, context: Context) -> Any:
        return to_wire(await self._partitions.apply(from_wire(request, messages.Apply)))

    def Listing(self, request: catalog_pb2.ListingRequest, context: Context) -> Any:
        listing = self._node(request, context).listing()

        def encode() -> bytes:
            stocks = (Stock(each.name, each.price, each.quantity, 0, 0) for each in listing)
            return catalog_pb2.ListingReply(stocks=map(stock_to_wire, stocks)).SerializeToString()

        return context.defer(encode)

    def Lookup(self, request: market_pb2.LookupRequest, context: Context) -> Any:
        node = self._node(request, context)
        if request.all:
            return self._look_up_all(node, request, context)
        found = node.look_up(request.names, request.partial)
        if isinstance(found, Deferred):
            return found.addCallback(_found_to_wire, request)
        return _found_to_wire(found, request)

    async def _look_up_all(
        self, node: CatalogNode, request: market_pb2.LookupRequest, context: Context
    ) -> bytes:
        """The whole market takes long to encode: one at a time."""
        await node.may_show_all()
        wait = min(context.time_remaining() or _TURN_SECONDS, _TURN_SECONDS)
        try:
            await self._whole_market.acquire().addTimeout(wait, self._reactor)
        except TimeoutError:
            raise Overloaded("too many requests for the whole market are waiting") from None
        try:
            view = node.view()
            return await context.defer(
                lambda: lookup_to_wire(
                    view.stocks, request, view.history, view.upto, view.whole_before
                ).SerializeToString()
            )
        finally:
            self._whole_market.release()

    def Subscribe(
        self, request: catalog_pb2.SubscribeRequest, context: Context
    ) -> catalog_pb2.SubscribeReply:
        node = self._node(request, context)
        subscription = subscription_from_wire(request)
        self._admission.check(subscription, request.proof, context.peer())
        if self._admission.knows(subscription.life):
            return catalog_pb2.SubscribeReply(kept_out=0.0)
        left = node.subscribe(subscription)
        if not left:
            self._admission.took(subscription.life)
        return catalog_pb2.SubscribeReply(kept_out=left)

    def Status(
        self, request: catalog_pb2.CatalogStatusRequest, context: Context
    ) -> catalog_pb2.CatalogStatusReply:
        return status_to_wire(self._node(request, context).status())


def _found_to_wire(found: Found, request: market_pb2.LookupRequest) -> market_pb2.LookupReply:
    stocks = found.view.stocks
    if found.held:
        shown = set(request.names).difference(found.held)
        stocks = {name: stocks[name] for name in shown if name in stocks}
    reply = lookup_to_wire(stocks, request, found.view.history)
    reply.held.extend(found.held)
    return reply
