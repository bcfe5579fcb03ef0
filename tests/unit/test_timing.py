"""The time budget holds together, or is refused."""

import math
import subprocess
import sys

import pytest

from twisted_bazaar.timing import Timing


def test_the_defaults_are_those_of_the_architecture() -> None:
    assert Timing() == Timing(
        heartbeat=0.060, election_timeout=0.300, ping=0.060, lease=1.0, tenure=0.6, deadline=5.0
    )


@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan])
@pytest.mark.parametrize(
    "name", ["heartbeat", "election_timeout", "ping", "lease", "tenure", "deadline"]
)
def test_a_timeout_is_a_positive_number(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must be a positive number of seconds$"):
        Timing(**{name: value})


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"heartbeat": 0.151}, "heartbeat must be at most half of the election timeout, 0.3 s"),
        ({"ping": 0.301}, "ping must be at most the election timeout, 0.3 s"),
        ({"election_timeout": 1.0}, "election_timeout must be less than the lease, 1.0 s"),
        ({"lease": 0.3}, "election_timeout must be less than the lease, 0.3 s"),
        ({"deadline": 1.3}, "deadline must be more than the election timeout and the lease"),
    ],
)
def test_a_timeout_that_contradicts_another_is_refused_by_name(
    wrong: dict[str, float], line: str
) -> None:
    with pytest.raises(ValueError) as refusal:
        Timing(**wrong)
    assert str(refusal.value).startswith(line)
    assert "\n" not in str(refusal.value)


def test_limits_are_exact() -> None:
    Timing(heartbeat=0.15, election_timeout=0.3, ping=0.3, lease=0.301, deadline=0.602)
    Timing(heartbeat=0.15, tenure=0.3, lease=0.301, deadline=0.602).check_engine()


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"tenure": 0.119}, "tenure must be at least two heartbeats, 0.12 s, not 0.119 s"),
        ({"tenure": 1.0}, "tenure must be less than the lease, 1.0 s, not 1.0 s"),
        ({"deadline": 1.6}, "deadline must be more than the tenure and the lease together, 1.6 s"),
    ],
)
def test_a_tenure_that_contradicts_another_timeout_is_refused_where_there_is_an_engine(
    wrong: dict[str, float], line: str
) -> None:
    timing = Timing(**wrong)
    with pytest.raises(ValueError) as refusal:
        timing.check_engine()
    assert str(refusal.value).startswith(line)


def test_timing_is_importable_without_twisted_and_grpc() -> None:
    code = (
        "import sys, twisted_bazaar.timing; "
        "print(sorted({'twisted', 'grpc'} & {name.partition('.')[0] for name in sys.modules}))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
