"""The figures of a stage, and the page that shows them."""

import msgspec
import pytest

from load.bazaar.state import Log
from load.chaos.figures import Figures, LookupRow, figures, percentile
from load.chaos.gaps import OVERLAPPING, FaultRow, LivenessRow
from load.chaos.page import trial_page
from load.chaos.stage import StageReport, ViolationRow, fault_at
from load.history.records import Fault, LookupCall, Record, TradeCall, Verdict
from twisted_bazaar.market import Side


def trade(
    key: str, sent: float, ended: float, verdict: Verdict = Verdict.PLACED, status: int = 200
) -> TradeCall:
    return TradeCall(
        client=1, sent=sent, ended=ended, status=status, key=key, name="Fish", type=Side.BUY,
        quantity=1, verdict=verdict, number=1 if verdict is Verdict.PLACED else None,
    )  # fmt: skip


def steady(*spans: tuple[float, float]) -> list[Record]:
    """A trade acknowledged every 0.1 s within each span."""
    times = [begin + n * 0.1 for begin, end in spans for n in range(round((end - begin) * 10) + 1)]
    return [trade(f"key-{at}", at - 0.01, at) for at in times]


def lookup(
    sent: float, ended: float, source: str = "hit", status: int = 200, via: int = 1
) -> LookupCall:
    return LookupCall(
        client=1, via=via, sent=sent, ended=ended, status=status, name="Fish", source=source
    )


def fault(what: str, began: float, ended: float) -> Fault:
    return Fault(what=what, names=("order-1",), began=began, ended=ended)


def gaps(*records: Record) -> dict[str, tuple[int, float]]:
    return {row.what: (row.count, round(row.gap_max, 2)) for row in figures(records).faults}


def test_a_gap_is_attributed_to_the_fault_before_it() -> None:
    records = steady((1.0, 5.0), (5.8, 9.0), (9.3, 12.0))
    kill, pause = fault("kill", 5.01, 5.01), fault("pause", 9.02, 9.2)
    assert gaps(*records, kill, pause) == {"kill": (1, 0.79), "pause": (1, 0.28)}
    assert round(figures([*records, kill, pause]).calm_gap, 2) == 0.1


def test_an_answer_sent_before_a_fault_does_not_hide_a_gap() -> None:
    records = steady((1.0, 5.0), (7.0, 9.0))
    assert gaps(*records, fault("kill", 4.97, 4.97)) == {"kill": (1, 2.0)}


def test_a_gap_during_several_faults_is_counted_as_overlapping() -> None:
    records = steady((1.0, 5.0), (8.0, 12.0))
    mingled = gaps(*records, fault("kill", 5.0, 5.0), fault("pause", 6.0, 7.0))
    assert mingled == {OVERLAPPING: (2, 3.0)}


def test_what_an_operator_does_meanwhile_overlaps_no_fault() -> None:
    records = steady((1.0, 5.0), (8.0, 12.0))
    change = msgspec.structs.replace(fault("add a replica", 2.0, 9.0), is_wanted=True)
    found = gaps(*records, fault("kill", 5.0, 5.0), change)
    assert found == {"kill": (1, 3.0), "add a replica, under faults": (1, 3.0)}


def test_a_fault_without_effect_has_the_gap_of_any_other_time() -> None:
    records = steady((1.0, 12.0))
    assert gaps(*records, fault("kill redis", 5.05, 5.05)) == {"kill redis": (1, 0.1)}


def test_liveness_is_judged_while_the_fault_lasts() -> None:
    cut = fault("cut", 5.0, 9.0)
    alive = steady((1.0, 5.0), (6.0, 12.0))
    (row,) = figures([*alive, cut], {"cut": 3.0}).liveness
    assert row.alive
    assert round(row.gap, 2) == 1.0
    healed = steady((1.0, 5.0), (9.5, 12.0))
    (row,) = figures([*healed, cut], {"cut": 3.0}).liveness
    assert not row.alive
    assert row.late_p50 is None


def test_how_long_a_gap_may_be_depends_on_the_fault() -> None:
    records = [*steady((1.0, 5.0), (6.0, 12.0)), fault("cut", 5.0, 9.0)]
    for bound, alive in ((0.9, False), (1.1, True)):
        (row,) = figures(records, {"cut": bound}).liveness
        assert row.alive is alive


def test_trading_flows_only_if_every_front_end_answers_lookups() -> None:
    cut = fault("cut", 5.0, 9.0)
    trades = steady((1.0, 12.0))
    always = [lookup(n / 10, n / 10 + 0.01, via=1) for n in range(10, 120)]
    healed = [lookup(n / 10, n / 10 + 0.01, via=2) for n in (*range(10, 49), *range(91, 120))]
    (row,) = figures([*trades, *always, cut], {"cut": 3.0}).liveness
    assert row.alive
    assert round(row.lookup_gap, 2) == 0.1
    (row,) = figures([*trades, *always, *healed, cut], {"cut": 3.0}).liveness
    assert not row.alive
    assert row.lookup_gap == 4.0


def test_lookups_have_a_row_for_each_source() -> None:
    took = [(0.001, "hit")] * 6 + [(0.004, "miss")] * 3 + [(0.002, "off")]
    records = [lookup(n, n + seconds, source) for n, (seconds, source) in enumerate(took)]
    # Calls without an answer, and answers without `X-Cache`, are no part of the hit rate.
    records += [lookup(20.0, 21.0, "", 0), lookup(22.0, 23.0, "", 503), lookup(24.0, 25.0, "")]
    assert [
        (row.source, row.answered, row.share, round(row.p50_ms), round(row.max_ms))
        for row in figures(records).lookups
    ] == [("hit", 6, 0.6, 1, 1), ("miss", 3, 0.3, 4, 4), ("off", 1, 0.1, 2, 2)]


def test_each_fault_has_the_longest_time_without_lookups() -> None:
    lookups = [lookup(n / 50, n / 50 + 0.01) for n in (*range(50, 250), *range(350, 450))]
    refused = lookup(6.0, 6.01, status=503)
    (row,) = figures([*steady((1.0, 9.0)), *lookups, refused, fault("kill", 5.0, 5.0)]).faults
    assert round(row.lookup_gap_max, 2) == 2.01
    assert round(row.gap_max, 2) == 0.1


def test_a_trade_that_waits_while_others_go_on_is_the_slowest_after_a_fault() -> None:
    waits = [trade("slow", 4.5, 5.5, Verdict.UNKNOWN, 503), trade("slow", 5.6, 8.0)]
    never = trade("never", 4.0, 8.5, Verdict.UNKNOWN, 0)
    rejected = trade("rejected", 7.1, 8.3, Verdict.REJECTED, 409)
    # It was sent after one fault had ended, and waited for another.
    waits.append(trade("other", 8.7, 9.9))
    faults = [
        fault("kill", 5.0, 5.0), fault("pause", 7.0, 7.5), fault("flush", 8.55, 8.6),
        fault("switch", 8.8, 9.2),
    ]  # fmt: skip
    rows = figures([*steady((1.0, 10.0)), *waits, never, rejected, *faults]).faults
    assert {row.what: round(row.slowest, 2) for row in rows} == {
        "kill": 3.0, "pause": 1.2, "flush": 0.01, "switch": 1.1
    }  # fmt: skip


def test_trading_does_not_flow_if_every_trade_is_delayed() -> None:
    cut = fault("cut", 5.0, 9.0)
    slow = [trade(f"slow-{n}", 5.0 + n * 0.1, 6.0 + n * 0.1) for n in range(40)]
    (row,) = figures([*steady((1.0, 5.0)), *slow, cut], {"cut": 3.0}).liveness
    assert row.gap < 1.1
    assert not row.alive


def test_trades_are_counted_by_key_and_calls_by_fate() -> None:
    records: list[Record] = [
        trade("a", 1.0, 2.0, Verdict.UNKNOWN, 0),
        trade("a", 2.0, 3.0),
        trade("b", 3.0, 4.0, Verdict.UNKNOWN, 0),
        trade("c", 4.0, 5.0, Verdict.NOT_EXECUTED, 503),
        LookupCall(client=1, sent=5.0, ended=5.5, status=503, name="Fish"),
        LookupCall(client=1, sent=5.0, ended=5.5, status=500, name="Fish"),
    ]
    found = figures(records)
    assert (found.keys, found.resent, found.unknown, found.left_unknown) == (3, 1, 2, 1)
    assert found.slowest == 2.0
    assert found.unexpected == {"500": 1}
    trades, lookups = found.operations
    assert (trades.kind, trades.calls, trades.served) == ("trade", 4, 1)
    assert (trades.refused, trades.unknown, trades.max_ms) == (1, 2, 1000.0)
    assert (lookups.kind, lookups.refused, lookups.p50_ms) == ("lookup", 1, 500.0)


def test_a_history_without_calls_has_figures_too() -> None:
    assert figures([]).keys == 0
    assert figures([fault("kill", 1.0, 1.0)]).faults == [FaultRow("kill", 1, 0.0, 0.0, 0.0, 0.0)]
    assert percentile([], 50) == 0.0


def report(
    figures: Figures, *violations: ViolationRow, problems: tuple[str, ...] = ()
) -> StageReport:
    logs = [Log(f"order-{n}", True, "ok", 3, "d" * 32) for n in (1, 2, 3)]
    return StageReport(
        stage="processes", caches=["redis", "memory"], figures=figures, violations=violations,
        problems=problems, orders=3, converged_seconds=0.5, logs=logs,
    )  # fmt: skip


def test_the_page_of_a_clean_trial_says_so() -> None:
    clean = report(figures(steady((1.0, 5.0))))
    assert clean.clean
    text = trial_page([clean], "no cuts were asked for", "python -m load chaos --seed 1")
    assert text.startswith("== processes: 4 s, 2 front-ends (cache redis, memory), 3 orders")
    assert "network: skipped; no cuts were asked for" in text
    assert "No: every acknowledged order is there" in text
    assert f"Yes: same number, same digest: 3, {'d' * 32} (processes)." in text
    assert "fresh? Yes: never older than what any client had been shown before." in text
    assert text.endswith("0 violations, 0 other problems.\nagain: python -m load chaos --seed 1")


@pytest.mark.parametrize(
    ("invariant", "says"),
    [(7, "YES, see the violations"), (9, "fresh? NO, see the violations")],
)
def test_the_page_names_the_promise_that_is_broken(invariant: int, says: str) -> None:
    violated = ViolationRow(invariant, "kill leader", 2, f"invariant {invariant}: such")
    bad = report(figures(steady((1.0, 5.0))), violated)
    assert not bad.clean
    text = trial_page([bad], "", "again")
    assert says in text
    assert f"2 of invariant {invariant} after 'kill leader', such as" in text
    assert "2 violations, 0 other problems." in text


@pytest.mark.parametrize(
    "logs",
    [
        [],
        [Log("order-1", True, "ok", 3, "d"), Log("order-2", True, "ok", 3, "e")],
        [Log("order-1", True, "ok", 3, "d"), Log("order-2", True, "ok", 4, "d")],
        [Log("order-1", True, "ok", 3, "d"), Log("order-2", False, "torn")],
        [Log("order-1", False, "torn"), Log("order-2", False, "torn")],
    ],
    ids=["none", "digests", "numbers", "one unsound", "all unsound"],
)
def test_replicas_are_alike_only_if_all_are_sound_with_one_number_and_digest(
    logs: list[Log],
) -> None:
    told = msgspec.structs.replace(report(figures(steady((1.0, 5.0)))), logs=logs)
    assert "Do all replicas end with the same log? NO.\n" in trial_page([told], "", "again")


def of_engine(figures: Figures, *violations: ViolationRow) -> StageReport:
    logs = [Log(f"partition {n}", True, "ok", n, str(n) * 32) for n in (1, 2)]
    told = report(figures, *violations)
    return msgspec.structs.replace(told, stage="engine", logs=logs, partitions=2)


def test_partitions_of_an_engine_are_alike_if_the_rows_say_so() -> None:
    found = figures(steady((1.0, 5.0)))
    text = trial_page([of_engine(found)], "", "again")
    assert "same digest: all 2 partitions as the rows say (engine)." in text
    assert "  partition 2 number 2, digest 2222" in text
    wrong = ViolationRow(11, "", 1, "the members show another end")
    assert "same log? NO.\n" in trial_page([of_engine(found, wrong)], "", "again")


def test_stops_of_the_embedded_log_are_beside_those_of_an_engine() -> None:
    kill, other = fault("kill", 5.0, 5.0), fault("kill primary", 5.0, 5.0)
    embedded = report(figures([*steady((1.0, 5.0), (5.4, 9.0)), kill]))
    engine = of_engine(figures([*steady((1.0, 5.0), (5.9, 9.0)), kill]))
    alone = of_engine(figures([*steady((1.0, 5.0), (7.0, 9.0)), other]))
    lines = trial_page([embedded, engine], "", "again").splitlines()
    assert "kill 0.40 s, 0.01 s 0.90 s, 0.01 s" in [" ".join(line.split()) for line in lines]
    lines = trial_page([embedded, alone], "", "again").splitlines()
    assert "kill primary - 2.00 s, 0.01 s" in [" ".join(line.split()) for line in lines]
    assert "embedded log" not in trial_page([engine], "", "again")


def test_the_page_reports_trades_without_an_answer() -> None:
    unclear, again = trade("a", 1.0, 2.0, Verdict.UNKNOWN, 0), trade("a", 2.0, 3.0)
    never = trade("b", 3.0, 4.0, Verdict.UNKNOWN, 0)
    for records, says in (
        ([again], "0 of 1 calls to trade got no clear answer.\n"),
        ([unclear, again], "1 of 2 calls to trade got no clear answer; such a trade is sent again"),
        ([unclear, again, never], "2 of 3 calls to trade got no clear answer; of 1 trades no"),
    ):
        assert f"Were requests lost? {says}" in trial_page([report(figures(records))], "", "again")


def test_a_fault_that_stopped_trading_is_marked() -> None:
    found = figures([*steady((1.0, 5.0)), fault("cut", 5.0, 9.0)], {"cut": 3.0})
    assert found.liveness == [LivenessRow("cut", 4.0, None, 1, 0.0, 3.0)]
    assert "NOT ALIVE" in trial_page([report(found, problems=("late",))], "", "again")


def test_the_page_says_how_many_lookups_a_cache_answered() -> None:
    hits, misses = ([lookup(n, n + 0.002, source) for n in range(many)]
                    for source, many in (("hit", 3), ("miss", 1)))  # fmt: skip
    found = figures([*hits, *misses])
    assert [row.source for row in found.lookups] == ["hit", "miss"]
    assert isinstance(found.lookups[0], LookupRow)
    lines = trial_page([report(found)], "", "again").splitlines()
    assert [line.split()[:3] for line in lines if line.startswith(("  hit", "  miss"))] == [
        ["hit", "3", "75.0%"],
        ["miss", "1", "25.0%"],
    ]


def test_a_violation_is_attributed_to_the_active_fault_or_the_last_before() -> None:
    faults = [
        fault("pause catalog", 1.0, 5.0),
        fault("kill leader", 2.0, 2.0),
        fault("pause leader", 4.0, 4.5),
    ]
    assert [fault_at(faults, at) for at in (0.5, 1.5, 4.2, 6.0)] == [
        "", "pause catalog", "pause catalog", "pause catalog",
    ]  # fmt: skip
    assert fault_at([*faults, fault("kill redis", 7.0, 7.0)], 8.0) == "kill redis"
