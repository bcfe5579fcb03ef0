"""When the next batch of trades leaves."""

import pytest

from twisted_bazaar.frontend.trading.gathering import Gathering


@pytest.fixture
def gathering() -> Gathering:
    """At second 10, a batch of three was answered while two others waited."""
    gathering = Gathering()
    gathering.answered(3, 2, 10.0)
    return gathering


def test_at_first_no_other_trade_is_waited_for() -> None:
    gathering = Gathering()
    assert gathering.seconds_left(1, 10.0) == 0
    assert not gathering.is_complete(1, 10.0), "others of the same turn may come"


def test_a_client_that_was_answered_alone_is_not_waited_for() -> None:
    gathering = Gathering()
    gathering.answered(1, 2, 10.0)
    assert gathering.seconds_left(2, 10.0) == 0
    assert gathering.is_complete(1, 10.0)


def test_all_that_were_answered_may_trade_again(gathering: Gathering) -> None:
    assert gathering.seconds_left(4, 10.0002) == pytest.approx(0.0008)
    assert not gathering.is_complete(4, 10.0002)
    assert gathering.seconds_left(5, 10.0002) == 0
    assert gathering.is_complete(5, 10.0002)


def test_who_does_not_trade_within_a_millisecond_is_not_waited_for(gathering: Gathering) -> None:
    gathering.came(10.0001)
    assert gathering.seconds_left(3, 10.00099) > 0
    assert gathering.seconds_left(3, 10.001) == 0


def test_while_trades_come_the_batch_waits_for_more(gathering: Gathering) -> None:
    """The front-end may take longer than a millisecond to read them."""
    gathering.came(10.0009)
    assert gathering.seconds_left(3, 10.0009) == pytest.approx(0.0003)
    gathering.came(10.0011)
    assert gathering.seconds_left(4, 10.0011) == pytest.approx(0.0003)
    gathering.came(10.002)
    assert gathering.seconds_left(4, 10.002) == 0, "that one came too late"


def test_however_many_come_the_batch_leaves_after_six_milliseconds(gathering: Gathering) -> None:
    gathering.answered(1000, 0, 10.0)
    for step in range(1, 60):
        gathering.came(10 + step / 10_000)
    assert gathering.seconds_left(59, 10.0059) == pytest.approx(0.0001)
    assert gathering.seconds_left(60, 10.006) == 0


def test_after_a_pause_what_comes_leaves_with_its_turn(gathering: Gathering) -> None:
    assert not gathering.is_complete(5, 10.5)
    assert gathering.seconds_left(1, 10.5) == 0
