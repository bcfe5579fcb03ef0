"""The figures of a bench: what slows the whole machine down does not change a ratio."""

import pytest

from load.bench.figures import Judged, Sample, Samples, Subject, judge, rows
from load.bench.page import Report, bench_page


def sample(rate: float, p50_ms: float = 1.0, errors: int = 0) -> Sample:
    return Sample(rate, p50_ms, 2 * p50_ms, errors, {"frontend": 1e6 / rate})


def judged_by_name(samples: Samples) -> dict[str, Judged]:
    return {each.name: each for each in judge(samples)}


def test_a_row_is_the_median_of_its_rounds() -> None:
    samples = {(Subject.CACHED, 32): [sample(3000), sample(1000), sample(2000)]}
    (row,) = rows(samples)
    assert (row.subject, row.connections, row.rate) == (Subject.CACHED, 32, 2000)
    assert row.cpu_us == {"frontend": 500.0}


def test_every_error_counts() -> None:
    samples = {(Subject.TRADES, 1): [sample(10, errors=2), sample(10), sample(10, errors=1)]}
    assert rows(samples)[0].errors == 3


def test_a_ratio_is_taken_within_each_round() -> None:
    """The whole machine is a third as fast in the second round."""
    samples = {
        (Subject.KLEIN_GET, 32): [sample(9000), sample(3000), sample(9000)],
        (Subject.CACHED, 32): [sample(18900), sample(6300), sample(18900)],
    }
    ((name, found),) = judged_by_name(samples).items()
    assert name == "lookups, cache on / bare Klein GET, 32 connections"
    assert found.value == pytest.approx(2.1)
    assert found.held


def test_a_ratio_without_both_sides_is_left_out() -> None:
    assert judge({(Subject.TRADES, 5): [sample(1)], (Subject.KLEIN_POST, 5): [sample(1)]}) == []


def test_the_bound_of_a_latency_is_an_upper_one() -> None:
    samples = {
        (Subject.TRADES, 1): [sample(100, p50_ms=7.0)],
        (Subject.GRPC, 1): [sample(1000, p50_ms=1.0)],
    }
    (found,) = judged_by_name(samples).values()
    assert (found.value, found.held) == (7.0, False)
    assert Judged("", 6.0, 6.0, at_most=True).held
    assert not Judged("", 0.849, 0.85).held
    assert Judged("", 0.85, 0.85).held


def test_the_page_shows_rates_costs_and_verdicts() -> None:
    samples = {
        (Subject.KLEIN_POST, 32): [sample(6000)],
        (Subject.TRADES, 32): [sample(3000, errors=4)],
    }
    shown = bench_page(
        Report(
            generator="wrk",
            cores=2,
            cache="redis",
            rounds=1,
            seconds=2,
            rows=rows(samples),
            judged=judge(samples),
            again="python -m load bench",
        )
    )
    assert "trades                    3000   1.00   2.00" in shown
    assert "frontend 333" in shown
    assert "MISSED  trades / bare Klein POST, 32 connections: 0.50 (>= 0.55)" in shown
    assert "4 ERRORS: trades, 32 connections" in shown
    assert shown.endswith("again: python -m load bench")
