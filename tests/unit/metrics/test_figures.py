"""Figures count exactly, and names say what is measured, in which unit."""

import pytest

from twisted_bazaar.metrics.figures import LATENCY_SECONDS, Gauges, Histogram, Metrics


def test_a_value_counts_in_the_lowest_bucket_whose_bound_is_not_below_it() -> None:
    histogram = Histogram((1.0, 2.0, 5.0))
    for value in (0.5, 1.0, 1.5, 2.0, 5.0, 5.1):
        histogram.observe(value)
    assert histogram.counts == [2, 2, 1, 1]
    assert (histogram.count, histogram.total) == (6, 15.1)


def test_each_combination_of_labels_has_a_counter_of_its_own() -> None:
    family = Metrics().counters("bazaar_calls_total", "Calls.", "method", "code")
    family.of("Trade", "OK").value += 2
    family.of("Trade", "UNKNOWN").value += 1
    assert family.of("Trade", "OK").value == 2
    assert {labels: each.value for labels, each in family.values.items()} == {
        ("Trade", "OK"): 2,
        ("Trade", "UNKNOWN"): 1,
    }


def test_labels_must_be_as_many_as_the_family_has() -> None:
    family = Metrics().counters("bazaar_calls_total", "Calls.", "method", "code")
    with pytest.raises(AssertionError):
        family.of("Trade")


def test_a_counter_without_labels_is_there_from_the_start() -> None:
    metrics = Metrics()
    counter = metrics.counter("bazaar_losses_total", "Losses.")
    [family] = metrics
    assert not isinstance(family, Gauges)
    assert family.values == {(): counter}


def test_gauges_are_read_when_they_are_asked_for_and_not_before() -> None:
    metrics = Metrics()
    length = [3]
    metrics.gauge("bazaar_queue_length", "Trades that wait.", lambda: length[0])
    length[0] = 5
    [family] = metrics
    assert isinstance(family, Gauges)
    assert family.read() == {(): 5}


def test_a_name_is_declared_once() -> None:
    metrics = Metrics()
    metrics.counter("bazaar_losses_total", "Losses.")
    with pytest.raises(AssertionError, match="twice"):
        metrics.counter("bazaar_losses_total", "Losses.")


@pytest.mark.parametrize(
    "name",
    [
        "bazaar_losses",
        "losses_total",
        "bazaar_Losses_total",
        "bazaar__losses_total",
        "bazaar_losses_count_total",
        "bazaar_wait_milliseconds_total",
    ],
)
def test_a_counter_has_a_name_in_base_units_that_ends_in_total(name: str) -> None:
    with pytest.raises(AssertionError, match="bazaar|losses"):
        Metrics().counter(name, "Losses.")
    with pytest.raises(AssertionError, match="bazaar|losses"):
        Metrics().counted(name, "Losses.", read=lambda: {(): 0})


@pytest.mark.parametrize("name", ["bazaar_wait_total", "bazaar_wait_sum", "bazaar_wait_percent"])
def test_what_is_no_counter_has_no_name_of_another_kind(name: str) -> None:
    with pytest.raises(AssertionError, match="bazaar"):
        Metrics().gauge(name, "A wait.", lambda: 0)
    with pytest.raises(AssertionError, match="bazaar"):
        Metrics().histogram(name, "A wait.")


def test_the_bounds_of_buckets_ascend() -> None:
    with pytest.raises(AssertionError, match="ascend"):
        Metrics().histogram("bazaar_wait_seconds", "A wait.", bounds=(1, 1, 2))
    assert list(LATENCY_SECONDS) == sorted(LATENCY_SECONDS)
