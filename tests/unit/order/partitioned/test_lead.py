"""A leadership begins with what was loaded for it, and takes the stocks that come."""

from collections.abc import Collection
from typing import Any, cast

import msgspec
import pytest
from twisted.internet.task import Clock

from twisted_bazaar.consensus.entries import GENESIS, encode_entry
from twisted_bazaar.consensus.member import Observed
from twisted_bazaar.engine.shared_log import Placement, Released, Snapshot, Tail
from twisted_bazaar.frontend.partitions.placements import NextPlace, next_place
from twisted_bazaar.market import Adopted, Moved, Stock
from twisted_bazaar.order.partitioned.lead import Lead

TAIL = Tail(partition=0, term=3, index=9, last_number=5, released=Released(index=7, number=4))
COMING = Placement(stock="X", partition=0, moved=5, before=1, arrived=False, former=(1,))


@pytest.fixture
def lead() -> Lead:
    stocks = [Stock("GameStart", 1599, 95, 5, 9)]
    snapshot = Snapshot(tail=TAIL, stocks=stocks, former={}, away=["Y"])
    return Lead(cast(Any, Clock()), cast(Any, None), snapshot, 0, 2)


def test_what_may_not_be_committed_is_not_shown_at_first(lead: Lead) -> None:
    assert lead.desk.released_number == 4
    assert lead.desk.released_stocks == {}
    assert lead.desk.ledger.last_number == 5
    assert lead.unplaced == {"Y"}


@pytest.mark.parametrize(
    ("placement", "released", "adopted"),
    [
        (COMING, 5, True),
        (COMING, 4, False),
        (msgspec.structs.replace(COMING, arrived=True), 5, False),
        (msgspec.structs.replace(COMING, partition=1), 5, False),
    ],
    ids=["released", "not released where it was", "arrived", "on its way elsewhere"],
)
def test_a_stock_is_taken_once_what_it_was_is_released_where_it_was(
    lead: Lead, placement: Placement, released: int, adopted: bool
) -> None:
    taken: list[tuple[Adopted, Collection[int]]] = []

    def adopt(event: Adopted, former: Collection[int]) -> None:
        taken.append((event, former))

    lead.desk.adopt = adopt  # type: ignore[method-assign]
    lead.adopt([placement], [TAIL, Tail(partition=1, released=Released(index=released))])
    assert taken == ([(placement.adopted(), (1,))] if adopted else [])


def committed(lead: Lead, *events: Moved | Adopted) -> None:
    entries = []
    for index, event in enumerate(events, lead.desk.applied + 1):
        entries.append(encode_entry(GENESIS, index, 3, 0, event))
    lead.observe(Observed(committed=entries, released=0, confirmed=0, leading_term=0))


def placed(lead: Lead) -> list[tuple[str, int]]:
    return [(each.stock, each.partition) for each in lead.placements()]


def test_a_stock_that_left_and_came_back_unseen_is_not_shown_elsewhere(lead: Lead) -> None:
    """It was back before the tails were read again."""
    back = Placement(
        stock="GameStart", partition=0, moved=2, before=1, arrived=False, former=(0, 1)
    )
    committed(lead, Moved("GameStart", 1))
    assert ("GameStart", 1) in placed(lead)
    lead.saw([back])
    committed(lead, Adopted("GameStart", 1599, 95, 5, False, 1, 2))
    assert "GameStart" not in dict(placed(lead))


def test_a_stock_that_left_before_is_on_its_way_until_it_is_seen_elsewhere(lead: Lead) -> None:
    """A front-end that an earlier leader refused must not take it for unknown."""
    before = Placement(stock="Y", partition=0, moved=3, before=1, arrived=True, former=(0, 1))
    said = lead.placements()
    assert next_place("Y", 0, said, 2) == NextPlace(0, wait=True)
    lead.saw([before])
    assert lead.unplaced == {"Y"}, "that was before it left"
    lead.saw([msgspec.structs.replace(before, partition=1, before=0, arrived=False)])
    assert not lead.unplaced
    assert lead.placements() == []
