"""One reader: every order once and in order, whatever its front-end's replicas answer.

The model is a front-end whose replicas know the log up to different orders, and a reader that
connects, falls behind and connects again. Mutants of the journal and of the reader must be caught
by it: an order skipped at a change of the leader is.
"""

import contextlib
import random
import zlib
from collections.abc import Callable
from itertools import pairwise

import pytest

from tests.fakes.event_log import EventLog, event, events_in, last_id_in, numbers_in
from twisted_bazaar.errors import Unavailable
from twisted_bazaar.frontend.events.encoding import HEARTBEAT
from twisted_bazaar.frontend.events.journal import Journal, Position, Wanted
from twisted_bazaar.frontend.events.news import News
from twisted_bazaar.frontend.events.reader import HEARTBEAT_SECONDS, TAKING_SECONDS, Reader

PAGE = 4
KEPT = 5


class World:
    """A front-end of three replicas, the first of which leads, and a client that reads."""

    def __init__(
        self,
        seed: int,
        journal: Callable[[News, int], Journal] = Journal,
        reader: Callable[[Wanted, int, bool, float], Reader] = Reader,
        wanted: Wanted = Wanted(),  # noqa: B008 - it is frozen
    ) -> None:
        self.chance = random.Random(seed)
        self._make_journal, self._make_reader = journal, reader
        self._wanted = wanted
        self.log = EventLog()
        self.known = [0, 0, 0]
        """Up to which order each replica knows the log to be released."""
        self.data = b""
        self.streams = 0
        self._begins: list[int] = []
        """Where in `data` each stream begins."""
        self.start_front_end()
        self.connect()

    def start_front_end(self) -> None:
        news = self.log.news(2**53 - 1, 0, known=self.known[0])
        self.journal = self._make_journal(news, KEPT)

    def connect(self) -> None:
        """The client connects, with the last id that it was given."""
        after = last_id_in(self.data)
        self.reader = self._make_reader(self._wanted, after or 0, False, 0.0)
        self._begins.append(len(self.data))
        self.data += self.reader.greeting()
        self.streams += 1

    def trade(self) -> None:
        self.log.trade(self.chance.choice("ABC"))
        self.known[0] = self.log.last_number

    def ask(self, replica: int) -> None:
        journal = self.journal
        known = self.known[replica]
        limit = self.chance.choice([1, 2, 1000])
        with contextlib.suppress(Unavailable):
            journal.take(self.log.news(journal.number, journal.version, limit, known))

    def fail_over(self) -> None:
        """Another replica leads, which knows less to be released at first. An answer of the old
        leader's, or of one that was asked before, is lost."""
        last = self.log.last_number
        self.known = [self.chance.randint(each, last) for each in self.known]
        self.known[0] = max(self.known[0], self.journal.number)
        self.journal.lead(self.chance.randint(1, 3), self.streams)
        journal = self.journal
        if journal.number < self.log.last_number:
            # What was released meanwhile, as one would see it who asks from there on.
            ahead = self.log.news(journal.number + 1, journal.version)
            with contextlib.suppress(Unavailable):
                journal.take(ahead)

    def turn(self) -> None:
        reader, journal = self.reader, self.journal
        while reader.lacks(journal):
            begin = reader.position.number // PAGE * PAGE
            last = min(begin + PAGE, self.log.last_number)
            page = [event(self.log.order(n)) for n in range(begin + 1, last + 1)]
            self.data += reader.replayed(page)
        self.data += reader.first_quotes(journal)
        while self.data and (data := reader.next(journal)):
            self.data += data
            if self.chance.random() < 0.2:
                break  # it is too slow for more

    def step(self) -> None:
        match self.chance.randrange(12):
            case 0:
                self.fail_over()
            case 1:
                self.start_front_end()
                self.connect()
            case 2:
                self.connect()
            case 3 | 4:
                self.ask(self.chance.randrange(3))
            case 5 | 6 | 7:
                self.trade()
            case 8:
                self.ask(0)
            case _:
                if not self.reader.too_slow(self.journal, 0.0):
                    self.turn()
                else:
                    self.connect()

    def run(self) -> None:
        for _ in range(300):
            self.step()
        self.known = [self.log.last_number] * 3
        for _ in range(400):
            self.ask(0)
            if self.reader.too_slow(self.journal, 0.0):
                self.connect()
            self.turn()

    def check(self) -> None:
        numbers = numbers_in(self.data)
        wanted = self._wanted
        expected = [
            number
            for number in range(1, self.log.last_number + 1)
            if wanted.orders and wanted.includes(self.log.order(number).stock)
        ]
        assert numbers == expected

    def check_quotes(self) -> None:
        shown = 0
        for begin, end in pairwise([*self._begins, len(self.data)]):
            newest: dict[str, int] = {}
            for each in events_in(self.data[begin:end]):
                if each["event"] == "quote":
                    assert each["version"] > newest.get(each["name"], 0)
                    newest[each["name"]] = each["version"]
                    shown += 1
        assert shown > self.streams


@pytest.mark.parametrize(
    "wanted", [Wanted(), Wanted(stocks=frozenset("B")), Wanted(quotes=False, leader=False)]
)
@pytest.mark.parametrize("seed", range(20))
def test_every_order_is_given_once_and_in_order(seed: int, wanted: Wanted) -> None:
    world = World(seed, wanted=wanted)
    world.run()
    world.check()
    assert world.streams > 5


@pytest.mark.parametrize("seed", range(10))
def test_within_a_stream_no_quote_is_older_than_the_one_before(seed: int) -> None:
    world = World(seed)
    world.run()
    world.check_quotes()
    assert world.streams > 5


class SkipsAtAGap(Journal):
    """Takes what comes, whether or not it follows: an order is skipped when the leader changes."""

    def take(self, news: News) -> bool:
        if news.orders and news.orders[0].number != self.number + 1:
            self.number = news.orders[0].number - 1
            self._first = self.number + 1 - len(self._orders)
        return super().take(news)


class BeginsWhereTheLeaderIs(Journal):
    """Goes on after the last order that the replica knows, also if it has not sent it yet."""

    def take(self, news: News) -> bool:
        is_new = super().take(news)
        self._first += max(0, news.last_number - self.number)
        self.number = max(self.number, news.last_number)
        return is_new


class GoesBackToAnOlderAnswer(Journal):
    """Asks on from where a replica is that is behind: its quotes come a second time."""

    def take(self, news: News) -> bool:
        is_new = super().take(news)
        self.version, self._digest = news.version, news.digest
        return is_new


class JoinsTooEarly(Reader):
    """Goes on with the journal before it has been given what is only in the log."""

    def lacks(self, journal: Journal) -> bool:
        if super().lacks(journal):
            self.position = Position(journal._first - 1, *self._rest())
        return False

    def _rest(self) -> tuple[int, int]:
        return self.position.quote, self.position.leader


class GivesThePageAgain(Reader):
    """Gives all of a page, also what the reader has been given."""

    def replayed(self, orders: list) -> bytes:  # type: ignore[override, type-arg]
        self.position = Position(orders[0].number - 1, self.position.quote, self.position.leader)
        return super().replayed(orders)


@pytest.mark.parametrize(
    ("journal", "reader"),
    [
        (SkipsAtAGap, Reader),
        (BeginsWhereTheLeaderIs, Reader),
        (GoesBackToAnOlderAnswer, Reader),
        (Journal, JoinsTooEarly),
        (Journal, GivesThePageAgain),
    ],
)
def test_a_mutant_is_caught(journal: type[Journal], reader: type[Reader]) -> None:
    caught = 0
    for seed in range(20):
        world = World(seed, journal, reader)
        try:
            world.run()
            world.check()
            world.check_quotes()
        except (AssertionError, Unavailable, IndexError):
            caught += 1
    assert caught


# Heartbeats, and readers that are too slow.


def journal_with(orders: int, kept: int = 100) -> tuple[EventLog, Journal]:
    log = EventLog()
    journal = Journal(log.news(2**53 - 1, 0), kept)
    for _ in range(orders):
        log.trade("A")
        journal.take(log.news(journal.number, journal.version))
    return log, journal


def test_a_heartbeat_tells_how_far_a_reader_is_whose_orders_are_not_of_its_stock() -> None:
    _, journal = journal_with(7)
    reader = Reader(Wanted(stocks=frozenset("B"), quotes=False), 0, False, 100.0)
    assert reader.next(journal) == b""
    assert reader.heartbeat(100.0 + HEARTBEAT_SECONDS - 0.1) == b""
    data = reader.heartbeat(100.0 + HEARTBEAT_SECONDS)
    assert data.startswith(HEARTBEAT)
    assert last_id_in(data) == 7
    reader.written(200.0)
    assert reader.heartbeat(200.0 + HEARTBEAT_SECONDS) == HEARTBEAT


def test_a_reader_that_takes_nothing_is_too_slow_after_a_while() -> None:
    _, journal = journal_with(1)
    reader = Reader(Wanted(), 0, False, 0.0)
    reader.next(journal)
    reader.blocked(10.0)
    reader.blocked(10.0 + TAKING_SECONDS - 1)
    assert not reader.too_slow(journal, 10.0 + TAKING_SECONDS - 0.1)
    assert reader.heartbeat(10.0 + TAKING_SECONDS) == b""
    assert reader.too_slow(journal, 10.0 + TAKING_SECONDS)
    reader.took()
    assert not reader.too_slow(journal, 10.0 + TAKING_SECONDS)


def test_a_reader_that_has_joined_is_too_slow_once_its_orders_are_not_kept() -> None:
    log, journal = journal_with(1, kept=3)
    reader = Reader(Wanted(), 0, False, 0.0)
    reader.next(journal)
    for _ in range(10):
        log.trade()
        journal.take(log.news(journal.number, journal.version))
    assert reader.too_slow(journal, 0.0)
    late = Reader(Wanted(), 0, False, 0.0)
    assert late.lacks(journal)
    assert not late.too_slow(journal, 0.0)


def test_a_page_with_a_gap_is_an_error() -> None:
    log, _ = journal_with(6)
    reader = Reader(Wanted(), 1, False, 0.0)
    with pytest.raises(Unavailable):
        reader.replayed([event(log.order(3)), event(log.order(4))])
    assert numbers_in(reader.replayed([event(log.order(n)) for n in (1, 2, 3)])) == [2, 3]
    assert reader.replayed([event(log.order(3))]) == b""


def test_a_compressed_stream_is_one_gzip_stream() -> None:
    log, journal = journal_with(3)
    reader = Reader(Wanted(), 0, True, 0.0)
    decoder = zlib.decompressobj(zlib.MAX_WBITS + 16)
    data = decoder.decompress(reader.greeting())
    assert data.startswith(b"retry: 1000\n\n")
    data += decoder.decompress(reader.replayed([event(log.order(1))]))
    while given := reader.next(journal):
        data += decoder.decompress(given)
    assert numbers_in(data) == [1, 2, 3]
    beat = reader.heartbeat(HEARTBEAT_SECONDS)
    assert decoder.decompress(beat) == HEARTBEAT
