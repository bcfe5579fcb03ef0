"""The trade service: batches, retries and deadlines, on a clock of the test's."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.fakes.leaks import nothing_leaks  # noqa: F401
from tests.fakes.replicas import Call, FakeReplica, follows, leads, result_of, won
from twisted_bazaar.errors import (
    NotExecuted,
    NotLeader,
    OutcomeUnknown,
    Overloaded,
    Rejected,
    Unavailable,
)
from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.frontend.election.pings import Pings
from twisted_bazaar.frontend.election.search import Search
from twisted_bazaar.frontend.trading.queue import TradeQueue
from twisted_bazaar.frontend.trading.service import TradeService
from twisted_bazaar.leases import kept
from twisted_bazaar.market import Placed, Rejection, Side, Trade
from twisted_bazaar.timing import Timing

TIMING = Timing()
LIFE = 1234


class Desk:
    """Trading with three replicas, of which the test says who leads."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.replicas = {replica: FakeReplica() for replica in (1, 2, 3)}
        self.leadership = Leadership(self.replicas)
        self.trading = TradeService(
            self.clock,
            self.clock.seconds,
            self.leadership,
            self.replicas,  # type: ignore[arg-type]
            TIMING,
            LIFE,
        )
        self.trading.startService()

    def led_by(self, leader: int, term: int = 1) -> None:
        """A ping finds the leader."""
        self.leadership.heard(leads(leader, term))
        self.trading.led_by(leader)

    def place(self, *numbers: int) -> list[list[object]]:
        """Place these trades in one turn of the reactor; what comes of each."""
        results = [result_of(self.trading.place(trade(number))) for number in numbers]
        self.clock.advance(0)
        return results

    def call(self, replica: int = 3) -> Call:
        """The one batch that `replica` has not answered yet."""
        return self.replicas[replica].only("trade")


def trade(number: int) -> Trade:
    return Trade(f"key-{number}", "GameStart", Side.BUY, number)


def keys(call: Call) -> list[str]:
    return [each.key for each in call.arguments[0]]


def placed(*numbers: int) -> list[Placed]:
    return [Placed(number, replayed=False) for number in numbers]


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.trading.stopService()
    assert not desk.clock.getDelayedCalls()


@pytest.fixture
def led(desk: Desk) -> Desk:
    desk.led_by(3)
    return desk


def test_a_trade_is_decided_by_the_leader(led: Desk) -> None:
    [result] = led.place(7)
    assert result == []
    call = led.call()
    trades, _, timeout = call.arguments
    assert (trades, timeout) == ([trade(7)], TIMING.deadline)
    call.reply(placed(1))
    assert result == placed(1)


def test_what_comes_in_one_turn_goes_in_one_batch(led: Desk) -> None:
    results = led.place(1, 2, 3)
    call = led.call()
    assert keys(call) == ["key-1", "key-2", "key-3"]
    refusal = Rejected(Rejection.UNKNOWN_STOCK)
    call.reply([Placed(1, False), refusal, Placed(2, True)])
    assert results == [[Placed(1, False)], [refusal], [Placed(2, True)]]


def test_what_comes_while_a_batch_is_under_way_goes_together_after_the_answer(led: Desk) -> None:
    for number in (1, 2, 3):
        led.place(number)
    (first,) = led.replicas[3].open("trade")
    assert keys(first) == ["key-1"]
    first.reply(placed(1))
    led.clock.advance(0)
    assert keys(led.call()) == ["key-2", "key-3"]


def test_the_next_batch_waits_a_millisecond_for_clients_answered_together(led: Desk) -> None:
    led.place(1, 2)
    first = led.call()
    led.place(3)
    first.reply(placed(1, 2))
    led.place(4)
    led.clock.advance(0.0005)
    assert not led.replicas[3].open("trade"), "the other one may ask again, too"
    led.place(5)
    assert keys(led.call()) == ["key-3", "key-4", "key-5"], "both have"
    led.place(6)
    led.call().reply(placed(3, 4, 5))
    led.place(7)
    led.clock.advance(0.0009)
    assert not led.replicas[3].open("trade")
    led.clock.advance(0.0002)
    assert keys(led.call()) == ["key-6", "key-7"], "for a millisecond at most"


def test_a_single_client_does_not_wait_for_others(led: Desk) -> None:
    led.place(1)
    led.call().reply(placed(1))
    led.trading.place(trade(2))
    assert keys(led.call()) == ["key-2"], "not even for the end of the turn"


def test_the_last_of_those_that_are_expected_takes_all_with_it(led: Desk) -> None:
    led.place(1, 2)
    led.call().reply(placed(1, 2))
    led.trading.place(trade(3))
    assert not led.replicas[3].open("trade")
    led.trading.place(trade(4))
    assert keys(led.call()) == ["key-3", "key-4"]


def test_after_a_pause_what_comes_in_one_turn_goes_in_one_batch_again(led: Desk) -> None:
    led.place(1)
    led.call().reply(placed(1))
    led.clock.advance(0.01)
    led.place(2, 3)
    assert keys(led.call()) == ["key-2", "key-3"]


def test_trades_wait_while_no_replica_leads(desk: Desk) -> None:
    results = desk.place(1) + desk.place(2)
    desk.clock.advance(1.0)
    assert not any(replica.asked for replica in desk.replicas.values())
    desk.led_by(2)
    call = desk.call(2)
    assert keys(call) == ["key-1", "key-2"]
    assert call.arguments[2] == pytest.approx(TIMING.deadline - 1.0)
    call.reply(placed(1, 2))
    assert results == [placed(1), placed(2)]


def test_a_leader_that_does_not_lead_is_asked_again_only_when_it_says_so_anew(led: Desk) -> None:
    [result] = led.place(1)
    led.call().reply([NotLeader()])
    assert led.leadership.leader == 0
    led.clock.advance(0.5)
    assert led.replicas[3].open("trade") == []
    led.led_by(3)
    led.call().reply(placed(1))
    assert result == placed(1)


def test_a_batch_without_an_answer_is_sent_again_under_the_same_keys(led: Desk) -> None:
    [result] = led.place(1)
    led.call().fail(Unavailable("connection reset"))
    assert result == []
    assert led.leadership.leader == 0
    led.led_by(2, term=2)
    again = led.call(2)
    assert keys(again) == ["key-1"]
    again.reply([Placed(1, replayed=True)])
    assert result == placed(1), "what was replayed is the trade's own first sending"


def test_what_the_leader_before_was_sent_is_given_up(led: Desk) -> None:
    """It may hang for as long as the deadline allows; its successor answers now."""
    [result] = led.place(1)
    hanging = led.call()
    led.leadership.silent(3)
    led.led_by(2, term=2)
    led.call(2).reply(placed(1))
    assert result == placed(1)
    hanging.reply(placed(9))
    assert result == placed(1)


def test_a_late_failure_of_a_batch_that_was_given_up_deposes_no_leader(led: Desk) -> None:
    led.place(1)
    hanging = led.call(3)
    led.leadership.silent(3)
    led.led_by(2, term=2)
    led.call(2).reply(placed(1))
    led.leadership.silent(2)
    led.led_by(3, term=3)
    hanging.fail()
    assert led.leadership.leader == 3


def test_what_a_leader_that_hangs_was_sent_does_not_hold_up_the_next(led: Desk) -> None:
    for number in (1, 2, 3):
        led.place(number)
    assert len(led.replicas[3].open("trade")) == 1
    led.leadership.silent(3)
    led.led_by(2, term=2)
    assert keys(led.call(2)) == ["key-1", "key-2", "key-3"]


def test_more_trades_than_fit_are_refused_at_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk.trading, "_queue", TradeQueue(capacity=2))
    waiting, also_waiting, refused = (result_of(desk.trading.place(trade(n))) for n in (1, 2, 3))
    assert (waiting, also_waiting) == ([], [])
    assert isinstance(refused[0], Overloaded)
    desk.clock.advance(0)
    desk.led_by(3)
    desk.call().reply(placed(1, 2))
    assert (waiting, also_waiting) == (placed(1), placed(2))


def test_at_its_deadline_a_trade_that_was_never_sent_was_not_executed(desk: Desk) -> None:
    [result] = desk.place(1)
    pass_time(desk, TIMING.deadline - 0.001)
    assert result == []
    pass_time(desk, TIMING.ping)
    assert [type(each) for each in result] == [NotExecuted]


def test_at_its_deadline_nothing_is_known_of_a_trade_that_was_sent(led: Desk) -> None:
    [result] = led.place(1)
    call = led.call()
    pass_time(led, TIMING.deadline - 0.001)
    assert result == []
    pass_time(led, TIMING.ping)
    assert [type(each) for each in result] == [OutcomeUnknown]
    call.reply(placed(1))
    assert len(result) == 1


def pass_time(desk: Desk, seconds: float) -> None:
    desk.clock.pump([TIMING.ping / 4] * int(seconds / (TIMING.ping / 4)))
    desk.clock.advance(seconds % (TIMING.ping / 4))


def test_an_unexpected_error_costs_no_trade(led: Desk, logged_failures: list[Failure]) -> None:
    """It is logged; the batch is sent again, and does not count as in flight."""
    results = led.place(1) + led.place(2)
    led.call().fail(KeyError("a bug"))
    assert [each.type for each in logged_failures] == [KeyError]
    logged_failures.clear()
    led.led_by(3)
    led.call().reply(placed(1, 2))
    assert results == [placed(1), placed(2)]


def test_a_client_that_asks_again_while_it_is_answered_is_served(led: Desk) -> None:
    """What an answer sets off may place trades and fail; the other trades are answered."""
    results: list[list[object]] = []
    first = led.trading.place(trade(1))
    first.addCallback(lambda _: results.append(result_of(led.trading.place(trade(3)))))
    second = result_of(led.trading.place(trade(2)))
    led.clock.advance(0)
    led.call().reply(placed(1, 2))
    assert second == placed(2)
    led.clock.advance(0.001)
    led.call().reply(placed(3))
    assert results == [placed(3)]


def test_a_batch_says_for_which_leadership_and_until_when_it_is(led: Desk) -> None:
    led.leadership.heard_clock(3, 500.0, led.clock.seconds())
    led.place(1, 2)
    [_, sending, _] = led.call().arguments
    assert (sending.term, sending.life, sending.number) == (1, LIFE, 1)
    assert sending.expires == [500.0 + kept(TIMING.deadline)] * 2
    led.call().fail()
    led.led_by(3, term=4)
    [_, sending, _] = led.call().arguments
    assert (sending.term, sending.life, sending.number, sending.expected) == (4, LIFE, 2, [])


def test_a_failover_with_trades_under_way_loses_none() -> None:
    """Trades and pings together: the leader dies, the next one takes its trades."""
    desk = Desk()
    replicas: Any = desk.replicas
    search = Search(desk.clock, desk.clock.seconds, desk.leadership, replicas, desk.trading.led_by)
    pings = Pings(desk.clock, replicas, [search], TIMING)
    pings.startService()
    desk.replicas[3].only("status").reply(leads(3))
    for replica in (1, 2):
        desk.replicas[replica].only("status").reply(follows(replica))
    [answered, under_way] = desk.place(1, 2)
    call = desk.call()

    desk.clock.advance(TIMING.ping)
    call.fail()
    desk.replicas[3].only("status").fail()
    for replica in (1, 2):
        desk.replicas[replica].only("status").reply(follows(replica))
    desk.replicas[2].only("campaign").reply(won(2, 2))
    assert desk.replicas[1].only("follow").arguments == (2,)
    desk.replicas[1].only("follow").reply()
    assert keys(desk.call(2)) == ["key-1", "key-2"], "before the next ping of it"
    desk.call(2).reply([Placed(1, replayed=True), Placed(2, replayed=False)])
    assert answered + under_way == placed(1, 2)
    pings.stopService()
    desk.trading.stopService()


def test_trades_that_came_together_are_sent_in_one_call_and_answered_in_order(desk: Desk) -> None:
    desk.led_by(3)
    results = result_of(desk.trading.place_together([trade(1), trade(2), trade(3)], "mine"))
    desk.clock.advance(0)
    call = desk.call()
    assert keys(call) == ["key-1", "key-2", "key-3"]
    rejected = Rejected(Rejection.NOT_ENOUGH_SHARES)
    call.reply([*placed(1), rejected, *placed(2)])
    assert results == [[*placed(1), rejected, *placed(2)]]


def test_a_call_carries_the_ids_of_its_requests(desk: Desk) -> None:
    desk.led_by(3)
    for number in 1, 2:
        desk.trading.place(trade(number), f"request-{number}")
    desk.clock.advance(0)
    assert desk.replicas[3].request_ids == ["request-1 request-2"]
    desk.call().reply(placed(1, 2))


def test_nothing_is_asked_for_no_trades(desk: Desk) -> None:
    assert result_of(desk.trading.place_together([])) == [[]]


def test_a_trade_with_a_limit_waits_until_a_new_leader_says_what_it_understands(
    desk: Desk,
) -> None:
    desk.leadership.campaigned(3, won(3, 1), 0.0)
    limited = msgspec.structs.replace(trade(1), limit=1599)
    results = result_of(desk.trading.place(limited))
    desk.clock.advance(0)
    assert desk.replicas[3].asked == []
    desk.leadership.heard(msgspec.structs.replace(leads(3), level=1))
    desk.trading.led_by(3)
    desk.call().reply(placed(1))
    assert results == placed(1)
