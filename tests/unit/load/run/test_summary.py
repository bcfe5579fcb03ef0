"""How far a run is."""

import pytest

from load.run.mix import Mix
from load.run.summary import share_done


@pytest.mark.parametrize(("seconds", "share"), [(0.0, 0.0), (2.5, 0.25), (10.0, 1.0), (12.0, 1.0)])
def test_with_a_duration_it_is_as_far_as_the_time(seconds: float, share: float) -> None:
    assert share_done(Mix(seconds=10.0), seconds, {"lookup": (7, 0)}) == share


def test_with_iterations_it_is_as_far_as_the_lookups_of_all_clients() -> None:
    mix = Mix(clients=4, iterations=25)
    assert share_done(mix, 99.0, {}) == 0.0
    assert share_done(mix, 1.0, {"lookup": (50, 1), "trade": (20, 0)}) == 0.5
    assert share_done(mix, 1.0, {"lookup": (100, 0), "order": (20, 0)}) == 1.0
