"""A partition in a member: who leads it, what becomes of trades, and what it shows."""

from collections import deque
from types import SimpleNamespace
from typing import Any, cast

import pytest
from twisted.internet.defer import succeed

from tests.fakes.engine_world import LISTING, TIMING, EngineWorld, buy
from tests.fakes.replicas import result_of
from twisted_bazaar.consensus.messages import ApplyReply, LearnerRequest
from twisted_bazaar.errors import NotLeader, OutcomeUnknown, Rejected, Unavailable
from twisted_bazaar.market import Move, Placed
from twisted_bazaar.partitions import home
from twisted_bazaar.sending import Sending


def sent(term: int) -> Sending:
    return Sending(term=term, life=1, number=1, expected=(), expires=(10.0**9,))


def test_a_member_that_is_nominated_leads_and_lists_what_the_catalog_has() -> None:
    world = EngineWorld()
    node = world.lead(3)
    stocks, history = world.got(node.lookup())
    assert {name: stock.quantity for name, stock in stocks.items()} == {
        listing.name: listing.quantity for listing in LISTING
    }
    assert history == node.tenure.history != ""


def test_each_partition_lists_the_stocks_that_are_at_home_there() -> None:
    world = EngineWorld(partitions=2)
    for partition in (0, 1):
        stocks, _ = world.got(world.lead(3 - partition, partition).lookup())
        assert list(stocks) == [each.name for each in LISTING if home(each.name, 2) == partition]


def test_a_trade_is_answered_once_the_engine_has_it() -> None:
    world = EngineWorld()
    node = world.lead(3)
    assert world.trade(node, buy("a"), buy("b")) == [
        Placed(1, replayed=False, price=1599),
        Placed(2, replayed=False, price=1599),
    ]
    tails, _ = world.engine.tails()
    assert tails[0].last_number == 2


def test_a_key_has_one_order_also_for_the_next_leader() -> None:
    world = EngineWorld()
    world.trade(world.lead(3), buy("a"))
    world.deaf.add(3)
    world.members[3].writes[0].held = deque()
    node = world.lead(2)
    assert world.trade(node, buy("a")) == [Placed(1, replayed=True, price=1599)]
    assert world.trade(node, buy("b")) == [Placed(2, replayed=False, price=1599)]


def test_a_member_that_does_not_lead_decides_nothing() -> None:
    world = EngineWorld()
    world.lead(3)
    node = world.members[1].nodes[0]
    assert isinstance(world.got(node.ask_last_number()), NotLeader)
    assert [type(each) for each in world.trade(node, buy("a"))] == [NotLeader]
    assert not node.decides


def test_a_leader_that_comes_back_after_another_has_claimed_leads_no_more() -> None:
    """It was stopped, as by SIGSTOP: what it had begun is unknown, and it decides nothing."""
    world = EngineWorld()
    old = world.lead(3)
    writes = world.members[3].writes[0]
    writes.held = deque()
    known = world.got(old.find(["late"], {"GameStart"}))
    late = old.trade([buy("late")], known, sent(old.tenure.term), 0.0)
    world.deaf.add(3)
    new = world.lead(2)
    held, writes.held = writes.held, None
    for make in held:
        make()
    world.deaf.clear()
    world.run(TIMING.tenure)
    outcomes = world.got(late)
    assert [type(each) for each in outcomes] == [OutcomeUnknown]
    assert not old.tenure.leads
    assert old.watches is None
    assert old.status().leader == 2
    assert world.trade(new, buy("b")) == [Placed(1, replayed=False, price=1599)]
    assert world.members[3].said == []


def test_a_lead_that_is_handed_over_is_claimed_at_once() -> None:
    world = EngineWorld()
    node = world.lead(3)
    world.trade(node, buy("a"))
    assert world.got(node.hand_over(1)) is None
    world.run(TIMING.tenure / 4)
    assert not node.tenure.leads
    assert node.status().preferred == 1
    other = world.members[1].nodes[0]
    other.campaign()
    world.run(TIMING.tenure / 4)
    assert other.tenure.leads


def test_only_the_leader_can_hand_over() -> None:
    world = EngineWorld()
    world.lead(3)
    assert isinstance(world.got(world.members[1].nodes[0].hand_over(2)), NotLeader)
    tails, _ = world.engine.tails()
    assert tails[0].preferred == 0


def test_a_member_that_stops_leaves_the_lead() -> None:
    world = EngineWorld()
    node = world.lead(3)
    stopped = node.stopService()
    assert stopped is not None
    world.got(stopped)
    assert not node.tenure.leads
    tails, _ = world.engine.tails()
    assert tails[0].beat == -1


def test_a_stock_moves_with_its_keys() -> None:
    world = EngineWorld(partitions=2)
    leaders = [world.lead(3, 0), world.lead(2, 1)]
    stock = LISTING[0].name
    before = home(stock, 2)
    there = 1 - before
    world.trade(leaders[before], buy("a", stock, 7))
    sending = sent(leaders[before].tenure.term)
    assert world.got(leaders[before].change(Move(stock, there), sending)) > 0
    world.run(2 * TIMING.lease)
    stocks, _ = world.got(leaders[there].lookup())
    assert stocks[stock].quantity == 93
    assert world.trade(leaders[there], buy("a", stock, 7)) == [
        Placed(1, replayed=True, price=LISTING[0].price, partition=before)
    ]
    (placed,) = world.trade(leaders[there], buy("b", stock))
    assert placed == Placed(1, replayed=False, price=LISTING[0].price)
    world.got(leaders[there].hand_over(1))
    (again,) = world.trade(world.lead(1, there), buy("a", stock, 7))
    assert again == Placed(1, replayed=True, price=LISTING[0].price, partition=before)
    stocks, _ = world.got(leaders[before].lookup())
    assert stock not in stocks


@pytest.mark.parametrize("member", [1, 3])
def test_all_members_see_the_same_end_of_the_log(member: int) -> None:
    world = EngineWorld()
    world.trade(world.lead(3), buy("a"))
    world.run(TIMING.tenure)
    status = world.members[member].nodes[0].status()
    tails, _ = world.engine.tails()
    assert (status.last_number, status.last_index, status.digest) == (
        1,
        tails[0].index,
        tails[0].digest,
    )
    assert (status.role, status.leader) == ("leader" if member == 3 else "follower", 3)


def test_a_leader_says_where_a_stock_went_before_it_rejects_a_trade_of_it() -> None:
    """A front-end asks for its status then, and the tails of the engine may be old."""
    world = EngineWorld(partitions=2)
    stock = LISTING[0].name
    before = home(stock, 2)
    node = world.lead(3, before)
    world.deaf = {1, 2, 3}
    world.got(node.change(Move(stock, 1 - before), sent(node.tenure.term)))
    (rejected,) = world.trade(node, buy("a", stock))
    assert isinstance(rejected, Rejected)
    (placement,) = node.placements()
    assert (placement.stock, placement.partition, placement.arrived) == (stock, 1 - before, False)
    world.deaf.clear()
    world.run(TIMING.tenure / 4)
    assert node.placements() == []


def test_a_new_leader_waits_until_it_is_shown_where_stocks_are_that_left() -> None:
    world = EngineWorld(partitions=2)
    stock = LISTING[0].name
    before = home(stock, 2)
    node = world.lead(3, before)
    world.got(node.change(Move(stock, 1 - before), sent(node.tenure.term)))
    other = world.members[2].nodes[before]
    tails, _ = world.engine.tails()
    other.saw(tails, [])
    assert other.knows_places({stock}), "it does not lead"
    world.got(node.hand_over(2))
    world.run(TIMING.tenure / 4)
    world.deaf = {1, 2, 3}
    other.saw(world.engine.tails()[0], [])
    other.campaign()
    world.run(TIMING.tenure / 4)
    assert other.decides
    assert not other.knows_places({stock})
    assert other.knows_places({"another"})
    other.saw(*world.engine.tails())
    assert other.knows_places({stock})


def test_a_leader_that_leaves_decides_nothing_more() -> None:
    world = EngineWorld()
    node = world.lead(3)
    world.members[3].writes[0].held = deque()
    known = world.got(node.find(["a"], {"GameStart"}))
    world.got(node.hand_over(2))
    assert node.tenure.leaving
    assert not node.decides
    (outcome,) = world.got(node.trade([buy("a")], known, sent(node.tenure.term), 0.0))
    assert isinstance(outcome, OutcomeUnknown)


def test_who_waits_for_news_at_a_leader_is_told_that_it_leads_no_more() -> None:
    world = EngineWorld()
    node = world.lead(3)
    assert node.watches is not None
    told = result_of(node.watches.news(99, 10**6, 3600.0))
    world.got(node.hand_over(2))
    world.run(TIMING.tenure)
    assert [type(each) for each in told] == [Unavailable]


def test_orders_are_remembered_until_the_engine_says_that_they_are_released() -> None:
    world = EngineWorld()
    node = world.lead(3)
    recent = node.readable(node.ask_last_number).recent
    world.trade(node, buy("a"), buy("b"))
    assert [entry.event.key for entry in recent()][-1:] == ["b"]  # type: ignore[union-attr]
    world.run(TIMING.tenure)
    assert recent() == []


def test_an_answer_of_a_catalog_that_makes_no_sense_costs_no_lead() -> None:
    world = EngineWorld()
    node = world.lead(3)
    reply = ApplyReply(
        term=2**50, applied=0, digest="", released=0, stamp=None, holds=False, sent=0.0
    )
    apply = SimpleNamespace(term=node.tenure.term, sent=world.clock.seconds())
    node._applied(reply, LearnerRequest("catalog", cast(Any, apply)))
    assert node.tenure.leads
    assert node.tenure.term < 2**50


def test_a_catalog_that_was_told_other_partitions_opens_no_market() -> None:
    """It names all stocks for each. One would be in two partitions, once that is mended."""
    world = EngineWorld(2)
    partition = next(p for p in (0, 1) if any(home(each.name, 2) != p for each in LISTING))
    told = cast(Any, world.members[3].nodes[partition]._catalogs["catalog"])
    told._partitions, told.listing = 1, lambda _: succeed(LISTING)
    node = world.lead(3, partition)
    assert isinstance(world.got(node.lookup()), Unavailable)
    del told.listing
    told._partitions = 2
    world.run(TIMING.lease)
    stocks, _ = world.got(node.lookup())
    assert all(home(name, 2) == partition for name in stocks)
