"""Each call is of one partition; what front-ends are told by members that lead, and that do not."""

from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from tests.fakes.engine_world import LISTING, TIMING, EngineWorld
from twisted_bazaar.consensus.messages import Status
from twisted_bazaar.order.partitioned.servicer import Orders
from twisted_bazaar.rpc.bazaar.v1 import market_pb2, order_pb2
from twisted_bazaar.rpc.bounds import MAX_INTEGER

STOCK = LISTING[0].name


class Ended(Exception):
    """The call was aborted."""


class Call:
    """In place of a `Context`."""

    def abort(self, code: Any, details: str) -> None:
        raise Ended(details)

    def set_trailing_metadata(self, metadata: Any) -> None: ...

    def add_callback(self, callback: Any) -> None: ...


def served(world: EngineWorld, member: int) -> Orders:
    services = world.members[member].services
    return Orders(lambda: services, lambda: cast(Status, None))


def got(world: EngineWorld, answer: Any) -> Any:
    return world.got(Deferred.fromCoroutine(answer))


def trade(term: int = 0, life: int = 0, number: int = 0, partition: int = 0) -> Any:
    wanted = order_pb2.Trade(key="a", stock=STOCK, side=market_pb2.SIDE_BUY, quantity=1)
    return order_pb2.TradeRequest(
        trades=[wanted],
        term=term,
        life=life,
        number=number,
        expires=[1e9] if term else [],
        partition=partition,
    )


def test_a_call_for_a_partition_or_a_bazaar_that_is_not_there_is_refused() -> None:
    world = EngineWorld(partitions=2)
    orders, call = served(world, 3), cast(Any, Call())
    with pytest.raises(Ended, match="of a bazaar of 2, which has no partition 2"):
        orders.Trade(trade(partition=2), call)
    with pytest.raises(Ended, match="cluster"):
        # That of partition 1, at partition 0.
        orders.Campaign(order_pb2.CampaignRequest(cluster="0123456789abcdef/1"), call)
    with pytest.raises(Ended, match="not answered yet"):
        Orders(lambda: (), lambda: cast(Status, None)).Trade(trade(), call)


def test_a_trade_is_decided_in_its_partition() -> None:
    world = EngineWorld()
    world.lead(3)
    reply = got(world, served(world, 3).Trade(trade(), cast(Any, Call())))
    assert [outcome.number for outcome in reply.outcomes] == [1]


def test_a_member_that_led_does_not_say_that_a_sending_of_its_term_was_not_executed() -> None:
    """A copy of it may have been taken then."""
    world = EngineWorld()
    node = world.lead(3)
    term = node.tenure.term
    world.got(node.hand_over(2))
    world.run(TIMING.tenure)
    orders, call = served(world, 3), cast(Any, Call())
    reply = got(world, orders.Trade(trade(term, 1, 1), call))
    assert reply.outcomes[0].retry == order_pb2.RETRY_OUTCOME_UNKNOWN
    reply = got(world, orders.Trade(trade(term + 1, 1, 2), call))
    assert reply.outcomes[0].retry == order_pb2.RETRY_NOT_LEADER


def test_keys_are_looked_up_again_until_the_server_has_what_the_leader_knows() -> None:
    """The server that answers is another one, or is behind."""
    world = EngineWorld()
    node = world.lead(3)
    back = world.clock.seconds() + TIMING.tenure / 2

    def has_led_to(index: int, digest: str) -> bool:
        return world.clock.seconds() > back

    node.has_led_to = has_led_to  # type: ignore[method-assign]
    reply = got(world, served(world, 3).Trade(trade(), cast(Any, Call())))
    assert world.clock.seconds() > back
    assert reply.outcomes[0].number == 1
    back = float("inf")
    reply = got(world, served(world, 3).Trade(trade(), cast(Any, Call())))
    assert reply.outcomes[0].retry == order_pb2.RETRY_OUTCOME_UNKNOWN


def test_news_are_of_the_leader_and_older_orders_of_any_member() -> None:
    world = EngineWorld()
    world.lead(3)
    got(world, served(world, 3).Trade(trade(), cast(Any, Call())))
    world.run(TIMING.tenure)
    call = cast(Any, Call())
    live = order_pb2.WatchRequest(version=1, limit=10)
    news = got(world, served(world, 3).Watch(live, call))
    assert [order.number for order in news.orders] == [1]
    assert news.before, "the entry is older than this leadership's memory, or in it"
    older = order_pb2.WatchRequest(version=MAX_INTEGER, limit=10)
    assert [o.number for o in got(world, served(world, 1).Watch(older, call)).orders] == [1]
    assert isinstance(got(world, served(world, 1).Watch(live, call)), Exception)


def test_what_was_shown_before_a_change_of_leader_is_known_after_it() -> None:
    """A stream of events goes on only with a leader that knows the entry that it is at."""
    world = EngineWorld()
    world.lead(3)
    got(world, served(world, 3).Trade(trade(), cast(Any, Call())))
    version = world.members[3].nodes[0].released.index - 1
    world.deaf.add(3)
    world.members[3].nodes[0].stopService()
    world.lead(2)
    request = order_pb2.WatchRequest(version=version, limit=10)
    news = got(world, served(world, 2).Watch(request, cast(Any, Call())))
    [entry] = world.engine.log(0).read(version - 1, version)
    assert news.before == entry.digest


def test_the_request_that_a_trade_is_of_is_in_the_log_of_the_leader() -> None:
    world = EngineWorld(is_debugging=True)
    world.lead(3)
    request = trade()
    request.followed.add(at=0, request_id="anna")
    with capturedLogs() as events:
        got(world, served(world, 3).Trade(request, cast(Any, Call())))
    said = [formatEvent(event) for event in events if event.get("request_id") == "anna"]
    assert [line.partition(":")[0] for line in said] == ["decided", "released", "answered"]


def test_a_trade_of_a_stock_that_left_waits_until_it_is_known_where_it_is() -> None:
    """Else it would be rejected as one of an unknown stock, and its front-end would believe it."""
    world = EngineWorld()
    node = world.lead(3)
    known_at = world.clock.seconds() + TIMING.tenure / 2

    def knows_places(stocks: object) -> bool:
        return world.clock.seconds() > known_at

    node.knows_places = knows_places  # type: ignore[method-assign]
    reply = got(world, served(world, 3).Trade(trade(), cast(Any, Call())))
    assert world.clock.seconds() > known_at
    assert reply.outcomes[0].number == 1
