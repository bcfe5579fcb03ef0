"""What is measured of an order log in an engine, and its page. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

import msgspec

__all__ = ["SERVERS", "TWO", "Row", "Sizes", "Taken", "median_of", "page_of"]

SERVERS = "primary", "standby-1", "standby-2"
TWO = ", 2 front-ends"
"""The end of a subject's name that is measured with two, and of no other's."""


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """One stretch of trades."""

    rate: float
    """Answers a second."""
    p50_ms: float
    p99_ms: float
    errors: int
    """Requests without an answer of 200."""
    batch: float
    """Orders that became durable together, on average; 0: not known."""
    cpu_us: Mapping[str, float]
    """CPU time for each answer, by process, in microseconds."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """The medians of all rounds of one subject."""

    subject: str
    connections: int
    """0: it had nothing to do; then `cpu_us` is of a second, not of an answer."""
    taken: Taken


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """How it was measured."""

    cores: int
    generator: str
    rounds: int
    seconds: int
    servers: int


def median_of(taken: Sequence[Taken]) -> Taken:
    """The medians; all errors."""
    processes = {name: None for each in taken for name in each.cpu_us}
    return Taken(
        rate=median(each.rate for each in taken),
        p50_ms=median(each.p50_ms for each in taken),
        p99_ms=median(each.p99_ms for each in taken),
        errors=sum(each.errors for each in taken),
        batch=median(each.batch for each in taken),
        cpu_us={name: median(each.cpu_us.get(name, 0.0) for each in taken) for name in processes},
    )


def page_of(sizes: Sizes, rows: Sequence[Row]) -> Iterable[str]:
    """The lines of a page: rates, batches, CPU by process."""
    yield (
        f"{sizes.cores} cores for everything, {sizes.servers} PostgreSQL servers included; load by"
        f" {sizes.generator}; medians of {sizes.rounds} rounds of {sizes.seconds} s each"
    )
    yield ""
    yield from _rates(rows)
    for connections in sorted({row.connections for row in rows}):
        yield ""
        yield from _costs([row for row in rows if row.connections == connections], connections)
    yield ""
    yield from _limits(rows)


def _rates(rows: Sequence[Row]) -> Iterable[str]:
    counts = sorted({row.connections for row in rows if row.connections})
    cells = {(row.subject, row.connections): row.taken for row in rows}
    yield f"{'connections':<36}" + "".join(f"{count:>29}" for count in counts)
    yield " " * 36 + "".join(f"{'/s':>8}{'batch':>7}{'p50':>7}{'p99 ms':>7}" for _ in counts)
    for subject in dict.fromkeys(row.subject for row in rows):
        line = f"{subject:<36}"
        for count in counts:
            taken = cells.get((subject, count))
            if taken is None:
                line += " " * 29
                continue
            batch = f"{taken.batch:>7.1f}" if taken.batch else f"{'':>7}"
            line += f"{taken.rate:>8.0f}{batch}{taken.p50_ms:>7.1f}{taken.p99_ms:>7.1f}"
        yield line
    for row in rows:
        if row.taken.errors:
            yield f"{row.taken.errors} ERRORS: {row.subject}, {row.connections} connections"


def _costs(rows: Sequence[Row], connections: int) -> Iterable[str]:
    if connections:
        yield f"CPU for each answer at {connections} connections, microseconds"
    else:
        yield "CPU a second without any trade, milliseconds"
    unit = 1 if connections else 1000
    for row in rows:
        used = row.taken.cpu_us
        shown = "  ".join(f"{name} {us / unit:.0f}" for name, us in used.items())
        yield f"  {row.subject:<36}all {sum(used.values()) / unit:.0f}: {shown}"


def _limits(rows: Sequence[Row]) -> Iterable[str]:
    """At what rate the busiest process has no more of its core. A server of PostgreSQL is many
    processes, so it is none of these."""
    most = max(row.connections for row in rows)
    yield f"With a core for each process, by these costs at {most} connections"
    for row in rows:
        one_core = {name: us for name, us in row.taken.cpu_us.items() if us and name not in SERVERS}
        if row.connections == most and one_core:
            busiest = max(one_core, key=one_core.__getitem__)
            yield f"  {row.subject:<36}{1e6 / one_core[busiest]:.0f}/s: {busiest} has one core"
