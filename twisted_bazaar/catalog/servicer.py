"""The gRPC service of a catalog. Lookups are answered on gRPC's threads, from the node's view."""

from threading import Lock

import grpc
from twisted.internet.defer import Deferred, succeed

from twisted_bazaar.consensus import messages
from twisted_bazaar.errors import NotOurs, Overloaded
from twisted_bazaar.market import Stock
from twisted_bazaar.rpc.bazaar.v1 import catalog_pb2, market_pb2
from twisted_bazaar.rpc.bazaar.v1.catalog_pb2_grpc import CatalogServicer
from twisted_bazaar.rpc.push import Subscription
from twisted_bazaar.rpc.server import on_reactor
from twisted_bazaar.rpc.status import abort_with
from twisted_bazaar.rpc.wire import (
    from_wire,
    lookup_to_wire,
    stock_to_wire,
    subscription_from_wire,
    to_wire,
)
from twisted_bazaar.runtime.reactor import Reactor

from .admission import Admission
from .node import CatalogNode

__all__ = ["Catalog"]

_TURN_SECONDS = 5.0
"""How long a request for the whole market waits for those before it, at most."""

Context = grpc.ServicerContext

_Request = catalog_pb2.ListingRequest | catalog_pb2.SubscribeRequest | market_pb2.LookupRequest
"""A request that names the cluster that it is meant for."""


class Catalog(CatalogServicer):
    """What the leader (Apply, Listing) and front-ends (Lookup, Subscribe) call."""

    def __init__(self, reactor: Reactor, node: CatalogNode, admission: Admission) -> None:
        self._reactor = reactor
        self._node = node
        self._admission = admission
        self._whole_market = Lock()

    def _check_meant(self, request: _Request, context: Context) -> None:
        """Abort the call if it is for a catalog of another cluster."""
        refusal = self._node.not_meant(request.cluster)
        if refusal is not None:
            abort_with(context, NotOurs(refusal))

    def Apply(self, request: catalog_pb2.ApplyRequest, context: Context) -> catalog_pb2.ApplyReply:
        message = from_wire(request, messages.Apply)
        reply: catalog_pb2.ApplyReply = to_wire(
            on_reactor(self._reactor, context, self._node.apply, message)
        )
        return reply

    def Listing(
        self, request: catalog_pb2.ListingRequest, context: Context
    ) -> catalog_pb2.ListingReply:
        self._check_meant(request, context)
        listing = on_reactor(self._reactor, context, lambda: succeed(self._node.listing()))
        stocks = (Stock(each.name, each.price, each.quantity, 0, 0) for each in listing)
        return catalog_pb2.ListingReply(stocks=map(stock_to_wire, stocks))

    def Lookup(self, request: market_pb2.LookupRequest, context: Context) -> market_pb2.LookupReply:
        self._check_meant(request, context)
        if not request.all:
            view = self._node.view()
            return lookup_to_wire(view.stocks, request, view.history)
        # The whole market takes long to encode: one at a time, so that lookups get threads.
        wait = min(context.time_remaining() or _TURN_SECONDS, _TURN_SECONDS)
        if not self._whole_market.acquire(timeout=max(0.0, wait)):
            raise Overloaded("too many requests for the whole market are waiting")
        try:
            view = self._node.view()
            return lookup_to_wire(view.stocks, request, view.history, view.upto)
        finally:
            self._whole_market.release()

    def Subscribe(
        self, request: catalog_pb2.SubscribeRequest, context: Context
    ) -> catalog_pb2.SubscribeReply:
        self._check_meant(request, context)
        subscription = subscription_from_wire(request)
        self._admission.check(subscription, request.proof, context.peer())
        left = on_reactor(self._reactor, context, self._subscribe, subscription)
        return catalog_pb2.SubscribeReply(kept_out=left)

    def _subscribe(self, subscription: Subscription) -> Deferred[float]:
        """Fires with the seconds for which the front-end is kept out; 0: it is subscribed."""
        if self._admission.knows(subscription.life):
            return succeed(0.0)
        left = self._node.subscribe(subscription)
        if not left:
            self._admission.took(subscription.life)
        return succeed(left)
