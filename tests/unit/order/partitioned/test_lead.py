"""A leadership begins with what was loaded for it, and takes the stocks that come."""

from collections.abc import Collection
from typing import Any, cast

import msgspec
import pytest
from twisted.internet.task import Clock

from twisted_bazaar.engine.shared_log import Placement, Released, Snapshot, Tail
from twisted_bazaar.market import Adopted, Stock
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
    assert not lead.moves.knows(["Y"])


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
