"""What machines a bazaar of so many trades a second takes, by the costs that were measured. Pure.

    python -m load.bench.on_paper [FIGURES] [--trades 1000000] [--batches 50] [--no-caches]
                                  [--senders] [--split-catalogs] [--cells N]

FIGURES is what `load.bench.partitions --second-front-end N --json FIGURES` has written; without it,
the costs are those of docs/scaling.md. Nothing is measured here, and nothing of that size was: each
line says what it is computed from.

A *cell* is a bazaar of its own, with some of the stocks: clients know which. With --senders the
front-ends of a host hand their trades to one process, which calls the leaders; with
--split-catalogs a catalog serves one partition. Neither is built.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from pathlib import Path
from statistics import median

import msgspec

from .partition_figures import SERVERS, TWO, Row, Sizes

__all__ = ["MEASURED", "Cell", "Cost", "Costs", "Plan", "cell_of", "costs_of", "lines_of"]

DAY_SECONDS = 86_400
BUSY = 0.6
"""The share of a core that a process is planned to use."""
BUSY_SERVER = 0.5
MOST_CELLS = 100_000
FRONT_ENDS_A_HOST = 16
ROW_BYTES = 328
"""An order in the database, its indexes included, of ten million."""
WAL_BYTES = 2300
"""An order in PostgreSQL's log, of ten million: it has whole pages of the index of keys, each once
after a checkpoint. With a short log it is 490."""
SMALLEST_BATCH = 4.0
"""Below that most of what is measured is that processors wait for other processes."""


class Cost(msgspec.Struct, frozen=True):
    """CPU time of a process, in microseconds."""

    trade: float
    """For a trade in a batch."""
    batch: float
    """For a batch, however large it is."""

    def at(self, batch: float) -> float:
        """For a trade in batches of that size."""
        return self.trade + self.batch / batch


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured."""

    front_end: Cost
    leader: Cost
    catalog: Cost
    primary: Cost
    standby: Cost
    """Of one of them."""
    push_at_front_end: float
    """An invalidation of a batch, at a front-end that did not send it."""
    push_at_catalog: float


MEASURED = Costs(
    front_end=Cost(110.0, 880.0),
    leader=Cost(28.0, 1330.0),
    catalog=Cost(12.0, 460.0),
    primary=Cost(11.0, 600.0),
    standby=Cost(3.0, 140.0),
    push_at_front_end=480.0,
    push_at_catalog=520.0,
)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be built."""

    trades: int = 1_000_000
    """A second."""
    batches: int = 50
    """That a partition commits a second, one after another; as many calls of each front-end."""
    caches: bool = True
    """Whether front-ends cache, so that each batch is invalidated at each of a cell."""
    senders: bool = False
    split_catalogs: bool = False
    cells: int = 0
    """0: the fewest in which each process has enough with its core."""


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """A bazaar of its own: what it has, and the cores that each kind of process uses in it."""

    cells: int
    """How many there are of it."""
    trades: float
    """A second."""
    front_ends: int
    partitions: int
    batch: float
    """Trades in one."""
    calls: float
    """A second, to a leader."""
    pushes: float
    """A second, to all front-ends."""
    leader: float
    """Of one partition."""
    catalog: float
    """The busiest one."""
    push_cores: float
    """Of front-ends, beside their trades."""
    primary: float
    standby: float

    @property
    def works(self) -> bool:
        """Whether each process has enough with its core."""
        return self.leader <= BUSY and self.catalog <= BUSY


def costs_of(rows: Sequence[Row]) -> Costs:
    """The costs that fit what was measured of bazaars with an engine, without what they use when
    nothing is traded. Raises `ValueError` if there is too little to fit."""
    idle = {row.subject: row.taken.cpu_us for row in rows if not row.connections}
    points: dict[str, list[tuple[float, float]]] = {}
    catalogs: dict[str, dict[int, float]] = {}
    push_at_front_end, push_at_catalog = [], []
    for row in rows:
        taken = row.taken
        if not row.connections or not taken.batch or not taken.rate:
            continue
        used = _by_kind(taken.cpu_us)
        for name, us in _by_kind(idle.get(row.subject, {})).items():
            used[name] = max(0.0, used[name] - us / taken.rate)
        a_batch = used.get("catalog", 0.0) * taken.batch
        beside = catalogs.setdefault(row.subject.removesuffix(TWO), {})
        if "second" in used:
            push_at_front_end.append(used["second"] * taken.batch)
            # The one with one front-end is measured right before.
            push_at_catalog.append(max(0.0, a_batch - beside.get(row.connections, a_batch)))
            continue
        beside[row.connections] = a_batch
        if taken.batch >= SMALLEST_BATCH:
            for name, us in used.items():
                points.setdefault(name, []).append((1 / taken.batch, us))
    fitted = {name: _fit(of_name) for name, of_name in points.items()}
    kinds = "front_end", "leader", "catalog", "primary", "standby"
    if any(name not in fitted for name in kinds) or not push_at_front_end:
        raise ValueError("these figures lack bazaars with an engine, or one with two front-ends")
    return Costs(
        **{name: fitted[name] for name in kinds},
        push_at_front_end=median(push_at_front_end),
        push_at_catalog=median(push_at_catalog),
    )


def _by_kind(cpu_us: Mapping[str, float]) -> dict[str, float]:
    """All order processes together: each leads as many partitions as the others."""
    used: dict[str, float] = {}
    for name, us in cpu_us.items():
        kind = {"frontend": "front_end", "frontend-2": "second"}.get(name, name.partition("-")[0])
        kind = "leader" if kind == "order" else kind
        used[kind] = used.get(kind, 0.0) + us
    standbys = sum(name in SERVERS[1:] for name in cpu_us)
    return {name: us / standbys if name == "standby" else us for name, us in used.items()}


def _fit(points: Sequence[tuple[float, float]]) -> Cost:
    """The line through points of (1 / batch, microseconds a trade), by least squares."""
    if len({x for x, _ in points}) < 2:
        raise ValueError("batches of one size do not show what a batch costs")
    middle = sum(x for x, _ in points) / len(points)
    height = sum(y for _, y in points) / len(points)
    spread = sum((x - middle) ** 2 for x, _ in points)
    slope = max(0.0, sum((x - middle) * (y - height) for x, y in points) / spread)
    return Cost(max(0.0, height - slope * middle), slope)


def cell_of(costs: Costs, plan: Plan) -> Cell:
    """One of the fewest cells that work, or of `plan.cells`, which may not work. Raises
    `ValueError` if there are none."""
    if plan.cells:
        return _cell(costs, plan, plan.cells)
    low, high = 0, MOST_CELLS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _cell(costs, plan, middle).works else (middle, high)
    if not _cell(costs, plan, high).works:
        raise ValueError("no cell is small enough")
    return _cell(costs, plan, high)


def _cell(costs: Costs, plan: Plan, cells: int) -> Cell:
    trades = plan.trades / cells
    front_ends = ceil(trades * costs.front_end.trade / 1e6 / BUSY)
    callers = ceil(front_ends / FRONT_ENDS_A_HOST) if plan.senders else front_ends
    calls = callers * plan.batches
    # Each call costs a leader what a batch does, at most; trades get the rest of its core.
    free = max(0.0, BUSY * 1e6 - calls * costs.leader.batch)
    partitions = ceil(trades * costs.leader.trade / free) if free else ceil(trades)
    batches = partitions * plan.batches
    pushes = batches * front_ends if plan.caches else 0
    catalogs = partitions if plan.split_catalogs else 1
    catalog = trades * costs.catalog.trade + batches * costs.catalog.batch
    of_batches = batches / trades
    return Cell(
        cells=cells,
        trades=trades,
        front_ends=front_ends,
        partitions=partitions,
        batch=1 / of_batches,
        calls=calls,
        pushes=pushes,
        leader=(trades / partitions * costs.leader.trade + calls * costs.leader.batch) / 1e6,
        catalog=(catalog + pushes * costs.push_at_catalog) / catalogs / 1e6,
        push_cores=pushes * costs.push_at_front_end / 1e6,
        primary=trades * costs.primary.at(1 / of_batches) / 1e6,
        standby=trades * costs.standby.at(1 / of_batches) / 1e6,
    )


def lines_of(costs: Costs, plan: Plan) -> Iterable[str]:
    """A page: the costs, then the plan."""
    yield "CPU, microseconds        a trade    a batch"
    named = {
        "front-end": costs.front_end,
        "leader": costs.leader,
        "catalog": costs.catalog,
        "primary": costs.primary,
        "a standby": costs.standby,
    }
    for name, cost in named.items():
        yield f"  {name:<20}{cost.trade:>10.0f}{cost.batch:>11.0f}"
    yield f"  a push, front-end   {costs.push_at_front_end:>21.0f}"
    yield f"  a push, catalog     {costs.push_at_catalog:>21.0f}"
    cell = cell_of(costs, plan)
    extra = [
        "front-ends cache" if plan.caches else "front-ends without caches",
        *(["a sender a host"] if plan.senders else []),
        *(["a catalog a partition"] if plan.split_catalogs else []),
    ]
    yield ""
    yield f"{plan.trades:,} trades/s, {plan.batches} batches/s of a partition; {', '.join(extra)}"
    yield f"  {'':<34}{'a cell':>10}{'all':>12}"
    for name, value, why in _figures(cell):
        shown, total = _short(value), _short(value * cell.cells)
        yield f"  {name:<34}{shown:>10}{total:>12}  {why}"
    yield f"  {'a leader':<34}{_short(cell.leader):>10}{'':>12}  of its core; {BUSY} at most"
    yield f"  {'the busiest catalog':<34}{_short(cell.catalog):>10}{'':>12}  of its core, as well"
    if not cell.works:
        yield "  THIS DOES NOT WORK: a process has more to do than its core can"


def _figures(cell: Cell) -> Iterable[tuple[str, float, str]]:
    front_end_cores = cell.front_ends * BUSY + cell.push_cores
    yield "cells", 1, "each with three database nodes"
    yield "trades/s", cell.trades, ""
    yield "partitions", cell.partitions, f"{cell.trades / cell.partitions:,.0f} trades/s each"
    yield "cores of leaders", cell.partitions * cell.leader, f"batches of {cell.batch:.0f}"
    yield "calls/s to a leader", cell.calls, "as many for each partition"
    yield (
        "front-ends",
        cell.front_ends,
        f"{front_end_cores:.1f} cores, {cell.push_cores:.1f} pushes",
    )
    yield "invalidations/s", cell.pushes, "batches x front-ends"
    yield "cores of primaries", cell.primary, f"nodes of {ceil(cell.primary / BUSY_SERVER)} cores"
    yield "cores of standbys", 2 * cell.standby, "two of them"
    yield "MB/s of rows to a disk", cell.trades * ROW_BYTES / 1e6, f"{ROW_BYTES} bytes an order"
    yield "MB/s of WAL, to a standby as well", cell.trades * WAL_BYTES / 1e6, f"{WAL_BYTES} bytes"
    yield "TB a day of one copy", cell.trades * ROW_BYTES * DAY_SECONDS / 1e12, "24 hours of it"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2f}"


def main() -> None:
    plan = Plan()
    parser = argparse.ArgumentParser(prog="python -m load.bench.on_paper")
    parser.add_argument("figures", type=Path, nargs="?")
    parser.add_argument("--trades", type=int, default=plan.trades, help="a second")
    parser.add_argument("--batches", type=int, default=plan.batches, help="of a partition a second")
    parser.add_argument("--no-caches", action="store_true", help="of front-ends")
    parser.add_argument("--senders", action="store_true", help="front-ends of a host call as one")
    parser.add_argument("--split-catalogs", action="store_true", help="one for each partition")
    parser.add_argument("--cells", type=int, default=plan.cells)
    asked = parser.parse_args()
    costs = MEASURED
    if asked.figures is not None:
        figures = asked.figures.read_bytes()
        costs = costs_of(msgspec.json.decode(figures, type=tuple[Sizes, list[Row]])[1])
    plan = Plan(
        trades=asked.trades,
        batches=asked.batches,
        caches=not asked.no_caches,
        senders=asked.senders,
        split_catalogs=asked.split_catalogs,
        cells=asked.cells,
    )
    print("\n".join(lines_of(costs, plan)))


if __name__ == "__main__":
    main()
