"""What a front-end says of its trades, and passes on with them."""

import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from tests.fakes.leaks import nothing_leaks  # noqa: F401
from tests.fakes.replicas import FakeReplica, leads, result_of
from tests.fakes.tracer import CLIENT, FakeTracer
from twisted_bazaar.errors import OutcomeUnknown, Rejected
from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.frontend.trading.following import TradeFollowing
from twisted_bazaar.frontend.trading.service import TradeService
from twisted_bazaar.market import Placed, Rejection, Side, Trade
from twisted_bazaar.timing import Timing
from twisted_bazaar.tracing.context import TraceContext
from twisted_bazaar.tracing.followed import Followed


class Leader(FakeReplica):
    """A replica that notes whose the trades are."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Sequence[tuple[int, Followed]]] = []

    def trade(self, trades: Any, sending: Any, timeout: float, *more: Any) -> Any:
        self.told.append(more[1])
        return super().trade(trades, sending, timeout, more[0])


class Desk:
    """Trading with one replica."""

    def __init__(self, following: TradeFollowing | None) -> None:
        self.clock = Clock()
        self.leader = Leader()
        self.leadership = Leadership({1: self.leader})
        replicas: Any = {1: self.leader}
        self.trading = TradeService(
            self.clock, self.clock.seconds, self.leadership, replicas, Timing(), 7, following
        )
        self.trading.startService()
        self.lead()

    def lead(self) -> None:
        """A ping finds the leader."""
        self.leadership.heard(leads(1))
        self.trading.led_by(1)

    def place(self, number: int, request_id: str, context: TraceContext | None = None) -> list[Any]:
        trade = Trade(f"key-{number}", "GameStart", Side.BUY, 1)
        return result_of(self.trading.place(trade, request_id, context))

    def send(self, *outcomes: Any) -> None:
        """The batch leaves, and is answered."""
        self.clock.advance(0)
        self.leader.only("trade").reply(list(outcomes))


def placed(number: int) -> Placed:
    return Placed(number, replayed=False, price=1)


@pytest.fixture
def tracer() -> FakeTracer:
    return FakeTracer()


def test_only_what_is_in_a_trace_is_passed_on_where_nothing_is_followed() -> None:
    desk = Desk(None)
    desk.place(1, "anna")
    desk.place(2, "bert", CLIENT)
    desk.send(placed(1), placed(2))
    assert desk.leader.told == [[(1, Followed("bert", CLIENT))]]


def test_all_are_passed_on_where_the_log_is_for_debugging() -> None:
    desk = Desk(TradeFollowing(None, is_debugging=True))
    with capturedLogs() as events:
        desk.place(1, "anna")
        desk.place(2, "bert", CLIENT)
        desk.send(placed(1), Rejected(Rejection.HALTED))
    assert desk.leader.told == [[(0, Followed("anna")), (1, Followed("bert", CLIENT))]]
    assert [formatEvent(event) for event in events] == [
        "trade taken (request anna)",
        "trade taken (request bert)",
        "trade placed: order 1 (request anna)",
        "trade not placed: trading is halted (request bert)",
    ]
    assert [event.get("trace_id") for event in events] == [None, CLIENT.trace_id] * 2
    assert events[2]["number"] == 1


def test_a_trade_has_a_span_until_it_is_settled_over_all_sendings(tracer: FakeTracer) -> None:
    desk = Desk(TradeFollowing(tracer, is_debugging=False))
    desk.place(1, "anna", CLIENT)
    desk.place(2, "bert")
    with capturedLogs() as events:
        desk.send(OutcomeUnknown("the leader changed"), placed(1))
        [span] = tracer.spans
        assert (span.parent, span.error) == (CLIENT, None)
        desk.lead()
        desk.send(placed(2))
    assert not events
    assert span.events == ["sent", "sent"]
    assert span.error == ""
    assert span.attributes["bazaar.order.number"] == 2
    # The same request, within the same span, each time.
    assert desk.leader.told == [[(0, Followed("anna", span.context))]] * 2


def test_what_the_market_refuses_is_no_failure(tracer: FakeTracer) -> None:
    desk = Desk(TradeFollowing(tracer, is_debugging=False))
    desk.place(1, "anna", CLIENT)
    desk.send(Rejected(Rejection.HALTED))
    assert tracer.spans[0].error == ""


def test_the_trades_of_a_batch_have_a_span_each(tracer: FakeTracer) -> None:
    desk = Desk(TradeFollowing(tracer, is_debugging=False))
    trades = [Trade(f"key-{number}", "GameStart", Side.BUY, 1) for number in (1, 2)]
    desk.trading.place_together(trades, "anna", CLIENT)
    desk.send(placed(1), placed(2))
    assert [span.parent for span in tracer.spans] == [CLIENT] * 2
    assert [each.context for _, each in desk.leader.told[0]] == [
        span.context for span in tracer.spans
    ]


def test_none_is_made_unless_something_is_to_be_said(tracer: FakeTracer) -> None:
    assert TradeFollowing.of(None, is_debugging=False) is None
    assert TradeFollowing.of(tracer, is_debugging=False) is not None
    assert TradeFollowing.of(None, is_debugging=True) is not None


@pytest.mark.parametrize("trades", [1, 50])
def test_trades_that_nobody_follows_cost_one_call_a_batch(trades: int) -> None:
    desk = Desk(None)
    called: list[str] = []

    def count(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and ("/tracing/" in code.co_filename or "follow" in code.co_name):
            called.append(code.co_name)

    sys.setprofile(count)
    try:
        for number in range(trades):
            desk.place(number, f"request-{number}")
        desk.send(*(placed(number + 1) for number in range(trades)))
    finally:
        sys.setprofile(None)
    assert called == ["followed_in"]
