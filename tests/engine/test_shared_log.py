"""What each engine promises (`engine.shared_log`), tried on the one in memory and on PostgreSQL.

A server of PostgreSQL is started if one is installed; else those tests are skipped.
"""

import msgspec
import pytest

from twisted_bazaar.consensus.entries import GENESIS
from twisted_bazaar.engine.shared_log import (
    HANDED_OVER,
    Lost,
    Placement,
    Refused,
    Released,
    Tail,
    Unknown,
)
from twisted_bazaar.errors import InvariantBroken
from twisted_bazaar.market import (
    Adopted,
    Halted,
    Moved,
    Repriced,
    Resumed,
    Side,
    Stock,
    Traded,
)
from twisted_bazaar.order_keys import scoped
from twisted_bazaar.selection import Selection

from .engines import Tried
from .writer import LISTED, TENURE, Writer, tail_of

MENHIR = LISTED.stocks[1].name


def leader(tried: Tried, **how: int) -> Writer:
    """One that leads a partition with two stocks."""
    writer = Writer(tried.log(), **how)
    writer.claim()
    writer.append(writer.batch(LISTED))
    return writer


def test_a_partition_that_was_never_led_is_empty(tried: Tried) -> None:
    snapshot = tried.log().snapshot()
    assert snapshot.tail == Tail(partition=tried.partition)
    assert (snapshot.tail.digest, snapshot.stocks) == (GENESIS, [])


def test_a_claim_writes_who_leads_and_the_first_entry(tried: Tried) -> None:
    writer = Writer(tried.log(), leader=3)
    opened = writer.claim(catalogs=("c1", "c2"), lease=1.5)
    tail = tail_of(writer.log)
    assert (tail.term, tail.beat, tail.leader, tail.index) == (1, 0, 3, 1)
    assert (tail.digest, tail.last_number) == (opened.entries[0].digest, 0)
    assert (tail.longest_lease, tail.catalogs, tail.listed) == (1.5, ("c1", "c2"), False)
    assert tail.tenure == TENURE
    assert writer.log.read(0, 1) == opened.entries


def test_of_two_claims_after_the_same_tail_one_is_lost(tried: Tried) -> None:
    first, second = Writer(tried.log(), 1), Writer(tried.log(), 2)
    first.claim()
    with pytest.raises(Lost):
        second.claim()
    assert tail_of(second.log).leader == 1


@pytest.mark.parametrize("what", ["beat", "append"])
def test_a_claim_is_lost_after_a_write_of_the_leader(tried: Tried, what: str) -> None:
    old, new = leader(tried), Writer(tried.log(), 2)
    old.beats() if what == "beat" else old.append(old.orders(["a"]))
    with pytest.raises(Lost):
        new.claim()
    assert tail_of(new.log).term == 1


def test_a_claim_is_lost_if_the_beat_is_not_the_one_that_was_seen(tried: Tried) -> None:
    old, new = leader(tried), Writer(tried.log(), 2)
    old.beats(5)
    new.follow(new.log.snapshot())
    for beat in (4, 6, HANDED_OVER):
        seen = msgspec.structs.replace(new.tail, beat=beat)
        other = Writer(tried.log(), 2)
        other.tail = seen
        with pytest.raises(Lost):
            other.claim()
    new.claim()


def test_a_claim_is_repeated_without_a_second_entry(tried: Tried) -> None:
    writer = Writer(tried.log())
    seen = writer.tail
    opened = writer.claim()
    writer.claim_with(seen, opened)
    assert (tail_of(writer.log).index, tail_of(writer.log).term) == (1, 1)


def test_a_deposed_leader_appends_nothing(tried: Tried) -> None:
    old = leader(tried)
    new = Writer(tried.log(), 2)
    new.claim()
    with pytest.raises(Lost):
        old.append(old.orders(["a"]))
    assert old.log.find(["a"]).orders == {}
    with pytest.raises(Lost):
        old.beats()
    assert tail_of(new.log).beat == 0


def test_a_batch_is_appended_whole(tried: Tried) -> None:
    writer = leader(tried)
    buys = writer.traded(["k1", "made-2"], limit=3000)
    batch = writer.append(writer.batch(*buys, Halted((MENHIR,)), Repriced("FishCo", 1)))
    tail = tail_of(writer.log)
    assert (tail.index, tail.digest) == (6, batch.entries[-1].digest)
    assert (tail.last_number, tail.beat) == (2, 2)
    assert tail.at_milliseconds == batch.entries[-1].at_milliseconds
    assert tail.listed
    stocks = {stock.name: stock for stock in writer.log.snapshot().stocks}
    assert stocks == writer.ledger.stocks
    assert stocks[MENHIR].halted
    assert writer.log.read(2, 6) == batch.entries


def test_what_is_read_are_the_entries_that_were_appended(tried: Tried) -> None:
    writer = leader(tried)
    entries = list(writer.log.read(0, 2))
    for number in range(1, 6):
        events = [*writer.traded([f"k{number}-{n}" for n in range(number)], MENHIR)]
        batch = writer.batch(*events, Halted((MENHIR,)), Resumed((MENHIR,)))
        entries += writer.append(batch).entries
    log = tried.log()
    assert log.read(0, len(entries) + 10) == entries
    for after, upto in ((3, 4), (4, 9), (2, 2), (7, len(entries)), (len(entries), 99)):
        assert list(log.read(after, upto)) == entries[after:upto]


def test_a_batch_that_is_sent_again_is_there_once(tried: Tried) -> None:
    writer = leader(tried)
    batch = writer.append(writer.orders(["a", "b"]))
    writer.again(batch)
    tail = tail_of(writer.log)
    assert (tail.index, tail.last_number, tail.beat) == (4, 2, 2)


def test_a_batch_that_is_sent_again_after_another_is_not_lost(tried: Tried) -> None:
    writer = leader(tried)
    first = writer.append(writer.orders(["a"]))
    writer.append(writer.orders(["b"]))
    writer.again(first)
    assert tail_of(writer.log).last_number == 2


def test_a_batch_does_not_follow_another_than_the_one_before(tried: Tried) -> None:
    writer = leader(tried)
    never_sent = writer.orders(["a"])
    later = writer.orders(["b"])
    with pytest.raises(Lost):
        writer.append(later)
    writer.append(never_sent)
    writer.append(later)
    assert tail_of(writer.log).last_number == 2


def test_a_key_has_one_order(tried: Tried) -> None:
    writer = leader(tried)
    writer.append(writer.orders(["a"]))
    with pytest.raises(InvariantBroken):
        writer.append(writer.orders(["b", "a"]))
    assert tail_of(writer.log).last_number == 1
    assert list(writer.log.find(["a", "b"]).orders) == ["a"]


def test_beats_of_a_term_increase(tried: Tried) -> None:
    writer = leader(tried)
    writer.beats(7)
    writer.beats(7)
    with pytest.raises(Lost):
        writer.beats(6)
    assert tail_of(writer.log).beat == 7


def test_after_a_leader_has_left_it_writes_nothing(tried: Tried) -> None:
    old, new = leader(tried), Writer(tried.log(), 2)
    old.beats(HANDED_OVER)
    old.beats(HANDED_OVER)
    with pytest.raises(Lost):
        old.beats(9)
    with pytest.raises(Lost):
        old.append(old.orders(["a"]))
    new.follow(new.log.snapshot())
    assert new.tail.beat == HANDED_OVER
    new.claim()
    assert (tail_of(new.log).term, tail_of(new.log).beat) == (2, 0)


def test_what_is_released_is_told_and_never_goes_back(tried: Tried) -> None:
    writer = leader(tried)
    writer.append(writer.orders(["a"]), Released(index=2, number=0))
    assert tail_of(writer.log).released == Released(index=2, number=0)
    writer.beats(released=Released(index=3, number=1))
    writer.beats(released=Released(index=1, number=0))
    assert tail_of(writer.log).released == Released(index=3, number=1)


def test_keys_are_found_with_their_orders(tried: Tried) -> None:
    writer = leader(tried)
    batch = writer.append(writer.orders(["a", 'quo"ted\\key', "made-1"], limit=9999))
    found = tried.log().find(["a", 'quo"ted\\key', "made-1", "none"])
    assert found.index == 5
    assert {key: order for key, (_, order) in found.orders.items()} == {
        event.key: event for event in (entry.event for entry in batch.entries)
        if isinstance(event, Traded)
    }  # fmt: skip
    assert {partition for partition, _ in found.orders.values()} == {tried.partition}
    assert tried.log().find([]).orders == {}
    tail = tried.log().snapshot().tail
    assert (found.index, found.digest) == (tail.index, tail.digest)


def test_an_order_is_found_by_its_number(tried: Tried) -> None:
    writer = leader(tried)
    batch = writer.append(writer.orders(["a", "b"], MENHIR))
    assert tried.log().order(2) is None, "it is not released"
    writer.beats(released=Released(index=4, number=2))
    order = tried.log().order(2)
    assert order is not None
    assert (order.number, order.stock, order.side) == (2, MENHIR, Side.BUY)
    assert (order.quantity, order.price, order.limit) == (2, 4999, None)
    assert order.at_milliseconds == batch.entries[1].at_milliseconds
    assert tried.log().order(3) is None


SELECTIONS = [
    Selection(limit=3),
    Selection(after=3, limit=3),
    Selection(after=9, limit=100),
    Selection(limit=3, descending=True),
    Selection(after=4, limit=100, descending=True),
    Selection(limit=2, stock=MENHIR),
    Selection(limit=2, stock=MENHIR, descending=True),
    Selection(limit=2, stock=f"{MENHIR}\0x"),
    Selection(limit=100, stock="none"),
    Selection(limit=100, side=Side.SELL),
    Selection(limit=100, key="k5"),
    Selection(limit=2, client="alice"),
    Selection(limit=2, client="alice", stock=MENHIR, descending=True),
    Selection(limit=100, client="al"),
    Selection(limit=100, client="nobody"),
    Selection(limit=100, key=scoped("alice", "k2")),
    Selection(limit=100, key="k5", stock="none"),
    Selection(limit=100, since=1_000_300),
    Selection(limit=100, until=1_000_300),
    Selection(limit=2, since=1_000_200, until=1_000_600, stock=MENHIR),
    Selection(limit=2, since=1_000_200, until=1_000_600, descending=True),
    Selection(limit=100, since=9_000_000),
    Selection(limit=100, until=1, descending=True),
]


@pytest.mark.parametrize("upto", [0, 7, 12])
def test_orders_of_a_selection(tried: Tried, upto: int) -> None:
    writer = leader(tried)
    for number in range(1, 13):
        stock = MENHIR if number % 3 else "FishCo"
        side = Side.SELL if number % 4 == 0 else Side.BUY
        at = 1_000_000 + 100 * (number // 2)
        client = ("alice", "", "al")[number % 3] if number != 5 else ""
        writer.append(writer.orders([scoped(client, f"k{number}")], stock, side, at))
    log = tried.log()
    with pytest.raises(Unknown):
        log.orders(Selection(limit=3), 1)
    writer.beats(released=Released(index=14, number=12))
    every = [log.order(number) for number in range(1, upto + 1)]
    for selection in SELECTIONS:
        page = log.orders(selection, upto)
        fitting = [order for order in every if order and selection.fits(order)]
        if selection.descending:
            fitting.reverse()
        assert page.orders == fitting[: selection.limit], selection
        assert page.ended is (len(fitting) <= selection.limit), selection
        if not page.ended:
            assert page.examined == page.orders[-1].number


def test_a_stock_that_leaves_becomes_a_placement(tried: Tried) -> None:
    writer = leader(tried)
    writer.append(writer.batch(*writer.traded(["a"]), Moved("FishCo", 0)))
    placement = tried.placement("FishCo")
    assert placement == Placement(
        stock="FishCo", partition=0, moved=4, before=tried.partition, arrived=False,
        price=2050, quantity=10**9 - 2, volume=2, halted=False, former=(tried.partition,),
    )  # fmt: skip
    snapshot = writer.log.snapshot()
    assert [stock.name for stock in snapshot.stocks] == [MENHIR]
    assert (snapshot.former, list(snapshot.away)) == ({}, ["FishCo"])


def moved(tried: Tried) -> tuple[Writer, Writer]:
    """The leaders of two partitions; FishCo with order `a` goes from the first to the second."""
    old = leader(tried)
    tried.next_partition()
    new = Writer(tried.log())
    new.claim()
    old.append(old.orders(["a"]))
    old.append(old.batch(Moved("FishCo", tried.partition)))
    return old, new


def test_a_stock_is_adopted_with_the_partitions_that_held_it(tried: Tried) -> None:
    old, new = moved(tried)
    before = old.tail.partition
    event = tried.placement("FishCo").adopted()
    assert event == Adopted("FishCo", 2050, 10**9 - 2, 2, False, before, 4)
    batch = new.append(new.batch(event))
    snapshot = new.log.snapshot()
    assert snapshot.stocks == [Stock("FishCo", 2050, 10**9 - 2, 2, 2)]
    assert {stock: tuple(held) for stock, held in snapshot.former.items()} == {"FishCo": (before,)}
    assert tried.placement("FishCo").arrived
    assert new.log.read(1, 2) == batch.entries
    new.append(new.orders(["b"]))
    found = new.log.find(["a", "b"], [before])
    assert {key: partition for key, (partition, _) in found.orders.items()} == {
        "a": before, "b": tried.partition,
    }  # fmt: skip
    assert list(new.log.find(["a", "b"]).orders) == ["b"]


def test_a_stock_may_come_and_go_on_in_one_batch_and_come_back(tried: Tried) -> None:
    old, new = moved(tried)
    first, second = old.tail.partition, new.tail.partition
    new.append(new.batch(tried.placement("FishCo").adopted(), Moved("FishCo", first)))
    placement = tried.placement("FishCo")
    assert (placement.partition, placement.arrived) == (first, False)
    assert tuple(placement.former) == (first, second)
    assert new.log.snapshot().stocks == []
    assert list(old.log.snapshot().away) == ["FishCo"], "it is on its way back"
    old.append(old.batch(placement.adopted()))
    assert tuple(old.log.snapshot().former["FishCo"]) == (first, second)
    assert old.log.snapshot().away == []
    assert list(new.log.snapshot().away) == ["FishCo"]


def test_only_the_move_that_is_under_way_is_adopted(tried: Tried) -> None:
    old, new = moved(tried)
    event = tried.placement("FishCo").adopted()
    other = Adopted("FishCo", 2050, 5, 2, False, old.tail.partition, event.moved - 1)
    with pytest.raises(Lost):
        new.append(new.batch(other))
    new.follow(new.log.snapshot())
    new.append(new.batch(event, Moved("FishCo", old.tail.partition)))
    with pytest.raises(Lost):
        new.append(new.batch(event))
    assert tail_of(new.log).index == 3


def test_an_adoption_that_is_sent_again_is_there_once(tried: Tried) -> None:
    _, new = moved(tried)
    batch = new.append(new.batch(tried.placement("FishCo").adopted()))
    new.again(batch)
    assert tail_of(new.log).index == 2


def test_tails_are_of_all_partitions_in_their_order(tried: Tried) -> None:
    writer = leader(tried)
    tails, _ = tried.engine.tails()
    assert [tail.partition for tail in tails] == list(range(tried.engine.bazaar.partitions))
    assert tails[tried.partition] == tail_of(writer.log)


def test_who_is_to_lead_outlasts_a_claim(tried: Tried) -> None:
    tried.engine.prefer(tried.partition, 2)
    leader(tried)
    assert tail_of(tried.log()).preferred == 2
    tried.engine.prefer(tried.partition, 0)
    assert tail_of(tried.log()).preferred == 0


def test_what_one_server_alone_has_is_unknown_and_visible(tried: Tried) -> None:
    writer = Writer(tried.log())
    with tried.not_replicated(), pytest.raises(Unknown):
        writer.claim()
    assert tail_of(tried.log()).term == 1
    with tried.not_replicated(), pytest.raises(Unknown):
        writer.append(writer.batch(LISTED))
    assert tail_of(tried.log()).index == 2
    with tried.not_replicated(), pytest.raises(Unknown):
        writer.beats()
    assert tail_of(tried.log()).beat == 2


def test_an_unknown_batch_is_certain_once_it_was_sent_again(tried: Tried) -> None:
    writer = leader(tried)
    batch = writer.orders(["a"])
    with tried.not_replicated():
        with pytest.raises(Unknown):
            writer.append(batch)
        with pytest.raises(Unknown):
            writer.again(batch)
    writer.again(batch)
    assert tail_of(writer.log).last_number == 1


def test_a_leader_whose_unknown_batch_another_has_claimed_after_is_lost(tried: Tried) -> None:
    old, new = leader(tried), Writer(tried.log(), 2)
    batch = old.orders(["a"])
    with tried.not_replicated(), pytest.raises(Unknown):
        old.append(batch)
    new.follow(new.log.snapshot())
    new.claim()
    with pytest.raises(Lost):
        old.again(batch)
    assert tail_of(new.log).last_number == 1


def test_a_call_that_is_cut_is_unknown_and_the_next_goes_through(tried: Tried) -> None:
    writer = leader(tried)
    batch = writer.orders(["a"])
    writer.log.cut()
    with pytest.raises(Unknown):
        writer.append(batch)
    writer.again(batch)
    assert tail_of(writer.log).last_number == 1


def test_a_full_engine_refuses_and_is_asked_again(tried: Tried) -> None:
    writer = leader(tried)
    batch = writer.orders(["a"])
    with tried.full(), pytest.raises(Refused):
        writer.append(batch)
    assert tail_of(writer.log).last_number == 0
    writer.again(batch)
    assert tail_of(writer.log).last_number == 1
