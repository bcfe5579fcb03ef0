"""What there is to show: orders without a gap, the last quote of each stock, one history."""

import zlib

import pytest

from tests.fakes.event_log import EventLog, events_in, numbers_in
from twisted_bazaar.errors import Unavailable
from twisted_bazaar.frontend.events.encoding import GZIP_HEAD
from twisted_bazaar.frontend.events.journal import (
    MAX_CUT_BYTES,
    MAX_CUT_QUOTES,
    MAX_PART_ORDERS,
    HistoryChanged,
    Journal,
    Position,
    Wanted,
)
from twisted_bazaar.frontend.events.news import QuoteEvent

ALL = Wanted()
ORDERS = Wanted(quotes=False, leader=False)


def log_with(*stocks: str) -> EventLog:
    log = EventLog()
    for stock in stocks:
        log.trade(stock)
    return log


def begin(log: EventLog, kept: int = 100) -> Journal:
    return Journal(log.news(2**53 - 1, 0), kept)


def catch_up(journal: Journal, log: EventLog) -> bool:
    return journal.take(log.news(journal.number, journal.version))


def given(journal: Journal, position: Position, wanted: Wanted = ALL) -> tuple[bytes, Position]:
    """All that a reader at `position` is given."""
    data = b""
    while journal.is_behind(position):
        cut = journal.cut(position, wanted)
        assert cut.upto != position
        data += cut.data
        position = cut.upto
    return data, position


def test_it_begins_after_the_last_order_with_the_quotes_of_all_stocks() -> None:
    log = log_with("A", "A", "B")
    journal = begin(log)
    data, position = given(journal, Position(journal.number))
    assert [(each["event"], each["name"], each["version"]) for each in events_in(data)] == [
        ("quote", "C", 1),
        ("quote", "A", 3),
        ("quote", "B", 4),
    ]
    assert position.number == 3


def test_orders_come_in_order_then_the_last_quote_of_each_stock() -> None:
    log = log_with("A")
    journal = begin(log)
    _, position = given(journal, Position(journal.number))
    for stock in "ABA":
        log.trade(stock)
    assert catch_up(journal, log)
    data, _ = given(journal, position)
    assert [(each["event"], each["name"]) for each in events_in(data)] == [
        *(("order", "A"), ("order", "B"), ("order", "A")),
        *(("quote", "B"), ("quote", "A")),
    ]
    assert numbers_in(data) == [2, 3, 4]
    assert not catch_up(journal, log)


def test_a_gap_is_an_error_and_nothing_is_taken_in() -> None:
    log = log_with("A")
    journal = begin(log)
    for _ in range(3):
        log.trade()
    gap = log.news(journal.number + 1, journal.version)
    with pytest.raises(Unavailable, match="order 3 does not follow order 1"):
        journal.take(gap)
    assert (journal.number, journal.version) == (1, 2)
    catch_up(journal, log)
    assert numbers_in(given(journal, Position(1), ORDERS)[0]) == [2, 3, 4]


def test_an_answer_that_is_behind_changes_nothing() -> None:
    log = log_with("A", "B", "C")
    journal = begin(log)
    assert not journal.take(log.news(journal.number, journal.version, known=1))
    assert (journal.number, journal.version) == (3, 4)


def test_orders_beyond_one_answer_come_with_the_next() -> None:
    log = log_with()
    journal = begin(log)
    for _ in range(5):
        log.trade()
    for expected in (2, 4, 5):
        journal.take(log.news(journal.number, journal.version, limit=2))
        assert journal.number == expected
    assert numbers_in(given(journal, Position(0), ORDERS)[0]) == [1, 2, 3, 4, 5]


def test_another_entry_at_the_same_place_is_another_history() -> None:
    log = log_with("A", "B")
    journal = begin(log)
    log.cut_short(1)
    for _ in range(3):
        log.trade(made="y")
    with pytest.raises(HistoryChanged):
        catch_up(journal, log)
    assert (journal.number, journal.version) == (2, 3)


def test_news_of_a_log_that_is_not_named_is_not_taken() -> None:
    log = log_with("A")
    journal = begin(log)
    log.trade()
    unnamed = log.news(journal.number, journal.version)
    unnamed = type(unnamed)(
        unnamed.orders, unnamed.quotes, unnamed.last_number, unnamed.version, unnamed.digest, ""
    )
    with pytest.raises(Unavailable):
        journal.take(unnamed)


def test_orders_are_kept_for_a_while_only() -> None:
    log = log_with()
    journal = begin(log, kept=10)
    for _ in range(25):
        log.trade()
        catch_up(journal, log)
    assert not journal.holds(0)
    oldest = min(number for number in range(26) if journal.holds(number))
    assert 25 - 20 <= oldest <= 25 - 10
    assert numbers_in(given(journal, Position(oldest), ORDERS)[0]) == [*range(oldest + 1, 26)]


def test_a_reader_that_was_shown_more_elsewhere_is_shown_nothing_twice() -> None:
    log = log_with("A", "B")
    journal = begin(log)
    data, position = given(journal, Position(4), ORDERS)
    assert (data, position.number) == (b"", 4)
    for _ in range(4):
        log.trade()
    catch_up(journal, log)
    assert numbers_in(given(journal, position, ORDERS)[0]) == [5, 6]


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        (Wanted(stocks=frozenset("B")), ["leader", "order B", "quote B"]),
        (Wanted(quotes=False), ["leader", "order A", "order B"]),
        (Wanted(orders=False, leader=False), ["quote A", "quote B"]),
        (Wanted(orders=False, quotes=False), ["leader"]),
    ],
)
def test_only_what_is_wanted_is_shown(wanted: Wanted, shown: list[str]) -> None:
    log = log_with()
    journal = begin(log)
    _, position = given(journal, Position(0))
    log.trade("A")
    log.trade("B")
    catch_up(journal, log)
    journal.lead(2, 7)
    found = events_in(given(journal, position, wanted)[0])
    assert [f"{each['event']} {each.get('name', '')}".strip() for each in found] == shown


def test_only_the_last_leader_is_shown_and_once() -> None:
    journal = begin(log_with())
    _, position = given(journal, Position(0))
    assert journal.lead(1, 3)
    assert not journal.lead(1, 3)
    assert journal.lead(2, 4)
    data, position = given(journal, position)
    assert events_in(data) == [{"event": "leader", "id": 2, "term": 4}]
    assert given(journal, position)[0] == b""


def test_readers_at_the_same_place_share_what_they_are_given() -> None:
    log = log_with()
    journal = begin(log)
    log.trade()
    catch_up(journal, log)
    assert journal.cut(Position(0), ALL) is journal.cut(Position(0), Wanted())
    assert journal.cut(Position(0), ALL) is not journal.cut(Position(0), ORDERS)


def test_a_cut_is_bounded() -> None:
    log = log_with()
    first = log.news(2**53 - 1, 0)
    many = [QuoteEvent(f"S{n}", b"event: quote\ndata: {}\n\n") for n in range(2 * MAX_CUT_QUOTES)]
    journal = Journal(type(first)([], many, 0, 1, first.digest, first.before), 10_000)
    cut = journal.cut(Position(0), ALL)
    assert len(events_in(cut.data)) == MAX_CUT_QUOTES
    assert len(events_in(given(journal, Position(0))[0])) == 2 * MAX_CUT_QUOTES
    for _ in range(4 * MAX_PART_ORDERS):
        log.trade()
    journal.take(log.news(journal.number, journal.version, limit=10_000))
    data = journal.cut(Position(0), ORDERS).data
    assert MAX_CUT_BYTES < len(data) < 2 * MAX_CUT_BYTES
    assert len(numbers_in(data)) % MAX_PART_ORDERS == 0
    assert numbers_in(given(journal, Position(3), ORDERS)[0]) == [
        *range(4, 4 * MAX_PART_ORDERS + 1)
    ]


def test_a_compressed_cut_can_be_decoded_as_soon_as_it_has_come() -> None:
    log = log_with()
    journal = begin(log)
    decoder = zlib.decompressobj(zlib.MAX_WBITS + 16)
    assert decoder.decompress(GZIP_HEAD) == b""
    position = Position(0)
    for expected in (1, 2, 3):
        log.trade()
        catch_up(journal, log)
        cut = journal.cut(position, ORDERS, compress=True)
        position = cut.upto
        assert numbers_in(decoder.decompress(cut.data)) == [expected]
