"""The index: keys and stocks of a prefix of the log; it can be deleted at any time."""

import os
import sqlite3
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.histories import extend, history, ledger_of, order
from twisted_bazaar.consensus.entries import GENESIS, Entry, Opened
from twisted_bazaar.consensus.log import Log, MemoryStorage, Write
from twisted_bazaar.errors import Damaged, InvariantBroken, Unusable
from twisted_bazaar.ledger import Ledger, first_prices
from twisted_bazaar.market import Halted, Repriced, Resumed, Traded
from twisted_bazaar.storage.index import Found, Index, witness_in
from twisted_bazaar.storage.logfile import LogFile
from twisted_bazaar.storage.trust import Witness


def log_of(entries: Sequence[Entry]) -> Log:
    storage = MemoryStorage()
    storage.write(Write(1, 0, None, tuple(entries)))
    return Log(storage)


def take_in(index: Index, entries: Sequence[Entry]) -> None:
    """What a replica does: apply to the ledger, and write what changed."""
    ledger = index.ledger()
    touched = {name for entry in entries for name in ledger.apply(entry.index, entry.event)}
    index.write(entries, [ledger.stocks[name] for name in touched], ledger.last_number)


def same(ours: Ledger, theirs: Ledger) -> bool:
    return (ours.stocks, ours.last_number) == (theirs.stocks, theirs.last_number)


def numbers(entries: Sequence[Entry]) -> dict[str, int]:
    return {
        entry.event.key: entry.event.number for entry in entries if isinstance(entry.event, Traded)
    }


def made(path: Path, entries: Sequence[Entry]) -> Path:
    """The file of an index of `entries`."""
    index = Index(path, log_of(entries))
    take_in(index, entries)
    index.close()
    return path


FORMAT_2 = """
PRAGMA user_version = 2;
CREATE TABLE keys (
    key TEXT PRIMARY KEY, number INTEGER NOT NULL, next TEXT NOT NULL, sum INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE stocks (
    name TEXT PRIMARY KEY, price INTEGER NOT NULL, quantity INTEGER NOT NULL,
    volume INTEGER NOT NULL, version INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE position (
    entry INTEGER NOT NULL, digest TEXT NOT NULL, last_number INTEGER NOT NULL,
    stocks_sum INTEGER NOT NULL, keys_sum INTEGER NOT NULL, sum INTEGER NOT NULL
);
INSERT INTO stocks VALUES ('GameStart', 1599, 100, 0, 2);
"""
"""The file of an earlier release."""


def test_a_file_of_an_earlier_release_is_rebuilt(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(FORMAT_2)
    connection.close()
    entries = history(3)
    index = Index(path, log_of(entries))
    assert index.rebuilt == f"{path}: made anew: it is of format 2"
    take_in(index, entries)
    assert same(index.ledger(), ledger_of(entries))
    index.close()


def test_prices_and_halts_are_kept(tmp_path: Path) -> None:
    old = history(2)
    changes = [Repriced("GameStart", 5), Halted(("Fish, Co", "GameStart")), Resumed(("Fish, Co",))]
    entries = old + extend(old, changes)
    path = made(tmp_path / "index.sqlite", entries)
    index = Index(path, log_of(entries))
    assert index.rebuilt is None
    books = index.ledger(first_prices(entry.event for entry in entries))
    assert same(books, ledger_of(entries))
    assert books.stocks["GameStart"].halted
    assert not books.stocks["Fish, Co"].halted
    assert books.price_of(order(2)) == 1599
    index.close()


def test_a_new_index_is_empty(tmp_path: Path) -> None:
    index = Index(tmp_path / "index.sqlite", log_of(history(3)))
    assert (index.index, index.digest, index.rebuilt) == (0, GENESIS, None)
    assert same(index.ledger(), Ledger())
    assert index.find(["key-1"]) == Found({}, 0)
    index.close()


@settings(deadline=None)
@given(st.lists(st.integers(1, 8), max_size=8), st.sets(st.integers(1, 40)), st.booleans())
def test_an_index_agrees_with_its_prefix_of_the_log(
    batches: list[int], asked: set[int], again: bool
) -> None:
    entries = history(40)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "index.sqlite"
        index = Index(path, log_of(entries))
        at = 0
        for batch in batches:
            if again:
                index.close()
                index = Index(path, log_of(entries))
                assert index.rebuilt is None
            take_in(index, entries[at : at + batch])
            at = min(at + batch, len(entries))
            assert (index.index, index.digest) == (at, entries[at - 1].digest)
            assert same(index.ledger(), ledger_of(entries[:at]))
            there = numbers(entries[:at])
            keys = {f"key-{number}" for number in asked}
            expected = {key: number for key, number in there.items() if key in keys}
            assert index.find(keys) == Found(expected, at)
        index.close()
        index = Index(path, log_of(entries))
        assert (index.index, index.rebuilt) == (at, None)
        index.close()


def test_all_keys_are_found(tmp_path: Path) -> None:
    """They come from clients: quotes, wildcards and case mean nothing here."""
    keys = ["'", '"', "%", "a", "A", "[1]", "0", "00", " ", "\\", "x" * 128, "null"]
    entries = extend([], [history(0)[1].event, *(order(n, key) for n, key in enumerate(keys, 1))])
    index = Index(tmp_path / "index.sqlite", log_of(entries))
    take_in(index, entries[:-2])
    expected = {key: number for number, key in enumerate(keys[:-2], 1)}
    assert index.find([*keys, "b", ""]) == Found(expected, len(entries) - 2)
    assert index.find([]) == Found({}, len(entries) - 2)
    index.close()


def test_many_keys_are_found_in_one_call(tmp_path: Path) -> None:
    entries = history(3)
    index = Index(tmp_path / "index.sqlite", log_of(entries))
    take_in(index, entries)
    keys = [f"key-{number}" for number in range(100_000)]
    assert index.find(keys) == Found({"key-1": 1, "key-2": 2, "key-3": 3}, 5)
    index.close()


def test_only_the_stocks_that_are_given_are_written(tmp_path: Path) -> None:
    entries = history(1)
    index = Index(tmp_path / "index.sqlite", log_of(entries))
    take_in(index, entries[:2])
    before = index.ledger().stocks
    take_in(index, entries[2:])
    after = index.ledger().stocks
    assert isinstance(entries[2].event, Traded)
    assert [name for name in after if after[name] != before[name]] == [entries[2].event.stock]
    index.close()


def test_a_batch_is_added_whole_or_not_at_all(tmp_path: Path) -> None:
    entries = history(4)
    repeated = extend(entries[:4], [order(3), order(4, "key-1")])
    index = Index(tmp_path / "index.sqlite", log_of(entries))
    take_in(index, entries[:4])
    fifth, sixth, seventh = (extend(entries[:at], [Opened(leader=1)]) for at in (4, 5, 6))
    gaps = ([*fifth, *seventh], [*seventh, *sixth])
    for wrong in (entries[5:], entries[3:], *gaps, repeated):
        with pytest.raises(InvariantBroken):
            index.write(wrong, ledger_of(entries).stocks.values(), 4)
        assert index.index == 4
        assert index.find([f"key-{number}" for number in range(9)]) == Found(
            {"key-1": 1, "key-2": 2}, 4
        )
        assert same(index.ledger(), ledger_of(entries[:4]))
    take_in(index, entries[4:])
    assert same(index.ledger(), ledger_of(entries))
    index.close()


def test_an_empty_batch_changes_nothing(tmp_path: Path) -> None:
    index = Index(tmp_path / "index.sqlite", log_of([]))
    index.write([], [], 0)
    assert index.index == 0
    index.close()


def test_an_index_belongs_to_the_log_on_disk(tmp_path: Path) -> None:
    entries = history(3)
    log = LogFile(tmp_path, 1, Random(1))
    log.write(Write(1, 0, None, tuple(entries)))
    made(tmp_path / "index.sqlite", entries[:4])
    index = Index(tmp_path / "index.sqlite", log)
    assert (index.index, index.rebuilt) == (4, None)
    index.close()
    log.close()


def test_an_index_of_another_history_is_rebuilt(tmp_path: Path) -> None:
    entries = history(6)
    path = made(tmp_path / "index.sqlite", entries)
    other = entries[:-1] + extend(entries[:-1], [order(6, "another")])
    for log, why in ((entries[:-1], "it goes to entry 8, the log to 7"), (other, "is another one")):
        index = Index(path, log_of(log))
        assert index.index == 0
        assert why in str(index.rebuilt)
        assert str(index.rebuilt).startswith(f"{path}: made anew: ")
        assert index.find(["key-1"]) == Found({}, 0)
        take_in(index, entries)
        index.close()


def scribble(path: Path) -> None:
    path.write_bytes(b"scribble" * 1000)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def shorten(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 4096)


def execute(statement: str) -> object:
    def change(path: Path) -> None:
        with sqlite3.connect(path) as connection:
            connection.execute(statement)
        connection.close()

    return change


@pytest.mark.parametrize(
    "spoil",
    [
        scribble,
        shorten,
        execute("PRAGMA user_version = 1"),
        execute("DROP TABLE stocks"),
        execute("ALTER TABLE position RENAME COLUMN sum TO total"),
        execute("DELETE FROM position"),
        execute("DELETE FROM stocks WHERE name = 'GameStart'"),
        execute("UPDATE stocks SET quantity = quantity + 1 WHERE name = 'GameStart'"),
        execute("UPDATE stocks SET quantity = 'many' WHERE name = 'GameStart'"),
        execute("UPDATE stocks SET halted = 1 WHERE name = 'GameStart'"),
        execute("INSERT INTO stocks VALUES ('New', 1, 1, 1, 1, 0)"),
        execute("UPDATE position SET last_number = last_number + 1"),
        execute("UPDATE position SET entry = 'none'"),
    ],
)
def test_a_damaged_file_is_rebuilt(tmp_path: Path, spoil: object) -> None:
    entries = history(6)
    path = made(tmp_path / "index.sqlite", entries)
    assert callable(spoil)
    spoil(path)
    index = Index(path, log_of(entries))
    assert index.index == 0
    assert index.rebuilt is not None
    take_in(index, entries)
    assert index.find(["key-6"]) == Found({"key-6": 6}, 8)
    index.close()
    index = Index(path, log_of(entries))
    assert (index.index, index.rebuilt) == (8, None)
    index.close()


def test_an_empty_or_missing_file_is_a_new_index(tmp_path: Path) -> None:
    entries = history(6)
    for spoil in (empty, Path.unlink):
        path = made(tmp_path / "index.sqlite", entries)
        spoil(path)
        index = Index(path, log_of(entries))
        assert (index.index, index.rebuilt) == (0, None)
        index.close()
        path.unlink()


def test_damage_during_use_is_reported_and_the_next_start_rebuilds_the_file(
    tmp_path: Path,
) -> None:
    entries = history(2000)
    path = made(tmp_path / "index.sqlite", entries)
    index = Index(path, log_of(entries))
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(Damaged, match=rf"^{path}: .*: the next start makes it anew$"):
        index.find([f"key-{number}" for number in range(2000)])
    index.close()
    assert not path.exists()
    index = Index(path, log_of(entries))
    assert (index.index, index.rebuilt) == (0, None)
    index.close()


@pytest.mark.parametrize(
    "spoil",
    [
        execute("UPDATE keys SET key = 'yek-3' WHERE key = 'key-3'"),
        execute("UPDATE keys SET next = 'key-4' WHERE key = 'key-2'"),
        execute("UPDATE keys SET number = 4 WHERE key = 'key-3'"),
        execute("UPDATE keys SET sum = sum + 1 WHERE key = 'key-3'"),
        execute("UPDATE keys SET key = CAST(x'ff' AS TEXT) WHERE key = 'key-3'"),
        execute("DELETE FROM keys WHERE key = 'key-3'"),
        execute("DELETE FROM keys"),
        execute("UPDATE position SET entry = entry + 1"),
        execute("DELETE FROM position"),
        execute("ALTER TABLE keys RENAME COLUMN number TO numb"),
    ],
)
def test_a_key_whose_row_is_lost_never_counts_as_new(tmp_path: Path, spoil: object) -> None:
    """While it runs; the file is closed and opened only at a start."""
    entries = history(6)
    path = made(tmp_path / "index.sqlite", entries)
    index = Index(path, log_of(entries))
    assert index.find(["key-3"]).numbers == {"key-3": 3}
    assert callable(spoil)
    spoil(path)
    with pytest.raises(Damaged, match=rf"^{path}: .*: the next start makes it anew$"):
        index.find(["key-3", "key-2 is absent"])
    index.close()
    assert not path.exists()


@pytest.mark.parametrize(
    "spoil",
    [
        execute("DELETE FROM keys WHERE key = 'key-3'"),
        execute("INSERT INTO keys VALUES ('new', 9, '', 0)"),
        execute("UPDATE keys SET sum = sum + 1 WHERE key = 'key-3'"),
        execute("UPDATE position SET keys_sum = keys_sum + 1"),
    ],
)
def test_a_wrong_sum_of_keys_is_noticed_at_the_start(tmp_path: Path, spoil: object) -> None:
    entries = history(6)
    path = made(tmp_path / "index.sqlite", entries)
    assert callable(spoil)
    spoil(path)
    index = Index(path, log_of(entries))
    assert index.index == 0
    assert index.rebuilt is not None
    index.close()


def test_an_index_is_witness_to_the_entry_that_it_reflects(tmp_path: Path) -> None:
    entries = history(6)
    path = tmp_path / "an index?#%.sqlite"
    assert witness_in(path) is None
    assert not path.exists()
    index = Index(path, log_of(entries))
    assert witness_in(path) is None
    for upto in (3, 5):
        take_in(index, entries[index.index : upto])
        assert witness_in(path) == Witness(str(path), upto, entries[upto - 1].digest)
    index.close()
    assert witness_in(path) == Witness(str(path), 5, entries[4].digest)
    scribble(path)
    assert witness_in(path) is None
    empty(path)
    assert witness_in(path) is None


def test_a_path_where_no_file_can_be_made_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match=rf"^{tmp_path}/none/index.sqlite: unable to open"):
        Index(tmp_path / "none" / "index.sqlite", log_of([]))
    (tmp_path / "index.sqlite").mkdir()
    with pytest.raises(Unusable, match=rf"^{tmp_path}/index.sqlite: unable to open"):
        Index(tmp_path / "index.sqlite", log_of([]))


def test_an_answer_names_the_prefix_of_the_log_that_it_covers(tmp_path: Path) -> None:
    """Asked from several threads while entries are taken in."""
    entries = history(300)
    index = Index(tmp_path / "index.sqlite", log_of(entries))
    keys = [f"key-{number}" for number in range(1, 301)]
    wrong: list[object] = []
    done = threading.Event()

    def ask() -> None:
        try:
            while not done.is_set():
                found = index.find(keys)
                if found.numbers != numbers(entries[: found.index]):
                    wrong.append(found)
        except BaseException as error:
            wrong.append(error)

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    for at in range(0, len(entries), 2):
        take_in(index, entries[at : at + 2])
    done.set()
    for asker in askers:
        asker.join()
    assert wrong == []
    assert index.find(keys) == Found(numbers(entries), len(entries))
    index.close()


def test_a_closed_index_refuses_and_stays_as_it_is(tmp_path: Path) -> None:
    entries = history(3)
    index = Index(tmp_path / "index.sqlite", log_of(entries))
    take_in(index, entries[:4])
    index.close()
    with pytest.raises(Unusable, match="closed"):
        index.find(["key-1"])
    with pytest.raises(Unusable, match="closed"):
        index.write(entries[4:], [], 3)
    index = Index(tmp_path / "index.sqlite", log_of(entries))
    assert (index.index, index.rebuilt) == (4, None)
    index.close()


def test_a_file_that_another_process_changes_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = history(3)
    path = made(tmp_path / "index.sqlite", entries)
    connect = partial(sqlite3.connect, timeout=0)
    monkeypatch.setattr("twisted_bazaar.storage.index.sqlite3.connect", connect)
    other = connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Unusable, match=f"^{path}: another process uses it$"):
        Index(path, log_of(entries))
    other.close()
    index = Index(path, log_of(entries))
    assert (index.index, index.rebuilt) == (5, None)
    index.close()


def test_closing_leaves_no_file_open(tmp_path: Path) -> None:
    entries = history(3)
    index = Index(tmp_path / "index.sqlite", log_of(entries))
    take_in(index, entries)
    askers = [threading.Thread(target=index.find, args=(["key-1"],)) for _ in range(4)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    index.close()
    held = [os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert not [name for name in held if name.startswith(str(tmp_path))]
    assert [path.name for path in tmp_path.iterdir()] == ["index.sqlite"]
