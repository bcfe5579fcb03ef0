"""What clients and operators reach: the parts of the one partition, or what stands before those of
several.

Importing this module imports Klein, which installs the reactor, and gRPC.
"""

from collections.abc import Callable, Sequence

import attrs

from twisted_bazaar.consensus.messages import Status, StockPlacement
from twisted_bazaar.runtime.services import monotonic_seconds

from .api.order_lists import OneList
from .api.services import Lookups, OrderLists, SingleOrders, Trading
from .cache.signed_pushes import Taker
from .events.feed import EventFeed
from .events.following import FollowedPartition
from .events.merged_feed import MergedFeed
from .operations.resource import Operations
from .partition import Partition, Shared, status_clients
from .partitions.lists import MergedLists
from .partitions.lookups import LookupRouter
from .partitions.operations import OperationRouter
from .partitions.orders import OrderRouter
from .partitions.placements import Placements
from .partitions.subscriptions import PushRouter
from .partitions.trades import TradeRouter
from .partitions.whereabouts import Whereabouts

__all__ = ["Front", "front_of"]


@attrs.frozen(kw_only=True)
class Front:
    """One front-end, as it is seen from outside."""

    trades: Trading
    lookups: Lookups
    orders: SingleOrders
    lists: OrderLists
    feed: EventFeed
    operations: Operations
    taker: Taker | None
    """Takes in pushes; None: `--cache off`."""
    notice: Callable[[], str | None]
    """What operators should know of the cache; None: nothing."""
    led: Callable[[int], None]
    """To be called with a partition when its leader was heard."""
    heard: Callable[[Status], None] | None = None
    """To be called with what each member says; None: nothing here depends on it."""
    moved: Callable[[], Sequence[StockPlacement]] = tuple
    """The stocks that were ever moved."""


def front_of(shared: Shared, partitions: Sequence[Partition], max_readers: int) -> Front:
    """What stands before `partitions`."""
    if len(partitions) == 1:
        return _of_one(shared, partitions[0], max_readers)
    return _of_several(shared, partitions, max_readers)


def _of_one(shared: Shared, only: Partition, max_readers: int) -> Front:
    feed = EventFeed(
        *(shared.reactor, monotonic_seconds, [_followed(only)]),
        *(shared.config.timing, max_readers),
    )
    subscriber = only.caching.subscriber if only.caching else None
    return Front(
        trades=only.trades,
        lookups=only.lookups,
        orders=only.replicas,
        lists=OneList(only.replicas),
        feed=feed,
        operations=only.operations,
        taker=subscriber,
        notice=subscriber.notice if subscriber else _nothing,
        led=feed.led,
    )


def _of_several(shared: Shared, partitions: Sequence[Partition], max_readers: int) -> Front:
    timing, seconds = shared.config.timing, monotonic_seconds
    placements = Placements(len(partitions))
    followed = [_followed(each) for each in partitions]
    feed = MergedFeed(shared.reactor, seconds, followed, timing, max_readers, placements.of)

    def heard(status: Status) -> None:
        if placements.heard(status.replica, status.placements):
            feed.placed()

    whereabouts = Whereabouts(
        shared.reactor,
        seconds,
        placements,
        [each.leadership for each in partitions],
        status_clients(shared, shared.wires.reads),
        heard,
        timing.ping,
    )
    subscribers = [each.caching.subscriber for each in partitions if each.caching]
    taker = PushRouter(shared.token, subscribers) if subscribers else None
    replicas = [each.replicas for each in partitions]
    return Front(
        trades=TradeRouter(
            seconds, [each.trades for each in partitions], whereabouts, timing.deadline
        ),
        lookups=LookupRouter(
            *(shared.reactor, seconds, [each.lookups for each in partitions], whereabouts),
            *(timing.deadline / 2, timing.ping),
        ),
        orders=OrderRouter(replicas),
        lists=MergedLists(replicas),
        feed=feed,
        operations=OperationRouter(
            seconds, [each.operations for each in partitions], whereabouts, timing.deadline
        ),
        taker=taker,
        notice=taker.notice if taker else _nothing,
        led=feed.led,
        heard=heard,
        moved=lambda: placements.moved,
    )


def _followed(partition: Partition) -> FollowedPartition:
    return FollowedPartition(partition.leadership, partition.news, partition.replicas)


def _nothing() -> str | None:
    return None
