"""The processes that a front-end calls over gRPC: order replicas and catalogs.

A client calls one process, once; `upstream` has the fail-over between processes. Timeouts are
seconds. Every call fails with a `BazaarError`, within its timeout. Requests are encoded, and
replies decoded, on the thread that waits.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import grpc
import msgspec
from twisted.internet.defer import Deferred, fail

from twisted_bazaar.access import ANONYMOUS, UNKNOWN
from twisted_bazaar.consensus.membership import MembersChange
from twisted_bazaar.consensus.messages import CampaignReply, Status
from twisted_bazaar.errors import BazaarError, Malformed, MembersRefused, Unavailable
from twisted_bazaar.market import Change, Judged, Order, Placed, Trade
from twisted_bazaar.order_keys import client_of
from twisted_bazaar.rpc.bazaar.v1 import catalog_pb2, market_pb2, order_pb2
from twisted_bazaar.rpc.bazaar.v1.catalog_pb2_grpc import CatalogStub
from twisted_bazaar.rpc.bazaar.v1.order_pb2_grpc import OrdersStub
from twisted_bazaar.rpc.bounds import MAX_NAMES, check_count, check_integer, check_text
from twisted_bazaar.rpc.catalog_status import CatalogStatus, status_from_wire
from twisted_bazaar.rpc.changes import change_to_wire, changed_from_wire
from twisted_bazaar.rpc.channel import Channel
from twisted_bazaar.rpc.following import Metadata, traced_metadata_of
from twisted_bazaar.rpc.members import member_change_to_wire, members_changed_from_wire
from twisted_bazaar.rpc.push import Subscription, prove
from twisted_bazaar.rpc.request_ids import metadata_of
from twisted_bazaar.rpc.selections import page_from_wire, selection_to_wire
from twisted_bazaar.rpc.status import is_unknown_to_peer
from twisted_bazaar.rpc.stocks import stocks_from_wire
from twisted_bazaar.rpc.wire import (
    from_wire,
    order_from_wire,
    outcome_from_wire,
    trades_to_wire,
)
from twisted_bazaar.selection import Page, Selection
from twisted_bazaar.sending import Sending
from twisted_bazaar.timing import Timing
from twisted_bazaar.tracing.context import TraceContext
from twisted_bazaar.tracing.followed import Followed

from .access.orders import OPERATOR, seen_by
from .cache.quotes import LookupReply
from .events.encoding import order_event, order_event_without_id, quote_event
from .events.news import News, OrderEvent, QuoteEvent
from .lookups.whole_market import MarketSnapshot
from .partitions.numbers import shown_order

__all__ = ["CatalogClient", "ReplicaClient"]

_NO_MEMBERS = "replica {} is of an earlier release, or its log is in an engine"

Reply = TypeVar("Reply")
T = TypeVar("T")


class _Request(Protocol):
    """A request that names the cluster, and the partition of it, that it is meant for."""

    cluster: str
    partition: int


class _Client:
    def __init__(self, channel: Channel, cluster: Callable[[], str] | None, partition: int) -> None:
        self._channel = channel
        self._cluster = cluster
        self._partition = partition

    def _call(
        self,
        rpc: Callable[..., Reply],
        request: _Request,
        decode: Callable[[Reply], T],
        timeout: float,
        metadata: Metadata | None = None,
    ) -> Deferred[T]:
        """Send `request`, which names the partition, and the cluster if one is known. The call
        carries `metadata`."""
        request.cluster = self._cluster() if self._cluster else ""
        request.partition = self._partition
        return self._channel.call(
            lambda left: decode(rpc(request, timeout=left, metadata=metadata)), timeout, rpc
        )

    def _call_in_cluster(
        self,
        rpc: Callable[..., Reply],
        request: _Request,
        decode: Callable[[Reply], T],
        timeout: float,
        metadata: Metadata | None = None,
    ) -> Deferred[T]:
        """Send `request`. Fails with `Unavailable` while the cluster to name is unknown."""
        if self._cluster is not None and not self._cluster():
            # What a process at a wrong address answers could be another bazaar's.
            return fail(Unavailable("no order replica has named its cluster yet"))
        return self._call(rpc, request, decode, timeout, metadata)


class ReplicaClient(_Client):
    """One order replica."""

    def __init__(
        self,
        channel: Channel,
        timing: Timing,
        replica: int = 0,
        cluster: Callable[[], str] | None = None,
        partition: int = 0,
        partitions: int = 1,
        with_clients: bool = False,
    ) -> None:
        """`with_clients`: there is a file of clients, and events have two forms. Each request
        names `replica`, `partition` (of so many), and the cluster that `cluster()`
        returns then. While that is empty, reads fail with `Unavailable`. None: requests name no
        cluster. Numbers of orders are those within the partition."""
        super().__init__(channel, cluster, partition)
        self._timing = timing
        self._replica = replica
        self._place = partition, partitions
        self._with_clients = with_clients
        self._stub = OrdersStub(channel.grpc)

    def status(self) -> Deferred[Status]:
        """The replica's status. The request names no cluster."""
        request = order_pb2.StatusRequest(to=self._replica)
        return self._channel.call(
            lambda left: from_wire(self._stub.Status(request, timeout=left), Status),
            self._timing.election_timeout,
            self._stub.Status,
        )

    def campaign(self) -> Deferred[CampaignReply]:
        """Ask the replica to campaign. Fires with the result."""
        # The replica goes on campaigning after this timeout, and may be asked again.
        timeout = 2 * self._timing.election_timeout
        request = order_pb2.CampaignRequest(to=self._replica)
        return self._call(
            self._stub.Campaign, request, lambda reply: from_wire(reply, CampaignReply), timeout
        )

    def follow(self, term: int) -> Deferred[None]:
        """Tell the replica that another one leads in `term`."""
        request = order_pb2.FollowRequest(to=self._replica, term=term)
        timeout = self._timing.election_timeout
        return self._call(self._stub.Follow, request, lambda reply: None, timeout)

    def trade(
        self,
        trades: Sequence[Trade],
        sending: Sending,
        timeout: float,
        request_ids: str = "",
        followed: Sequence[tuple[int, Followed]] = (),
    ) -> Deferred[Sequence[Placed | Judged | BazaarError]]:
        """Have the replica decide `trades`. Fires with their outcomes, in the order of `trades`.
        The call carries `request_ids`, with spaces between, and whose the trades are, by position,
        as far as they are followed."""
        cluster = self._cluster() if self._cluster else ""
        metadata = metadata_of(request_ids)

        def call(left: float) -> Sequence[Placed | Judged | BazaarError]:
            request = trades_to_wire(
                trades, sending, to=self._replica, cluster=cluster, followed=followed
            )
            request.partition = self._partition
            reply = self._stub.Trade(request, timeout=left, metadata=metadata)
            if len(reply.outcomes) != len(trades):
                raise Unavailable(f"{len(reply.outcomes)} outcomes for {len(trades)} trades")
            return [outcome_from_wire(outcome) for outcome in reply.outcomes]

        return self._channel.call(call, timeout, self._stub.Trade)

    def change(self, change: Change, sending: Sending, timeout: float) -> Deferred[int]:
        """Have the replica change the market. Fires with the index of the entry, or with 0: nothing
        had to be changed. Fails with `ChangeRefused`."""
        return self._call_in_cluster(
            self._stub.Change,
            change_to_wire(change, sending, to=self._replica),
            changed_from_wire,
            timeout,
        )

    def hand_over(self, member: int, timeout: float) -> Deferred[None]:
        """Have the replica, which leads, leave the lead to `member`; 0: to the usual one. Fails
        with `NotLeader` at another replica."""
        request = order_pb2.HandOverRequest(to=self._replica, member=member)
        return self._call_in_cluster(self._stub.HandOver, request, lambda reply: None, timeout)

    def change_members(
        self, change: MembersChange, based_on: int | None, timeout: float
    ) -> Deferred[int]:
        """Have the replica begin a change of the members that entry `based_on` says. Fires with the
        index of the entry, or with 0: it is so already. Fails with `MembersRefused`, and with
        `NotLeader` at another replica."""
        request = member_change_to_wire(change, based_on, self._replica)

        def ask(request: order_pb2.ChangeMembersRequest, **how: Any) -> int:
            try:
                return members_changed_from_wire(self._stub.ChangeMembers(request, **how))
            except grpc.RpcError as failure:
                if is_unknown_to_peer(failure):
                    raise MembersRefused(_NO_MEMBERS.format(self._replica), is_final=True) from None
                raise

        return self._call_in_cluster(ask, request, lambda index: index, timeout)

    def get_order(
        self,
        number: int,
        timeout: float,
        request_id: str = "",
        context: TraceContext | None = None,
    ) -> Deferred[Order | None]:
        """The order `number`; None: there is none. Fails with `NotLeader` if only the leader can
        answer."""
        request = order_pb2.GetOrderRequest(to=self._replica, number=number)
        return self._call_in_cluster(
            self._stub.GetOrder,
            request,
            lambda reply: order_from_wire(reply.order) if reply.HasField("order") else None,
            timeout,
            traced_metadata_of(request_id, context),
        )

    def list_orders(
        self,
        selection: Selection,
        timeout: float,
        request_id: str = "",
        context: TraceContext | None = None,
    ) -> Deferred[Page]:
        """The first orders of `selection`. Fails with `NotLeader` as `get_order` does, and with
        `Unavailable` if the replica cannot tell."""
        return self._call_in_cluster(
            self._stub.ListOrders,
            selection_to_wire(selection, self._replica),
            lambda reply: page_from_wire(reply, selection),
            timeout,
            traced_metadata_of(request_id, context),
        )

    def watch(
        self, after: int, version: int, limit: int, wait: float, timeout: float
    ) -> Deferred[News]:
        """What the replica knows to be released after order `after` and entry `version`: `limit`
        orders at most. If there is nothing, it answers after `wait` seconds."""
        request = order_pb2.WatchRequest(
            to=self._replica, after=after, version=version, limit=limit, wait_ms=int(wait * 1000)
        )
        return self._call_in_cluster(self._stub.Watch, request, self._news, timeout)

    def _news(self, reply: order_pb2.WatchReply) -> News:
        return _news(reply, *self._place, self._with_clients)

    def look_up(self, names: Sequence[str], timeout: float) -> Deferred[LookupReply]:
        """Those of the stocks `names` that exist, from the leader's ledger. Fails with `NotLeader`
        at another replica."""
        request = market_pb2.LookupRequest(to=self._replica, names=names)
        return self._call_in_cluster(self._stub.Lookup, request, _lookup_reply, timeout)

    def market(self, known: MarketSnapshot | None, timeout: float) -> Deferred[MarketSnapshot]:
        """Every stock, from the leader's ledger; it may send the changes since `known` only. Fails
        with `NotLeader` at another replica."""
        request = _market_request(known)
        request.to = self._replica
        return self._call_in_cluster(
            self._stub.Lookup, request, lambda reply: _snapshot(reply, known), timeout
        )


class CatalogClient(_Client):
    """One catalog."""

    def __init__(
        self,
        channel: Channel,
        cluster: Callable[[], str] | None = None,
        secret: bytes = b"",
        partition: int = 0,
    ) -> None:
        """Each request names `partition`, and the cluster that `cluster()` returns then, and fails
        with `Unavailable` while that is empty. None: requests name no cluster. `secret` is the
        cluster's secret; empty: none."""
        super().__init__(channel, cluster, partition)
        self._secret = secret
        self._stub = CatalogStub(channel.grpc)
        self.address = channel.address

    def look_up(self, names: Sequence[str], timeout: float) -> Deferred[LookupReply]:
        """Those of the stocks `names` that exist."""
        request = market_pb2.LookupRequest(names=names, partial=True)
        return self._call_in_cluster(self._stub.Lookup, request, _lookup_reply, timeout)

    def market(self, known: MarketSnapshot | None, timeout: float) -> Deferred[MarketSnapshot]:
        """Every stock. The catalog may send the changes since `known` only."""
        request = _market_request(known)
        return self._call_in_cluster(
            self._stub.Lookup, request, lambda reply: _snapshot(reply, known), timeout
        )

    def subscribe(self, subscription: Subscription, timeout: float) -> Deferred[float]:
        """Subscribe this front-end to invalidations. Fires with 0, or with the seconds for which
        the catalog keeps it out."""
        subscription = msgspec.structs.replace(subscription, partition=self._partition)
        request = catalog_pb2.SubscribeRequest(
            address=subscription.address,
            life=subscription.life,
            token=subscription.token,
            proof=prove(self._secret, subscription),
            frames=subscription.frames,
            quotes=subscription.quotes,
        )
        return self._call_in_cluster(self._stub.Subscribe, request, _kept_out, timeout)

    def status(self, timeout: float) -> Deferred[CatalogStatus | None]:
        """How the catalog is; None: it is of an earlier release, which does not say."""
        cluster = self._cluster() if self._cluster else ""
        request = catalog_pb2.CatalogStatusRequest(cluster=cluster, partition=self._partition)

        def ask(left: float) -> CatalogStatus | None:
            try:
                return status_from_wire(self._stub.Status(request, timeout=left))
            except grpc.RpcError as failure:
                if is_unknown_to_peer(failure):
                    return None
                raise

        return self._channel.call(ask, timeout, self._stub.Status)


def _lookup_reply(reply: market_pb2.LookupReply) -> LookupReply:
    check_text("history", reply.history)
    check_count("held stocks", len(reply.held), MAX_NAMES)
    return LookupReply(stocks_from_wire(reply.stocks), reply.history, tuple(reply.held))


def _news(reply: order_pb2.WatchReply, partition: int, partitions: int, with_clients: bool) -> News:
    for name in ("last_number", "version"):
        check_integer(name, getattr(reply, name))
    for name in ("digest", "before"):
        check_text(name, getattr(reply, name))
    return News(
        [
            _event(order_from_wire(order), partition, partitions, with_clients)
            for order in reply.orders
        ],
        [QuoteEvent(stock.name, quote_event(stock)) for stock in stocks_from_wire(reply.stocks)],
        reply.last_number,
        reply.version,
        reply.digest,
        reply.before,
    )


def _event(order: Order, partition: int, partitions: int, with_clients: bool) -> OrderEvent:
    at = order.at_milliseconds if partitions > 1 else 0
    if not with_clients:
        event = _encoded(seen_by(ANONYMOUS, order), partition, partitions)
        return OrderEvent(order.number, order.stock, event, at)
    return OrderEvent(
        order.number,
        order.stock,
        _encoded(seen_by(UNKNOWN, order), partition, partitions),
        at,
        client_of(order.key),
        _encoded(seen_by(OPERATOR, order), partition, partitions),
    )


def _encoded(order: Order, partition: int, partitions: int) -> bytes:
    if partitions == 1:
        return order_event(order)
    return order_event_without_id(shown_order(order, partition, partitions))


def _market_request(known: MarketSnapshot | None) -> market_pb2.LookupRequest:
    after, history = (known.upto, known.history) if known is not None else (0, "")
    return market_pb2.LookupRequest(all=True, after=after, history=history)


def _snapshot(reply: market_pb2.LookupReply, known: MarketSnapshot | None) -> MarketSnapshot:
    stocks = stocks_from_wire(reply.stocks)
    check_integer("upto", reply.upto)
    check_text("history", reply.history)
    if not reply.changes:
        return MarketSnapshot.of(stocks, reply.history, reply.upto)
    if known is None or reply.history != known.history or reply.upto < known.upto:
        raise Malformed("these are not the changes that were asked for")
    return known.changed(stocks, reply.upto)


def _kept_out(reply: catalog_pb2.SubscribeReply) -> float:
    return reply.kept_out
