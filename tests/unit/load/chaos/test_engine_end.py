"""How a stage with an engine ends: its rows, what clients read, and the members must agree."""

from typing import Any

import msgspec
import pytest

from load.bazaar.fleet import PartitionRow, ReplicaRow
from load.bazaar.state import Log
from load.chaos.engine_end import EngineEnd
from load.history.records import Closing, Order
from twisted_bazaar.market import Side

replace = msgspec.structs.replace

ORDERS = [Order(number, "Fish", Side.BUY, 1, f"key-{number}") for number in (1000, 1001, 2001)]
LOGS = [Log("partition 0", True, "ok", 1, "aa"), Log("partition 1", True, "ok", 2, "bb")]
ROWS = tuple(
    ReplicaRow(
        member, "follower", 1, 1000, 4, "aa", True,
        (PartitionRow("leader", 4, "aa"), PartitionRow("follower", 5, "bb")),
    )
    for member in (1, 2, 3)
)  # fmt: skip
END = EngineEnd(
    ending=Closing(at=1.0, orders=tuple(replace(order, key=None) for order in ORDERS)),
    stored={order.number: order for order in ORDERS},
    members=ROWS,
    logs=LOGS,
)


def test_an_end_that_is_the_same_everywhere_is_right() -> None:
    assert list(END.wrong()) == []
    assert END.closing.orders == tuple(ORDERS), "the keys are those of the rows"


@pytest.mark.parametrize(
    ("changes", "invariant", "says"),
    [
        ({"logs": [LOGS[0], Log("engine", False, "row 3 is not as it was written")]}, 2, "row 3"),
        ({"logs": [LOGS[0], replace(LOGS[1], last_number=3)]}, 2, "the logs hold 4 orders"),
        ({"logs": [LOGS[0], replace(LOGS[1], digest="cc")]}, 11, "partition 1 ends with cc"),
        ({"members": ()}, 11, "the members do not show the same"),
        (
            {"ending": Closing(at=1.0, orders=tuple(ORDERS[:2]))},
            2,
            "2 orders can be read, 3 are stored; see 2001",
        ),
        (
            {"stored": {order.number: replace(order, key="one") for order in ORDERS}},
            5,
            "key one has 3 orders, of all partitions",
        ),
    ],
)
def test_what_differs_is_named(changes: dict[str, Any], invariant: int, says: str) -> None:
    ((found, what),) = replace(END, **changes).wrong()
    assert found == invariant
    assert says in what


def test_without_a_front_end_the_rows_are_the_end() -> None:
    found = replace(END, ending=None)
    assert [order.number for order in found.closing.orders] == [1000, 1001, 2001]
    assert list(found.wrong()) == []
