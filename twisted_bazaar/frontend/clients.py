"""The processes that a front-end calls: order replicas and catalogs."""

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail

from twisted_bazaar.consensus.messages import CampaignReply, Status
from twisted_bazaar.errors import BazaarError, Malformed, Unavailable
from twisted_bazaar.market import Order, Placed, Stock, Trade
from twisted_bazaar.rpc.bazaar.v1 import catalog_pb2, market_pb2, order_pb2
from twisted_bazaar.rpc.bazaar.v1.catalog_pb2_grpc import CatalogStub
from twisted_bazaar.rpc.bazaar.v1.order_pb2_grpc import OrdersStub
from twisted_bazaar.rpc.bounds import check_integer, check_text
from twisted_bazaar.rpc.channel import Channel
from twisted_bazaar.rpc.push import Subscription, prove
from twisted_bazaar.rpc.wire import (
    from_wire,
    order_from_wire,
    outcome_from_wire,
    stocks_from_wire,
    trades_to_wire,
)
from twisted_bazaar.sending import Sending
from twisted_bazaar.timing import Timing

from .cache.quotes import Shown
from .lookups.whole_market import Whole

__all__ = ["CatalogClient", "ReplicaClient"]

_READS = frozenset({"GetOrder", "ListOrders", "Lookup"})


class ReplicaClient:
    """An order replica. Every call fails with a `BazaarError`."""

    def __init__(
        self,
        channel: Channel,
        timing: Timing,
        replica: int = 0,
        cluster: Callable[[], str] | None = None,
    ) -> None:
        """Requests name `replica`, and the cluster that `cluster` knows of when they are made;
        what is read is not asked for while it knows none. None: they name none."""
        self._channel = channel
        self._timing = timing
        self._replica = replica
        self._cluster = cluster
        self._stub = OrdersStub(channel.grpc)

    def _ask(self, name: str, request: Any, timeout: float) -> Deferred[Any]:
        rpc = getattr(self._stub, name)
        request.to = self._replica
        unnamed = _name_cluster(request, self._cluster)
        if unnamed is not None and name in _READS:
            return fail(unnamed)
        return self._channel.call(lambda timeout: rpc(request, timeout=timeout), timeout)

    def status(self) -> Deferred[Status]:
        """How the replica sees itself."""
        request = order_pb2.StatusRequest(to=self._replica)
        asked = self._channel.call(
            lambda timeout: self._stub.Status(request, timeout=timeout),
            self._timing.election_timeout,
        )
        return asked.addCallback(lambda reply: from_wire(reply, Status))

    def campaign(self) -> Deferred[CampaignReply]:
        """Have it try to lead; answers how that went."""
        # It goes on campaigning if this runs out, and may be asked again how it goes.
        timeout = 2 * self._timing.election_timeout
        asked = self._ask("Campaign", order_pb2.CampaignRequest(), timeout)
        return asked.addCallback(lambda reply: from_wire(reply, CampaignReply))

    def follow(self, leader: int, term: int) -> Deferred[Any]:
        """Tell it who leads."""
        request = order_pb2.FollowRequest(leader=leader, term=term)
        return self._ask("Follow", request, self._timing.election_timeout)

    def trade(
        self, trades: Sequence[Trade], sending: Sending, timeout: float
    ) -> Deferred[Sequence[Placed | BazaarError]]:
        """Have it decide `trades`; answers with an outcome for each, in the same order."""

        cluster = self._cluster() if self._cluster else ""

        def call(timeout: float) -> Sequence[Placed | BazaarError]:
            request = trades_to_wire(trades, sending, to=self._replica, cluster=cluster)
            reply = self._stub.Trade(request, timeout=timeout)
            if len(reply.outcomes) != len(trades):
                raise Unavailable(f"{len(reply.outcomes)} outcomes for {len(trades)} trades")
            return [outcome_from_wire(outcome) for outcome in reply.outcomes]

        return self._channel.call(call, timeout)

    def get_order(self, number: int, timeout: float) -> Deferred[Order | None]:
        """The order `number`; fails with `NotLeader` if only the leader can tell."""
        asked = self._ask("GetOrder", order_pb2.GetOrderRequest(number=number), timeout)
        return asked.addCallback(
            lambda reply: order_from_wire(reply.order) if reply.HasField("order") else None
        )

    def list_orders(self, after: int, limit: int, timeout: float) -> Deferred[Sequence[Order]]:
        """Up to `limit` orders above `after`; fails with `NotLeader` as `get_order` does."""
        asked = self._ask(
            "ListOrders", order_pb2.ListOrdersRequest(after=after, limit=limit), timeout
        )
        return asked.addCallback(lambda reply: [order_from_wire(order) for order in reply.orders])

    def lookup(self, names: Sequence[str] | None, timeout: float) -> Deferred[Sequence[Stock]]:
        """As a catalog's, from the leader's ledger; fails with `NotLeader` at another replica."""
        request = market_pb2.LookupRequest(names=names or (), all=names is None)
        asked = self._ask("Lookup", request, timeout)
        return asked.addCallback(_stocks)

    def market(self, known: Whole | None, timeout: float) -> Deferred[Whole]:
        """Likewise."""
        request = _market_request(known)
        request.to = self._replica
        if (unnamed := _name_cluster(request, self._cluster)) is not None:
            return fail(unnamed)
        rpc = self._stub.Lookup
        return self._channel.call(
            lambda timeout: _market(rpc(request, timeout=timeout), known), timeout
        )


class CatalogClient:
    """A catalog. Every call fails with a `BazaarError`."""

    def __init__(
        self,
        channel: Channel,
        cluster: Callable[[], str] | None = None,
        secret: bytes = b"",
    ) -> None:
        """Requests name the cluster that `cluster` knows of when they are made, and fail with
        `Unavailable` while it knows none; None: they name none. `secret` is the cluster's; empty
        if there is none."""
        self._cluster = cluster
        self._channel = channel
        self._secret = secret
        self._stub = CatalogStub(channel.grpc)

    def lookup(self, names: Sequence[str] | None, timeout: float) -> Deferred[Sequence[Stock]]:
        """Those of the stocks `names` that there are; None: every stock, by name."""
        request = market_pb2.LookupRequest(names=names or (), all=names is None)
        if (unnamed := _name_cluster(request, self._cluster)) is not None:
            return fail(unnamed)
        return _look_up(self._channel, self._stub.Lookup, request, timeout)

    def market(self, known: Whole | None, timeout: float) -> Deferred[Whole]:
        """Every stock. What is `known` need not come again."""
        request = _market_request(known)
        if (unnamed := _name_cluster(request, self._cluster)) is not None:
            return fail(unnamed)
        rpc = self._stub.Lookup
        return self._channel.call(
            lambda timeout: _market(rpc(request, timeout=timeout), known), timeout
        )

    def subscribe(self, subscription: Subscription, timeout: float) -> Deferred[float]:
        """Have it tell this front-end of every change, from now on, if the answer is 0; else it
        keeps this front-end out for so many seconds."""
        request = catalog_pb2.SubscribeRequest(
            address=subscription.address,
            life=subscription.life,
            token=subscription.token,
            proof=prove(self._secret, subscription),
        )
        if (unnamed := _name_cluster(request, self._cluster)) is not None:
            return fail(unnamed)

        def call(timeout: float) -> float:
            kept_out: float = self._stub.Subscribe(request, timeout=timeout).kept_out
            return kept_out

        return self._channel.call(call, timeout)


def _name_cluster(request: Any, cluster: Callable[[], str] | None) -> Unavailable | None:
    """Have `request` name the cluster; why it must not be sent, if none is known."""
    if cluster is None:
        return None
    request.cluster = cluster()
    # What a process at a wrong address would answer could be another bazaar's.
    return None if request.cluster else Unavailable("no order replica has named its cluster yet")


def _look_up(
    channel: Channel, rpc: Any, request: market_pb2.LookupRequest, timeout: float
) -> Deferred[Sequence[Stock]]:
    return channel.call(lambda timeout: _stocks(rpc(request, timeout=timeout)), timeout)


def _market_request(known: Whole | None) -> market_pb2.LookupRequest:
    after, history = (known.upto, known.history) if known is not None else (0, "")
    return market_pb2.LookupRequest(all=True, after=after, history=history)


def _market(reply: market_pb2.LookupReply, known: Whole | None) -> Whole:
    """Made where the answer is waited for, as that is too much at once for the reactor."""
    stocks = stocks_from_wire(reply.stocks)
    check_integer("upto", reply.upto)
    check_text("history", reply.history)
    if not reply.changes:
        return Whole.of(stocks, reply.history, reply.upto)
    if known is None or reply.history != known.history or reply.upto < known.upto:
        raise Malformed("these are not the changes that were asked for")
    return known.changed(stocks, reply.upto)


def _stocks(reply: market_pb2.LookupReply) -> Sequence[Stock]:
    check_text("history", reply.history)
    return Shown(stocks_from_wire(reply.stocks), reply.history)
