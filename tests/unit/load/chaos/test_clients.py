"""The clients of a trial: which calls they make, and what they record."""

from collections import Counter
from random import Random

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from load.chaos.clients import Clients
from load.history.checker import check
from load.history.records import (
    Call,
    Closing,
    History,
    LookupCall,
    Opening,
    Order,
    Quote,
    TradeCall,
    Verdict,
)
from tests.fakes.frontend import FakeFrontend
from tests.fakes.leaks import nothing_leaks  # noqa: F401
from twisted_bazaar.market import DEFAULT_LISTING

LISTED = {listing.name: listing.quantity for listing in DEFAULT_LISTING}


def trading(trouble: float, seed: int, seconds: float = 20.0) -> tuple[FakeFrontend, History]:
    """Run three clients for so many seconds, and then until they have settled."""
    clock = Clock()
    clock.advance(1000.0)
    frontend = FakeFrontend(clock, Random(seed), trouble)
    history = History()
    history.add(Opening(at=0.0, listed=LISTED))
    clients = Clients(
        clock,
        clock.seconds,
        frontend,  # type: ignore[arg-type]
        ["http://front", "http://front"],
        list(LISTED),
        history,
        count=3,
        seed=str(seed),
    )
    clients.start()
    clock.pump([0.005] * int(seconds / 0.005))
    stopped = Deferred.fromCoroutine(clients.stop())
    clock.pump([0.1] * 200)
    assert stopped.called
    # Late trades are executed after all clients have ended.
    clock.pump([1.0] * 10)
    market = tuple(
        Quote(stock.name, stock.price / 100, stock.quantity, stock.volume)
        for stock in frontend.ledger.stocks.values()
    )
    orders = tuple(
        Order(order.number, order.stock, order.side, order.quantity) for order in frontend.orders
    )
    history.add(Closing(at=clock.seconds(), orders=orders, market=market))
    return frontend, history


@pytest.mark.parametrize("seed", range(10))
def test_their_history_of_a_correct_bazaar_is_accepted(seed: int) -> None:
    frontend, history = trading((0.0, 0.05, 0.3)[seed % 3], seed)
    assert len(frontend.orders) > 20
    assert check(history.records) == []


def test_they_make_every_kind_of_call_and_get_every_verdict() -> None:
    _, history = trading(0.05, 1, seconds=100.0)
    kinds = {type(record).__name__ for record in history.records}
    assert kinds >= {"TradeCall", "LookupCall", "MarketCall", "OrderCall", "PageCall"}
    met = {record.verdict for record in history.records if isinstance(record, TradeCall)}
    assert met == set(Verdict) - {Verdict.JUDGED}


def test_a_seed_decides_what_they_ask() -> None:
    once, again, other = (trading(0.1, seed)[0].requests for seed in (5, 5, 6))
    assert once == again
    assert once != other


def test_a_trade_whose_outcome_is_unknown_is_sent_again_under_its_key() -> None:
    _, history = trading(0.2, 2, seconds=60.0)
    trades = [record for record in history.records if isinstance(record, TradeCall)]
    lost = {call.key for call in trades if call.verdict is Verdict.UNKNOWN}
    again = {key for key in lost if sum(call.key == key for call in trades) > 1}
    settled = {call.key for call in trades if call.verdict is Verdict.PLACED}
    assert len(again) > 0.9 * len(lost)
    assert len(lost & settled) > 0.5 * len(lost)


def test_a_trade_without_an_answer_when_they_end_is_unknown() -> None:
    frontend, history = trading(1.0, 3)
    assert frontend.requests
    assert check(history.records) == []


def test_each_front_end_has_one_that_only_trades_and_three_that_only_look_up() -> None:
    _, history = trading(0.0, 7)
    calls = [record for record in history.records if isinstance(record, Call)]
    does = {
        client: {(type(each).__name__, each.via) for each in calls if each.client == client}
        for client in {each.client for each in calls}
    }
    assert [does.pop(client) for client in (1, 2)] == [{("TradeCall", 2)}, {("TradeCall", 1)}]
    watching = [does.pop(client) for client in range(3, 9)]
    assert watching == [{("LookupCall", 2)}, {("LookupCall", 1)}] * 3
    assert [does.pop(client) for client in (12, 13)] == [{("TradeCall", 0)}] * 2
    assert len(does) == 3
    assert all(len(each) > 4 for each in does.values())


def test_two_send_a_trade_again_until_its_outcome_is_known() -> None:
    _, history = trading(0.3, 10, seconds=60.0)
    trades = [each for each in history.records if isinstance(each, TradeCall) and each.via == 0]
    assert len({each.key for each in trades}) == len(trades) > 50
    known = sum(each.verdict in (Verdict.PLACED, Verdict.REJECTED) for each in trades)
    assert known > 0.8 * len(trades)
    # Some of them by a second sending, as no answer is waited for so long.
    assert any(each.number is not None and each.ended - each.sent > 6.0 for each in trades)


def test_lookups_are_many_and_most_of_them_of_a_few_stocks() -> None:
    _, history = trading(0.0, 8)
    calls = [record for record in history.records if isinstance(record, Call)]
    lookups = [each for each in calls if isinstance(each, LookupCall)]
    assert 0.3 < len(lookups) / len(calls) < 0.6
    by_stock = Counter(each.name for each in lookups)
    assert len(by_stock) == len(LISTED)
    assert sum(count for _, count in by_stock.most_common(3)) > 0.5 * len(lookups)


def test_a_stock_is_looked_up_elsewhere_as_soon_as_a_trade_of_it_is_acknowledged() -> None:
    _, history = trading(0.0, 9)
    traded: dict[int, TradeCall] = {}
    elsewhere = 0
    for call in history.records:
        if isinstance(call, TradeCall):
            traded[call.client] = call
        elif isinstance(call, LookupCall) and (trade := traded.pop(call.client, None)):
            at_once = (call.sent, call.name) == (trade.ended, trade.name)
            elsewhere += at_once and call.via != trade.via
    assert elsewhere > 20
