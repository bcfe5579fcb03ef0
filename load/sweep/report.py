"""The HTML report of a sweep, with its plots. Pure."""

from collections.abc import Callable, Iterator, Sequence

from load.report.html import document, paragraph, table
from load.report.plot import COLOURS, Chart, Series, draw
from load.report.text import counted
from load.run.tally import KindRow

from .settings import Outcome, by_cache, cache_name, percent, remarks

__all__ = ["sweep_report"]

Figure = Callable[[KindRow], float]

SHOWN = {"lookup": "Lookups", "trade": "Trades"}
HEADS = ("p", "cache", "calls", "errors", "/s", "mean", "p50", "p90", "p99", "p99.9", "max")


def sweep_report(outcomes: Sequence[Outcome], again: str, when: str) -> str:
    """`again` is the command that repeats the sweep; `when` is its date and time."""
    first = outcomes[0].report
    clients = counted(first.clients, "client")
    fresh = "each against a fresh bazaar" if outcomes[0].setting.cache else f"against {first.url}"
    about = (
        f"{clients}: each looks up a random stock, trades it with probability p, and so on; it"
        f" asks once it has its last answer. {len(outcomes)} runs, {fresh}, {when}."
        " Times are of all calls, in milliseconds."
    )
    charts = "\n".join(draw(chart, f"chart-{n}") for n, chart in enumerate(_charts(outcomes), 1))
    return document(
        "Latency by share of trades, with and without a cache",
        [
            paragraph(about),
            *(paragraph(remark.text, wrong=remark.wrong) for remark in remarks(outcomes)),
            f'<div class="charts">{charts}</div>',
            *(_table(kind, outcomes) for kind in SHOWN),
            paragraph(f"Again: {again}"),
        ],
    )


def _charts(outcomes: Sequence[Outcome]) -> Iterator[Chart]:
    for kind, name in SHOWN.items():
        yield _chart(f"{name}: mean and median", "ms", [
            *_lines(outcomes, kind, "mean", lambda row: row.mean_ms),
            *_lines(outcomes, kind, "p50", lambda row: row.p50_ms, dashed=True),
        ])  # fmt: skip
        p99 = _lines(outcomes, kind, "p99", lambda row: row.p99_ms)
        yield _chart(f"{name}: 99th percentile", "ms", p99)
    rate = _lines(outcomes, "all", "", lambda row: row.rate)
    yield _chart("Lookups and trades answered", "a second", rate)
    hits = [
        Series(cache_name(cache), points, _colour(number), dots=True)
        for number, (cache, found) in enumerate(by_cache(outcomes).items())
        if (points := _hits(found))
    ]
    yield _chart("Lookups answered by the cache", "%", hits)


def _chart(title: str, up: str, series: Sequence[Series]) -> Chart:
    return Chart(title=title, across="lookups followed by a trade, %", up=up, series=series)


def _lines(
    outcomes: Sequence[Outcome], kind: str, figure: str, value: Figure, *, dashed: bool = False
) -> list[Series]:
    """A line for each cache."""
    return [
        Series(
            f"{cache_name(cache)}{f', {figure}' if figure else ''}",
            [
                (100 * share, value(row) if (row := outcome.row(kind)) else None)
                for share, outcome in sorted(found.items())
            ],
            _colour(number),
            dashed=dashed,
            dots=True,
        )
        for number, (cache, found) in enumerate(by_cache(outcomes).items())
    ]


def _hits(found: dict[float, Outcome]) -> list[tuple[float, float | None]]:
    return [
        (100 * share, 100 * outcome.report.hit_share)
        for share, outcome in sorted(found.items())
        if outcome.report.hit_share is not None
    ]


def _colour(number: int) -> int:
    return number % COLOURS


def _table(kind: str, outcomes: Sequence[Outcome]) -> str:
    rows = []
    for outcome in sorted(outcomes, key=lambda outcome: outcome.setting.share):
        own = [percent(outcome.setting.share), outcome.setting.cache or "as it runs"]
        row = outcome.row(kind)
        if row is not None:
            times = (row.mean_ms, row.p50_ms, row.p90_ms, row.p99_ms, row.p999_ms, row.max_ms)
            shown = [f"{each:.2f}" for each in times]
            rows.append([*own, str(row.count), str(row.errors), f"{row.rate:.1f}", *shown])
    return table(f"{SHOWN[kind]}, ms", HEADS, rows)
