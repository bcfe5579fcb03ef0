"""The queue of trades beside a model: in any sequence of events each is settled exactly once."""

from collections.abc import Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from twisted_bazaar.errors import KeyReused, NotExecuted, NotLeader, OutcomeUnknown, Overloaded
from twisted_bazaar.frontend.trading.queue import Batch, Outcome, Pending, TradeQueue
from twisted_bazaar.market import Placed

from .test_queue import REFUSED_IN_DOUBT, REJECTED, pending, placed, sent

FEW = 6

decisions = st.sampled_from(
    [placed(1), placed(1, True), REJECTED, KeyReused(), Overloaded(), NotLeader(), OutcomeUnknown()]
)


class Model(RuleBasedStateMachine):
    """A queue in any sequence of events, and what is known of each trade."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = TradeQueue(FEW, in_flight=2)
        self.now = 0.0
        self.trades: list[Pending] = []
        self.outcomes: dict[Pending, Outcome] = {}
        self.flying: list[Batch] = []
        """Sent, and neither answered nor lost, though perhaps given up."""
        self.given_up: list[Batch] = []
        self.unknown: set[Pending] = set()
        """Sent, and not certainly refused."""

    @rule(all_seconds=st.lists(st.sampled_from([0.5, 2.0, 3.0]), min_size=1, max_size=3))
    def add(self, all_seconds: list[float]) -> None:
        for seconds in all_seconds:
            trade = pending(len(self.trades), self.now + seconds)
            if len(self.trades) - len(self.outcomes) >= FEW:
                with pytest.raises(Overloaded):
                    self.queue.add(trade)
            else:
                self.queue.add(trade)
                self.trades.append(trade)

    @rule(leader=st.sampled_from([0, 1, 1, 2, 2]))
    def take(self, leader: int) -> None:
        batch = self.queue.take(leader, 1)
        if batch is not None:
            assert leader == batch.leader
            assert batch.pending
            assert not set(batch.pending) & set(self.outcomes), "it was settled before"
            expected = [each for each in self.flying if each not in self.given_up]
            assert len(expected) < 2
            for other in expected:
                assert not set(batch.pending) & set(other.pending), "it is in flight twice"
            order = [self.trades.index(each) for each in batch.pending]
            assert order == sorted(order)
            self.flying.append(batch)

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        batch = self._land(data)
        outcomes = data.draw(
            st.lists(decisions, min_size=len(batch.pending), max_size=len(batch.pending))
        )
        took = self.queue.answered(batch, outcomes)
        if batch in self.given_up:
            assert took
            return
        turned_away = [isinstance(each, NotLeader | OutcomeUnknown) for each in outcomes]
        assert took is not any(turned_away)
        decided = {
            each: self._as_told(each, outcome)
            for each, outcome, again in zip(batch.pending, outcomes, turned_away, strict=True)
            if not again and each not in self.outcomes
        }
        told = {
            each: REFUSED_IN_DOUBT if isinstance(outcome, OutcomeUnknown) else outcome
            for each, outcome in self._collect().items()
        }
        assert told == decided
        for each, outcome in zip(batch.pending, outcomes, strict=True):
            if isinstance(outcome, OutcomeUnknown):
                self.unknown.add(each)

    def _as_told(self, trade: Pending, outcome: Outcome) -> Outcome:
        if isinstance(outcome, Placed) and trade in self.unknown:
            return placed(outcome.number, replayed=False)
        if isinstance(outcome, Overloaded) and trade in self.unknown:
            return REFUSED_IN_DOUBT
        return outcome

    @precondition(lambda self: self.flying)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        batch = self._land(data)
        assert self.queue.lost(batch) is (batch not in self.given_up)
        self.unknown.update(batch.pending)

    def _land(self, data: st.DataObject) -> Batch:
        batch = data.draw(st.sampled_from(self.flying))
        self.flying.remove(batch)
        return batch

    @rule(leader=st.integers(1, 2))
    def led_by(self, leader: int) -> None:
        self.queue.led_by(leader, 1)
        for batch in self.flying:
            if batch.leader != leader and batch not in self.given_up:
                self.given_up.append(batch)
                self.unknown.update(batch.pending)

    @rule(seconds=st.sampled_from([0.1, 1.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        flying = {each for batch in self.flying for each in batch.pending}
        self.queue.expire(self.now)
        for each, outcome in self._collect().items():
            assert each.deadline <= self.now
            assert isinstance(outcome, OutcomeUnknown) or type(outcome) is NotExecuted
            if each in self.unknown or each in flying:
                assert isinstance(outcome, OutcomeUnknown), "it may have been executed"
            else:
                assert isinstance(outcome, NotExecuted), "it was certainly not executed"
        assert all(each.deadline > self.now for each in self.trades if each not in self.outcomes)

    def _collect(self) -> dict[Pending, Outcome]:
        news = self.queue.take_settled()
        for each, outcome in news:
            assert each not in self.outcomes, "it was settled before"
            assert not isinstance(outcome, NotLeader)
            self.outcomes[each] = outcome
        return dict(news)

    @invariant()
    def nothing_is_settled_twice(self) -> None:
        self._collect()
        assert len(self.trades) - len(self.outcomes) <= FEW

    def teardown(self) -> None:
        for batch in self.flying:
            self.queue.lost(batch)
        self.queue.expire(self.now + 10.0)
        self._collect()
        assert len(self.outcomes) == len(self.trades)
        fresh: Sequence[Pending] = [pending(number, self.now + 20) for number in range(FEW)]
        for each in fresh:
            self.queue.add(each)
        assert sent(self.queue).pending == fresh


Model.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestEachTradeIsSettledExactlyOnce = Model.TestCase
