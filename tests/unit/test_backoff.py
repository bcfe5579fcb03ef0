"""Which lease holders are kept out, from when on, for how long, and when that is forgotten."""

from hypothesis import given
from hypothesis import strategies as st

from twisted_bazaar.backoff import LONGEST_LEASES, Backoff

LEASE = 1.0
LONGEST = LONGEST_LEASES * LEASE
A, B = "127.0.0.1:1", "127.0.0.1:2"


def stop_for(backoff: Backoff, now: float, seconds: float = LEASE, who: str = A) -> float:
    """`who` delays others for `seconds` from `now` on, a little at a time. When that ends."""
    for _ in range(round(seconds / 0.02)):
        now += 0.02
        backoff.delayed(who, 0.02, now)
    return now


def kept_out(backoff: Backoff, now: float, who: str = A) -> float:
    """`who` delays others until it is kept out: for how many seconds it then is."""
    while not backoff.left(who, now):
        now = stop_for(backoff, now, 0.02, who)
    return backoff.left(who, now)


def test_one_that_stop_for_once_is_not_kept_out() -> None:
    backoff = Backoff(LEASE)
    assert not backoff.left(A, stop_for(backoff, 100.0, 0.95 * LEASE))
    assert backoff.times_kept_out == 0


def test_a_holder_that_soon_stops_again_is_kept_out_and_no_other() -> None:
    backoff = Backoff(LEASE)
    now = stop_for(backoff, 100.0, 0.95 * LEASE)
    stop_for(backoff, now, 0.5 * LEASE, B)
    now = stop_for(backoff, now + 1.0, 0.5 * LEASE)
    assert backoff.kept_out(now).keys() == {A}
    (news,) = backoff.take_news()
    assert (news.holder, news.times) == (A, 1)
    assert backoff.take_news() == []


def test_a_holder_is_kept_out_beyond_the_lease_that_it_may_have() -> None:
    """While that lasts it is waited for, and it is not kept out of anything."""
    assert kept_out(Backoff(LEASE), 100.0) >= 3 * LEASE


def test_a_holder_is_kept_out_for_longer_each_time_up_to_a_bound() -> None:
    backoff, now = Backoff(LEASE), 100.0
    times = []
    for _ in range(8):
        times.append(kept_out(backoff, now))
        now += 4.0 + max(times)
    assert [round(each / LEASE - 1) for each in times] == [2, 4, 8, 16, 16, 16, 16, 16]
    assert backoff.times_kept_out == 8


def test_a_holder_that_delays_nobody_for_long_begins_anew() -> None:
    backoff, now = Backoff(LEASE), 100.0
    for _ in range(4):
        now += kept_out(backoff, now) + LEASE
    now += LONGEST + 61 * LEASE
    assert not backoff.left(A, stop_for(backoff, now, 0.95 * LEASE))
    assert kept_out(backoff, now + 2 * LEASE) < 4 * LEASE


def test_short_stops_that_are_far_apart_are_forgiven() -> None:
    """Half a lease every twenty."""
    backoff, now = Backoff(LEASE), 100.0
    for _ in range(50):
        now = stop_for(backoff, now, 0.5 * LEASE) + 20 * LEASE
        assert not backoff.left(A, now)


@given(st.floats(0.02, 1.0), st.floats(0.02, 2.0))
def test_no_pattern_of_stops_costs_others_more_than_a_small_share_of_their_time(
    still: float, awake: float
) -> None:
    """The holder stops and goes on; once it is kept out, others wait for one lease more."""
    backoff, now, lost = Backoff(LEASE), 100.0, 0.0
    for _ in range(20_000):
        if backoff.left(A, now):
            now += backoff.left(A, now)
            lost += LEASE
        now = stop_for(backoff, now, still) + awake
        lost += still
        if now > 100.0 + 600 * LEASE:
            break
    assert lost / (now - 100.0) < 0.15


def test_a_bounded_number_of_holders_is_remembered() -> None:
    """The one that delayed nobody for the longest is forgotten first, and none that is kept out."""
    backoff = Backoff(LEASE)
    now = 100.0
    kept_out(backoff, now)
    now += LEASE
    for number in range(3000):
        now += 0.0001
        backoff.delayed(f"127.0.0.1:{number + 1000}", 0.02, now)
    assert len(backoff._records) <= 1024
    assert backoff.left(A, now) > 0
