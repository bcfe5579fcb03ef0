"""What front-ends wait for at a replica: whatever is released, at the leader and elsewhere."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.fakes.cluster import Cluster, buy
from tests.fakes.replicas import result_of
from twisted_bazaar.consensus.entries import GENESIS
from twisted_bazaar.errors import Unavailable
from twisted_bazaar.order.watches import Watches
from twisted_bazaar.timing import Timing

TIMING = Timing()


class Market:
    """Replica 3 leads a market without orders; each replica has a clock for its watches."""

    def __init__(self, most: int = 64) -> None:
        self.cluster = Cluster()
        self.cluster.open_market(3)
        self.clock = Clock()
        self.cluster.pass_time(TIMING.heartbeat)
        self.watches = {
            id: Watches(self.clock, member.replica, member.desk, most)
            for id, member in self.cluster.members.items()
        }

    def last(self, id: int) -> int:
        return self.watches[id].released(0).version

    def wait(self, id: int, seconds: float = 1.0) -> Deferred[None]:
        """For anything that is not released yet."""
        return self.watches[id].news(0, self.last(id), seconds)

    def trade(self) -> None:
        self.cluster.trade(3, buy("a", 1))
        self.cluster.pass_time(TIMING.heartbeat)
        for watches in self.watches.values():
            watches.look()


def test_each_replica_tells_of_an_order_once_it_is_released() -> None:
    market = Market()
    told = [result_of(market.wait(id)) for id in (1, 2, 3)]
    for watches in market.watches.values():
        watches.look()
    assert told == [[], [], []]
    market.trade()
    assert told == [[None], [None], [None]]
    assert [len(watches) for watches in market.watches.values()] == [0, 0, 0]


def test_what_is_released_already_is_told_at_once() -> None:
    market = Market()
    version = market.last(1)
    market.trade()
    assert result_of(market.watches[1].news(0, version, 1.0)) == [None]
    assert result_of(market.watches[1].news(0, market.last(1), 1.0)) == [None]
    assert result_of(market.watches[1].news(1, market.last(1), 1.0)) == []


def test_without_news_the_answer_comes_after_the_time_that_was_given() -> None:
    market = Market()
    told = result_of(market.wait(2, 0.5))
    market.clock.advance(0.49)
    assert told == []
    market.clock.advance(0.02)
    assert told == [None]
    assert result_of(market.wait(2, 0.0)) == [None]


def test_what_changed_is_told_and_nothing_before() -> None:
    market = Market()
    first = market.watches[1].released(0)
    assert (first.last_number, len(first.stocks)) == (0, 10)
    assert first.before == GENESIS
    market.trade()
    second = market.watches[1].released(first.version)
    assert (second.last_number, [stock.quantity for stock in second.stocks]) == (1, [99])
    assert second.stocks[0].version == second.version == first.version + 1
    assert second.before == first.digest != second.digest
    assert [stock.version for stock in market.watches[1].released(0).stocks] == sorted(
        stock.version for stock in market.watches[1].released(0).stocks
    )


def test_a_replica_does_not_vouch_for_what_it_does_not_know() -> None:
    market = Market()
    market.cluster.cut(1)
    market.trade()
    behind = market.watches[1].released(market.last(3))
    assert (behind.before, behind.stocks) == ("", [])
    assert behind.version < market.last(3)


def test_no_more_wait_than_are_allowed() -> None:
    market = Market(most=2)
    waiting = [result_of(market.wait(1)) for _ in range(2)]
    (refused,) = result_of(market.wait(1))
    assert isinstance(refused, Unavailable)
    market.trade()
    assert waiting == [[None], [None]]


def test_a_caller_that_gives_up_waits_no_longer() -> None:
    market = Market(most=1)
    call = market.wait(1)
    call.addErrback(lambda failure: None)
    call.cancel()
    assert len(market.watches[1]) == 0
    assert not market.clock.getDelayedCalls()
    market.trade()


def test_a_replica_that_stops_tells_all_and_later_callers() -> None:
    market = Market()
    waiting = result_of(market.wait(1))
    market.watches[1].stop()
    (told,) = waiting
    assert isinstance(told, Unavailable)
    (told,) = result_of(market.wait(1))
    assert isinstance(told, Unavailable)
    assert not market.clock.getDelayedCalls()
