"""A bucket lets through what its rate says, and says exactly what is left."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from twisted_bazaar.frontend.limits.bucket import Left, TokenBucket
from twisted_bazaar.rate import Rate

SECOND = 10**9

rates = st.builds(Rate, st.integers(1, 5_000_000), st.integers(1, 200))
steps = st.lists(
    st.tuples(
        st.integers(0, 3 * SECOND) | st.integers(0, 1000), st.integers(1, 120), st.booleans()
    ),
    max_size=40,
)


class Model:
    """What a bucket holds, as a fraction."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self.tokens = Fraction(rate.burst)

    def fill(self, nanoseconds: int) -> None:
        gained = Fraction(self.rate.thousandths, 1000) * Fraction(nanoseconds, SECOND)
        self.tokens = min(self.tokens + gained, Fraction(self.rate.burst))

    def seconds_until(self, tokens: int) -> int:
        missing = (tokens - self.tokens) / Fraction(self.rate.thousandths, 1000)
        return -(-missing.numerator // missing.denominator)


def test_it_lets_through_a_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(Rate(2_000, 3), 0)
    assert [bucket.take(1, 0) for _ in range(4)] == [
        *(Left(3, 2, 1), Left(3, 1, 1), Left(3, 0, 2)),
        Left(3, 0, 2, retry_after=1),
    ]
    assert bucket.take(1, SECOND // 2) == Left(3, 0, 2)
    assert bucket.take(1, SECOND // 2 + 1) == Left(3, 0, 2, retry_after=1)


def test_a_request_that_is_refused_takes_nothing() -> None:
    bucket = TokenBucket(Rate(1_000, 5), 0)
    bucket.take(5, 0)
    for _ in range(100):
        assert bucket.take(1, SECOND - 1).retry_after == 1
    assert bucket.take(1, SECOND).retry_after is None


def test_more_than_a_full_bucket_has_is_taken_from_a_full_one_and_owed() -> None:
    bucket = TokenBucket(Rate(10_000, 10), 0)
    assert bucket.take(100, 0) == Left(10, 0, 10)
    assert bucket.take(1, 9 * SECOND) == Left(10, 0, 1, retry_after=1)
    assert bucket.take(1, 9 * SECOND + SECOND // 10) == Left(10, 0, 1)
    assert bucket.take(100, 9 * SECOND + SECOND // 10) == Left(10, 0, 1, retry_after=1)


def test_a_batch_takes_the_same_in_two_parts_as_at_once() -> None:
    at_once, in_two = (TokenBucket(Rate(1_000, 50), 0) for _ in range(2))
    whole = at_once.take(100, 0)
    assert in_two.take(1, 0).retry_after is None
    assert in_two.take(99, 0, taken=1) == whole == Left(50, 0, 100)


def test_a_batch_of_which_only_the_first_part_passes_costs_that() -> None:
    bucket = TokenBucket(Rate(1_000, 50), 0)
    bucket.take(20, 0)
    bucket.take(1, 0)
    assert bucket.take(39, 0, taken=1) == Left(50, 29, 21, retry_after=11)
    assert bucket.take(29, 0).retry_after is None


def test_another_rate_holds_at_once_and_what_was_taken_stays_taken() -> None:
    bucket = TokenBucket(Rate(1_000, 10), 0)
    bucket.take(8, 0)
    bucket.change(Rate(1_000, 5), 0)
    assert bucket.take(1, 0).retry_after is not None
    bucket.change(Rate(1_000, 20), 0)
    assert bucket.take(1, 0) == Left(20, 11, 9)


@given(rates, steps)
def test_what_it_says_is_exact_to_the_token(rate: Rate, steps: list[tuple[int, int, bool]]) -> None:
    bucket, model, now = TokenBucket(rate, 0), Model(rate), 0
    for passed, count, in_two in steps:
        now += passed
        model.fill(passed)
        taken = 0
        if in_two and count > 1 and model.tokens >= 1:
            assert bucket.take(1, now).retry_after is None
            model.tokens -= 1
            taken, count = 1, count - 1
        needed = min(taken + count, rate.burst)
        passes = model.tokens >= needed - taken
        wait = None if passes else max(1, model.seconds_until(needed))
        if passes:
            model.tokens -= count
        left = bucket.take(count, now, taken)
        assert left.limit == rate.burst
        assert left.remaining == max(0, model.tokens.__floor__())
        assert left.reset == model.seconds_until(rate.burst)
        assert left.retry_after == wait


@given(rates, steps)
def test_who_waits_as_long_as_it_says_is_let_through(
    rate: Rate, steps: list[tuple[int, int, bool]]
) -> None:
    bucket, now = TokenBucket(rate, 0), 0
    for passed, count, _ in steps:
        now += passed
        refused = bucket.take(count, now).retry_after
        if refused is not None:
            now += refused * SECOND
            assert bucket.take(count, now).retry_after is None


@given(rates, steps)
def test_in_the_long_run_it_lets_through_no_more_than_its_rate(
    rate: Rate, steps: list[tuple[int, int, bool]]
) -> None:
    bucket, now, through, last = TokenBucket(rate, 0), 0, 0, 0
    for passed, count, _ in steps:
        now += passed
        if bucket.take(count, now).retry_after is None:
            through, last = through + count, max(last, count)
    allowed = rate.burst + Fraction(rate.thousandths * now, 1000 * SECOND)
    assert through <= allowed + max(0, last - rate.burst)
