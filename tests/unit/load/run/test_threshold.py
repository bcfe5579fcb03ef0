"""Thresholds: their syntax, and whether they hold."""

import pytest

from load.run.tally import Measured
from load.run.threshold import parse


def measured(*seconds: float, errors: int = 0) -> Measured:
    """Consecutive calls that took `seconds` each."""
    calls, at = Measured(), 0.0
    for number, each in enumerate(seconds):
        calls.record(at, at + each, error=number < errors)
        at += each
    return calls


KINDS = {
    "lookup": measured(*[0.010] * 98, 0.100, 0.200),
    "trade": measured(*[0.5] * 4, errors=1),
}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("lookup.p50<10.1ms", "10.007ms"),
        ("lookup.p50 < 10.1 ms", "10.007ms"),
        ("lookup.p98<0.0101s", "0.010s"),
        ("lookup.p99<101ms", "100.031ms"),
        ("lookup.p99.9<=200ms", "200.000ms"),
        ("lookup.p100>199000us", "200000.000us"),
        ("lookup.max<=200ms", "200.000ms"),
        ("lookup.mean<13ms", "12.800ms"),
        ("lookup.rate>78", "78.1/s"),
        ("lookup.rate>78/s", "78.1/s"),
        ("lookup.count>=100", "100"),
        ("lookup.errors<1", "0"),
        ("trade.errors<=1", "1"),
        ("trade.errors<=25%", "25%"),
        ("trade.rate>1.4", "1.5/s"),
        ("order.errors<=0", "0"),
        ("order.count<1", "0"),
    ],
)
def test_a_threshold_holds_and_its_contrary_is_missed(text: str, shown: str) -> None:
    judged = parse(text).judge(KINDS)
    assert (judged.threshold, judged.measured, judged.held) == (text, shown, True)
    contraries = {"<=": ">", ">=": "<", "<": ">=", ">": "<="}
    operator = next(each for each in contraries if each in text)
    assert not parse(text.replace(operator, contraries[operator])).judge(KINDS).held


@pytest.mark.parametrize("figure", ["mean", "p50", "p99.9", "max"])
def test_a_threshold_on_the_time_of_calls_that_were_not_made_is_missed(figure: str) -> None:
    for operator in "<", ">":
        judged = parse(f"miss.{figure}{operator}1s").judge(KINDS)
        assert (judged.measured, judged.held) == ("no miss to measure", False)


def test_a_threshold_on_a_time_is_missed_if_due_requests_were_never_sent() -> None:
    judged = parse("lookup.p50<1s").judge(KINDS, unsent=7)
    assert (judged.measured, judged.held) == ("0.010s, but 7 were never sent", False)
    assert parse("lookup.errors<1").judge(KINDS, unsent=7).held


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must be like lookup.p99<20ms, not ''"),
        ("lookup.p99", "must be like lookup.p99<20ms, not 'lookup.p99'"),
        ("lookup.p99=20ms", "must be like lookup.p99<20ms, not 'lookup.p99=20ms'"),
        ("lookup.p99<-1ms", "must be like lookup.p99<20ms, not 'lookup.p99<-1ms'"),
        ("sale.p99<20ms", "sale is none of lookup, hit, miss, off, trade, order, all"),
        ("lookup.p101<20ms", "p101 is none of count, errors, rate, mean, max, or a percentile"),
        ("lookup.p999<20ms", "p999 is none of count, errors, rate, mean, max, or a percentile"),
        ("lookup.min<20ms", "min is none of count, errors, rate, mean, max, or a percentile"),
        ("lookup.p99<20", "p99 is in us, ms, s, not ''"),
        ("lookup.rate>20ms", "rate is in /s, not 'ms'"),
        ("lookup.errors<1/s", "errors is in %, not '/s'"),
        ("lookup.count>1%", "count is in no unit, not '%'"),
    ],
)
def test_a_malformed_threshold_is_refused_with_a_reason(text: str, says: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse(text)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
