"""Machines on paper: costs come back out of figures that they made, and no process is planned to
use more of a core than it has."""

import msgspec
import pytest

from load.bench.on_paper import MEASURED, Cell, Cost, Costs, Plan, cell_of, costs_of, lines_of
from load.bench.partition_figures import Row, Taken

IDLE_US = 20_000.0
"""What each process uses in a second without trades."""

COSTS = Costs(
    front_end=Cost(100.0, 1000.0),
    leader=Cost(50.0, 800.0),
    catalog=Cost(20.0, 700.0),
    primary=Cost(10.0, 500.0),
    standby=Cost(5.0, 200.0),
    push_at_front_end=400.0,
    push_at_catalog=300.0,
)


def row(connections: int, batch: float, *, subject: str = "engine", second: bool = False) -> Row:
    """What a bazaar with these costs shows, in which all three order processes lead."""
    rate = 10.0 * connections
    idle = IDLE_US / rate if connections else IDLE_US
    used = {
        "frontend": COSTS.front_end.at(batch),
        **{f"order-{each}": COSTS.leader.at(batch) / 3 for each in (1, 2, 3)},
        "catalog": COSTS.catalog.at(batch) + (COSTS.push_at_catalog / batch if second else 0),
        "primary": COSTS.primary.at(batch),
        "standby-1": COSTS.standby.at(batch),
        "standby-2": COSTS.standby.at(batch),
        **({"frontend-2": COSTS.push_at_front_end / batch} if second else {}),
    }
    if not connections:
        used = dict.fromkeys(used, 0.0)
    taken = Taken(
        rate=rate,
        p50_ms=1.0,
        p99_ms=2.0,
        errors=0,
        batch=batch if connections else 0.0,
        cpu_us={name: us + idle for name, us in used.items()},
    )
    return Row(subject=subject, connections=connections, taken=taken)


ENGINE = [row(0, 1.0), row(1, 1.0), row(32, 20.0), row(128, 60.0), row(512, 200.0)]
TWICE = [
    row(0, 1.0, subject="engine, 2 front-ends", second=True),
    row(512, 200.0, subject="engine, 2 front-ends", second=True),
]


def test_costs_come_back_without_what_an_idle_bazaar_uses() -> None:
    found = costs_of([*ENGINE, *TWICE])
    for name, cost in msgspec.structs.asdict(COSTS).items():
        if isinstance(cost, Cost):
            assert getattr(found, name).trade == pytest.approx(cost.trade), name
            assert getattr(found, name).batch == pytest.approx(cost.batch), name
        else:
            assert getattr(found, name) == pytest.approx(cost), name


@pytest.mark.parametrize("rows", [ENGINE, TWICE, [*ENGINE[:3], *TWICE]])
def test_too_few_figures_give_no_costs(rows: list[Row]) -> None:
    with pytest.raises(ValueError, match="figures|batches"):
        costs_of(rows)


def test_cells_are_as_few_as_their_processes_allow() -> None:
    cell = cell_of(COSTS, Plan())
    assert cell.works
    assert not cell_of(COSTS, Plan(cells=cell.cells - 1)).works
    assert cell.trades * cell.cells == pytest.approx(1_000_000)


def test_twice_the_trades_take_twice_the_cells() -> None:
    cell, twice = (cell_of(COSTS, Plan(trades=trades)) for trades in (1_000_000, 2_000_000))
    assert twice.cells == pytest.approx(2 * cell.cells, abs=1)


def test_what_is_left_out_makes_cells_larger() -> None:
    def size(**left_out: bool) -> float:
        return cell_of(COSTS, msgspec.structs.replace(Plan(), **left_out)).trades

    assert size() < size(caches=False) < size(caches=False, senders=True)


def test_a_leader_that_only_answers_calls_leads_no_trades() -> None:
    """Each of a hundred front-ends calls every leader 50 times a second."""
    cell: Cell = cell_of(COSTS, Plan(cells=1, caches=False))
    assert cell.calls * COSTS.leader.batch > 1e6
    assert not cell.works
    assert any("DOES NOT WORK" in line for line in lines_of(COSTS, Plan(cells=1)))


def test_the_page_of_what_was_measured_works() -> None:
    lines = list(lines_of(MEASURED, Plan()))
    assert not any("DOES NOT WORK" in line for line in lines)
    assert any(line.startswith("1,000,000 trades/s") for line in lines)
