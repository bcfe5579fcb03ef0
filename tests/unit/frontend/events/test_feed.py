"""The feed of a front-end, through the real site: readers of all kinds, and replicas that fail."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from tests.fakes.event_log import EventLog, last_id_in, numbers_in
from tests.fakes.frontend_world import Connection, FrontEnd
from tests.fakes.replicas import follows, leads
from twisted_bazaar.access import ANONYMOUS, Client, Permission
from twisted_bazaar.errors import Unavailable
from twisted_bazaar.frontend.api.streams import decode_asked
from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.frontend.events.feed import EventFeed
from twisted_bazaar.frontend.events.following import FollowedPartition
from twisted_bazaar.frontend.events.news import News
from twisted_bazaar.frontend.events.reader import HEARTBEAT_SECONDS, TAKING_SECONDS
from twisted_bazaar.frontend.events.source import PAGE_ORDERS, WAIT_SECONDS, NewsSource
from twisted_bazaar.http.refusals import refusal_of
from twisted_bazaar.http.site import BazaarRequest
from twisted_bazaar.market import Order
from twisted_bazaar.timing import Timing

TIMING = Timing()


class Replica:
    """Answers at once, or when something is new, or never."""

    def __init__(self, world: "World", id: int) -> None:
        self.world, self.id = world, id
        self.silent = self.broken = False
        self.waiting: list[tuple[int, int, int, Deferred[News]]] = []
        self.asked = 0

    def watch(
        self, after: int, version: int, limit: int, wait: float, timeout: float
    ) -> Deferred[News]:
        self.asked += 1
        log = self.world.log
        if self.broken:
            return fail(Unavailable("gone"))
        if not self.silent and (
            not wait or log.last_number > after or log.last_number + 1 > version
        ):
            return succeed(log.news(after, version, limit))
        answer: Deferred[News] = Deferred()
        self.waiting.append((after, version, limit, answer))
        timers = [
            self.world.clock.callLater(wait, self.tell),
            self.world.clock.callLater(timeout, self.give_up, answer),
        ]

        def over(result: News | Failure) -> News | Failure:
            for timer in timers:
                if timer.active():
                    timer.cancel()
            return result

        answer.addBoth(over)
        return answer

    def give_up(self, answer: Deferred[News]) -> None:
        if not answer.called:
            answer.errback(Unavailable("no answer"))

    def tell(self) -> None:
        if self.silent:
            return
        waiting, self.waiting = self.waiting, []
        for after, version, limit, answer in waiting:
            if not answer.called:
                answer.callback(self.world.log.news(after, version, limit))


class World(Resource):
    """Three replicas, the third of which leads, and a front-end whose site serves events only."""

    isLeaf = True

    def __init__(self, max_readers: int = 10) -> None:
        super().__init__()
        self.caller = ANONYMOUS
        self.frontend = FrontEnd(resource=self)
        self.clock: Clock = self.frontend.clock
        self.log = EventLog()
        self.replicas = {id: Replica(self, id) for id in (1, 2, 3)}
        self.leadership = Leadership([1, 2, 3])
        for status in (follows(1), follows(2), leads(3)):
            self.leadership.heard(status)
        clients: Any = self.replicas
        reactor: Any = self.clock
        source = NewsSource(reactor, self.clock.seconds, self.leadership, clients, clients, TIMING)
        followed = [FollowedPartition(self.leadership, source, self)]
        self.feed = EventFeed(reactor, self.clock.seconds, followed, TIMING, max_readers)
        self.feed.startService()

    def get(self, number: int) -> Deferred[Order | None]:
        there = 0 < number <= self.log.last_number
        return succeed(self.log.order(number) if there else None)

    def render(self, request: BazaarRequest) -> int:
        request.caller = self.caller
        query = request.uri.partition(b"?")[2]
        header = request.requestHeaders.getRawHeaders(b"Last-Event-ID")

        def refused(failure: Failure) -> None:
            refusal = refusal_of(failure.value)
            assert refusal is not None, failure
            request.answer(refusal)

        asked = decode_asked(query, header, caller=self.caller)
        self.feed.open(request, asked).addErrback(refused)
        return NOT_DONE_YET

    def trade(self, count: int = 1) -> None:
        for _ in range(count):
            self.log.trade()
        for replica in self.replicas.values():
            replica.tell()

    def connect(self, query: str = "", *headers: str, method: str = "GET") -> Connection:
        connection = self.frontend.connect()
        lines = "".join(f"{header}\r\n" for header in ("Host: localhost", *headers))
        request = f"{method} /events?{query} HTTP/1.1\r\n{lines}\r\n"
        connection.channel.dataReceived(request.encode())
        return connection

    def pass_time(self, seconds: float = 0.3) -> None:
        for _ in range(int(seconds / 0.05)):
            self.clock.advance(0.05)


def seen(connection: Connection) -> bytes:
    """The body that came, of an answer in chunks."""
    rest = connection.transport.value().partition(b"\r\n\r\n")[2]
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        body += rest[:length]
        rest = rest[length + 2 :]
    return body


@pytest.fixture
def world() -> World:
    return World()


def test_a_reader_is_told_of_the_past_and_then_of_the_present(world: World) -> None:
    world.trade(3)
    reader = world.connect("after=1")
    world.pass_time()
    world.trade(2)
    world.pass_time()
    assert numbers_in(seen(reader)) == [2, 3, 4, 5]
    head = reader.transport.value().partition(b"\r\n\r\n")[0]
    assert b"Content-Type: text/event-stream" in head
    assert b"Connection: close" in head


def test_a_reader_without_a_past_learns_from_where_to_go_on(world: World) -> None:
    world.trade(3)
    reader = world.connect()
    world.pass_time()
    assert numbers_in(seen(reader)) == []
    assert last_id_in(seen(reader)) == 3
    again = world.connect("", "Last-Event-ID: 3")
    world.trade()
    world.pass_time()
    assert numbers_in(seen(again)) == numbers_in(seen(reader)) == [4]


def test_the_feed_runs_only_while_there_are_readers(world: World) -> None:
    reader = world.connect()
    world.pass_time()
    reader.hang_up()
    world.pass_time(3.0)
    asked = world.replicas[3].asked
    world.trade()
    world.pass_time(10.0)
    assert world.replicas[3].asked == asked
    assert len(world.clock.getDelayedCalls()) == 0


def test_another_replica_is_asked_when_the_leader_breaks(world: World) -> None:
    reader = world.connect()
    world.pass_time()
    world.replicas[3].broken = True
    world.replicas[3].give_up(world.replicas[3].waiting.pop()[3])
    world.trade(2)
    world.pass_time()
    assert numbers_in(seen(reader)) == [1, 2]


def test_a_leader_that_falls_silent_is_given_up_when_another_leads(world: World) -> None:
    reader = world.connect("events=order,leader")
    world.pass_time()
    world.replicas[3].silent = True
    world.trade()
    world.pass_time()
    assert numbers_in(seen(reader)) == []
    world.leadership.silent(3)
    world.leadership.heard(leads(2, 7))
    world.feed.led()
    world.pass_time()
    assert numbers_in(seen(reader)) == [1]
    assert b'data: {"id":2,"term":7}' in seen(reader)


def test_a_replica_that_is_silent_all_the_same_is_given_up_in_time(world: World) -> None:
    reader = world.connect()
    world.pass_time()
    world.replicas[3].silent = True
    world.trade()
    world.pass_time(WAIT_SECONDS + TIMING.lease + 0.3)
    assert numbers_in(seen(reader)) == [1]


def test_streams_end_when_the_log_was_restored(world: World) -> None:
    world.trade(5)
    reader = world.connect("after=0")
    world.pass_time()
    world.log.cut_short(2)
    world.pass_time(5.0)
    assert reader.transport.disconnecting
    reader.hang_up()
    refused = world.connect("", "Last-Event-ID: 5")
    world.pass_time()
    assert b"the header Last-Event-ID must be the number of an order" in refused.transport.value()


def test_a_restored_log_that_has_grown_again_is_found_by_its_digest(world: World) -> None:
    world.trade(5)
    reader = world.connect("after=0")
    world.pass_time()
    world.log.cut_short(2)
    for _ in range(9):
        world.log.trade(made="y")
    world.trade(0)
    world.pass_time()
    assert reader.transport.disconnecting
    assert numbers_in(seen(reader)) == [1, 2, 3, 4, 5]


def test_an_order_that_is_not_there_is_refused(world: World) -> None:
    refused = world.connect("after=7")
    world.pass_time()
    assert refused.transport.value().startswith(b"HTTP/1.1 400 ")
    assert b"there is no 7 yet" in refused.transport.value()


def test_a_stock_that_is_not_there_is_refused(world: World) -> None:
    refused = world.connect("stocks=A,Nope")
    assert refused.transport.value().startswith(b"HTTP/1.1 400 ")
    assert b'names no stock: \\"Nope\\"' in refused.transport.value()


def test_without_a_replica_there_is_no_stream(world: World) -> None:
    for replica in world.replicas.values():
        replica.broken = True
    refused = world.connect()
    world.pass_time(TIMING.deadline + 1)
    assert refused.transport.value().startswith(b"HTTP/1.1 503 ")
    world.pass_time(5.0)
    assert [call.getTime() for call in world.clock.getDelayedCalls()][1:] == []


def test_no_more_readers_than_are_allowed() -> None:
    world = World(max_readers=2)
    readers = [world.connect() for _ in range(3)]
    assert [reader.transport.value()[9:12] for reader in readers] == [b"200", b"200", b"503"]
    readers[0].hang_up()
    assert world.connect().transport.value()[9:12] == b"200"


def test_one_client_cannot_have_all_readers() -> None:
    world = World(max_readers=6)
    alice, bob = (Client(name, frozenset({Permission.READ})) for name in ("alice", "bob"))

    def codes(caller: Client, count: int) -> list[bytes]:
        world.caller = caller
        readers.extend(world.connect() for _ in range(count))
        return [reader.transport.value()[9:12] for reader in readers[-count:]]

    readers: list[Connection] = []
    assert codes(alice, 4) == [b"200", b"200", b"200", b"503"]
    refused = readers[-1].transport.value()
    assert b"overloaded" in refused
    assert b"3 readers of client alice" in refused
    assert codes(bob, 1) == [b"200"]
    for reader in readers[:2]:
        reader.hang_up()
    assert codes(alice, 2) == [b"200", b"503"]
    world.feed.stopService()
    assert [world.feed._shares.of(name) for name in ("alice", "bob")] == [0, 0]


def test_a_reader_that_is_refused_or_hangs_up_early_takes_no_place() -> None:
    world = World(max_readers=1)
    assert world.connect("after=9").transport.value()[9:12] == b"400"
    for replica in world.replicas.values():
        replica.silent = True
    world.pass_time(2.0)
    world.connect().hang_up()
    world.pass_time(TIMING.deadline + 1)
    for replica in world.replicas.values():
        replica.silent = False
    world.pass_time(2.0)
    assert world.connect().transport.value()[9:12] == b"200"


def test_head_has_the_head_of_the_answer_and_ends(world: World) -> None:
    answer = world.connect("", "Accept-Encoding: gzip", method="HEAD").transport.value()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"Content-Type: text/event-stream" in answer
    assert b"Content-Encoding: gzip" in answer
    assert answer.endswith(b"\r\n\r\n")
    assert world.replicas[3].asked == 0


def test_http_1_0_has_no_chunks_and_the_connection_ends_the_stream(world: World) -> None:
    connection = world.frontend.connect()
    connection.channel.dataReceived(b"GET /events HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    world.pass_time()
    head, _, body = connection.transport.value().partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert b"Connection: close" in head
    assert body.startswith(b"retry: 1000\n\n")


def test_a_client_that_has_closed_its_side_is_told_nevertheless(world: World) -> None:
    reader = world.connect()
    reader.channel.readConnectionLost()
    world.trade()
    world.pass_time()
    assert numbers_in(seen(reader)) == [1]


def test_a_stream_is_alive_without_news(world: World) -> None:
    reader = world.connect()
    world.pass_time(2 * HEARTBEAT_SECONDS + 3)
    assert seen(reader).count(b": heartbeat\n\n") == 2
    assert not reader.transport.disconnecting


def test_nothing_is_written_ahead_of_a_client_that_takes_nothing_and_it_is_cut_off(
    world: World,
) -> None:
    reader = world.connect("after=0")
    world.pass_time()
    reader.channel.pauseProducing()
    reader.transport.clear()
    for _ in range(20):
        world.trade(10)
        world.pass_time(0.5)
    assert reader.transport.value() == b""
    assert not reader.transport.aborting
    world.pass_time(TAKING_SECONDS - 8)
    assert reader.transport.aborting


def test_a_client_that_takes_it_late_is_given_everything(world: World) -> None:
    reader = world.connect("after=0")
    world.pass_time()
    reader.channel.pauseProducing()
    world.trade(30)
    world.pass_time(2.0)
    reader.channel.resumeProducing()
    world.trade(1)
    world.pass_time(0.5)
    assert numbers_in(seen(reader)) == [*range(1, 32)]


def test_the_past_is_read_no_faster_than_the_client_takes_it(world: World) -> None:
    world.trade(2000)
    world.connect()
    world.pass_time()
    asked = sum(replica.asked for replica in world.replicas.values())
    reader = world.frontend.connect()
    write = reader.transport.write

    def write_and_block(data: bytes) -> None:
        write(data)
        reader.channel.pauseProducing()

    reader.transport.write = write_and_block  # type: ignore[method-assign]
    reader.channel.dataReceived(b"GET /events?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    world.pass_time(1.0)
    assert numbers_in(seen(reader)) == []
    for pages in range(1, 4):
        for _ in range(2000):
            if len(numbers_in(seen(reader))) >= pages * PAGE_ORDERS:
                break
            reader.channel.resumeProducing()
        assert len(numbers_in(seen(reader))) == pages * PAGE_ORDERS
        assert sum(replica.asked for replica in world.replicas.values()) <= asked + 2 * pages
    for _ in range(2000):
        if len(numbers_in(seen(reader))) >= 2000:
            break
        reader.channel.resumeProducing()
    assert numbers_in(seen(reader)) == [*range(1, 2001)]


def test_all_streams_end_at_once_when_the_site_drains(world: World) -> None:
    reader, blocked = world.connect(), world.connect()
    world.pass_time()
    blocked.channel.pauseProducing()
    drained: list[object] = []
    world.frontend.site.drain().addCallback(drained.append)
    assert reader.transport.value().endswith(b"0\r\n\r\n")
    assert reader.transport.disconnecting
    assert blocked.transport.aborting
    for each in (reader, blocked):
        each.channel.connectionLost(Failure(ConnectionDone()))
    assert drained == [None]


def test_a_service_that_stops_ends_readers_and_those_that_wait(world: World) -> None:
    for replica in world.replicas.values():
        replica.silent = True
    waiting = world.connect()
    world.feed.stopService()
    world.pass_time()
    assert waiting.transport.value().startswith(b"HTTP/1.1 503 ")
    assert world.clock.getDelayedCalls()[1:] == []


def test_after_an_unexpected_error_the_next_reader_has_a_feed_that_works(
    world: World, monkeypatch: pytest.MonkeyPatch, logged_failures: list[Failure]
) -> None:
    reader = world.connect()
    world.pass_time()

    def fails(*_: object) -> Deferred[News]:
        raise RuntimeError("not foreseen")

    with monkeypatch.context() as broken:
        for replica in world.replicas.values():
            broken.setattr(replica, "watch", fails)
        world.trade(1)
        world.pass_time(0.1)
    assert reader.transport.disconnecting
    assert [str(failure.value) for failure in logged_failures] == ["not foreseen"]
    logged_failures.clear()
    again = world.connect()
    world.pass_time(0.1)
    world.trade(1)
    world.pass_time(0.5)
    assert numbers_in(seen(again)) == [2]


def test_orders_that_come_up_count_once_for_all_readers(world: World) -> None:
    world.trade(3)
    assert (world.feed.readers, world.feed.orders) == (0, 0)
    world.connect("after=0")
    reader = world.connect("after=0")
    world.pass_time()
    assert (world.feed.readers, world.feed.orders) == (2, 0), "what was there has not come up"
    world.trade(2)
    world.pass_time()
    assert (world.feed.readers, world.feed.orders) == (2, 2)
    reader.channel.connectionLost(Failure(ConnectionDone()))
    assert world.feed.readers == 1


def test_a_stream_whose_client_is_removed_ends_also_while_it_is_being_opened() -> None:
    world = World()
    for replica in world.replicas.values():
        replica.silent = True
    opening = world.connect()
    world.feed.end_those(lambda client: True)
    for replica in world.replicas.values():
        replica.silent = False
        replica.tell()
    world.pass_time(0.5)
    assert opening.transport.value().startswith(b"HTTP/1.1 503 ")
    assert world.feed.readers == 0
