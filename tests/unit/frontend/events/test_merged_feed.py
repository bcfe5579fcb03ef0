"""The feed of two partitions, through the real site: one stream of both."""

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from tests.fakes.event_log import EventLog
from tests.fakes.frontend_world import Connection, FrontEnd
from tests.fakes.partitioned_events import event_of, last_id_in, last_position_in, orders_in
from tests.fakes.replicas import leads
from tests.unit.frontend.events.test_feed import TIMING, seen
from twisted_bazaar.errors import Unavailable
from twisted_bazaar.frontend.api.streams import decode_asked
from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.frontend.events.following import FollowedPartition
from twisted_bazaar.frontend.events.merged_feed import MergedFeed
from twisted_bazaar.frontend.events.news import News
from twisted_bazaar.frontend.events.source import NewsSource
from twisted_bazaar.frontend.partitions.streams import after_of
from twisted_bazaar.http.refusals import refusal_of
from twisted_bazaar.http.site import BazaarRequest
from twisted_bazaar.market import Order


class Partition:
    """One replica, which leads it, and its orders."""

    def __init__(self, clock: Clock, number: int, partitions: int) -> None:
        self.clock, self.number, self.partitions = clock, number, partitions
        self.log = EventLog(f"log-{number}")
        self.broken = False
        self.hidden = 0
        """How many of the last orders watchers are not told of yet."""
        self.leadership = Leadership([1])
        self.leadership.heard(leads(1))
        clients: Any = {1: self}
        reactor: Any = clock
        self.source = NewsSource(reactor, clock.seconds, self.leadership, clients, clients, TIMING)

    def watch(
        self, after: int, version: int, limit: int, wait: float, timeout: float
    ) -> Deferred[News]:
        if self.broken:
            return fail(Unavailable("gone"))
        known = self.log.last_number - self.hidden
        news = self.log.news(after, version, limit, known)
        orders = [
            event_of(self.log.order(e.number), self.number, self.partitions) for e in news.orders
        ]
        found = News(orders, news.quotes, known, news.version, news.digest, news.before)
        answer: Deferred[News] = Deferred()
        if orders or not wait:
            return succeed(found)
        self.clock.callLater(0.05, lambda: answer.called or answer.callback(found))
        return answer

    def get(self, number: int) -> Deferred[Order | None]:
        if self.broken:
            return fail(Unavailable("gone"))
        there = 0 < number <= self.log.last_number
        return succeed(self.log.order(number) if there else None)


class World(Resource):
    """A front-end whose site serves events only."""

    isLeaf = True

    def __init__(self, partitions: int = 2) -> None:
        super().__init__()
        self.frontend = FrontEnd(resource=self)
        self.clock: Clock = self.frontend.clock
        self.partitions = [Partition(self.clock, each, partitions) for each in range(partitions)]
        self.start()

    def start(self) -> None:
        """A front-end that knows nothing yet."""
        reactor: Any = self.clock
        followed = [
            FollowedPartition(each.leadership, each.source, each) for each in self.partitions
        ]
        self.feed = MergedFeed(reactor, self.clock.seconds, followed, TIMING, 10, lambda stock: 0)
        self.feed.startService()

    def render(self, request: BazaarRequest) -> int:
        query = request.uri.partition(b"?")[2]
        header = request.requestHeaders.getRawHeaders(b"Last-Event-ID")

        def refused(failure: Failure) -> None:
            refusal = refusal_of(failure.value)
            assert refusal is not None, failure
            request.answer(refusal)

        asked = decode_asked(query, header, after_of(len(self.partitions)))
        self.feed.open(request, asked).addErrback(refused)
        return NOT_DONE_YET

    def trade(self, *partitions: int) -> None:
        for partition in partitions:
            self.partitions[partition].log.trade()

    def connect(self, query: str = "events=order", *headers: str) -> Connection:
        connection = self.frontend.connect()
        lines = "".join(f"{header}\r\n" for header in ("Host: localhost", *headers))
        connection.channel.dataReceived(f"GET /events?{query} HTTP/1.1\r\n{lines}\r\n".encode())
        return connection

    def pass_time(self, seconds: float = 0.5) -> None:
        for _ in range(int(seconds / 0.05)):
            self.clock.advance(0.05)


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.feed.stopService()


def test_a_reader_is_told_of_the_past_and_the_present_of_all_partitions(world: World) -> None:
    world.trade(0, 1, 1)
    reader = world.connect("after=0&events=order")
    world.pass_time()
    assert sorted(orders_in(seen(reader))) == [1000, 1001, 2001]
    world.trade(1, 0)
    world.pass_time()
    assert sorted(orders_in(seen(reader))[3:]) == [2000, 3001]
    assert last_position_in(seen(reader), 2) == (2, 3)


def test_a_reader_goes_on_at_another_front_end_with_its_last_id(world: World) -> None:
    world.trade(0, 1)
    reader = world.connect("after=0&events=order")
    world.pass_time()
    world.trade(1)
    world.pass_time()
    first = seen(reader)
    world.trade(0, 1)
    world.feed.stopService()
    world.start()
    again = world.connect("events=order", f"Last-Event-ID: {last_id_in(first)}")
    world.pass_time()
    world.trade(0)
    world.pass_time()
    shown = orders_in(first) + orders_in(seen(again))
    assert sorted(shown) == [1000, 1001, 2000, 2001, 3000, 3001]
    # The parameter says the same.
    third = world.connect(f"events=order&after={last_id_in(first)}")
    world.pass_time()
    assert sorted(orders_in(seen(third))) == [2000, 3000, 3001]


def test_a_front_end_that_knows_less_than_was_shown_waits_until_it_does(world: World) -> None:
    world.trade(0, 1)
    reader = world.connect("after=0&events=order")
    world.pass_time()
    shown = last_id_in(seen(reader))
    world.feed.stopService()
    world.partitions[1].hidden = 1
    world.start()
    again = world.connect("events=order", f"Last-Event-ID: {shown}")
    world.pass_time()
    assert again.transport.value() == b""
    world.partitions[1].hidden = 0
    world.trade(1)
    world.pass_time()
    assert orders_in(seen(again)) == [2001]


def test_an_order_that_is_not_there_is_refused(world: World) -> None:
    ahead = World()
    ahead.trade(0, 1, 1)
    reader = ahead.connect()
    ahead.pass_time()
    ahead.feed.stopService()
    world.trade(0)
    refused = world.connect("events=order", f"Last-Event-ID: {last_id_in(seen(reader))}")
    world.pass_time()
    assert refused.transport.value().startswith(b"HTTP/1.1 400 ")
    assert b"names order 2001, which is not there yet" in refused.transport.value()


def test_the_stream_goes_on_while_a_partition_does_not_answer(world: World) -> None:
    reader = world.connect()
    world.pass_time()
    world.partitions[0].broken = True
    world.trade(0, 1)
    world.pass_time()
    assert orders_in(seen(reader)) == [1001]
    world.partitions[0].broken = False
    world.pass_time()
    assert orders_in(seen(reader)) == [1001, 1000]


def test_a_stream_begins_only_once_each_partition_has_answered(world: World) -> None:
    world.partitions[1].broken = True
    refused = world.connect()
    world.pass_time(TIMING.deadline + 0.5)
    assert refused.transport.value().startswith(b"HTTP/1.1 503 ")
    world.partitions[1].broken = False
    reader = world.connect()
    world.pass_time()
    assert reader.transport.value().startswith(b"HTTP/1.1 200 ")


def test_streams_end_when_the_log_of_a_partition_was_restored(world: World) -> None:
    world.trade(0, 1, 1)
    reader = world.connect("after=0")
    world.pass_time()
    world.partitions[1].log.cut_short(0)
    for _ in range(5):
        world.partitions[1].log.trade(made="y")
    world.pass_time()
    assert reader.transport.disconnecting
    again = world.connect()
    world.pass_time()
    world.trade(0, 1)
    world.pass_time()
    assert sorted(orders_in(seen(again))) == [2000, 6001]


def test_nothing_is_left_of_a_feed_without_readers(world: World) -> None:
    reader = world.connect()
    world.pass_time()
    reader.hang_up()
    world.pass_time(3.0)
    assert world.clock.getDelayedCalls() == []
