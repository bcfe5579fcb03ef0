"""The gRPC service of a member of a bazaar with an engine: each call is of one partition, and is
answered by its `PartitionService`. Handlers run on the reactor."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from twisted_bazaar.consensus.messages import Status
from twisted_bazaar.errors import BazaarError, NotLeader, NotOurs, OutcomeUnknown, Unavailable
from twisted_bazaar.market import Order, Trade
from twisted_bazaar.order.questions import Known, Outcome
from twisted_bazaar.order.servicer import (
    FEW_SHOWN,
    MAX_LISTED_ORDERS,
    MAX_WATCH_MS,
    released_to_wire,
)
from twisted_bazaar.order.watches import Released
from twisted_bazaar.rpc.bazaar.v1 import market_pb2, order_pb2
from twisted_bazaar.rpc.bazaar.v1.order_pb2_grpc import OrdersServicer
from twisted_bazaar.rpc.bounds import MAX_ID, MAX_INTEGER, MAX_TRADES, check_count, check_integer
from twisted_bazaar.rpc.changes import change_from_wire, changed_to_wire
from twisted_bazaar.rpc.selections import order_message, page_to_wire, selection_from_wire
from twisted_bazaar.rpc.serving.context import Context
from twisted_bazaar.rpc.status import abort_with
from twisted_bazaar.rpc.wire import (
    lookup_to_wire,
    outcome_to_wire,
    sending_from_wire,
    to_wire,
    trade_from_wire,
)
from twisted_bazaar.selection import Page
from twisted_bazaar.sending import Sending
from twisted_bazaar.tracing.followed import NONE, Followed

from .node import PartitionNode
from .pages import EnginePages

__all__ = ["Orders", "PartitionService"]

_LOOK_AGAIN_SECONDS = 0.005
"""Keys are looked up again so much later, where a server of the engine was behind."""


class _ForOnePartition(Protocol):
    """A front-end's request."""

    to: int
    cluster: str
    partition: int


class PartitionService:
    """Answers the calls that are of one partition."""

    def __init__(
        self,
        reactor: IReactorTime,
        seconds: Callable[[], float],
        node: PartitionNode,
        pages: EnginePages,
        look_seconds: float,
    ) -> None:
        """Keys are looked up for `look_seconds` at most, if need be again and again."""
        self._reactor = reactor
        self._seconds = seconds
        self._node = node
        self._pages = pages
        self._look_seconds = look_seconds

    def check_meant(self, request: _ForOnePartition, context: Context) -> None:
        """End the call if it is for another member or another cluster."""
        refusal = self._node.not_meant(request.to, request.cluster)
        if refusal is not None:
            abort_with(context, NotOurs(refusal))

    async def trade(
        self, request: order_pb2.TradeRequest, context: Context
    ) -> order_pb2.TradeReply:
        check_count("trades", len(request.trades), MAX_TRADES)
        trades = [trade_from_wire(trade) for trade in request.trades]
        sending = sending_from_wire(request)
        following = self._node.following
        followed = following.of_call(request, context) if following is not None else None
        outcomes = await self._outcomes(
            trades, sending, NONE if followed is None else followed.by_position
        )
        if followed is not None:
            followed.answered(outcomes)
        return order_pb2.TradeReply(outcomes=map(outcome_to_wire, outcomes))

    async def _outcomes(
        self, trades: Sequence[Trade], sending: Sending, followed: Mapping[int, Followed]
    ) -> Sequence[Outcome]:
        keys = [trade.key for trade in trades]
        stocks = {trade.stock for trade in trades}
        give_up = self._seconds() + self._look_seconds
        while True:
            outcomes: Sequence[Outcome] | None = None
            if not self._node.decides:
                outcomes = await self._node.trade(trades, Known({}, 0), sending, 0.0)
            elif self._node.knows_places(stocks):
                began = self._seconds()
                known = await self._node.find(keys, stocks)
                took = self._seconds() - began
                outcomes = await self._node.trade(trades, known, sending, took, followed)
            if outcomes is None and self._seconds() >= give_up:
                outcomes = [OutcomeUnknown("the engine lacks what it has confirmed")] * len(trades)
            if outcomes is not None:
                return outcomes
            await deferLater(self._reactor, _LOOK_AGAIN_SECONDS)

    async def change(self, request: order_pb2.ChangeRequest) -> order_pb2.ChangeReply:
        change, sending = change_from_wire(request)
        try:
            return changed_to_wire(await self._node.change(change, sending))
        except BazaarError as outcome:
            return changed_to_wire(outcome)

    def _reads(self, what: str, context: Context) -> None:
        """A front-end reads orders for a client's request."""
        if self._node.following is not None:
            self._node.following.read_by_call(what, context)

    async def get_order(
        self, request: order_pb2.GetOrderRequest, context: Context
    ) -> order_pb2.GetOrderReply:
        self._reads("Orders.GetOrder", context)
        check_integer("number", request.number)
        order = await self._pages.order(request.number) if request.number > 0 else None
        return order_pb2.GetOrderReply(order=None if order is None else order_message(order))

    async def list_orders(
        self, request: order_pb2.ListOrdersRequest, context: Context
    ) -> order_pb2.ListOrdersReply | bytes:
        self._reads("Orders.ListOrders", context)
        selection = selection_from_wire(request, MAX_LISTED_ORDERS)
        if selection.key:
            order = await self._pages.with_key(selection.key)
            page = Page([] if order is None else [order], 0, ended=True)
        else:
            page = await self._pages.page(selection)
        if len(page.orders) <= FEW_SHOWN:
            return page_to_wire(page)
        return await context.defer(lambda: page_to_wire(page).SerializeToString())

    async def watch(
        self, request: order_pb2.WatchRequest, context: Context
    ) -> order_pb2.WatchReply | bytes:
        for name in ("after", "version"):
            check_integer(name, getattr(request, name))
        released = await self._released(request)
        limit = max(0, min(request.limit, MAX_LISTED_ORDERS))
        orders: Sequence[Order] = ()
        if released.last_number > request.after and limit:
            orders = await self._pages.after(request.after, limit)
        shown = map(order_message, orders)
        if len(orders) + len(released.stocks) <= FEW_SHOWN:
            return released_to_wire(released, shown)
        return await context.defer(lambda: released_to_wire(released, shown).SerializeToString())

    async def _released(self, request: order_pb2.WatchRequest) -> Released:
        """What is released, once there is something new. Only the leader knows stocks."""
        watches = self._node.watches
        if request.version == MAX_INTEGER:
            # The caller wants orders, which all members can read, and no stocks.
            return Released(self._node.released.number, (), 0, "", "", "")
        if watches is None:
            raise NotLeader()
        wait = max(0, min(request.wait_ms, MAX_WATCH_MS)) / 1000
        await watches.news(request.after, request.version, wait)
        released = watches.released(request.version)
        if not released.before and 0 < request.version <= released.version:
            # It was released before this leadership, or long ago.
            before = await self._pages.digest_at(request.version)
            return msgspec.structs.replace(released, before=before)
        return released

    async def lookup(
        self, request: market_pb2.LookupRequest, context: Context
    ) -> market_pb2.LookupReply | bytes:
        stocks, history = await self._node.lookup()
        if not request.all:
            return lookup_to_wire(stocks, request, history)
        return await context.defer(
            lambda: lookup_to_wire(stocks, request, history).SerializeToString()
        )

    async def campaign(self) -> Any:
        return to_wire(await self._node.campaign())

    async def hand_over(self, request: order_pb2.HandOverRequest) -> order_pb2.HandOverReply:
        check_integer("member", request.member, MAX_ID)
        await self._node.hand_over(request.member)
        return order_pb2.HandOverReply()


class Orders(OrdersServicer):
    """The service for front-ends."""

    def __init__(
        self, partitions: Callable[[], Sequence[PartitionService]], status: Callable[[], Status]
    ) -> None:
        """`partitions` returns those of the member by number; none, before its engine has
        answered. `status` is that of the member."""
        self._partitions = partitions
        self._status = status

    def _of(self, request: _ForOnePartition, context: Context) -> PartitionService:
        """The partition that the call is of. Ends it if it is for another process."""
        partitions = self._partitions()
        if not partitions:
            abort_with(context, Unavailable("the engine has not answered yet"))
        if not 0 <= request.partition < len(partitions):
            why = f"this is a member of a bazaar of {len(partitions)}, which has no partition"
            abort_with(context, NotOurs(f"{why} {request.partition}"))
        service = partitions[request.partition]
        service.check_meant(request, context)
        return service

    def Trade(self, request: order_pb2.TradeRequest, context: Context) -> Any:
        return self._of(request, context).trade(request, context)

    def Change(self, request: order_pb2.ChangeRequest, context: Context) -> Any:
        return self._of(request, context).change(request)

    def GetOrder(self, request: order_pb2.GetOrderRequest, context: Context) -> Any:
        return self._of(request, context).get_order(request, context)

    def ListOrders(self, request: order_pb2.ListOrdersRequest, context: Context) -> Any:
        return self._of(request, context).list_orders(request, context)

    def Watch(self, request: order_pb2.WatchRequest, context: Context) -> Any:
        return self._of(request, context).watch(request, context)

    def Lookup(self, request: market_pb2.LookupRequest, context: Context) -> Any:
        return self._of(request, context).lookup(request, context)

    def Status(self, request: order_pb2.StatusRequest, context: Context) -> Any:
        return to_wire(self._status())

    def Campaign(self, request: order_pb2.CampaignRequest, context: Context) -> Any:
        return self._of(request, context).campaign()

    def Follow(self, request: order_pb2.FollowRequest, context: Context) -> order_pb2.FollowReply:
        # Who leads is in the engine.
        self._of(request, context)
        return order_pb2.FollowReply()

    def HandOver(self, request: order_pb2.HandOverRequest, context: Context) -> Any:
        return self._of(request, context).hand_over(request)
