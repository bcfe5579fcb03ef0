"""Damaged folders: nothing acknowledged is lost without being suspect. See `tests/damage`."""

import sqlite3
from collections.abc import Callable
from unittest.mock import patch

import pytest

from tests.damage.judge import Lost
from tests.damage.kinds import INDEX_KINDS, KINDS
from tests.damage.run import INDEX_EVERY, Case, run
from twisted_bazaar.storage import index, recovery, sidecar, trust
from twisted_bazaar.storage.mark import Mark, MarkFile

FOLDERS = 1500
MORE_FOLDERS = 9000
SEED = 20


@pytest.mark.parametrize(
    "cases",
    [range(FOLDERS), pytest.param(range(FOLDERS, MORE_FOLDERS), marks=pytest.mark.slow)],
    ids=["some", "more"],
)
def test_nothing_acknowledged_is_lost_without_being_suspect(
    cases: range, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = run(SEED, cases)
    assert set(tally) == {kind.__name__ for kind in (*KINDS, *INDEX_KINDS)}
    suspect = sum(counts["suspect"] for counts in tally.values())
    with capsys.disabled():
        print(f"\n  {len(cases)} damaged folders: {suspect} suspect, none lost without a verdict")


def test_a_case_is_decided_by_its_seed_and_number() -> None:
    for number in (3, 501, 1719):
        one, other = Case(SEED, number), Case(SEED, number)
        assert (one.kind, one.moment, one.files) == (other.kind, other.moment, other.files)


def always(answer: object) -> Callable[..., object]:
    return lambda *_: answer


def trusting(self: MarkFile, mark: Mark) -> None:
    real_replace(self, Mark(mark.replica, None, False, mark.position, mark.checksum))


def not_summed(connection: sqlite3.Connection) -> object:
    return index._unsealed(connection.execute(index._POSITION).fetchone() or ())


real_replace = MarkFile.replace
OF_LOGS = range(10_000)
OF_INDEXES = range(INDEX_EVERY - 1, 50_000, INDEX_EVERY)
RARE_OF_INDEXES = range(39_219, 90_000, INDEX_EVERY)
"""From the first that shows what few show, as long as nothing else changes."""

MISSING = {
    "the mark is not compared": (recovery.Recovery, "_check_extent", always(None), OF_LOGS),
    "nor its checksum": (recovery, "closes", always(True), OF_LOGS),
    "nothing is ever suspect": (MarkFile, "replace", trusting, OF_LOGS),
    "a sidecar need not fit": (recovery.Recovery, "_fits", always(True), OF_LOGS),
    "nor its blocks": (sidecar, "_block_sum", always(bytes(4)), OF_LOGS),
    "what is read and damaged is forgotten": (sidecar.ClosedRun, "distrust", always(None), OF_LOGS),
    "the index is no witness": (trust, "_check_witness", always(None), OF_INDEXES),
    "the index need not add up": (index, "_position_in", not_summed, OF_INDEXES),
    "no key is proved": (index, "proves", always(True), RARE_OF_INDEXES),
}


@pytest.mark.parametrize("what", MISSING)
def test_a_check_removed_from_the_storage_is_noticed(what: str) -> None:
    where, name, instead, numbers = MISSING[what]
    with patch.object(where, name, instead), pytest.raises(Lost):
        run(SEED, numbers)
