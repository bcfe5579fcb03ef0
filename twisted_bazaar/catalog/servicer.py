"""The gRPC edge of a catalog. Lookups are answered on gRPC's threads, from the node's view."""

import grpc
from twisted.internet.interfaces import IReactorFromThreads

from ..errors import Unavailable
from ..market import Stock
from ..replication import messages
from ..rpc.bazaar.v1 import catalog_pb2
from ..rpc.bazaar.v1.catalog_pb2_grpc import CatalogServicer
from ..rpc.server import on_reactor
from ..rpc.status import abort_with
from ..rpc.wire import from_wire, stock_to_wire, to_wire
from .node import CatalogNode

__all__ = ["Catalog"]

Context = grpc.ServicerContext


class Catalog(CatalogServicer):
    """What the leading order replica and the front-ends ask."""

    def __init__(self, reactor: IReactorFromThreads, node: CatalogNode) -> None:
        self._reactor = reactor
        self._node = node

    def Apply(self, request: catalog_pb2.ApplyRequest, context: Context) -> catalog_pb2.ApplyReply:
        message = from_wire(request, messages.Apply)
        reply: catalog_pb2.ApplyReply = to_wire(
            on_reactor(self._reactor, context, self._node.apply, message)
        )
        return reply

    def Listing(
        self, request: catalog_pb2.ListingRequest, context: Context
    ) -> catalog_pb2.ListingReply:
        stocks = (
            Stock(listing.name, listing.price, listing.quantity, 0, 0)
            for listing in self._node.listing()
        )
        return catalog_pb2.ListingReply(stocks=map(stock_to_wire, stocks))

    def Lookup(
        self, request: catalog_pb2.LookupRequest, context: Context
    ) -> catalog_pb2.LookupReply:
        view = self._node.view
        if not view.current:
            abort_with(context, Unavailable("the catalog has not heard from the leader yet"))
        if request.all:
            stocks = [view.stocks[name] for name in sorted(view.stocks)]
        else:
            stocks = [view.stocks[name] for name in request.names if name in view.stocks]
        return catalog_pb2.LookupReply(stocks=map(stock_to_wire, stocks))
