"""How a bench compares a bazaar in plain text with those that ask for certificates and keys."""

import itertools
from collections import Counter

from load.bench.figures import Sample
from load.bench.guarded import ALL, PLAIN, TLS, page, turns


def sample(rate: float, cpu: float, errors: int = 0) -> Sample:
    return Sample(rate, 2.0, 4.0, errors, {"frontend": cpu / 2, "catalog": cpu / 2})


def test_each_kind_comes_at_each_place_as_often() -> None:
    rounds = [turns([PLAIN, TLS, ALL], number) for number in range(6)]
    for place in range(3):
        assert Counter(order[place] for order in rounds) == {PLAIN: 2, TLS: 2, ALL: 2}
    after = Counter(pair for order in rounds for pair in itertools.pairwise(order))
    assert set(after.values()) == {2}


def test_what_is_compared_is_what_was_measured_in_one_round() -> None:
    """The machine was half as quick in the second one."""
    plain, all_ = [sample(1000, 100), sample(500, 200)], [sample(900, 110), sample(450, 220, 3)]
    head, *lines = page("trades", 5, {PLAIN: plain, ALL: all_})
    assert head.startswith("trades, 5 connections")
    assert lines[0].split()[-6:] == ["1.00", "[1.00,", "1.00]", "1.00", "[1.00,", "1.00]"]
    assert "675" in lines[1]
    assert "0.90 [0.90, 0.90]" in lines[1]
    assert "1.10 [1.10, 1.10]" in lines[1]
    assert lines[1].endswith("3 ERRORS")
