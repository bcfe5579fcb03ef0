"""The settings of a sweep, and the tables of the figures of each. Pure."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from itertools import chain

import msgspec

from load.report.remark import Remark
from load.report.text import counted, page
from load.run.summary import BUSY_SHARE, RunReport
from load.run.tally import KindRow

__all__ = [
    "Outcome",
    "Setting",
    "by_cache",
    "csv_text",
    "kept",
    "plan",
    "progress",
    "remarks",
    "sweep_page",
]

FIGURES = ("mean", "p50", "p99", "/s")
COLUMN = 9
PLURALS = {"lookup": "lookups", "trade": "trades"}
"""The kinds of calls that are shown; the CSV has all."""


class Setting(msgspec.Struct, frozen=True):
    """What differs between the runs."""

    share: float
    """Of the lookups that are followed by a trade."""
    cache: str
    """As `twistd bazaar` takes it; empty: that of a bazaar that is already running."""

    def __str__(self) -> str:
        return f"p {percent(self.share)}, {cache_name(self.cache)}"


class Outcome(msgspec.Struct, frozen=True):
    """A setting, and the report of its run."""

    setting: Setting
    report: RunReport

    def row(self, kind: str) -> KindRow | None:
        """The figures of one kind of call; None: there was no such call."""
        return next((row for row in self.report.kinds if row.kind == kind), None)


def plan(shares: Sequence[float], caches: Sequence[str]) -> list[Setting]:
    """Every share with every cache. The caches of one share follow each other, and their order
    alternates: a machine that becomes slower meanwhile favours none of them."""
    settings = []
    for number, share in enumerate(shares):
        turned = caches if number % 2 == 0 else caches[::-1]
        settings += [Setting(share, cache) for cache in turned]
    return settings


def kept(outcomes: Iterable[Outcome]) -> bool:
    """Whether every order is as it was acknowledged."""
    return all(outcome.report.orders.kept for outcome in outcomes)


def percent(share: float) -> str:
    return f"{100 * share:g} %"


def cache_name(cache: str) -> str:
    return f"cache {cache}" if cache else "cache as it runs"


def progress(outcome: Outcome) -> str:
    """The line that is shown after a run."""
    shown = [
        f"{PLURALS[kind]} {row.mean_ms:.2f} ms" for kind in PLURALS if (row := outcome.row(kind))
    ]
    return f"{outcome.setting}: {', '.join(shown) or 'no calls'}"


def sweep_page(outcomes: Sequence[Outcome], again: str) -> str:
    """What a sweep prints when it has ended; `again` is the command that repeats it."""
    lines = [*_table("lookup", outcomes), "", *_table("trade", outcomes), ""]
    lines += [remark.text for remark in remarks(outcomes)]
    return page(lines, again)


def _table(kind: str, outcomes: Sequence[Outcome]) -> Iterator[str]:
    columns = by_cache(outcomes)
    figures = [*FIGURES, *(["hits"] if kind == "lookup" else [])]
    width = COLUMN * len(figures)
    title = f"{PLURALS[kind]}, ms"
    yield f"{title:<12}{''.join(f'   {cache_name(cache):<{width}}' for cache in columns)}".rstrip()
    heads = "".join(f"{figure:>{COLUMN}}" for figure in figures)
    yield f"  {'p':>6}    {'   '.join(heads for _ in columns)}"
    for share in sorted({outcome.setting.share for outcome in outcomes}):
        cells = [_cells(kind, found.get(share), len(figures)) for found in columns.values()]
        line = f"  {percent(share):>6}    " + "   ".join(
            "".join(f"{cell:>{COLUMN}}" for cell in each) for each in cells
        )
        yield line.rstrip()


def by_cache(outcomes: Iterable[Outcome]) -> dict[str, dict[float, Outcome]]:
    """By cache and share; the caches in the order of their first run."""
    columns: dict[str, dict[float, Outcome]] = {}
    for outcome in outcomes:
        columns.setdefault(outcome.setting.cache, {})[outcome.setting.share] = outcome
    return columns


def _cells(kind: str, outcome: Outcome | None, count: int) -> list[str]:
    """The cells of one run: empty without such a run, dashes without such a call."""
    if outcome is None:
        return [""] * count
    row = outcome.row(kind)
    if row is None:
        return ["-"] * count
    cells = [f"{row.mean_ms:.2f}", f"{row.p50_ms:.2f}", f"{row.p99_ms:.2f}", f"{row.rate:.1f}"]
    hits = outcome.report.hit_share
    return [*cells, "-" if hits is None else f"{100 * hits:.1f} %"][:count]


def remarks(outcomes: Sequence[Outcome]) -> Iterator[Remark]:
    """What the tables do not show: orders, errors, and how busy the clients were."""
    if kept(outcomes):
        count = sum(outcome.report.orders.remembered for outcome in outcomes)
        runs = counted(len(outcomes), "run")
        yield Remark(f"orders: {count} remembered in {runs}, all read back as acknowledged")
    for outcome in outcomes:
        orders, where = outcome.report.orders, outcome.setting
        of = f"of {orders.remembered}"
        if orders.wrong:
            what = f"{orders.wrong} {of} ARE NOT AS ACKNOWLEDGED ({where})"
            yield Remark(f"orders: {what}, such as: {orders.examples[0]}", True)
        if orders.unread:
            yield Remark(f"orders: {orders.unread} {of} COULD NOT BE READ BACK ({where})", True)
        for each in outcome.report.failed:
            status = f"status {each.status}" if each.status else "no answer"
            what = f"{each.count} of {each.kind} ({where}), {status}"
            yield Remark(f"errors: {what}, such as: {each.message}", True)
    busiest = max((outcome.report.cpu_share for outcome in outcomes), default=0.0)
    slow = busiest >= BUSY_SHARE
    said = ": THEY ARE WHAT IS SLOW" if slow else ""
    yield Remark(f"the clients used up to {100 * busiest:.0f} % of a core{said}", slow)


def csv_text(outcomes: Iterable[Outcome]) -> str:
    """A line for each kind of call of each setting, in the order in which they ran."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    own = ("p", "cache", "clients", "hit_share", "remembered", "wrong", "unread")
    writer.writerow([*own, *KindRow.__struct_fields__])
    writer.writerows(chain.from_iterable(map(_csv_rows, outcomes)))
    return text.getvalue()


def _csv_rows(outcome: Outcome) -> Iterator[list[object]]:
    setting, report = outcome.setting, outcome.report
    orders = report.orders
    hits = "" if report.hit_share is None else round(report.hit_share, 5)
    own = [setting.share, setting.cache, report.clients, hits]
    for row in report.kinds:
        rounded = msgspec.structs.replace(row, rate=round(row.rate, 3))
        yield [
            *own, orders.remembered, orders.wrong, orders.unread, *msgspec.structs.astuple(rounded)
        ]  # fmt: skip
