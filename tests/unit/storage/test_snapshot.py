"""A snapshot takes the place of log and index, whatever moment the process dies at."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.fakes.histories import extend, history, ledger_of, opened, order, write
from twisted_bazaar.consensus.beginning import Beginning, after
from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.consensus.log import Write
from twisted_bazaar.errors import NotUnderstood
from twisted_bazaar.ledger import first_prices
from twisted_bazaar.storage.index import Index, witness_in
from twisted_bazaar.storage.lines import close_lines
from twisted_bazaar.storage.logfile import LogFile
from twisted_bazaar.storage.snapshot import Incoming, install_snapshot, use_snapshot

from .test_leaving import Killed, killed_before

ENTRIES = history(40)


def indexed(path: Path, log: LogFile, entries: Sequence[Entry]) -> Index:
    index = Index(path, log)
    ledger = ledger_of(entries)
    index.write(entries, ledger.stocks.values(), ledger.last_number)
    return index


@pytest.fixture
def source(tmp_path: Path) -> tuple[Path, Beginning]:
    """A copy of an index as of the last of `ENTRIES`."""
    folder = tmp_path / "source"
    with opened(folder) as log:
        write(log, ENTRIES)
        index = indexed(folder / "index.sqlite", log, ENTRIES)
        copy = tmp_path / "copy.sqlite"
        entry, number = index.copy_to(copy)
        assert (entry, number) == (len(ENTRIES), 40)
        index.close()
        return copy, after(
            ENTRIES[-1],
            number=number,
            cluster=log.cluster,
            openings=log.openings,
            memberships=log.memberships,
            prices=first_prices(each.event for each in ENTRIES),
        )


def received(folder: Path, copy: Path, beginning: Beginning) -> Incoming:
    incoming = Incoming(folder)
    content = copy.read_bytes()
    for at in range(0, len(content), 5000):
        incoming.add(at, content[at : at + 5000])
    assert incoming.check(beginning) is None
    return incoming


def behind(folder: Path) -> None:
    """A replica that has the first entries, has voted in term 7, and has an index."""
    with opened(folder) as log:
        write(log, ENTRIES[:10])
        log.write(Write(7, 2, None, ()))
        indexed(folder / "index.sqlite", log, ENTRIES[:8]).close()


def check_begun(folder: Path, beginning: Beginning) -> None:
    witness = witness_in(folder / "index.sqlite")
    assert witness is not None
    with opened(folder) as log:
        assert log.suspect is None
        assert (log.term, log.vote) == (7, 2)
        assert (log.last_index, log.last_number) == (42, 40)
        assert (log.beginning, log.cluster) == (beginning, beginning.cluster)
        assert (witness.index, witness.digest) == (42, log.digest_at(42))
        index = Index(folder / "index.sqlite", log)
        assert index.rebuilt is None
        assert index.find(["key-1", "key-40", "none"]).numbers == {"key-1": 1, "key-40": 40}
        more = extend(ENTRIES, [order(41)], term=7)
        write(log, more)
        assert list(log.read(42, 43)) == more
        index.close()


def test_log_and_index_begin_anew_and_the_vote_stays(
    tmp_path: Path, source: tuple[Path, Beginning]
) -> None:
    folder = tmp_path / "behind"
    behind(folder)
    copy, beginning = source
    received(folder, copy, beginning)
    assert witness_in(folder / "index.sqlite") is not None
    use_snapshot(folder, beginning, "")
    assert install_snapshot(folder, 3) == 42
    check_begun(folder, beginning)
    assert install_snapshot(folder, 3) == 0


def test_what_is_not_to_be_used_yet_is_dropped_at_a_start(
    tmp_path: Path, source: tuple[Path, Beginning]
) -> None:
    folder = tmp_path / "behind"
    behind(folder)
    received(folder, *source)
    assert install_snapshot(folder, 3) == 0
    assert not (folder / "snapshot").exists()
    with opened(folder) as log:
        assert (log.last_index, log.suspect) == (10, None)


def test_a_kill_at_any_step_leaves_the_old_log_or_the_new_one(
    tmp_path: Path, source: tuple[Path, Beginning]
) -> None:
    copy, beginning = source
    step, finished, begun = 0, False, 0
    while not finished:
        folder = tmp_path / str(step)
        behind(folder)
        received(folder, copy, beginning)
        try:
            with killed_before(step):
                use_snapshot(folder, beginning, "")
                install_snapshot(folder, 3)
            finished = True
        except Killed:
            pass
        install_snapshot(folder, 3)
        with opened(folder) as log:
            assert (log.suspect, log.last_index in (10, 42)) == (None, True)
            begins = log.beginning.index
        if begins:
            begun += 1
            check_begun(folder, beginning)
        step += 1
    assert 3 < begun < step - 2


def test_a_snapshot_with_a_changed_byte_is_not_good(
    tmp_path: Path, source: tuple[Path, Beginning]
) -> None:
    copy, beginning = source
    content = bytearray(copy.read_bytes())
    at = content.index(b"key-17")
    content[at] ^= 1
    incoming = Incoming(tmp_path / "source")
    incoming.add(0, bytes(content))
    assert incoming.check(beginning) is not None


def test_what_sqlite_kept_beside_the_index_before_is_never_applied_to_the_new_one(
    tmp_path: Path, source: tuple[Path, Beginning]
) -> None:
    """A loss of power may keep the renaming of the index, and not what was removed before it."""
    folder = tmp_path / "behind"
    behind(folder)
    copy, beginning = source
    received(folder, copy, beginning)
    use_snapshot(folder, beginning, "")
    (folder / "snapshot" / "index.sqlite").replace(folder / "index.sqlite")
    (folder / "index.sqlite-wal").write_bytes(b"of the index before")
    assert install_snapshot(folder, 3) == 42
    assert not (folder / "index.sqlite-wal").exists()
    check_begun(folder, beginning)


def test_a_snapshot_that_a_newer_release_has_taken_is_left_as_it_is(
    tmp_path: Path, source: tuple[Path, Beginning]
) -> None:
    copy, beginning = source
    folder = tmp_path / "order-3"
    behind(folder)
    received(folder, copy, beginning)
    use_snapshot(folder, beginning, "")
    ready = folder / "snapshot" / "ready"
    ready.write_bytes(close_lines([b'{"format":9,"before":"of another form"'], 0)[0])
    before = (folder / "index.sqlite").read_bytes()
    with pytest.raises(NotUnderstood, match="format 9 is not known to this release"):
        install_snapshot(folder, 3)
    assert ready.exists()
    assert (folder / "index.sqlite").read_bytes() == before
