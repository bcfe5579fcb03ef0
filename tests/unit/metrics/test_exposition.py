"""What is exposed is what was counted, in each format that Prometheus reads."""

from collections.abc import Callable, Iterable, Mapping

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_open_metrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from twisted_bazaar.metrics.exposition import Exposition
from twisted_bazaar.metrics.figures import Labels, Metrics

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"

Parse = Callable[[str], Iterable[Metric]]
FORMATS = pytest.mark.parametrize(
    ("accept", "content_type", "parse"),
    [
        ("", b"text/plain; version=0.0.4; charset=utf-8", parse_text),
        ("*/*", b"text/plain; version=0.0.4; charset=utf-8", parse_text),
        (OPEN_METRICS, OPEN_METRICS.encode(), parse_open_metrics),
    ],
)


def samples(metrics: Metrics, accept: str, parse: Parse) -> dict[str, float]:
    """Of the process's own families, by name and labels."""
    body, _ = Exposition(metrics).write(accept)
    found = (sample for family in parse(body.decode()) for sample in family.samples)
    return {
        " ".join([each.name, *(f"{name}={value}" for name, value in each.labels.items())]): (
            each.value
        )
        for each in found
        if each.name.startswith("bazaar_")
    }


@FORMATS
def test_what_is_parsed_is_what_was_counted(accept: str, content_type: bytes, parse: Parse) -> None:
    metrics = Metrics()
    metrics.counters("bazaar_calls_total", "Calls.", "method").of('a"b\\c\n').value += 3
    metrics.gauges("bazaar_role", "Roles.", "role", read=lambda: {("leader",): 1.0})
    metrics.counted("bazaar_reads_total", "Reads.", read=lambda: {(): 7})
    histogram = metrics.histogram("bazaar_wait_seconds", "A wait.", bounds=(0.5, 1.0))
    for value in (0.25, 0.5, 0.75, 4.0):
        histogram.observe(value)
    assert samples(metrics, accept, parse) == {
        'bazaar_calls_total method=a"b\\c\n': 3,
        "bazaar_role role=leader": 1,
        "bazaar_reads_total": 7,
        "bazaar_wait_seconds_bucket le=0.5": 2,
        "bazaar_wait_seconds_bucket le=1.0": 3,
        "bazaar_wait_seconds_bucket le=+Inf": 4,
        "bazaar_wait_seconds_count": 4,
        "bazaar_wait_seconds_sum": 5.5,
    }
    assert Exposition(metrics).write(accept)[1].startswith(content_type)


@FORMATS
def test_a_family_without_values_keeps_its_kind(
    accept: str, content_type: bytes, parse: Parse
) -> None:
    metrics = Metrics()
    metrics.counters("bazaar_calls_total", "Calls.", "method")
    metrics.histograms("bazaar_wait_seconds", "A wait.", "method")
    metrics.gauges("bazaar_lag_entries", "Lag.", "peer", read=dict)
    body, _ = Exposition(metrics).write(accept)
    kinds = {each.name.removesuffix("_total"): each.type for each in parse(body.decode())}
    ours = {name: kind for name, kind in kinds.items() if name.startswith("bazaar_")}
    assert ours == {
        "bazaar_calls": "counter",
        "bazaar_wait_seconds": "histogram",
        "bazaar_lag_entries": "gauge",
    }


@FORMATS
def test_python_and_the_operating_system_are_shown_as_well(
    accept: str, content_type: bytes, parse: Parse
) -> None:
    body, _ = Exposition(Metrics()).write(accept)
    names = {each.name.removesuffix("_total") for each in parse(body.decode())}
    assert names >= {
        "process_resident_memory_bytes",
        "process_cpu_seconds",
        "process_open_fds",
        "python_gc_collections",
        "python_info",
    }


def test_a_gauge_that_cannot_be_read_hides_no_other_metric(
    logged_failures: list[Failure],
) -> None:
    def broken() -> Mapping[Labels, float]:
        raise RuntimeError("not now")

    metrics = Metrics()
    metrics.gauges("bazaar_broken", "Broken.", read=broken)
    metrics.counter("bazaar_losses_total", "Losses.").value += 1
    with capturedLogs() as logged:
        assert samples(metrics, "", parse_text) == {"bazaar_losses_total": 1}
    assert [event["name"] for event in logged] == ["bazaar_broken"]
    logged_failures.clear()


@pytest.mark.parametrize("version", ["abc", "1.x", "2.x", "9.x", "\xe9", "1.0.0.\xe9", "\xb2", ""])
def test_a_format_of_no_known_version_is_answered_in_one_that_there_is(version: str) -> None:
    metrics = Metrics()
    metrics.counter("bazaar_calls_total", "Calls.")
    body, content_type = Exposition(metrics).write(
        f"application/openmetrics-text;version={version}"
    )
    assert b"\nbazaar_calls_total 0.0\n" in body
    assert content_type
