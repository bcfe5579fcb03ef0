"""The HTML report of a trial, with plots over time. Pure."""

from collections.abc import Iterator, Sequence

from load.report.html import document, heading, paragraph, preformatted
from load.report.plot import Band, Chart, Series, draw

from .page import trial_page, verdict
from .stage import StageReport
from .timeline import Timeline

__all__ = ["trial_report"]

ACROSS = "seconds from the first call"
WIDTH = 1080.0
TRADES, LOOKUPS = 0, 2


def trial_report(reports: Sequence[StageReport], skipped: str, command: str, when: str) -> str:
    """`skipped` is why there was no network stage, if so; `command` repeats the trial; `when` is
    its date and time."""
    about = (
        f"A trial of {when}: clients trade and look up while processes are killed and paused, or"
        " cut off from one another. Coloured bands are faults, from their begin to their end."
    )
    parts = [paragraph(about)]
    parts += [paragraph(remark.text, wrong=remark.wrong) for remark in verdict(reports)]
    for report in reports:
        parts.append(heading(f"{report.stage}: throughput and latency over time"))
        parts += _charts(report.stage, report.timeline)
    parts += [heading("All figures"), preformatted(trial_page(reports, skipped, command))]
    return document("Did clients notice?", parts)


def _charts(stage: str, line: Timeline) -> Iterator[str]:
    bands = [Band(each.what, each.kind, each.began, each.ended) for each in line.faults]
    times = [moment.at for moment in line.moments]
    moments = f"moments of {line.step:.2g} s"
    trades = [moment.trades for moment in line.moments]
    lookups = [moment.lookups for moment in line.moments]
    answered = Chart(
        title=f"Calls answered a second, {moments}",
        across=ACROSS,
        up="answered a second",
        series=[
            Series("trades", list(zip(times, trades, strict=True)), TRADES),
            Series("lookups", list(zip(times, lookups, strict=True)), LOOKUPS),
        ],
        bands=bands,
        named=True,
        width=WIDTH,
    )
    kinds = (
        ("trades, median", TRADES, False, [moment.trade_p50_ms for moment in line.moments]),
        ("trades, longest", TRADES, True, [moment.trade_max_ms for moment in line.moments]),
        ("lookups, median", LOOKUPS, False, [moment.lookup_p50_ms for moment in line.moments]),
        ("lookups, longest", LOOKUPS, True, [moment.lookup_max_ms for moment in line.moments]),
    )
    latency = Chart(
        title=f"Latency of the calls that ended in each of these {moments}, answered or not",
        across=ACROSS,
        up="ms, logarithmic",
        series=[
            Series(name, list(zip(times, values, strict=True)), colour, dashed=dashed)
            for name, colour, dashed, values in kinds
        ],
        bands=bands,
        logarithmic=True,
        width=WIDTH,
    )
    yield draw(answered, f"{stage}-answered")
    yield draw(latency, f"{stage}-latency")
