"""The end of a log that is in an engine, in its leader's memory."""

import pytest

from tests.fakes.histories import extend, history
from twisted_bazaar.consensus.entries import GENESIS
from twisted_bazaar.consensus.log import MAX_STRETCH_BYTES
from twisted_bazaar.engine.window import Window
from twisted_bazaar.errors import InvariantBroken
from twisted_bazaar.market import Listed, Listing

LOG = history(30)
LAST = len(LOG)


def after(base: int, keep: int = 4) -> Window:
    """A window with all entries after `base`."""
    window = Window(base, LOG[base - 1].digest, LOG[base - 1].at_milliseconds, keep)
    window.append(LOG[base:])
    return window


def test_an_empty_window_is_the_end_of_what_came_before() -> None:
    window = Window(5, LOG[4].digest, 77)
    assert (window.last_index, window.last_digest, window.last_at_milliseconds) == (
        5,
        LOG[4].digest,
        77,
    )
    assert window.entries(5, 9) == ()


def test_it_has_the_entries_after_its_base() -> None:
    window = after(5)
    assert (window.last_index, window.last_digest) == (LAST, LOG[-1].digest)
    assert list(window.entries(5, LAST)) == LOG[5:]
    assert list(window.entries(9, 11)) == LOG[9:11]
    assert [window.digest_at(index) for index in (5, 6, LAST)] == [
        LOG[index - 1].digest for index in (5, 6, LAST)
    ]


def test_it_knows_nothing_before_its_base_nor_beyond_its_end() -> None:
    window = after(5)
    assert [window.digest_at(index) for index in (0, 4, LAST + 1)] == ["", "", ""]
    with pytest.raises(InvariantBroken):
        window.entries(4, 9)


def test_a_whole_log_begins_with_nothing() -> None:
    assert Window(0, GENESIS, 0).digest_at(0) == GENESIS


def test_entries_that_do_not_follow_are_a_bug() -> None:
    window = Window(5, LOG[4].digest, 0)
    another = extend(extend([], [Listed(())] * 5, term=1), [Listed(())], term=1)
    assert another[0].index == 6
    for wrong in (LOG[6:], another):
        with pytest.raises(InvariantBroken):
            window.append(wrong)
    assert window.last_index == 5


def test_it_keeps_the_newest_settled_entries_and_all_others() -> None:
    window = after(2, keep=8)
    for index in range(2, LAST + 1):
        window.settled(index)
        kept = index - window.base
        assert kept >= min(8, index - 2)
        assert kept <= 9
        assert list(window.entries(window.base, LAST)) == LOG[window.base :]
        assert window.digest_at(window.base) == LOG[window.base - 1].digest
        assert window.digest_at(window.base - 1) == ""
    assert window.last_index == LAST


def test_entries_are_taken_by_the_stretch() -> None:
    names = [f"{number:064d}" for number in range(9000)]
    big = Listed(tuple(Listing(name, 1, 1) for name in names))
    entries = extend([], [big, big], term=1)
    assert len(entries[0].record) < MAX_STRETCH_BYTES < 2 * len(entries[0].record)
    window = Window(0, GENESIS, 0)
    window.append(entries)
    assert list(window.entries(0, 2)) == entries[:1]
