"""The gRPC services of an order replica. Handlers run on the reactor.

Files are read before or after the node is called: the index, for the keys of a batch, and the log
or its archive, for orders. That is done on a thread, but for keys while the index proves prompt.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import grpc

from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.consensus.far_behind import Earlier, Snapshot
from twisted_bazaar.consensus.membership import AddMember
from twisted_bazaar.consensus.messages import Append, Fetch, Poll, Vote
from twisted_bazaar.errors import (
    BazaarError,
    MembersRefused,
    NotOurs,
    OrderUnread,
    Unavailable,
    Unusable,
)
from twisted_bazaar.market import Traded
from twisted_bazaar.rpc.bazaar.v1 import market_pb2, order_pb2, replication_pb2
from twisted_bazaar.rpc.bazaar.v1.order_pb2_grpc import OrdersServicer
from twisted_bazaar.rpc.bazaar.v1.replication_pb2_grpc import ReplicationServicer
from twisted_bazaar.rpc.bounds import MAX_TRADES, check_count, check_integer
from twisted_bazaar.rpc.changes import change_from_wire, changed_to_wire
from twisted_bazaar.rpc.members import base_from_wire, member_change_from_wire
from twisted_bazaar.rpc.selections import selection_from_wire
from twisted_bazaar.rpc.serving.context import Context
from twisted_bazaar.rpc.status import abort_with
from twisted_bazaar.rpc.stocks import stock_to_wire
from twisted_bazaar.rpc.wire import (
    from_wire,
    lookup_to_wire,
    order_to_wire,
    outcome_to_wire,
    sending_from_wire,
    to_wire,
    trade_from_wire,
)
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.storage.index import Found, Index
from twisted_bazaar.tracing.followed import NONE

from .desk import Known
from .following import Following
from .node import OrderNode
from .pages import OrderPages
from .promptness import Promptness
from .search import FoundOrders
from .snapshots import Outgoing
from .watches import Released

__all__ = [
    "FEW_SHOWN",
    "MAX_LISTED_ORDERS",
    "MAX_WATCH_MS",
    "Orders",
    "Replication",
    "released_to_wire",
]

MAX_LISTED_ORDERS = 1000
"""Orders in one answer at most."""


MAX_WATCH_MS = 10_000
"""How long a call waits for something new, at most."""

FEW_SHOWN = 64
"""Orders and stocks in an answer that is encoded on the reactor's thread, at most."""
_FEW_KEYS = 64
"""Keys that are looked up on the reactor's thread at most: about half a millisecond."""
_PROMPT_SECONDS = 0.005
"""Keys are looked up in less where the index is in memory."""


_IN_PLAIN_TEXT = (
    "other machines may reach {}, which would be called in plain text: --certificates must be "
    "given to all (or --plain-inside)"
)


class _ForOneReplica(Protocol):
    """A front-end's request."""

    to: int
    cluster: str


@contextmanager
def _reading(node: OrderNode, context: Context) -> Iterator[None]:
    """Around reads of this replica's own files: ends the replica if they cannot be read."""
    try:
        yield
    except (Unusable, OSError) as error:
        node.cannot_read(error)
        context.abort(grpc.StatusCode.UNAVAILABLE, str(error))


class Replication(ReplicationServicer):
    """The service for peers."""

    def __init__(self, node: OrderNode, outgoing: Outgoing) -> None:
        self._node = node
        self._outgoing = outgoing

    async def Snapshot(self, request: replication_pb2.SnapshotRequest, context: Context) -> Any:
        return to_wire(await self._outgoing.ask(from_wire(request, Snapshot)))

    async def Earlier(self, request: replication_pb2.EarlierRequest, context: Context) -> Any:
        return to_wire(await self._outgoing.ask(from_wire(request, Earlier)))

    async def Append(self, request: replication_pb2.AppendRequest, context: Context) -> Any:
        return to_wire(await self._node.request(from_wire(request, Append)))

    async def Vote(self, request: replication_pb2.VoteRequest, context: Context) -> Any:
        return to_wire(await self._node.request(from_wire(request, Vote)))

    async def Poll(self, request: replication_pb2.PollRequest, context: Context) -> Any:
        return to_wire(await self._node.request(from_wire(request, Poll)))

    async def Fetch(self, request: replication_pb2.FetchRequest, context: Context) -> Any:
        reply = await self._node.request(from_wire(request, Fetch))
        with _reading(self._node, context):
            # Its entries are read from the log as they are encoded.
            return await context.defer(to_wire, reply)


class Orders(OrdersServicer):
    """The service for front-ends."""

    def __init__(
        self,
        node: OrderNode,
        pages: OrderPages,
        index: Index,
        seconds: Callable[[], float],
        following: Following | None = None,
        may_call: Callable[[Address], bool] = lambda place: True,
    ) -> None:
        """`following` is told of trades and reads that are followed; None: none are. `may_call`
        says whether a replica at an address may be a peer."""
        self._may_call = may_call
        self._node = node
        self._pages = pages
        self._seconds = seconds
        self._promptness = Promptness(_PROMPT_SECONDS)
        self._index = index
        self._following = following

    def _check_meant(self, request: _ForOneReplica, context: Context) -> None:
        """End the call if it is for another replica or another cluster."""
        refusal = self._node.not_meant(request.to, request.cluster)
        if refusal is not None:
            abort_with(context, NotOurs(refusal))

    async def Trade(
        self, request: order_pb2.TradeRequest, context: Context
    ) -> order_pb2.TradeReply:
        self._check_meant(request, context)
        check_count("trades", len(request.trades), MAX_TRADES)
        trades = [trade_from_wire(trade) for trade in request.trades]
        sending = sending_from_wire(request)
        following = self._following
        followed = following.of_call(request, context) if following is not None else None
        whose = NONE if followed is None else followed.by_position
        while True:
            with _reading(self._node, context):
                keys = [trade.key for trade in trades]
                if self._promptness.prompt and len(keys) <= _FEW_KEYS:
                    found, took = self._look_up(keys)
                else:
                    found, took = await context.defer(self._look_up, keys)
                known = Known({}, found.index)
                if found.numbers:
                    known = await context.defer(self._read, found)
            self._promptness.took(took)
            outcomes = await self._node.trade(trades, known, sending, took, whose)
            if outcomes is not None:
                if followed is not None:
                    followed.answered(outcomes)
                return order_pb2.TradeReply(outcomes=map(outcome_to_wire, outcomes))

    def _reads(self, what: str, context: Context) -> None:
        """A front-end reads orders for a client's request."""
        if self._following is not None:
            self._following.read_by_call(what, context)

    def _look_up(self, keys: Sequence[str]) -> tuple[Found, float]:
        """What the index knows of `keys`, and how many seconds that took. On any thread."""
        began = self._seconds()
        found = self._index.find(keys)
        return found, self._seconds() - began

    def _read(self, found: Found) -> Known:
        """The orders that were found. Not on the reactor's thread: they may be in an archive.

        One that cannot be had now holds up no trade of another key.
        """
        orders: dict[str, Traded] = {}
        unread: dict[str, OrderUnread] = {}
        for key, number in found.numbers.items():
            try:
                _, orders[key] = self._pages.order_of(key, number)
            except Unavailable as why:
                unread[key] = OrderUnread(str(why))
        return Known(orders, found.index, unread=unread)

    async def Change(
        self, request: order_pb2.ChangeRequest, context: Context
    ) -> order_pb2.ChangeReply:
        self._check_meant(request, context)
        change, sending = change_from_wire(request)
        try:
            return changed_to_wire(await self._node.change(change, sending))
        except BazaarError as outcome:
            return changed_to_wire(outcome)

    async def GetOrder(
        self, request: order_pb2.GetOrderRequest, context: Context
    ) -> order_pb2.GetOrderReply:
        self._check_meant(request, context)
        self._reads("Orders.GetOrder", context)
        check_integer("number", request.number)
        orders = await self._list(request.number - 1, 1, context) if request.number > 0 else ()
        found = order_to_wire(orders[0], self._node.price_of) if orders else None
        return order_pb2.GetOrderReply(order=found)

    async def ListOrders(self, request: order_pb2.ListOrdersRequest, context: Context) -> Any:
        self._check_meant(request, context)
        self._reads("Orders.ListOrders", context)
        selection = selection_from_wire(request, MAX_LISTED_ORDERS)
        with _reading(self._node, context):
            if selection.key:
                order = await self._pages.with_key(selection.key, context)
                found = FoundOrders([order] if order is not None else [], 0, ended=True)
            else:
                found = await self._pages.page(selection, context)
        price_of = self._node.price_of
        if len(found.entries) <= FEW_SHOWN:
            return found_to_wire(found, price_of)
        return await context.defer(lambda: found_to_wire(found, price_of).SerializeToString())

    async def Watch(self, request: order_pb2.WatchRequest, context: Context) -> Any:
        self._check_meant(request, context)
        for name in ("after", "version"):
            check_integer(name, getattr(request, name))
        wait = max(0, min(request.wait_ms, MAX_WATCH_MS)) / 1000
        await self._node.watches.news(request.after, request.version, wait)
        with _reading(self._node, context):
            released = self._node.watches.released(request.version)
        limit = max(0, min(request.limit, MAX_LISTED_ORDERS))
        upto = min(request.after + limit, released.last_number)
        orders: Sequence[Entry] = ()
        if upto > request.after:
            # What is released asks for no round of heartbeats.
            orders = await self._list(request.after, upto - request.after, context)
        price_of = self._node.price_of
        shown = (order_to_wire(order, price_of) for order in orders)
        if len(orders) + len(released.stocks) <= FEW_SHOWN:
            return released_to_wire(released, shown)
        return await context.defer(lambda: released_to_wire(released, shown).SerializeToString())

    async def _list(self, after: int, limit: int, context: Context) -> Sequence[Entry]:
        remembered, upto = await self._node.orders(after, limit)
        stored_upto = upto - len(remembered)
        if after >= stored_upto:
            return remembered
        with _reading(self._node, context):
            stored = await context.defer(self._pages.read, after, stored_upto)
        return [*stored, *remembered]

    async def Lookup(self, request: market_pb2.LookupRequest, context: Context) -> Any:
        self._check_meant(request, context)
        stocks, history = await self._node.lookup()
        if not request.all:
            return lookup_to_wire(stocks, request, history)
        return await context.defer(
            lambda: lookup_to_wire(stocks, request, history).SerializeToString()
        )

    async def Status(self, request: order_pb2.StatusRequest, context: Context) -> Any:
        return to_wire(await self._node.status())

    async def Campaign(self, request: order_pb2.CampaignRequest, context: Context) -> Any:
        self._check_meant(request, context)
        return to_wire(await self._node.campaign())

    async def Follow(
        self, request: order_pb2.FollowRequest, context: Context
    ) -> order_pb2.FollowReply:
        self._check_meant(request, context)
        check_integer("term", request.term)
        await self._node.follow(request.term)
        return order_pb2.FollowReply()

    async def ChangeMembers(
        self, request: order_pb2.ChangeMembersRequest, context: Context
    ) -> order_pb2.ChangeMembersReply:
        self._check_meant(request, context)
        change, base = member_change_from_wire(request), base_from_wire(request)
        if isinstance(change, AddMember) and not self._may_call(Address.parse(change.address)):
            refusal = _IN_PLAIN_TEXT.format(change.address)
            return order_pb2.ChangeMembersReply(refusal=refusal, final=True)
        try:
            index = await self._node.change_members(change, base)
        except MembersRefused as refusal:
            return order_pb2.ChangeMembersReply(refusal=str(refusal), final=refusal.is_final)
        return order_pb2.ChangeMembersReply(index=index)


def found_to_wire(
    found: FoundOrders, price_of: Callable[[Traded], int]
) -> order_pb2.ListOrdersReply:
    """The answer to a front-end that lists orders."""
    return order_pb2.ListOrdersReply(
        orders=[order_to_wire(each, price_of) for each in found.entries],
        examined=found.examined,
        ended=found.ended,
    )


def released_to_wire(
    released: Released, orders: Iterable[market_pb2.Order]
) -> order_pb2.WatchReply:
    """The answer to a front-end that watches, with these of the released orders."""
    return order_pb2.WatchReply(
        orders=orders,
        stocks=map(stock_to_wire, released.stocks),
        last_number=released.last_number,
        version=released.version,
        history=released.history,
        digest=released.digest,
        before=released.before,
    )
