"""The catalog's file: what is saved is loaded, and damage is one line that names the place."""

import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.fakes.histories import history, ledger_of, sends
from twisted_bazaar.catalog.market_file import Snapshot, load, read_listing, save
from twisted_bazaar.catalog.projection import Position, Projection
from twisted_bazaar.errors import Damaged, Unusable
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import MAX_SHARES, MAX_STOCKS, MAX_VOLUME, Listing, Stock

DIGEST = "0123456789abcdef" * 2
OLD = Snapshot((Stock("GameStart", 1599, 95, 5, 12),), Position(12, DIGEST, 4), 2)
NEW = Snapshot((Stock("GameStart", 1599, 90, 10, 13),), Position(13, DIGEST, 4), 3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.csv"


def test_the_file_is_what_the_module_says(path: Path) -> None:
    save(path, Snapshot((Stock("BankCo", 5, 7, 0, 2, True), *OLD.stocks), OLD.position, 2))
    assert path.read_text() == (
        f"# index 12, term 4, digest {DIGEST}, orders 2\n"
        "name,price,quantity,volume,version,halted\n"
        "BankCo,0.05,7,0,2,1\n"
        "GameStart,15.99,95,5,12,0\n"
    )


def test_a_file_of_an_earlier_release_is_read(path: Path) -> None:
    path.write_text(
        f"# index 12, term 4, digest {DIGEST}, orders 2\n"
        "name,price,quantity,volume,version\n"
        "GameStart,15.99,95,5,12\n"
    )
    assert load(path) == OLD


names = st.text(
    st.characters(exclude_categories=("C", "Z")) | st.sampled_from(" ,\"'#;"), min_size=1
)
amounts = st.integers(0, MAX_SHARES)
stocks = st.builds(
    Stock,
    names,
    st.integers(0, 10**14 - 1),
    amounts,
    st.integers(0, MAX_VOLUME),
    amounts,
    st.booleans(),
)
snapshots = st.builds(
    Snapshot,
    st.lists(stocks, unique_by=lambda stock: stock.name).map(
        lambda stocks: tuple(sorted(stocks, key=lambda stock: stock.name))
    ),
    st.builds(Position, st.integers(1, MAX_SHARES), st.just(DIGEST), amounts),
    amounts,
)


def named(*names: str) -> Snapshot:
    return Snapshot(
        tuple(Stock(name, 1, 1, 1, 1) for name in sorted(names)), Position(3, DIGEST, 1), 1
    )


@given(snapshots)
@example(named(" leading", "trailing ", " "))
@example(named('"', '""', "a,b", "'"))
@example(named("#", "# index 1", "name"))
@example(named("Ünï 株式会社 🐟"))
@example(named("A", "a", ".", "..", "e\u0301", "\u00e9", "a\u200bb", "x" * 65, "\t"))
def test_what_was_saved_is_loaded(snapshot: Snapshot) -> None:
    with TemporaryDirectory() as folder, patch("os.fsync"):
        path = Path(folder, "catalog.csv")
        save(path, snapshot)
        assert load(path) == snapshot


def test_a_projection_goes_on_from_what_was_saved(path: Path) -> None:
    log = history(6)
    projection = Projection(Ledger(), Position())
    projection.apply(sends(log, 0, 5, term=3))
    save(path, Snapshot.of(projection))
    restarted = load(path).projection()
    assert restarted.position == projection.position == Position(5, log[4].digest, 3)
    restarted.apply(sends(log, 5, 8, term=3))
    assert restarted.ledger.stocks == ledger_of(log).stocks
    assert restarted.ledger.last_number == 6


def test_a_file_at_index_0_is_a_listing_that_is_not_in_the_log_yet(path: Path) -> None:
    save(path, Snapshot((Stock("GameStart", 1599, 100, 0, 0),), Position(), 0))
    snapshot = load(path)
    assert [stock.name for stock in snapshot.stocks] == ["GameStart"]
    assert snapshot.projection().ledger.stocks == {}
    assert snapshot.projection().position == Position()


# Replacing the file.


class Crash(BaseException):
    """The process ends here."""


def crash(*_: object) -> None:
    raise Crash


@pytest.mark.parametrize("at", ["fsync", "replace"])
def test_a_crash_before_the_new_file_takes_its_place_leaves_the_old_one(
    path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    save(path, OLD)
    with monkeypatch.context() as crashing:
        crashing.setattr(os, at, crash)
        with pytest.raises(Crash):
            save(path, NEW)
    assert load(path) == OLD
    save(path, NEW)
    assert load(path) == NEW


def test_what_is_left_of_a_save_that_was_cut_short_is_not_in_the_way(path: Path) -> None:
    path.with_suffix(".new").write_text("# index 99, term 9, digest 12, ord" + 999 * "#")
    save(path, NEW)
    assert load(path) == NEW
    assert list(path.parent.iterdir()) == [path]


def test_the_new_file_is_on_disk_before_its_name_is_and_its_name_when_save_returns(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(descriptor: int) -> None:
        mode = os.fstat(descriptor).st_mode
        happened.append("sync folder" if stat.S_ISDIR(mode) else "sync file")
        fsync(descriptor)

    def note_replace(old: Path, new: Path) -> None:
        happened.append("replace")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    save(path, OLD)
    assert happened == ["sync file", "replace", "sync folder"]


def test_a_folder_that_cannot_be_written_is_an_os_error(path: Path) -> None:
    with pytest.raises(OSError):
        save(path.parent / "nowhere" / "catalog.csv", OLD)


# What an operator hands in.


MINIMAL = "name,price,quantity\nGameStart,15.99,100\n"


@pytest.mark.parametrize(
    "text",
    [
        MINIMAL,
        MINIMAL.rstrip("\n"),
        MINIMAL.replace("\n", "\r\n"),
        "\ufeff" + MINIMAL,
        MINIMAL.replace(",", ", "),
        "name,price,quantity\n\n# ours\nGameStart,15.99,100\n\n",
        'name,price,quantity\n"GameStart","15.99","100"\n',
        "name,price,quantity,volume,version\nGameStart,15.99,100,7,3\n",
        f"# index 12, term 4, digest {DIGEST}, orders 2\n"
        "name,price,quantity,volume,version\nGameStart,15.99,100,7,3\n",
    ],
    ids=["minimal", "no-eol", "crlf", "bom", "spaces", "blank", "quoted", "full", "a catalog's"],
)
def test_a_listing_is_taken_as_operators_write_it(path: Path, text: str) -> None:
    path.write_bytes(text.encode())
    assert read_listing(path) == [Listing("GameStart", 1599, 100)]


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        ("15.99", 1599),
        ("15.9", 1590),
        ("15", 1500),
        ("0.05", 5),
        ("0", 0),
        ("9" * 12, 10**14 - 100),
    ],
)
def test_a_price_has_up_to_two_decimals(path: Path, text: str, cents: int) -> None:
    path.write_text(f"name,price,quantity\nA,{text},1\n")
    assert read_listing(path) == [Listing("A", cents, 1)]


@pytest.mark.parametrize("text", ["name,price,quantity\n", "# nothing yet\nname,price,quantity\n"])
def test_a_listing_without_stocks_is_refused(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(Unusable) as refusal:
        read_listing(path)
    assert str(refusal.value) == f"{path} lists no stocks"


# Files that make no sense.


def row(text: str) -> str:
    return f"name,price,quantity\nA,1.00,1\n{text}\n"


def full(text: str) -> str:
    return f"# a comment\n\nname,price,quantity,volume,version\n{text}\n"


PRICE = "price must be an amount such as 15.99"
NUMBER = "must be a whole number up to 9007199254740991"
VOLUME = "must be a whole number up to 9223372036854775807"
SPACE = "neither begin nor end with a space"
DOTS = "be something other than . and .., which a path cannot say"
NFC = "be in Unicode's composed form (NFC)"
NAME = "name must be 1 to 64 printable characters"
COLUMNS = "the columns must be name,price,quantity"


SENSELESS = [
    ("", 0, f"{COLUMNS}, not missing"),
    ("# only a comment\n", 1, f"{COLUMNS}, not missing"),
    ("GameStart,15.99,100\n", 1, f"{COLUMNS}, not 'GameStart,15.99,100'"),
    ("name,price\nA,1\n", 1, f"{COLUMNS}, not 'name,price'"),
    ("quantity,price,name\n1,1,A\n", 1, f"{COLUMNS}, not 'quantity,price,name'"),
    ("name;price;quantity\nA;1;1\n", 1, f"{COLUMNS}, not 'name;price;quantity'"),
    (row("B,1.00"), 3, "there must be 3 values, not 2"),
    (row("B,1.00,1,0,0"), 3, "there must be 3 values, not 5"),
    (row("B,1,00,1"), 3, "there must be 3 values, not 4"),
    (row("\n\nB"), 5, "there must be 3 values, not 1"),
    (row(",1.00,1"), 3, f"{NAME}, not ''"),
    (row(f"{'x' * 65},1.00,1"), 3, f"{NAME}, not '{'x' * 65}'"),
    (row(f"{'x' * 5000},1.00,1"), 3, NAME),
    (row("a\tb,1.00,1"), 3, rf"{NAME}, not 'a\tb'"),
    (row("a\u2028b,1.00,1"), 3, NAME),
    (row("a\x85b,1.00,1"), 3, NAME),
    (row("a\x0cb,1.00,1"), 3, NAME),
    (row('"a\nb",1.00,1'), 4, NAME),
    (row("B,-1,1"), 3, f"{PRICE}, not '-1'"),
    (row("B,1.999,1"), 3, f"{PRICE}, not '1.999'"),
    (row("B,$5,1"), 3, f"{PRICE}, not '$5'"),
    (row("B,1e3,1"), 3, f"{PRICE}, not '1e3'"),
    (row("B,,1"), 3, f"{PRICE}, not ''"),
    (row("B,٣,1"), 3, PRICE),
    (row("B,1234567890123,1"), 3, PRICE),
    (row("B,1.00,-1"), 3, f"quantity {NUMBER}, not '-1'"),
    (row("B,1.00,1.5"), 3, f"quantity {NUMBER}, not '1.5'"),
    (row("B,1.00,"), 3, f"quantity {NUMBER}, not ''"),
    (row(f"B,1.00,{MAX_SHARES + 1}"), 3, f"quantity {NUMBER}, not '{MAX_SHARES + 1}'"),
    (row(f"B,1.00,{'9' * 5000}"), 3, f"quantity {NUMBER}"),
    (row("B,1.00,²"), 3, f"quantity {NUMBER}"),
    (row("A,2.00,2"), 3, "'A' is listed twice"),
    (full("A,1.00,1,x,1"), 4, f"volume {VOLUME}, not 'x'"),
    (full(f"A,1.00,1,{MAX_VOLUME + 1},1"), 4, f"volume {VOLUME}, not '{MAX_VOLUME + 1}'"),
    (row('" B",1.00,1'), 3, f"name must {SPACE}, not ' B'"),
    (row("B ,1.00,1"), 3, f"name must {SPACE}, not 'B '"),
    (row(" ,1.00,1"), 3, f"name must {SPACE}, not ' '"),
    (row(".,1.00,1"), 3, f"name must {DOTS}, not '.'"),
    (row("..,1.00,1"), 3, f"name must {DOTS}, not '..'"),
    (row("e\u0301,1.00,1"), 3, f"name must {NFC}, not 'e\\u0301'"),
    (row("a\u200bb,1.00,1"), 3, NAME),
    (row("a,1.00,1"), 3, "'a' is too like 'A', which is listed, too"),
    (row("\uff21,1.00,1"), 3, "'\\uff21' is too like 'A', which is listed, too"),
    (full("A,1.00,1,1,-1"), 4, f"version {NUMBER}, not '-1'"),
    (full("A,1.00,1"), 4, "there must be 5 values, not 3"),
    (row('"B,1.00,1'), 3, ""),
    (row('"B"b,1.00,1'), 3, ""),
    (row(f"{'x' * 140_000},1.00,1"), 3, ""),
]  # fmt: skip
"""What a file holds, the line that is at fault, and what is said of it."""


@pytest.mark.parametrize(("text", "line", "reason"), SENSELESS, ids=map(str, range(len(SENSELESS))))
def test_what_makes_no_sense_is_one_line_that_names_file_and_line(
    path: Path, text: str, line: int, reason: str
) -> None:
    path.write_bytes(text.encode())
    for read in load, read_listing:
        with pytest.raises(Damaged) as refusal:
            read(path)
        said = str(refusal.value)
        assert said.startswith(f"{path} line {line}: {reason}")
        assert said.isprintable()
        assert len(said) < len(str(path)) + 200


POSITION = f"# index 12, term 4, digest {DIGEST}, orders 2"


@pytest.mark.parametrize(
    "first",
    [
        POSITION.replace("12", "-1"),
        POSITION.replace("12", "x"),
        POSITION.replace("12", "9" * 5000),
        POSITION.replace(DIGEST, DIGEST[1:]),
        POSITION.replace(DIGEST, DIGEST.upper()),
        POSITION[:-3],
        POSITION + "3x",
        POSITION + " and more",
        "# index",
    ],
)
def test_a_position_that_makes_no_sense_is_refused(path: Path, first: str) -> None:
    """Taken for none it would make the catalog list what the log has sold long ago."""
    path.write_text(f"{first}\nname,price,quantity,volume,version\nA,1.00,1,1,1\n")
    with pytest.raises(Damaged) as refusal:
        load(path)
    assert str(refusal.value) == f"{path} line 1: not a position in the order log"


def test_a_term_that_no_leader_can_reach_does_not_keep_every_leader_out(path: Path) -> None:
    path.write_text(
        f"# index 12, term {2**63 - 1}, digest {DIGEST}, orders 2\n"
        "name,price,quantity,volume,version\nA,1.00,1,1,1\n"
    )
    assert load(path).position == Position(12, DIGEST, 0)


def test_any_term_that_a_leader_can_reach_is_loaded(path: Path) -> None:
    save(path, replace(OLD, position=Position(2**53 - 1, DIGEST, 2**53 - 1)))
    assert load(path).position.term == 2**53 - 1


def test_a_listing_has_a_bound_and_what_is_listed_already_has_none(path: Path) -> None:
    rows = "".join(f"S{number},1.00,1,0,2\n" for number in range(MAX_STOCKS + 1))
    header = "name,price,quantity,volume,version\n"
    path.write_text(header + rows[: rows.rindex("S")])
    assert len(read_listing(path)) == len(load(path).stocks) == MAX_STOCKS
    for text in (header + rows, f"{POSITION}\n{header}{rows}"):
        path.write_text(text)
        with pytest.raises(Unusable) as refusal:
            read_listing(path)
        assert str(refusal.value) == (
            f"{path} lists {MAX_STOCKS + 1} stocks; there may be at most {MAX_STOCKS}"
        )
    assert len(load(path).stocks) == MAX_STOCKS + 1


def test_a_file_with_a_position_has_all_columns(path: Path) -> None:
    """Else volumes and versions would be taken for 0."""
    path.write_text(f"{POSITION}\nname,price,quantity\nA,1.00,1\n")
    with pytest.raises(Damaged) as refusal:
        load(path)
    assert str(refusal.value) == (
        f"{path} line 2: the columns must be name,price,quantity,volume,version,halted, "
        "not 'name,price,quantity'"
    )


def missing(path: Path) -> None:
    pass


def folder(path: Path) -> None:
    path.mkdir()


def latin(path: Path) -> None:
    path.write_bytes(MINIMAL.encode() + b"\xe9,1.00,1\n")


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (missing, " cannot be read: No such file or directory"),
        (folder, " cannot be read: Is a directory"),
        (latin, " line 3: not UTF-8"),
    ],
)
def test_what_cannot_be_read_is_one_line(
    path: Path, make: Callable[[Path], None], line: str
) -> None:
    make(path)
    with pytest.raises(Unusable) as refusal:
        load(path)
    assert str(refusal.value) == f"{path}{line}"


@given(st.lists(st.sampled_from([*MINIMAL, "#", '"', "\x00", "\n", "é", POSITION]), max_size=40))
def test_any_text_is_a_snapshot_or_damaged(pieces: Sequence[str]) -> None:
    with TemporaryDirectory() as place:
        path = Path(place, "catalog.csv")
        path.write_text("".join(pieces) + MINIMAL, encoding="utf-8")
        try:
            load(path)
        except Damaged as refusal:
            said = str(refusal)
        else:
            said = f"{path} line "
        assert said.startswith(f"{path} line ")
