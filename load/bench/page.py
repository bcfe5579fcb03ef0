"""The page of figures of a bench. Pure."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from load.report.text import page

from .figures import Judged, Row, Subject

__all__ = ["Report", "bench_page"]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All figures of a bench."""

    generator: str
    cores: int
    cache: str
    """Where the bazaar cached: `redis` or `memory`."""
    rounds: int
    seconds: int
    rows: Sequence[Row]
    judged: Sequence[Judged]
    again: str


def bench_page(report: Report) -> str:
    lines = [
        f"{report.cores} cores for everything; load by {report.generator}; cache: {report.cache};"
        f" medians of {report.rounds} rounds of {report.seconds} s each",
        "",
        *_table(report.rows),
    ]
    if any(row.cpu_us for row in report.rows):
        lines += ["", *_costs(report.rows)]
    if report.judged:
        lines += ["", *_judged(report.judged)]
    return page(lines, report.again)


def _table(rows: Sequence[Row]) -> Iterable[str]:
    counts = sorted({row.connections for row in rows})
    yield f"{'connections':<20}" + "".join(f"{count:>24}" for count in counts)
    yield f"{'':<20}" + "".join(f"{'/s':>10}{'p50 ms':>7}{'p99 ms':>7}" for _ in counts)
    cells = {(row.subject, row.connections): row for row in rows}
    for subject in Subject:
        found = [cells.get((subject, count)) for count in counts]
        if not any(found):
            continue
        shown = "".join(
            f"{row.rate:>10.0f}{row.p50_ms:>7.2f}{row.p99_ms:>7.2f}" if row else " " * 24
            for row in found
        )
        yield f"{subject:<20}{shown}"
    for row in rows:
        if row.errors:
            yield f"{row.errors} ERRORS: {row.subject}, {row.connections} connections"


def _costs(rows: Sequence[Row]) -> Iterable[str]:
    """The CPU time of a request by process, at the most connections."""
    most = max(row.connections for row in rows)
    yield f"CPU for each answer at {most} connections, microseconds"
    for row in rows:
        if row.connections == most and row.cpu_us:
            yield f"  {row.subject:<20}{_shares(row.cpu_us)}"


def _shares(cpu_us: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {used:.0f}" for name, used in cpu_us.items())


def _judged(judged: Sequence[Judged]) -> Iterable[str]:
    for each in judged:
        word = "held  " if each.held else "MISSED"
        sign = "<=" if each.at_most else ">="
        value = f"{each.value:.2f}" if each.value < 1000 else f"{each.value:.0f}"
        yield f"{word}  {each.name}: {value}{each.unit} ({sign} {each.bound:g}{each.unit})"
