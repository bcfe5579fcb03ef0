"""Trades count by what became of them, each once; batches are measured."""

from collections.abc import Iterator, Sequence

import pytest
from twisted.internet.task import Clock

from tests.fakes.leaks import nothing_leaks  # noqa: F401
from tests.fakes.replicas import Call, FakeReplica, leads, result_of
from twisted_bazaar.errors import KeyReused, NotExecuted, NotLeader, OutcomeUnknown, Rejected
from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.frontend.trading.figures import TradeFigures
from twisted_bazaar.frontend.trading.queue import TradeQueue
from twisted_bazaar.frontend.trading.service import TradeService
from twisted_bazaar.market import Judged, Placed, Rejection, Side, Trade
from twisted_bazaar.metrics.figures import Family, Histogram, Metrics
from twisted_bazaar.timing import Timing

OUTCOMES = ("placed", "replayed", "judged", "refused", "not_executed", "unknown")


class Desk:
    """Trading with one replica, which leads once the test says so."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.replica = FakeReplica()
        self.leadership = Leadership([1])
        self.metrics = Metrics()
        self.figures = TradeFigures(self.metrics)
        self.trading = TradeService(
            self.clock,
            self.clock.seconds,
            self.leadership,
            {1: self.replica},  # type: ignore[dict-item]
            Timing(),
            1234,
            figures=self.figures,
        )
        self.trading.startService()

    def lead(self) -> None:
        self.leadership.heard(leads(1, 1))
        self.trading.led_by(1)

    def place(self, count: int = 1) -> list[list[object]]:
        trades = [Trade(f"key-{number}", "GameStart", Side.BUY, 1) for number in range(count)]
        results = [result_of(self.trading.place(trade)) for trade in trades]
        self.clock.advance(0)
        return results

    def call(self) -> Call:
        return self.replica.only("trade")

    @property
    def counts(self) -> dict[str, float]:
        """Those that are not 0."""
        counts = {name: getattr(self.figures, name).value for name in OUTCOMES}
        return {name: count for name, count in counts.items() if count}

    def histogram(self, name: str, *labels: str) -> Histogram:
        [family] = (each for each in self.metrics if each.name == name)
        assert isinstance(family, Family)
        found = family.of(*labels)
        assert isinstance(found, Histogram)
        return found


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.trading.stopService()


@pytest.mark.parametrize(
    ("outcome", "counted"),
    [
        (Placed(1, False), "placed"),
        (Placed(1, True), "replayed"),
        (Judged(1599), "judged"),
        (Rejected(Rejection.UNKNOWN_STOCK), "refused"),
        (KeyReused(), "refused"),
        (NotExecuted("no"), "not_executed"),
        (OutcomeUnknown("who knows"), "unknown"),
    ],
)
def test_an_outcome_counts_as_what_it_is(outcome: Placed | Judged, counted: str) -> None:
    figures = TradeFigures(Metrics())
    figures.settled(outcome)
    assert {name: getattr(figures, name).value for name in OUTCOMES} == {
        name: float(name == counted) for name in OUTCOMES
    }


def test_each_trade_of_a_batch_counts(desk: Desk) -> None:
    desk.lead()
    desk.place(3)
    answers: Sequence[object] = [
        Placed(1, False),
        Rejected(Rejection.UNKNOWN_STOCK),
        Placed(1, True),
    ]
    desk.call().reply(answers)
    assert desk.counts == {"placed": 1, "refused": 1, "replayed": 1}
    sizes = desk.histogram("bazaar_trade_batch_size")
    assert (sizes.count, sizes.total) == (1, 3)


def test_a_trade_that_is_sent_again_counts_once(desk: Desk) -> None:
    desk.lead()
    desk.place()
    desk.call().reply([NotLeader()])
    assert desk.counts == {}
    desk.lead()
    desk.call().reply([Placed(1, False)])
    assert desk.counts == {"placed": 1}
    assert desk.histogram("bazaar_trade_batch_size").count == 2


def test_trades_that_find_no_room_count_as_not_executed(desk: Desk) -> None:
    desk.trading._queue = TradeQueue(capacity=1)
    desk.place(3)
    trades = [Trade(f"together-{number}", "GameStart", Side.BUY, 1) for number in range(2)]
    result_of(desk.trading.place_together(trades))
    assert desk.counts == {"not_executed": 4}


def test_a_batch_waits_in_the_queue_for_a_leader_and_then_for_its_answer(desk: Desk) -> None:
    desk.place(2)
    assert desk.trading.waiting == 2
    desk.clock.advance(0.5)
    desk.lead()
    assert desk.trading.waiting == 0
    desk.clock.advance(0.25)
    desk.call().reply([Placed(1, False), Placed(2, False)])
    for stage, seconds in (("queue", 0.5), ("send", 0.25)):
        histogram = desk.histogram("bazaar_trade_stage_seconds", stage)
        assert histogram.count == 1, stage
        assert histogram.total == pytest.approx(seconds), stage


def test_a_batch_without_an_answer_is_not_timed(desk: Desk) -> None:
    desk.lead()
    desk.place()
    desk.call().fail()
    assert desk.histogram("bazaar_trade_stage_seconds", "send").count == 0
