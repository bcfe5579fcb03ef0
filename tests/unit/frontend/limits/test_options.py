"""The options of what clients may use."""

import pytest

from twisted_bazaar.frontend.limits.options import LimitConfig, LimitOptions, limit_arguments
from twisted_bazaar.rate import Rate


def read(*given: str) -> LimitConfig:
    options = LimitOptions()
    options.parseOptions(list(given))
    return options.limits


def test_without_options_no_rate_is_limited() -> None:
    assert read() == LimitConfig()
    assert LimitConfig().each_address is None


def test_a_rate_may_have_a_burst() -> None:
    assert read("--rate=0.5/s").each_address == Rate(500, 1)
    assert read("--rate=50", "--burst=200").each_address == Rate(50_000, 200)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (["--rate=fast"], "--rate must be a number of requests a second"),
        (["--burst=5"], "--burst must be given with --rate"),
        (["--rate=5", "--burst=0"], "--burst must be a whole number from 1"),
        (["--rate=5", "--burst=2000000"], "--burst must be from 1 to"),
        (["--max-connections=0"], "--max-connections must be a whole number from 1"),
        (["--request-deadline=0"], "--request-deadline must be"),
    ],
)
def test_a_wrong_one_is_one_line(given: list[str], why: str) -> None:
    with pytest.raises(SystemExit) as refused:
        read(*given)
    assert f"LimitOptions: {why}" in str(refused.value)


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["--rate=0.5", "--burst=7"],
        ["--max-connections=300", "--max-connections-per-address=20", "--request-deadline=4.5"],
    ],
)
def test_what_is_handed_on_says_the_same(given: list[str]) -> None:
    assert limit_arguments(read(*given)) == given
