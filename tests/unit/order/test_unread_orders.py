"""A trade whose key has an order that cannot be read now, as the archive is out of reach: it holds
up no other, and the reactor never waits for it."""

from collections.abc import Callable
from threading import get_ident
from typing import Any, cast

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, succeed
from twisted.internet.threads import deferToThread

from tests.fakes.cluster import Cluster, buy
from twisted_bazaar.errors import NotExecuted, OrderUnread, Unavailable
from twisted_bazaar.frontend.trading.queue import Outcome, Pending, TradeQueue
from twisted_bazaar.market import Placed, Side, Trade, Traded
from twisted_bazaar.order.desk import Batch, Known
from twisted_bazaar.order.servicer import Orders
from twisted_bazaar.rpc.bazaar.v1 import order_pb2
from twisted_bazaar.rpc.wire import trade_to_wire
from twisted_bazaar.storage.index import Found

ARCHIVED = Traded(1, "GameStart", Side.BUY, 1, "read")


class _Files:
    """The index and the log of a replica: the order of one key cannot be read."""

    def __init__(self) -> None:
        self.readers: list[int] = []
        """The threads that read orders."""

    def find(self, keys: Any) -> Found:
        found = {"read": 1, "unread": 2}
        return Found({key: found[key] for key in keys if key in found}, 5)

    def order_of(self, key: str, number: int) -> tuple[None, Traded]:
        self.readers.append(get_ident())
        if key == "unread":
            raise Unavailable("order 2 is not in the archive of this replica")
        return None, ARCHIVED


class _Node:
    """Remembers what it was told of the keys."""

    known: Known

    def not_meant(self, to: int, cluster: str) -> None:
        return None

    def trade(self, trades: Any, known: Known, *_: object) -> Deferred[list[Outcome]]:
        self.known = known
        return succeed([Placed(9, replayed=False)] * len(trades))


class _Context:
    def __init__(self) -> None:
        self.deferred = 0

    def defer(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        self.deferred += 1
        return deferToThread(function, *arguments)


async def asked(orders: Orders, *keys: str) -> int:
    """Send a batch of trades with these keys; returns how often a thread was used."""
    context = _Context()
    request = order_pb2.TradeRequest(trades=[trade_to_wire(buy(key)) for key in keys])
    await orders.Trade(request, cast(Any, context))
    return context.deferred


@pytest_twisted.ensureDeferred
async def test_an_order_that_cannot_be_read_fails_no_batch_and_none_is_read_on_the_reactor() -> (
    None
):
    files, node = _Files(), _Node()
    orders = Orders(cast(Any, node), cast(Any, files), cast(Any, files), lambda: 0.0)
    while await asked(orders, "fresh"):
        """Until the index has proved prompt."""
    assert await asked(orders, "fresh", "unread", "read") == 1
    assert node.known.orders == {"read": ARCHIVED}
    assert node.known.unread.keys() == {"unread"}
    assert files.readers
    assert get_ident() not in files.readers


def test_the_leader_decides_the_other_trades_of_a_batch() -> None:
    cluster = Cluster()
    cluster.open_market(3)
    leading = cluster.members[3]
    unread = OrderUnread("it is not in the archive")
    batch = Batch([buy("a"), buy("old"), buy("b")])
    known = Known({}, leading.desk.applied, unread={"old": unread})
    assert leading.desk.decide(batch, known, cluster.clock.now)
    cluster.carry_out(leading)
    cluster.run()
    assert [type(each) for each in batch.outcomes] == [Placed, OrderUnread, Placed]


@pytest.mark.parametrize(("validate", "outcome"), [(False, OrderUnread), (True, NotExecuted)])
def test_a_front_end_answers_and_does_not_doubt_the_leader(
    validate: bool, outcome: type[Exception]
) -> None:
    queue: TradeQueue[int] = TradeQueue()
    queue.add(Pending(Trade("old", "GameStart", Side.BUY, 1, validate=validate), 1, 5.0))
    batch = queue.take(3, 1)
    assert batch is not None
    assert queue.answered(batch, [OrderUnread("it is not in the archive")])
    [(_, met)] = queue.take_settled()
    assert type(met) is outcome
    assert queue.waiting == 0
