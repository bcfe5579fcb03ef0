"""The settings of a sweep, its tables and its report."""

import csv
import re
from io import StringIO
from pathlib import Path
from xml.etree.ElementTree import fromstring

import msgspec
import pytest

from load.history.remembered import Comparison
from load.run.mix import Mix
from load.run.summary import RunReport
from load.run.tally import Failed, KindRow
from load.sweep.command import SweepOptions
from load.sweep.report import sweep_report
from load.sweep.settings import (
    Outcome,
    Setting,
    csv_text,
    kept,
    plan,
    progress,
    remarks,
    sweep_page,
)

KEPT = Comparison(remembered=4, confirmed=4, wrong=0, unread=0)


def row(kind: str, mean: float) -> KindRow:
    return KindRow(kind, 10, 1, 12.5, mean, mean + 1, mean + 2, mean + 3, mean + 4, mean + 5)


def outcome(
    share: float,
    cache: str,
    *,
    lookup: float = 2.0,
    trade: float | None = 20.0,
    hits: float | None = None,
    orders: Comparison = KEPT,
    failed: tuple[Failed, ...] = (),
    cpu: float = 0.3,
) -> Outcome:
    kinds = [row("all", lookup), row("lookup", lookup)]
    kinds += [row("trade", trade)] if trade is not None else []
    report = RunReport(
        url="http://front", clients=5, seed=1, seconds=2.0, kinds=kinds, hit_share=hits, placed=4,
        rejected=0, failed=failed, rate=None, unsent=0, cpu_share=cpu, orders=orders,
        thresholds=(), interrupted=False, again="",
    )  # fmt: skip
    return Outcome(Setting(share, cache), report)


def four() -> list[Outcome]:
    return [
        outcome(0.0, "auto", lookup=1.0, trade=None, hits=0.998),
        outcome(0.0, "off", lookup=3.0, trade=None),
        outcome(0.2, "off", lookup=4.0, trade=21.0),
        outcome(0.2, "auto", lookup=2.0, trade=22.0, hits=0.8),
    ]


def test_every_share_runs_with_every_cache_and_none_always_first() -> None:
    settings = plan((0.0, 0.2, 0.4), ("auto", "off"))
    assert [(setting.share, setting.cache) for setting in settings] == [
        (0.0, "auto"), (0.0, "off"), (0.2, "off"), (0.2, "auto"), (0.4, "auto"), (0.4, "off"),
    ]  # fmt: skip
    assert plan((0.5,), ("",)) == [Setting(0.5, "")]


def cells(line: str) -> list[str]:
    return line.replace(" %", "%").split()


def test_the_tables_have_a_line_for_each_share_and_columns_for_each_cache() -> None:
    lines = sweep_page(four(), "again and again").splitlines()
    assert lines[0].split("   ", 1)[0] == "lookups, ms"
    assert lines[0].split()[2:] == ["cache", "auto", "cache", "off"]
    assert lines[1].split() == ["p", *["mean", "p50", "p99", "/s", "hits"] * 2]
    assert cells(lines[2]) == [
        "0%", "1.00", "2.00", "4.00", "12.5", "99.8%", "3.00", "4.00", "6.00", "12.5", "-",
    ]  # fmt: skip
    assert cells(lines[3])[:5] == ["20%", "2.00", "3.00", "5.00", "12.5"]
    assert lines[5].startswith("trades, ms")
    assert lines[6].split() == ["p", *["mean", "p50", "p99", "/s"] * 2]
    assert cells(lines[7]) == ["0%", *["-"] * 8]
    assert cells(lines[8]) == [
        "20%", "22.00", "23.00", "25.00", "12.5", "21.00", "22.00", "24.00", "12.5",
    ]  # fmt: skip
    assert lines[-1] == "again: again and again"


def ends(line: str) -> list[int]:
    """The columns at which its words end."""
    return [found.end() for found in re.finditer(r"\S+", line.replace(" %", "_%"))]


def test_the_columns_of_a_table_are_under_their_heads() -> None:
    lines = sweep_page(four(), "").splitlines()
    assert ends(lines[1]) == ends(lines[2]) == ends(lines[3])
    assert ends(lines[6]) == ends(lines[7]) == ends(lines[8])


def test_a_run_that_is_missing_leaves_its_columns_empty() -> None:
    lines = sweep_page(four()[:3], "").splitlines()
    assert cells(lines[3]) == ["20%", "4.00", "5.00", "7.00", "12.5", "-"]
    assert lines[3].index("4.00") > 60


def test_a_bazaar_that_is_already_running_has_its_own_cache() -> None:
    one = outcome(0.2, "")
    assert sweep_page([one], "").splitlines()[0].endswith("  cache as it runs")
    assert progress(one) == "p 20 %, cache as it runs: lookups 2.00 ms, trades 20.00 ms"
    text = sweep_report([one], "again", "today")
    assert "against http://front" in text


def test_the_verdict_on_orders_is_of_all_runs() -> None:
    assert kept(four())
    assert [remark.text for remark in remarks(four())] == [
        "orders: 16 remembered in 4 runs, all read back as acknowledged",
        "the clients used up to 30 % of a core",
    ]
    wrong = Comparison(4, 2, 1, 1, ("order 3 was acknowledged, and is not there",))
    bad = [*four(), outcome(0.4, "off", orders=wrong)]
    assert not kept(bad)
    assert [remark.text for remark in remarks(bad) if remark.wrong] == [
        "orders: 1 of 4 ARE NOT AS ACKNOWLEDGED (p 40 %, cache off), such as: order 3 was"
        " acknowledged, and is not there",
        "orders: 1 of 4 COULD NOT BE READ BACK (p 40 %, cache off)",
    ]
    assert "all read back" not in sweep_page(bad, "")


def test_errors_and_busy_clients_are_remarked() -> None:
    failed = Failed("trade", 503, 2, "no leader")
    bad = [outcome(0.4, "off", failed=(failed, Failed("lookup", 0, 1, "late"))),
           outcome(0.6, "off", cpu=0.95)]  # fmt: skip
    assert [remark.text for remark in remarks(bad) if remark.wrong] == [
        "errors: 2 of trade (p 40 %, cache off), status 503, such as: no leader",
        "errors: 1 of lookup (p 40 %, cache off), no answer, such as: late",
        "the clients used up to 95 % of a core: THEY ARE WHAT IS SLOW",
    ]


def test_the_csv_reads_back_as_it_was_measured() -> None:
    odd = outcome(0.25, 'redis://"x",y', hits=0.123456)
    rows = list(csv.DictReader(StringIO(csv_text([*four(), odd]))))
    assert len(rows) == 2 * 2 + 3 * 3
    assert list(rows[0])[:8] == [
        "p", "cache", "clients", "hit_share", "remembered", "wrong", "unread", "kind",
    ]  # fmt: skip
    last = rows[-1]
    assert (last["p"], last["cache"], last["hit_share"]) == ("0.25", 'redis://"x",y', "0.12346")
    measured = odd.row("trade")
    assert measured is not None
    for name in KindRow.__struct_fields__[1:]:
        assert float(last[name]) == getattr(measured, name)
    assert (last["kind"], last["remembered"], last["wrong"]) == ("trade", "4", "0")
    assert rows[2]["hit_share"] == ""


def charts(text: str) -> list[str]:
    return [f"<svg{part.partition('</svg>')[0]}</svg>" for part in text.split("<svg")[1:]]


def test_the_report_has_a_line_for_each_cache_and_needs_no_other_file() -> None:
    text = sweep_report(four(), "python -m load sweep --caches 'a&b'", "today")
    for word in ("<script", "href", "src=", "@import", "url("):
        assert word not in text
    shown = [fromstring(chart) for chart in charts(text)]
    assert len({svg.attrib["aria-labelledby"] for svg in shown}) == len(shown) == 6
    lines = [sum(each.tag.endswith("circle") for each in svg.iter()) for svg in shown]
    # Of two shares with two caches; there are no trades where p is 0, and no hits without a cache.
    assert lines == [8, 4, 4, 2, 4, 2]
    assert "each against a fresh bazaar" in text
    assert "--caches &#x27;a&amp;b&#x27;" in text
    assert 'class="wrong"' not in text


def test_the_report_marks_what_is_wrong() -> None:
    lost = Comparison(4, 3, 0, 1)
    text = sweep_report([outcome(0.4, "off", orders=lost)], "again", "today")
    assert '<p class="wrong">orders: 1 of 4 COULD NOT BE READ BACK (p 40 %, cache off)</p>' in text


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "--caches auto,off --clients 5 --p 0,0.25 --side both --quantity 1:10 --duration 6"),
        ({"url": "http://x:1", "caches": ()}, "--url http://x:1 --clients 5 --p 0,0.25"),
        ({"mix": Mix(iterations=3, separate=True, least=2, most=2, side="buy")},
         "--side buy --quantity 2:2 --iterations 3 --separate --seed 7"),
    ],
    ids=["fresh bazaars", "one that runs", "iterations"],
)  # fmt: skip
def test_the_line_that_repeats_a_sweep_has_all_that_it_depends_on(
    changes: dict[str, object], says: str
) -> None:
    asked = SweepOptions(
        shares=(0.0, 0.25), caches=("auto", "off"), mix=Mix(seconds=6.0), seed=7,
        html=Path("x.html"), csv=Path("x.csv"),
    )  # fmt: skip
    command = msgspec.structs.replace(asked, **changes).command
    assert command.startswith("python -m load sweep ")
    assert says in command
    assert command.endswith(" --seed 7")
