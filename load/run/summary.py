"""The page of figures of a run. Pure."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from load.history.records import SOURCES
from load.history.remembered import Comparison
from load.report.text import counted, page

from .mix import Mix
from .tally import Failed, KindRow
from .threshold import Judged

__all__ = ["BUSY_SHARE", "RunReport", "progress", "run_page", "share_done"]

BUSY_SHARE = 0.9
"""A client process that uses more of its core than this limits what it measures."""


LIMITED = 429
"""The status of calls that are more than the front-end allows its clients."""


class RunReport(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a run."""

    url: str
    clients: int
    seed: int
    seconds: float
    """From the first call to the last lookup or trade."""
    kinds: Sequence[KindRow]
    hit_share: float | None
    """The share of lookups that a cache answered, of those with `hit` or `miss`; None: none had."""
    placed: int
    rejected: int
    failed: Sequence[Failed]
    rate: float | None
    """Requests a second that were due; None: it was a closed loop."""
    unsent: int
    """How many requests were due and never sent."""
    cpu_share: float
    """The share of a core that the clients used."""
    orders: Comparison
    thresholds: Sequence[Judged]
    interrupted: bool
    again: str
    """The command that repeats the run."""


def run_page(report: RunReport) -> str:
    """What a run prints when it has ended."""
    clients = counted(report.clients, "client")
    lines = [
        f"{report.seconds:.1f} s, {clients}, {report.url}",
        "",
        *_table(report.kinds),
        "",
        f"trades: {report.placed} orders, {report.rejected} rejected",
    ]
    if report.hit_share is not None:
        lines.append(f"lookups: {100 * report.hit_share:.1f} % answered by the cache")
    for each in report.failed:
        if each.status == LIMITED:
            lines.append(f"limited: {each.count} of {each.kind}, such as: {each.message}")
            continue
        status = f"status {each.status}" if each.status else "no answer"
        lines.append(f"errors: {each.count} of {each.kind}, {status}, such as: {each.message}")
    lines += [*_pace(report), *_orders(report)]
    for judged in report.thresholds:
        lines.append(f"{'held' if judged.held else 'MISSED'}: {_words(judged)}")
    return page(lines, report.again)


def _table(kinds: Sequence[KindRow]) -> Iterable[str]:
    names = "".join(f"{name:>9}" for name in ("mean", "p50", "p90", "p99", "p99.9", "max"))
    yield f"{'calls':<10}{'count':>9}{'errors':>8}{'/s':>9}  ms:{names}"
    for row in kinds:
        name = f"    {row.kind}" if row.kind in SOURCES else f"  {row.kind}"
        times = (row.mean_ms, row.p50_ms, row.p90_ms, row.p99_ms, row.p999_ms, row.max_ms)
        shown = "".join(f"{each:>9.2f}" for each in times)
        yield f"{name:<10}{row.count:>9}{row.errors:>8}{row.rate:>9.1f}     {shown}"


def _pace(report: RunReport) -> Iterable[str]:
    if report.rate is not None:
        kept = "each counts from when it was due"
        if report.unsent:
            kept = f"{report.unsent} THAT WERE DUE WERE NEVER SENT, and are in no figure"
        yield f"open loop: {report.rate:g} requests a second; {kept}"
    busy = "" if report.cpu_share < BUSY_SHARE else ": THEY ARE WHAT IS SLOW"
    yield f"the clients used {100 * report.cpu_share:.0f} % of a core{busy}"


def _orders(report: RunReport) -> Iterable[str]:
    orders = report.orders
    if report.interrupted:
        yield f"orders: {orders.confirmed} of {orders.remembered} compared when interrupted"
    elif orders.kept:
        yield f"orders: {orders.remembered} remembered, all read back as acknowledged"
    if orders.wrong:
        yield f"orders: {orders.wrong} of {orders.remembered} ARE NOT AS ACKNOWLEDGED, such as"
        yield from (f"  {example}" for example in orders.examples)
    if orders.unread and not report.interrupted:
        yield f"orders: {orders.unread} of {orders.remembered} COULD NOT BE READ BACK"


def _words(judged: Judged) -> str:
    return f"{judged.threshold} ({judged.measured})"


def progress(
    seconds: float, before: dict[str, tuple[int, int]], now: dict[str, tuple[int, int]]
) -> str:
    """The line that is shown during a run; `before` has the counts of a second ago."""
    words = [f"{seconds:4.0f} s"]
    for kind, (count, _) in now.items():
        words.append(f"{kind} {count} (+{count - before.get(kind, (0, 0))[0]})")
    words.append(f"errors {sum(errors for _, errors in now.values())}")
    return "   ".join(words)


def share_done(mix: Mix, seconds: float, now: Mapping[str, tuple[int, int]]) -> float:
    """How much of a run is done, from 0 to 1, after so many seconds and with these counts. What
    comes after that are the queries of orders."""
    if mix.iterations is not None:
        lookups, _ = now.get("lookup", (0, 0))
        return min(1.0, lookups / (mix.clients * mix.iterations))
    return min(1.0, seconds / mix.seconds) if mix.seconds else 0.0
