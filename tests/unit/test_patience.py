"""Patience: who is kept out, from when on, for how long, and when that is forgotten."""

from hypothesis import given
from hypothesis import strategies as st

from twisted_bazaar.patience import LONGEST_LEASES, Patience

LEASE = 1.0
LONGEST = LONGEST_LEASES * LEASE
A, B = "127.0.0.1:1", "127.0.0.1:2"


def stands_still(patience: Patience, now: float, seconds: float = LEASE, who: str = A) -> float:
    """`who` holds others up for so long from `now` on, a little at a time. When that ends."""
    for _ in range(round(seconds / 0.02)):
        now += 0.02
        patience.held_up(who, 0.02, now)
    return now


def kept_out(patience: Patience, now: float, who: str = A) -> float:
    """`who` holds others up until it is kept out: for how long that will be."""
    while not patience.left(who, now):
        now = stands_still(patience, now, 0.02, who)
    return patience.left(who, now)


def test_one_that_stands_still_once_is_not_kept_out() -> None:
    patience = Patience(LEASE)
    assert not patience.left(A, stands_still(patience, 100.0, 0.95 * LEASE))
    assert patience.times_kept_out == 0


def test_one_that_soon_does_so_again_is_kept_out_and_no_other() -> None:
    patience = Patience(LEASE)
    now = stands_still(patience, 100.0, 0.95 * LEASE)
    stands_still(patience, now, 0.5 * LEASE, B)
    now = stands_still(patience, now + 1.0, 0.5 * LEASE)
    assert patience.kept_out(now).keys() == {A}
    (news,) = patience.take_news()
    assert (news.who, news.times) == (A, 1)
    assert patience.take_news() == []


def test_it_is_kept_out_beyond_the_lease_that_it_may_hold() -> None:
    """While that lasts it is waited for, and it is not kept out of anything."""
    assert kept_out(Patience(LEASE), 100.0) >= 3 * LEASE


def test_each_time_is_longer_up_to_a_bound() -> None:
    patience, now = Patience(LEASE), 100.0
    times = []
    for _ in range(8):
        times.append(kept_out(patience, now))
        now += 4.0 + max(times)
    assert [round(each / LEASE - 1) for each in times] == [2, 4, 8, 16, 16, 16, 16, 16]
    assert patience.times_kept_out == 8


def test_one_that_behaves_well_for_long_begins_anew() -> None:
    patience, now = Patience(LEASE), 100.0
    for _ in range(4):
        now += kept_out(patience, now) + LEASE
    now += LONGEST + 61 * LEASE
    assert not patience.left(A, stands_still(patience, now, 0.95 * LEASE))
    assert kept_out(patience, now + 2 * LEASE) < 4 * LEASE


def test_a_little_now_and_then_is_forgiven() -> None:
    """Half a lease every twenty."""
    patience, now = Patience(LEASE), 100.0
    for _ in range(50):
        now = stands_still(patience, now, 0.5 * LEASE) + 20 * LEASE
        assert not patience.left(A, now)


@given(st.floats(0.02, 1.0), st.floats(0.02, 2.0))
def test_however_it_goes_about_it_others_lose_little_of_their_time_in_the_long_run(
    still: float, awake: float
) -> None:
    """It stands still and wakes; once it is kept out it is waited for one lease more."""
    patience, now, lost = Patience(LEASE), 100.0, 0.0
    for _ in range(20_000):
        if patience.left(A, now):
            now += patience.left(A, now)
            lost += LEASE
        now = stands_still(patience, now, still) + awake
        lost += still
        if now > 100.0 + 600 * LEASE:
            break
    assert lost / (now - 100.0) < 0.15


def test_what_is_remembered_is_bounded() -> None:
    """The one that was good for the longest is forgotten first, and nobody who is kept out."""
    patience = Patience(LEASE)
    now = 100.0
    kept_out(patience, now)
    now += LEASE
    for number in range(3000):
        now += 0.0001
        patience.held_up(f"127.0.0.1:{number + 1000}", 0.02, now)
    assert len(patience._records) <= 1024
    assert patience.left(A, now) > 0
