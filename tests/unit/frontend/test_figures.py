"""What /status and /metrics show of a front-end is what its parts have counted."""

from typing import Any

import attrs
import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from tests.fakes.internal_endpoint import InternalEndpoint, request
from tests.fakes.publisher import FakePublisher
from twisted_bazaar.frontend.cache.memory import MemoryCache
from twisted_bazaar.frontend.cache.quotes import LookupResult, Source
from twisted_bazaar.frontend.cache.redis import RedisCache
from twisted_bazaar.frontend.figures import FrontendFigures
from twisted_bazaar.market import Placed
from twisted_bazaar.metrics.figures import LATENCY_SECONDS, Gauges, Metrics
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.redis_url import RedisUrl
from twisted_bazaar.status.report import Durations, LookupCounts, TradeCounts


@attrs.define
class Parts:
    """As much of a front-end's parts as its figures read."""

    waiting: int = 4
    readers: int = 2
    orders: int = 9
    leader: int = 3
    leader_changes: int = 1
    nominations: int = 5


class World:
    def __init__(self) -> None:
        self.clock = Clock()
        self.metrics = Metrics()
        self.figures = FrontendFigures(self.metrics, self.clock, lambda: 0)
        self.parts: Any = Parts()
        self.figures.show(self.parts, [self.parts], [self.parts], [self.parts])

    def gauge(self, name: str) -> float:
        [found] = (each for each in self.metrics if each.name == name)
        assert isinstance(found, Gauges)
        return found.read()[()]


@pytest.fixture
def world() -> World:
    return World()


def test_figures_are_zero_at_the_start(world: World) -> None:
    figures = world.figures.snapshot()
    assert (figures.requests, figures.failures, figures.uptime_seconds) == (0, 0, 0)
    assert (figures.lookups, figures.trades) == (LookupCounts(), TradeCounts())
    assert figures.seconds == Durations()


def test_figures_are_what_was_counted(world: World) -> None:
    figures = world.figures
    world.clock.advance(31.25)
    for code, seconds in ((200, 0.0001), (503, 0.3), (500, 10.0)):
        figures.http.answered("/stocks/<name>", b"GET", code, seconds)
    figures.http.answered("/orders", b"POST", 200, 0.002)
    figures.http.answered("/orders", b"GET", 200, 0.02)
    figures.http.answered("/readyz", b"GET", 503, 0.0001)
    figures.http.counted("/events", b"GET", 200)
    for source in (Source.HIT, Source.HIT, Source.MISS, Source.OFF, Source.OFF, Source.OFF):
        figures.cache.looked_up(LookupResult(None, source))
    figures.trades.settled(Placed(1, False))
    shown = figures.snapshot()
    assert shown.uptime_seconds == 31.25
    assert (shown.requests, shown.failures, shown.streams) == (7, 2, 2)
    assert shown.lookups == LookupCounts(hit=2, miss=1, off=3)
    assert shown.trades == TradeCounts(placed=1)
    lookup, trade = [0] * 16, [0] * 16
    lookup[0] = lookup[LATENCY_SECONDS.index(0.5)] = lookup[-1] = 1
    trade[LATENCY_SECONDS.index(0.0025)] = 1
    assert shown.seconds == Durations(
        bounds=LATENCY_SECONDS, lookup=tuple(lookup), trade=tuple(trade)
    )


def test_the_state_of_the_parts_is_read_when_it_is_asked_for(world: World) -> None:
    for name, value in {
        "bazaar_trade_queue_length": 4,
        "bazaar_streams_open": 2,
        "bazaar_stream_orders_total": 9,
        "bazaar_leader_id": 3,
        "bazaar_leader_changes_total": 1,
        "bazaar_nominations_total": 5,
    }.items():
        assert world.gauge(name) == value, name
    world.parts.leader = 0
    assert world.gauge("bazaar_leader_id") == 0


def test_a_lease_shows_until_it_is_over(world: World) -> None:
    publisher = FakePublisher()
    world.figures.show_cache(MemoryCache(), [publisher.floors], lambda: publisher.now)
    assert world.gauge("bazaar_frontend_lease_held") == 0
    publisher.grant(A=5)
    assert world.gauge("bazaar_frontend_lease_held") == 1
    publisher.now += 1000
    assert world.gauge("bazaar_frontend_lease_held") == 0
    publisher.floors.kept_out(1.5, publisher.now)
    assert world.gauge("bazaar_frontend_kept_out") == 1
    publisher.now += 1.6
    assert world.gauge("bazaar_frontend_kept_out") == 0


def test_a_redis_shows_whether_it_is_given_up_and_memory_never_is(world: World) -> None:
    clock: Any = Clock()
    redis = RedisCache(clock, clock.seconds, RedisUrl(Address("127.0.0.1", 1)))
    redis.errors = 3
    world.figures.show_cache(redis, [FakePublisher().floors], clock.seconds)
    assert world.gauge("bazaar_cache_breaker_open") == 1
    assert world.gauge("bazaar_cache_errors_total") == 3
    memory = World()
    memory.figures.show_cache(MemoryCache(), [FakePublisher().floors], clock.seconds)
    assert memory.gauge("bazaar_cache_breaker_open") == 0
    assert memory.gauge("bazaar_cache_errors_total") == 0


@pytest.mark.parametrize(("missing", "shown"), [(None, b"1.0"), ("no replica leads", b"0.0")])
def test_it_is_asked_whether_it_is_ready_each_time_that_metrics_are_read(
    world: World, missing: str | None, shown: bytes
) -> None:
    answers: list[Deferred[str | None]] = [succeed("not yet"), succeed(missing)]
    resource = world.figures.resource(lambda: answers.pop(0))
    endpoint = InternalEndpoint(metrics=resource)
    scrape = request(b"GET", b"/metrics", b"")
    assert b"\nbazaar_ready 0.0\n" in endpoint.ask(scrape).body
    assert b"\nbazaar_ready %b\n" % shown in endpoint.ask(scrape).body


def test_only_several_partitions_are_told_apart() -> None:
    metrics, parts = Metrics(), [Parts(leader=3), Parts(leader=2)]
    several: Any = parts
    figures = FrontendFigures(metrics, Clock(), lambda: 0)
    figures.show(several[0], several, several, several)
    figures.show_cache(MemoryCache(), [FakePublisher().floors] * 2, lambda: 0.0)
    read = {each.name: each.read() for each in metrics if isinstance(each, Gauges)}
    assert read["bazaar_leader_id"] == {("0",): 3, ("1",): 2}
    assert read["bazaar_nominations_total"] == {("0",): 5, ("1",): 5}
    assert read["bazaar_frontend_lease_held"].keys() == {("0",), ("1",)}
    assert read["bazaar_streams_open"] == {(): 2}
