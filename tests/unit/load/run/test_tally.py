"""The figures of a run, and the page that shows them."""

from bisect import bisect_left
from random import Random

import pytest

from load.history.records import Call, LookupCall, OrderCall, Quote, TradeCall, Verdict
from load.run.latencies import Latencies
from load.run.summary import RunReport, run_page
from load.run.tally import KindRow, Tally, is_error
from twisted_bazaar.market import Side

FISH = Quote("Fish", 1.5, 3, 9)


def lookup(sent: float, ended: float, source: str = "", status: int = 200) -> LookupCall:
    found = FISH if status == 200 else None
    return LookupCall(
        client=1, sent=sent, ended=ended, status=status, message="" if found else "no reason",
        name="Fish", found=found, source=source,
    )  # fmt: skip


def trade(sent: float, ended: float, verdict: Verdict, status: int = 200) -> TradeCall:
    return TradeCall(
        client=1, sent=sent, ended=ended, status=status, key="k", name="Fish", type=Side.BUY,
        quantity=1, verdict=verdict,
    )  # fmt: skip


def order(sent: float, ended: float, status: int = 404) -> OrderCall:
    return OrderCall(client=1, sent=sent, ended=ended, status=status, number=1)


def test_percentiles_are_within_a_thousandth_of_the_exact_ones() -> None:
    random = Random(1)
    latencies, exact = Latencies(), []
    for _ in range(20_000):
        seconds = random.lognormvariate(-6, 1.5)
        exact.append(seconds)
        latencies.record(seconds)
    exact.sort()
    for percent in (1, 50, 90, 99, 99.9, 100):
        value = latencies.percentile(percent)
        rank = bisect_left(exact, value * 0.999) / len(exact), bisect_left(exact, value * 1.001)
        assert rank[0] <= percent / 100 <= (rank[1] + 1) / len(exact)
    assert latencies.max == exact[-1]
    assert latencies.mean == pytest.approx(sum(exact) / len(exact))


def test_a_latency_out_of_range_is_recorded() -> None:
    latencies = Latencies()
    for seconds in (0.0, -0.001, 1e-9, 8.0, 10_000.0):
        latencies.record(seconds)
    assert latencies.count == 5
    assert latencies.max == latencies.percentile(100) == 3600.0
    assert latencies.percentile(50) < 1e-5


def test_a_kind_without_calls_is_left_out() -> None:
    latencies = Latencies()
    assert (latencies.mean, latencies.max, latencies.percentile(99)) == (0.0, 0.0, 0.0)


def test_all_are_the_lookups_and_trades_and_lookups_are_split_by_cache() -> None:
    tally = Tally()
    for at in range(10):
        tally.add(lookup(at, at + 0.1, "hit" if at % 5 else "miss"), at)
        tally.add(trade(at + 0.5, at + 0.9, Verdict.PLACED), at + 0.5)
    tally.add(lookup(10.0, 10.2, "elsewhere"), 10.0)
    tally.add(order(10.2, 12.2), 10.2)
    kinds = tally.kinds()
    counts = {kind: each.count for kind, each in kinds.items()}
    assert counts == {"all": 21, "lookup": 11, "hit": 8, "miss": 2, "trade": 10, "order": 1}
    # Rates are over the time of all lookups and trades, not of the kind alone.
    rates = {kind: round(each.rate * 10.2) for kind, each in kinds.items() if kind != "order"}
    assert rates == {"all": 21, "lookup": 11, "hit": 8, "miss": 2, "trade": 10}
    assert kinds["order"].rate == pytest.approx(0.5)
    assert kinds["hit"].row("hit") == KindRow(
        "hit", 8, 0, pytest.approx(8 / 10.2), 100.0, *[pytest.approx(100.0, rel=0.001)] * 5
    )


def test_latency_counts_from_the_given_time_also_for_errors() -> None:
    tally = Tally()
    tally.add(lookup(5.0, 5.1), 4.0)
    tally.add(lookup(6.0, 14.0, status=0), 6.0)
    measured = tally.kinds()["lookup"]
    assert measured.latencies.percentile(50) == pytest.approx(1.1, rel=0.001)
    assert measured.latencies.max == 8.0
    assert (measured.count, measured.errors, measured.rate) == (2, 1, pytest.approx(0.1))


@pytest.mark.parametrize(
    ("call", "wrong"),
    [
        (lookup(0, 1), False),
        (lookup(0, 1, status=404), True),
        (lookup(0, 1, status=503), True),
        (lookup(0, 1, status=0), True),
        (trade(0, 1, Verdict.PLACED), False),
        (trade(0, 1, Verdict.REJECTED, 409), False),
        (trade(0, 1, Verdict.REUSED, 422), True),
        (trade(0, 1, Verdict.NOT_EXECUTED, 503), True),
        (trade(0, 1, Verdict.UNKNOWN, 0), True),
        (order(0, 1, 404), False),
        (order(0, 1, 200), True),
        (order(0, 1, 503), True),
    ],
)
def test_an_error_is_an_answer_that_a_working_bazaar_does_not_give(call: Call, wrong: bool) -> None:
    assert is_error(call) is wrong


def test_errors_are_grouped_by_kind_and_status_the_most_frequent_first() -> None:
    tally = Tally()
    for status in (0, 503, 503, 404):
        tally.add(lookup(0.0, 1.0, status=status), 0.0)
    shown = [(each.kind, each.status, each.count) for each in tally.failed]
    assert shown == [("lookup", 503, 2), ("lookup", 0, 1), ("lookup", 404, 1)]
    assert [(each.count, each.errors) for each in tally.kinds().values()] == [(4, 4), (4, 4)]


def test_the_page_shows_every_kind_and_what_is_wrong() -> None:
    from load.history.remembered import Comparison
    from load.run.threshold import Judged

    tally = Tally()
    tally.add(lookup(0.0, 0.012, "hit"), 0.0)
    tally.add(lookup(0.0, 0.5, status=503), 0.0)
    for _ in range(2):
        tally.add(lookup(0.0, 0.001, status=429), 0.0)
    report = RunReport(
        url="http://x:1", clients=1, seed=7, seconds=0.5, hit_share=0.25, placed=3, rejected=1,
        kinds=[each.row(kind) for kind, each in tally.kinds().items()],
        failed=list(tally.failed), rate=50.0, unsent=4, cpu_share=0.95,
        orders=Comparison(3, 1, 1, 1, ("order 7 is not there",)),
        thresholds=[Judged("lookup.p99<20ms", "500.000ms", False)],
        interrupted=False, again="again so",
    )  # fmt: skip
    lines = run_page(report).splitlines()
    assert lines[0] == "0.5 s, 1 client, http://x:1"
    assert [line.split()[:3] for line in lines[3:6]] == [
        ["all", "4", "3"], ["lookup", "4", "3"], ["hit", "1", "0"],
    ]  # fmt: skip
    assert lines[6:] == [
        "",
        "trades: 3 orders, 1 rejected",
        "lookups: 25.0 % answered by the cache",
        "limited: 2 of lookup, such as: no reason",
        "errors: 1 of lookup, status 503, such as: no reason",
        "open loop: 50 requests a second; 4 THAT WERE DUE WERE NEVER SENT, and are in no figure",
        "the clients used 95 % of a core: THEY ARE WHAT IS SLOW",
        "orders: 1 of 3 ARE NOT AS ACKNOWLEDGED, such as",
        "  order 7 is not there",
        "orders: 1 of 3 COULD NOT BE READ BACK",
        "MISSED: lookup.p99<20ms (500.000ms)",
        "again: again so",
    ]
