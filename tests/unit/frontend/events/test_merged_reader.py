"""One stream of several partitions: every order once, in order within its partition.

The model is a front-end that hears of its partitions by and by, and a reader that connects, falls
behind and connects again, to it or to one that was just started.
"""

import random
import zlib
from collections.abc import Callable, Mapping, Sequence

import pytest

from tests.fakes.event_log import EventLog
from tests.fakes.partitioned_events import event_of, last_position_in, orders_in
from twisted_bazaar.errors import Unavailable
from twisted_bazaar.frontend.events.encoding import HEARTBEAT
from twisted_bazaar.frontend.events.journal import HistoryChanged, Journal, Wanted
from twisted_bazaar.frontend.events.merged_journal import MergedJournal
from twisted_bazaar.frontend.events.merged_reader import MergedReader
from twisted_bazaar.frontend.events.news import News, OrderEvent, QuoteEvent
from twisted_bazaar.frontend.events.reader import HEARTBEAT_SECONDS
from twisted_bazaar.frontend.partitions.streams import after_of

PAGE = 4
KEPT = 5
PARTITIONS = 3


class World:
    """A front-end of three partitions, and a client that reads."""

    def __init__(
        self,
        seed: int,
        journal: type[MergedJournal] = MergedJournal,
        reader: type[MergedReader] = MergedReader,
        wanted: Wanted = Wanted(),  # noqa: B008 - it is frozen
    ) -> None:
        self.chance = random.Random(seed)
        self._make_journal, self._make_reader = journal, reader
        self._wanted = wanted
        self.logs = [EventLog(f"log-{partition}") for partition in range(PARTITIONS)]
        self.clock = 0
        self.times: dict[tuple[int, int], int] = {}
        self.data = b""
        self.streams = 0
        self.start_front_end()
        self.connect()

    def start_front_end(self) -> None:
        """One that knows less than there is, but what the client has been given."""
        given = last_position_in(self.data, PARTITIONS) or (0,) * PARTITIONS
        firsts = [
            log.news(2**53 - 1, 0, known=self.chance.randint(has, log.last_number))
            for log, has in zip(self.logs, given, strict=True)
        ]
        self.journal = self._make_journal(firsts, lambda stock: 0, KEPT)

    def connect(self) -> None:
        """The client connects, with the last id that it was given."""
        after = last_position_in(self.data, PARTITIONS) or (0,) * PARTITIONS
        self.reader = self._make_reader(self._wanted, after, self.journal, False, 0.0)
        self.data += self.reader.greeting()
        self.streams += 1

    def trade(self) -> None:
        partition = self.chance.randrange(PARTITIONS)
        self.logs[partition].trade(self.chance.choice("ABC"))
        self.clock += self.chance.randint(0, 2)
        self.times[partition, self.logs[partition].last_number] = self.clock

    def event(self, partition: int, number: int) -> OrderEvent:
        order = self.logs[partition].order(number)
        return event_of(order, partition, PARTITIONS, self.times[partition, number])

    def ask(self) -> None:
        partition = self.chance.randrange(PARTITIONS)
        number, version = self.journal.reached(partition)
        limit = self.chance.choice([1, 2, 1000])
        news = self.logs[partition].news(number, version, limit)
        orders = [self.event(partition, order.number) for order in news.orders]
        self.journal.take_from(partition, with_orders(news, orders))

    def turn(self) -> None:
        reader, journal = self.reader, self.journal
        self.data += reader.first_quotes(journal)
        while reader.lacks(journal):
            pages: dict[int, Sequence[OrderEvent]] = {}
            for partition, after in reader.lacking().items():
                begin = after // PAGE * PAGE
                last = min(begin + PAGE, self.logs[partition].last_number)
                pages[partition] = [self.event(partition, n) for n in range(begin + 1, last + 1)]
            self.data += reader.replayed_from(pages)
            if self.chance.random() < 0.2:
                return  # the client hangs up, or other things happen meanwhile
        while data := reader.next(journal):
            self.data += data
            if self.chance.random() < 0.2:
                break

    def step(self) -> None:
        match self.chance.randrange(12):
            case 0:
                self.start_front_end()
                self.connect()
            case 1 | 2:
                self.connect()
            case 3 | 4 | 5:
                self.ask()
            case 6 | 7 | 8:
                self.trade()
            case _:
                if self.reader.too_slow(self.journal, 0.0):
                    self.connect()
                else:
                    self.turn()

    def run(self) -> None:
        for _ in range(300):
            self.step()
        for _ in range(400):
            self.ask()
            if self.reader.too_slow(self.journal, 0.0):
                self.connect()
            self.turn()

    def check(self) -> None:
        shown = orders_in(self.data)
        for partition, log in enumerate(self.logs):
            expected = [
                number * 1000 + partition
                for number in range(1, log.last_number + 1)
                if self._wanted.includes(log.order(number).stock)
            ]
            assert [each for each in shown if each % 1000 == partition] == expected


def with_orders(news: News, orders: Sequence[OrderEvent]) -> News:
    return News(orders, news.quotes, news.last_number, news.version, news.digest, news.before)


@pytest.mark.parametrize(
    "wanted", [Wanted(), Wanted(stocks=frozenset("B")), Wanted(quotes=False, leader=False)]
)
@pytest.mark.parametrize("seed", range(8))
def test_every_order_of_every_partition_is_given_once(seed: int, wanted: Wanted) -> None:
    world = World(seed, wanted=wanted)
    world.run()
    world.check()
    assert world.streams > 5


class CountsAfterTheOrder(MergedJournal):
    """An order's id is that of the stream before it."""

    def _counted(self, partition: int, order: OrderEvent) -> OrderEvent:
        log = self._logs[partition]
        log.number -= 1
        counted = super()._counted(
            partition, OrderEvent(order.number - 1, order.stock, order.event)
        )
        log.number = order.number
        return counted


class JoinsWhereTheJournalIs(MergedReader):
    """Goes on with the journal's end, whatever came between."""

    def lacking(self) -> Mapping[int, int]:
        lacking = super().lacking()
        self.position = self._at(self._log.number)
        return lacking


class ReadsBeyond(MergedReader):
    """Gives all of a page, also what is in the journal after the point where it joins."""

    def _fresh(self, partition: int, page: Sequence[OrderEvent]) -> Sequence[OrderEvent]:
        has = self._positions[partition]
        return [order for order in page if order.number > has]


class ForgetsWhatItPassed(MergedReader):
    """A page of which nothing is shown does not say so."""

    def _place(self, number: int) -> bytes:
        return super()._place(number - 1 if number > self._log._first else number)


@pytest.mark.parametrize(
    ("journal", "reader"),
    [
        (CountsAfterTheOrder, MergedReader),
        (MergedJournal, JoinsWhereTheJournalIs),
        (MergedJournal, ReadsBeyond),
        (MergedJournal, ForgetsWhatItPassed),
    ],
)
def test_a_mutant_is_caught(journal: type[MergedJournal], reader: type[MergedReader]) -> None:
    caught = 0
    for seed in range(8):
        world = World(seed, journal, reader)
        try:
            world.run()
            world.check()
        except (AssertionError, Unavailable, IndexError, ValueError):
            caught += 1
    assert caught


def journal_of(*orders: int, holder: Callable[[str], int] = lambda stock: 0) -> MergedJournal:
    """One that began without orders, and has heard of so many."""
    logs = [EventLog(f"log-{partition}") for partition in range(len(orders))]
    journal = MergedJournal([log.news(2**53 - 1, 0) for log in logs], holder)
    for partition, (log, count) in enumerate(zip(logs, orders, strict=True)):
        for _ in range(count):
            log.trade("A")
        news = log.news(*journal.reached(partition))
        events = [event_of(log.order(each.number), partition, len(orders)) for each in news.orders]
        journal.take_from(partition, with_orders(news, events))
    return journal


def test_orders_of_the_past_come_by_time() -> None:
    journal = journal_of(3, 3)
    reader = MergedReader(Wanted(), (0, 0), journal, False, 0.0)
    log = EventLog()
    for _ in range(3):
        log.trade("A")
    pages = {
        partition: [
            event_of(log.order(number), partition, 2, 10 * number + partition)
            for number in (1, 2, 3)
        ]
        for partition in reader.lacking()
    }
    assert orders_in(reader.replayed_from(pages)) == [1000, 1001, 2000, 2001, 3000, 3001]
    assert not reader.lacks(journal)


def test_the_past_is_given_up_to_where_the_next_page_is_needed() -> None:
    journal = journal_of(3, 3)
    reader = MergedReader(Wanted(), (0, 0), journal, False, 0.0)
    log = EventLog()
    for _ in range(3):
        log.trade("A")
    first = [event_of(log.order(number), 0, 2, number) for number in (1, 2)]
    second = [event_of(log.order(number), 1, 2, 100 + number) for number in (1, 2, 3)]
    # Order 3 of partition 0 may be before all of partition 1.
    assert orders_in(reader.replayed_from({0: first, 1: second})) == [1000, 2000]
    assert reader.lacking() == {0: 2, 1: 0}


def test_a_reader_from_now_on_learns_where_it_is() -> None:
    journal = journal_of(3, 2)
    reader = MergedReader(Wanted(), None, journal, False, 0.0)
    assert last_position_in(reader.greeting(), 2) == (3, 2)
    assert not reader.lacks(journal)


def test_a_heartbeat_tells_how_far_a_reader_is_whose_orders_are_not_of_its_stock() -> None:
    journal = journal_of(0, 0)
    reader = MergedReader(Wanted(stocks=frozenset("B"), quotes=False), None, journal, False, 0.0)
    reader.next(journal)
    log = EventLog("log-1")
    log.trade("A")
    news = log.news(0, 1)
    journal.take_from(1, with_orders(news, [event_of(log.order(1), 1, 2)]))
    assert reader.next(journal) == b""
    data = reader.heartbeat(HEARTBEAT_SECONDS)
    assert data.startswith(HEARTBEAT)
    assert last_position_in(data, 2) == (0, 1)


def test_a_compressed_stream_is_one_gzip_stream() -> None:
    journal = journal_of(2, 1)
    reader = MergedReader(Wanted(), (0, 0), journal, True, 0.0)
    decoder = zlib.decompressobj(zlib.MAX_WBITS + 16)
    data = decoder.decompress(reader.greeting())
    log = EventLog()
    log.trade("A")
    log.trade("A")
    pages = {
        0: [event_of(log.order(n), 0, 2, n) for n in (1, 2)],
        1: [event_of(log.order(1), 1, 2)],
    }
    data += decoder.decompress(reader.replayed_from(pages))
    assert sorted(orders_in(data)) == [1000, 1001, 2000]


def test_each_partition_has_its_leader() -> None:
    journal = journal_of(0, 0)
    assert journal.lead(3, 1, 0)
    assert journal.lead(2, 4, 1)
    assert not journal.lead(3, 1, 0)
    data = journal.cut(MergedReader(Wanted(), None, journal, False, 0.0).position, Wanted()).data
    assert b'data: {"id":3,"term":1,"partition":0}' in data
    assert b'data: {"id":2,"term":4,"partition":1}' in data


def test_another_log_of_a_partition_is_noticed() -> None:
    journal = journal_of(2, 2)
    other = EventLog("another")
    for _ in range(5):
        other.trade("A")
    with pytest.raises(HistoryChanged):
        journal.take_from(1, other.news(*journal.reached(1)))
    assert journal.reached(1) == (2, 3), "nothing of it was taken in"


class Moving:
    """A stock that moves from partition 0 to partition 1."""

    def __init__(self) -> None:
        self.where = 0
        self.journal = journal_of(0, 0, holder=lambda stock: self.where)
        self.version = [1, 1]

    def quote(self, partition: int, what: bytes) -> None:
        log = EventLog(f"log-{partition}")
        before = log.digest(1) if self.version[partition] == 1 else "later"
        self.version[partition] += 1
        self.journal.take_from(
            partition,
            News([], [QuoteEvent("A", what)], 0, self.version[partition], "later", before),
        )

    def shown(self) -> list[bytes]:
        return [event for stock, event in self.journal._quotes_after(0)[1] if stock == "A"]


def test_a_moved_stock_is_not_quoted_by_the_partition_that_it_left() -> None:
    moving = Moving()
    moving.quote(0, b"before")
    moving.quote(1, b"after")
    assert moving.shown() == [b"before"]
    moving.where = 1
    assert moving.journal.placed()
    assert moving.shown() == [b"after"]
    moving.quote(0, b"late")
    assert moving.shown() == [b"after"]
    moving.quote(1, b"newer")
    assert moving.shown() == [b"newer"]


@pytest.mark.parametrize(
    ("text", "positions"), [("0", (0, 0)), ("", None), ("1", None), ("AAAA", None), ("00", None)]
)
def test_where_a_stream_goes_on_is_checked(text: str, positions: tuple[int, int] | None) -> None:
    assert after_of(2).read(text) == positions


def test_an_id_of_another_number_of_partitions_is_refused() -> None:
    journal: Journal = journal_of(1, 2)
    assert isinstance(journal, MergedJournal)
    greeting = MergedReader(Wanted(), None, journal, False, 0.0).greeting()
    text = greeting.decode().split("id: ")[1].strip()
    assert after_of(2).read(text) == (1, 2)
    assert after_of(3).read(text) is None
    assert after_of(2).read(text[:-1]) is None
    assert after_of(2).read("q" + text[1:]) is None
    assert not text.isdecimal(), "a client could take it for the number of an order"
