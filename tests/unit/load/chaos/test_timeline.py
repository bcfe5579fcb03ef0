"""Timelines of a stage, and the report with its plots."""

from html.parser import HTMLParser
from xml.etree.ElementTree import fromstring

import msgspec
import pytest

from load.bazaar.state import Log
from load.chaos.fault_types import all_fault_types
from load.chaos.figures import figures
from load.chaos.page import spark, trial_page
from load.chaos.report import trial_report
from load.chaos.scenarios import SCENARIOS
from load.chaos.stage import StageReport
from load.chaos.timeline import Marked, Timeline, fault_kind, timeline
from load.history.records import Fault, LookupCall, Record, TradeCall, Verdict
from load.report.plot import BAND_KINDS
from twisted_bazaar.market import Side


def trade(sent: float, ended: float, verdict: Verdict = Verdict.PLACED) -> TradeCall:
    return TradeCall(
        client=1, sent=sent, ended=ended, key=f"{sent}", name="Fish", type=Side.BUY, quantity=1,
        verdict=verdict,
    )  # fmt: skip


def lookup(sent: float, ended: float, status: int = 200) -> LookupCall:
    return LookupCall(client=1, sent=sent, ended=ended, status=status, name="Fish")


def fault(what: str, began: float, ended: float) -> Fault:
    return Fault(what=what, names=("order-1", "order-2"), began=began, ended=ended)


def test_calls_count_where_they_ended_and_only_if_they_were_served() -> None:
    line = timeline([
        trade(10.0, 10.1), trade(10.1, 10.3, Verdict.REJECTED), lookup(10.3, 10.4),
        trade(10.4, 10.6), trade(10.6, 10.7, Verdict.UNKNOWN), lookup(10.7, 10.9, 503),
        trade(11.4, 11.5, Verdict.NOT_EXECUTED), lookup(10.0, 11.5, 0),
    ])  # fmt: skip
    assert line.step == 0.5
    assert [moment.at for moment in line.moments] == [0.25, 0.75, 1.25]
    assert [moment.trades for moment in line.moments] == [4.0, 2.0, 0.0]
    assert [moment.lookups for moment in line.moments] == [2.0, 0.0, 0.0]


def test_latencies_are_of_all_calls_that_ended_answered_or_not() -> None:
    line = timeline([
        trade(10.0, 10.1), trade(10.0, 10.2), trade(10.0, 10.4, Verdict.UNKNOWN),
        lookup(10.0, 10.3), lookup(10.0, 11.4, 0),
    ])  # fmt: skip
    first, second = line.moments
    assert [round(each or 0) for each in (first.trade_p50_ms, first.trade_max_ms)] == [200, 400]
    assert [round(each or 0) for each in (first.lookup_p50_ms, first.lookup_max_ms)] == [300, 300]
    assert (second.trade_p50_ms, second.trade_max_ms) == (None, None)
    assert round(second.lookup_max_ms or 0) == 1400


def test_faults_are_sorted_with_times_from_the_first_call() -> None:
    line = timeline([
        lookup(10.0, 10.1), fault("pause leader", 12.0, 13.0), fault("kill redis", 11.0, 11.0),
        lookup(14.0, 15.0),
    ])  # fmt: skip
    names = ("order-1", "order-2")
    assert line.faults == [
        Marked("kill redis", "kill", names, 1.0, 1.0),
        Marked("pause leader", "pause", names, 2.0, 3.0),
    ]


def test_every_call_is_in_a_moment_however_long_the_section_is() -> None:
    for seconds in (0.01, 0.7, 33.3, 4000.0):
        records = [lookup(5.0 + seconds * n / 100, 5.0 + seconds * n / 100) for n in range(101)]
        line = timeline(records)
        assert len(line.moments) <= 200
        assert round(sum(moment.lookups * line.step for moment in line.moments)) == 101
        assert line.moments[-1].at < seconds < len(line.moments) * line.step + 1e-6
    assert timeline([lookup(5.0, 5.0)]).moments[0].lookups == 2.0
    assert timeline([fault("kill redis", 1.0, 2.0)]) == Timeline()


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("kill leader and its successor", "kill"), ("pause catalog past its lease", "pause"),
        ("mix several at once", "mix"), ("flush redis", "spoil"), ("old dump into redis", "spoil"),
        ("leader down for good", "down"), ("leader cut off from its followers, then down", "down"),
        ("old folder of a replica", "folder"), ("empty folder of a replica", "folder"),
        ("old folder of a follower, leader cut off", "folder"),
        ("slow disks of all replicas, leader killed", "slow"),
        ("all ways to the leader lead to a follower", "astray"),
        ("leader's way to a follower leads to itself", "astray"),
        ("leader without a majority, which can be pinged", "cut"),
    ],
)  # fmt: skip
def test_a_fault_has_a_kind_by_its_name(what: str, kind: str) -> None:
    assert fault_kind(what) == kind


def test_every_fault_has_a_kind_of_band() -> None:
    kind_of = {
        "flush": "spoil", "old dump into": "spoil", "old folder of": "folder",
        "empty folder of": "folder", "slow disks of": "slow",
        "fill the disk of": "fill", "switch over from": "switch",
    }  # fmt: skip
    of_engine = all_fault_types(kill=True, pause=True, servers=True)
    for each in [*all_fault_types(kill=True, pause=True), *of_engine]:
        expected = kind_of.get(each.action, each.action)
        assert fault_kind(each.name) == expected
        assert expected in BAND_KINDS
    kinds = {fault_kind(scenario.name) for scenario in SCENARIOS}
    assert kinds == {"cut", "down", "folder", "astray"}
    assert kinds <= set(BAND_KINDS)


def test_a_timeline_can_be_encoded_and_decoded() -> None:
    line = timeline([lookup(1.0, 2.0), trade(1.0, 3.0), fault("kill redis", 1.0, 2.0)])
    assert msgspec.json.decode(msgspec.json.encode(line), type=Timeline).faults[0].kind == "kill"


def report(records: list[Record], *problems: str) -> StageReport:
    logs = [Log(f"order-{n}", True, "ok", 3, "d" * 32) for n in (1, 2, 3)]
    return StageReport(
        stage="processes", caches=["redis"], figures=figures(records), violations=(),
        problems=problems, orders=3, converged_seconds=0.5, logs=logs, timeline=timeline(records),
    )  # fmt: skip


def busy() -> list[Record]:
    calls: list[Record] = []
    for n in range(100):
        if not 30 <= n < 40:
            calls.append(trade(n / 10, n / 10 + 0.02))
        calls.append(lookup(n / 10, n / 10 + 0.01))
    return [*calls, fault('kill <all> & "more"', 3.0, 3.0), fault("pause leader", 6.0, 7.0)]


class Page(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str | None] = []
        self.wrong = 0
        self.written = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href")]
        self.wrong += ("class", "wrong") in attributes

    def handle_data(self, data: str) -> None:
        self.written += data


def charts(text: str) -> list[str]:
    return [f"<svg{part.partition('</svg>')[0]}</svg>" for part in text.split("<svg")[1:]]


def test_the_report_of_a_trial_has_plots_with_the_faults_and_the_page() -> None:
    told = report(busy())
    text = trial_report([told], "no cuts", "python -m load chaos", "today")
    shown = Page(text)
    assert shown.tags.count("svg") == 2
    assert {"script", "link", "img"}.isdisjoint(shown.tags)
    assert (shown.links, shown.wrong) == ([], 0)
    assert trial_page([told], "no cuts", "python -m load chaos") in shown.written
    for chart in charts(text):
        fromstring(chart)
    answered = "".join(fromstring(charts(text)[0]).itertext())
    assert 'kill <all> & "more"' in answered
    assert "pause leader" in answered


def test_the_report_of_a_trial_marks_what_is_wrong() -> None:
    assert Page(trial_report([report(busy(), "late")], "", "again", "today")).wrong == 1
    assert "no stage" in trial_report([], "no stage", "again", "today")


def test_the_page_shows_over_time_when_nothing_was_answered() -> None:
    lines = trial_page([report(busy())], "", "again").splitlines()
    at = lines.index("answered a second, 0.52 s each")
    trades, lookups = (line.split("|")[1] for line in lines[at + 1 : at + 3])
    assert len(trades) == len(lookups) == 19
    assert " " in trades[5:8]
    assert " " not in lookups
    assert lines[at + 1].endswith("| up to 11")


def test_a_spark_is_blank_for_zero_only() -> None:
    assert spark([0, 0.01, 1, 4, 8]) == " ▁▁▄█"
    assert spark([0.0, 0.0]) == "  "
    assert spark([]) == ""
