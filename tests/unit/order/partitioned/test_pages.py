"""Orders are read from the engine: what is released, from any member, and never what a server has
that lost its place to another."""

from collections.abc import Coroutine, Sequence
from typing import Any, cast

import msgspec
import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from tests.engine.writer import LISTED, Writer
from tests.fakes.engine_world import Calls
from tests.fakes.replicas import result_of
from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.engine.memory import MemoryEngine, MemoryLog
from twisted_bazaar.engine.shared_log import Released
from twisted_bazaar.errors import NotLeader, Unavailable
from twisted_bazaar.market import Side, Trade, Traded
from twisted_bazaar.order.partitioned.pages import EnginePages, Readable
from twisted_bazaar.selection import Selection

OTHER = LISTED.stocks[1].name
STOCKS = ["FishCo", OTHER, "FishCo", OTHER, "FishCo"]
"""Of orders 1 … 5."""


class Reader:
    """A member that knows orders up to `released` to be released, of an engine that has five, and
    says that those up to `told` are. A leader has the last two in memory."""

    def __init__(self, *, released: int = 5, told: int = 3, leads: bool = True) -> None:
        self.clock = Clock()
        engine = MemoryEngine("0123456789abcdef", 1)
        self.log = log = cast(MemoryLog, engine.log(0))
        writer = Writer(log)
        writer.claim()
        writer.append(writer.batch(LISTED))
        orders: list[Entry] = []
        for number, stock in enumerate(STOCKS, 1):
            order = writer.ledger.decide(Trade(f"key-{number}", stock, Side.BUY, 1))
            assert isinstance(order, Traded)
            batch = writer.batch(order)
            writer.append(batch)
            orders += batch.entries
        index = [entry.index for entry in orders]
        writer.beat += 1
        upto = Released(index=index[told - 1], number=told)
        log.beat(term=writer.term, beat=writer.beat, released=upto)
        known = Readable(
            released=lambda: Released(index=index[released - 1], number=released),
            last_number=lambda: succeed(5) if leads else fail(NotLeader()),
            recent=lambda: orders[3:] if leads else (),
            has_led_to=lambda at, digest: leads and digest == log.tail().digest,
        )
        self.pages = EnginePages(cast(Any, Calls(self.clock, log)), known)

    def read(self, reading: Coroutine[Deferred[Any], Any, Any]) -> Any:
        told = result_of(Deferred.fromCoroutine(reading))
        for _ in range(20):
            self.clock.advance(0)
        return told[0]

    def numbers(self, selection: Selection) -> Sequence[int] | Exception:
        page = self.read(self.pages.page(selection))
        return page if isinstance(page, Exception) else [each.number for each in page.orders]


@pytest.mark.parametrize(
    ("selection", "numbers", "ended"),
    [
        (Selection(0, 10), [1, 2, 3, 4, 5], True),
        (Selection(0, 3), [1, 2, 3], False),
        (Selection(0, 4), [1, 2, 3, 4], False),
        (Selection(3, 10), [4, 5], True),
        (Selection(0, 10, descending=True), [5, 4, 3, 2, 1], True),
        (Selection(0, 1, descending=True), [5], False),
        (Selection(5, 2, descending=True), [4, 3], False),
        (Selection(0, 10, stock=OTHER), [2, 4], True),
        (Selection(0, 1, stock=OTHER), [2], False),
        (Selection(0, 2, stock="FishCo"), [1, 3], False),
        (Selection(0, 10, descending=True, stock="FishCo"), [5, 3, 1], True),
        (Selection(0, 10, side=Side.SELL), [], True),
    ],
)
def test_a_leader_adds_what_the_engine_does_not_know_to_be_released(
    selection: Selection, numbers: Sequence[int], ended: bool
) -> None:
    reader = Reader()
    assert reader.numbers(selection) == numbers
    assert reader.read(reader.pages.page(selection)).ended == ended
    # As if the engine knew.
    assert Reader(told=5).numbers(selection) == numbers


def test_any_member_reads_what_it_knows_to_be_released() -> None:
    reader = Reader(released=3, leads=False)
    assert reader.numbers(Selection(0, 2)) == [1, 2]
    assert reader.numbers(Selection(4, 10, descending=True)) == [3, 2, 1]
    assert reader.read(reader.pages.order(3)).key == "key-3"
    assert reader.read(reader.pages.with_key("key-3")).number == 3
    assert [order.number for order in reader.read(reader.pages.after(1, 10))] == [2, 3]


def test_only_the_leader_says_that_there_are_no_more() -> None:
    reader = Reader(released=3, leads=False)
    for reading in (
        reader.pages.page(Selection(0, 10)),
        reader.pages.page(Selection(0, 1, descending=True)),
        reader.pages.order(4),
        reader.pages.with_key("key-4"),
        reader.pages.with_key("none"),
    ):
        assert isinstance(reader.read(reading), NotLeader)
    leader = Reader()
    assert leader.read(leader.pages.order(6)) is None
    assert leader.read(leader.pages.with_key("none")) is None
    assert leader.read(leader.pages.with_key("key-5")).number == 5


def test_a_server_that_does_not_know_an_order_to_be_released_shows_none_in_its_place() -> None:
    """It may be the server that was deposed, with an order of that number that was never
    committed."""
    reader = Reader(released=5, leads=False)
    for reading in (
        reader.pages.page(Selection(0, 10)),
        reader.pages.order(4),
        reader.pages.after(2, 10),
    ):
        assert isinstance(reader.read(reading), Unavailable)
    assert reader.read(reader.pages.order(3)).number == 3


def test_the_digest_of_an_entry_is_read() -> None:
    reader = Reader()
    assert len(reader.read(reader.pages.digest_at(2))) == 32
    assert reader.read(reader.pages.digest_at(99)) == ""


def test_an_order_of_another_key_under_a_number_that_was_lost_is_not_shown() -> None:
    """The server that had the key lost its place before it was asked for the order."""
    reader = Reader(leads=False)
    found = reader.log.find(["key-2"])
    lost = {"lost": (0, msgspec.structs.replace(found.orders["key-2"][1], key="lost"))}
    stale = msgspec.structs.replace(found, orders=lost)
    reader.log.find = lambda *_: stale  # type: ignore[method-assign]
    assert isinstance(reader.read(reader.pages.with_key("lost")), NotLeader)
