"""Rates, as they are given."""

from decimal import Decimal

import pytest

from twisted_bazaar.rate import MAX_RATE, Rate, read_rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("50", "50"),
        ("50/s", "50"),
        (" 0.5/s ", "0.5"),
        ("0.001", "0.001"),
        (f"{MAX_RATE}", f"{MAX_RATE}"),
    ],
)
def test_a_rate_is_a_number_of_requests_a_second(text: str, rate: str) -> None:
    assert read_rate(text) == Decimal(rate)


@pytest.mark.parametrize(
    "text", ["", "0", "0.000", "-1", "5/m", "1e3", "0.0001", "many", "nan", "10000000", "٣", "1 2"]
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a number of requests a second"):
        read_rate(text)


@pytest.mark.parametrize(
    ("per_second", "burst", "rate"),
    [
        (50, None, Rate(50_000, 50)),
        (0.5, None, Rate(500, 1)),
        (1.5, None, Rate(1500, 2)),
        (0.1, 7, Rate(100, 7)),
        (Decimal("0.001"), 1, Rate(1, 1)),
        (MAX_RATE, MAX_RATE, Rate(1000 * MAX_RATE, MAX_RATE)),
    ],
)
def test_without_a_burst_it_is_what_comes_in_a_second(
    per_second: float | Decimal, burst: int | None, rate: Rate
) -> None:
    assert Rate.of(per_second, burst) == rate


@pytest.mark.parametrize(
    ("per_second", "burst"),
    [(0, 1), (0.0001, 1), (MAX_RATE + 1, 1), (1, 0), (1, MAX_RATE + 1), (-1, 1)],
)
def test_what_is_out_of_range_is_refused(per_second: float, burst: int) -> None:
    with pytest.raises(ValueError, match="must be from"):
        Rate.of(per_second, burst)
