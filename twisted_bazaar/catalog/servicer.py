"""The gRPC edge of a catalog. Lookups are answered on gRPC's threads, from the node's view."""

from typing import Any

import grpc
from twisted.internet.defer import succeed
from twisted.internet.interfaces import IReactorFromThreads

from ..errors import NotOurs, Unavailable
from ..market import Stock
from ..push import Subscription
from ..replication import messages
from ..rpc.bazaar.v1 import catalog_pb2, market_pb2
from ..rpc.bazaar.v1.catalog_pb2_grpc import CatalogServicer
from ..rpc.server import on_reactor
from ..rpc.status import abort_with
from ..rpc.wire import from_wire, lookup_to_wire, stock_to_wire, to_wire
from .node import CatalogNode

__all__ = ["Catalog"]

Context = grpc.ServicerContext


class Catalog(CatalogServicer):
    """What the leading order replica and the front-ends ask."""

    def __init__(self, reactor: IReactorFromThreads, node: CatalogNode) -> None:
        self._reactor = reactor
        self._node = node

    def _check_meant(self, request: Any, context: Context) -> None:
        """End the call if it is for a catalog of another cluster."""
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
        try:
            view = self._node.view()
        except Unavailable as error:
            abort_with(context, error)
        return lookup_to_wire(view.stocks, request, view.history)

    def Subscribe(
        self, request: catalog_pb2.SubscribeRequest, context: Context
    ) -> catalog_pb2.SubscribeReply:
        self._check_meant(request, context)
        subscription = Subscription(request.address, request.life, request.token)
        on_reactor(self._reactor, context, self._node.subscribe, subscription)
        return catalog_pb2.SubscribeReply()
