"""The page of figures of a trial. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from math import ceil

from load.report.remark import Remark
from load.report.text import counted, page

from .figures import Figures
from .gaps import LATE_BOUND_SECONDS
from .stage import StageReport
from .timeline import Timeline

__all__ = ["spark", "trial_page", "verdict"]

ORDERS = {2, 4, 5, 6, 7, 8}
"""The invariants that are broken if an order is lost, doubled or changed."""
FRESHNESS = {9, 10}
SPARKS = " ▁▂▃▄▅▆▇█"
"""From zero to the highest value."""
SPARK_COLUMNS = 80


def trial_page(reports: Sequence[StageReport], skipped: str, command: str) -> str:
    """All figures of a trial; `skipped` is why there was no network stage, if so."""
    lines: list[str] = []
    for report in reports:
        lines += [*_stage(report), ""]
    lines += _beside(reports)
    if skipped:
        lines += [f"network: skipped; {skipped}", ""]
    lines += [remark.text for remark in verdict(reports)]
    return page(lines, command)


def _stage(report: StageReport) -> Iterable[str]:
    found = report.figures
    fronts = counted(len(report.caches), "front-end")
    yield (
        f"== {report.stage}: {found.seconds:.0f} s, {fronts} (cache {', '.join(report.caches)}),"
        f" {report.orders} orders"
    )
    yield ""
    yield (
        f"{'operations':<14}{'calls':>8}{'served':>8}{'refused':>8}{'unknown':>8}"
        f"{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}"
    )
    for row in found.operations:
        yield (
            f"  {row.kind:<12}{row.calls:>8}{row.served:>8}{row.refused:>8}{row.unknown:>8}"
            f"{row.p50_ms:>9.1f}{row.p99_ms:>9.0f}{row.max_ms:>9.0f}"
        )
    yield ""
    yield (
        f"{'lookups':<14}{'answered':>8}{'share':>8}{'':>16}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}"
    )
    for source in found.lookups:
        yield (
            f"  {source.source:<12}{source.answered:>8}{source.share:>8.1%}{'':>16}"
            f"{source.p50_ms:>9.1f}{source.p99_ms:>9.0f}{source.max_ms:>9.0f}"
        )
    yield from _over_time(report.timeline)
    yield ""
    yield from _faults(report)
    yield from _liveness(found)
    yield ""
    yield (
        f"unknown outcomes {found.unknown}, keys sent again {found.resent} of {found.keys},"
        f" never settled {found.left_unknown}; slowest to settle {found.slowest:.2f} s"
    )
    if report.converged_seconds is not None:
        yield f"all replicas alike {report.converged_seconds:.2f} s after the last fault"
    for log in report.logs:
        state = f"number {log.last_number}, digest {log.digest}" if log.sound else log.said
        yield f"  {log.replica:<12}{state}"
    yield f"violations {sum(row.count for row in report.violations)}"
    for violated in report.violations:
        after = f" after {violated.after!r}" if violated.after else ""
        yield f"  {violated.count} of invariant {violated.invariant}{after}, such as"
        yield f"    {violated.first}"
    for line in report.problems:
        yield f"  {line}"


def _faults(report: StageReport) -> Iterable[str]:
    found, apart = report.figures, report.partitions > 0
    one = "   slowest trade" if apart else ""
    yield (
        f"{'faults':<50}{'count':>6}   no trade acknowledged for   back after   no lookup for{one}"
    )
    calm = f"{'':>10}  max {found.calm_gap:5.2f} s   {'':>10}{found.calm_lookup_gap:12.2f} s"
    yield f"  {'none yet':<48}{'':>6}   {calm}"
    for fault in found.faults:
        spread = f"p50 {fault.gap_p50:.2f} s  max {fault.gap_max:5.2f} s"
        after = f"{fault.back_max:8.2f} s{fault.lookup_gap_max:12.2f} s"
        after += f"{fault.slowest:14.2f} s" if apart else ""
        yield f"  {fault.what:<48}{fault.count:>6}   {spread}   {after}"


def _beside(reports: Sequence[StageReport]) -> Iterator[str]:
    """The longest stop by fault, of the embedded log and of an engine; empty: not both ran."""
    by_kind = [
        next((report for report in reports if report.stage == stage), None)
        for stage in ("processes", "engine")
    ]
    if None in by_kind:
        return
    embedded, engine = (
        {row.what: row for row in report.figures.faults} for report in by_kind if report
    )
    head = "no trade acknowledged for, and the slowest trade"
    yield f"{head:<50}{'embedded log':>18}{'engine':>18}"
    for what in sorted({*embedded, *engine}, key=lambda what: (what not in embedded, what)):
        rows = (embedded.get(what), engine.get(what))
        gaps = (f"{row.gap_max:.2f} s, {row.slowest:.2f} s" if row else "-" for row in rows)
        yield f"  {what:<48}" + "".join(f"{gap:>18}" for gap in gaps)
    yield ""


def _liveness(found: Figures) -> Iterable[str]:
    if not found.liveness:
        return
    yield ""
    yield (
        f"while it lasted: trading and, at every front-end, lookups go on (gaps up to the bound,"
        f" and then {LATE_BOUND_SECONDS:g} s a trade)"
    )
    for row in found.liveness:
        late = "none" if row.late_p50 is None else f"{row.late_p50 * 1000:.0f} ms"
        mark = "" if row.alive else "   NOT ALIVE"
        gaps = f"gap {row.gap:.2f} s of {row.bound:g} s, then {late:>6}"
        yield f"  {row.what:<48}  {gaps}; lookups {row.lookup_gap:.2f} s{mark}"


def _over_time(line: Timeline) -> Iterator[str]:
    if not line.moments:
        return
    each = ceil(len(line.moments) / SPARK_COLUMNS)
    yield ""
    yield f"answered a second, {each * line.step:.2g} s each"
    for name, values in (
        ("trades", [moment.trades for moment in line.moments]),
        ("lookups", [moment.lookups for moment in line.moments]),
    ):
        groups = [values[at : at + each] for at in range(0, len(values), each)]
        means = [sum(group) / len(group) for group in groups]
        yield f"  {name:<12}|{spark(means)}| up to {max(means):.0f}"


def spark(values: Sequence[float]) -> str:
    """A bar for each value, as a character. Only 0 is blank."""
    most = max(values, default=0.0) or 1.0
    return "".join(SPARKS[ceil((len(SPARKS) - 1) * value / most)] for value in values)


def verdict(reports: Sequence[StageReport]) -> Iterator[Remark]:
    """The results in words."""
    rows = [row for report in reports for row in report.figures.operations]
    calls = sum(row.calls for row in rows)
    missed = sum(row.refused + row.unknown for row in rows)
    slowest = max((report.figures.slowest for report in reports), default=0.0)
    share = 100 * missed / calls if calls else 0.0
    yield Remark(
        f"Did clients notice? {missed} of {calls} calls ({share:.1f} %) got no answer or 503;"
        f" the slowest trade took {slowest:.1f} s to settle, retries included."
    )
    yield _requests(reports)
    violated = [row for report in reports for row in report.violations]
    broken = {row.invariant for row in violated}
    yield Remark(
        "Were orders lost, doubled or changed? YES, see the violations."
        if broken & ORDERS
        else "Were orders lost, doubled or changed? No: every acknowledged order is there, once,"
        " as it was acknowledged.",
        bool(broken & ORDERS),
    )
    yield _alike(reports)
    yield Remark(
        "Was everything that clients were shown fresh? NO, see the violations."
        if broken & FRESHNESS
        else "Was everything that clients were shown fresh? Yes: never older than what any"
        " client had been shown before.",
        bool(broken & FRESHNESS),
    )
    count = sum(row.count for row in violated)
    problems = sum(len(report.problems) for report in reports)
    yield Remark(f"{count} violations, {problems} other problems.", bool(count or problems))


def _requests(reports: Sequence[StageReport]) -> Remark:
    """Whether trades got no answer; a lost request was never acknowledged as an order."""
    unclear = sum(report.figures.unknown for report in reports)
    left = sum(report.figures.left_unknown for report in reports)
    rows = [row for report in reports for row in report.figures.operations]
    calls = sum(row.calls for row in rows if row.kind == "trade")
    said = f"Were requests lost? {unclear} of {calls} calls to trade got no clear answer"
    if left:
        return Remark(f"{said}; of {left} trades no client ever learnt whether they are orders.")
    again = "; such a trade is sent again under its key, and all got one in the end"
    return Remark(f"{said}{again if unclear else ''}.")


def _alike(reports: Sequence[StageReport]) -> Remark:
    asked = "Do all replicas end with the same log?"
    ends = []
    for report in reports:
        if report.partitions:
            if any(row.invariant in (2, 11) for row in report.violations):
                return Remark(f"{asked} NO.", True)
            ends.append(f"all {report.partitions} partitions as the rows say ({report.stage})")
            continue
        logs = {(log.last_number, log.digest) for log in report.logs}
        if len(logs) != 1 or not all(log.sound for log in report.logs):
            return Remark(f"{asked} NO.", True)
        ((number, digest),) = logs
        ends.append(f"{number}, {digest} ({report.stage})")
    return Remark(f"{asked} Yes: same number, same digest: {'; '.join(ends)}.")
