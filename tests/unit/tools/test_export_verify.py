"""`python -m twisted_bazaar export` and `verify`, run as an operator runs them."""

import csv
import io
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from tests.fakes.histories import LISTED, check, extend, files, history, opened, order
from twisted_bazaar.__main__ import main
from twisted_bazaar.consensus.entries import GENESIS, Entry, Opened, encode_entry
from twisted_bazaar.consensus.log import Write
from twisted_bazaar.errors import Damaged, Unusable
from twisted_bazaar.frontend.trading.keys import FreshKeys
from twisted_bazaar.market import Halted, Listed, Listing, Repriced, Side, Traded
from twisted_bazaar.storage.logfile import LogFile
from twisted_bazaar.tools.inspection import verify

ORDERS = (
    "transaction_number,name,type,quantity\n"
    '1,"Fish, Co",buy,2\n'
    "2,GameStart,buy,3\n"
    '3,"Fish, Co",sell,4\n'
)


def log_of(folder: Path, entries: Sequence[Entry], term: int = 1) -> Path:
    with opened(folder) as file:
        file.write(Write(term, 3, None, tuple(entries)))
    return folder


def ask(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "twisted_bazaar", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_export_prints_all_orders_as_csv(tmp_path: Path) -> None:
    done = ask("export", log_of(tmp_path, history(3)))
    assert (done.returncode, done.stdout, done.stderr) == (0, ORDERS, "")


def test_verify_prints_the_last_number_and_digest_in_one_line(tmp_path: Path) -> None:
    entries = history(3)
    done = ask("verify", log_of(tmp_path, entries, term=4))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"ok: replica=3 last_number=3 last_index=5 term=4 digest={entries[-1].digest}\n"
    )


def test_times_that_go_back_are_no_damage(tmp_path: Path) -> None:
    """An earlier release wrote what the leader's clock showed."""
    entries: list[Entry] = []
    for index, at in enumerate((3000, 2000, 1000), 1):
        digest = entries[-1].digest if entries else GENESIS
        entries.append(encode_entry(digest, index, 1, at, Opened(leader=3)))
    assert verify(log_of(tmp_path, entries)).last_index == 3


def test_every_name_survives_csv(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ['a "quoted", one', "a\nline", "ünï", "a=b", "", "5-1", " b"]
    listed = Listed(tuple(Listing(name, 1, 100) for name in names))
    orders = [
        Traded(number, f"k{number}", name, Side.SELL, number)
        for number, name in enumerate(names, 1)
    ]
    assert main(["export", str(log_of(tmp_path, extend([], [listed, *orders])))]) == 0
    _, *rows = csv.reader(capsys.readouterr().out.splitlines(keepends=True))
    assert rows == [
        [str(number), name, "sell", str(number)] for number, name in enumerate(names, 1)
    ]


def test_an_order_is_exported_at_the_price_of_its_time_and_with_its_clients_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = FreshKeys(Random(1))
    events = [
        LISTED,
        Traded(1, "old", "GameStart", Side.BUY, 1),
        Traded(2, made(), "GameStart", Side.BUY, 1),
        Repriced("GameStart", 5),
        Traded(3, "=new", "GameStart", Side.BUY, 1, 5),
        Traded(4, made(), "GameStart", Side.BUY, 1, 5, made=True),
        Traded(5, "old too", "GameStart", Side.BUY, 1),
    ]
    assert main(["export", "--whole", str(log_of(tmp_path, extend([], events)))]) == 0
    header, *rows = csv.reader(capsys.readouterr().out.splitlines(keepends=True))
    assert header[4:] == ["price", "client_order_id"]
    assert [row[4:] for row in rows] == [
        ["15.99", "old"],
        ["15.99", ""],
        ["0.05", "'=new"],
        ["0.05", ""],
        ["15.99", "old too"],
    ]


FORMULAS = [
    *["=1+1", "+1", "-1", "@A1", "\t=1", "\r=1", "\n=1", " =1", "=a,b", '="'],
    *["＝1", "＋1", "－1", "＠A"],  # noqa: RUF001
]


def test_no_cell_is_a_formula_and_every_name_can_be_recovered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [*FORMULAS, "'", "'=1", "''=1", "plain", "a'b"]
    listed = Listed(tuple(Listing(name, 1, 100) for name in names))
    orders = [Traded(n, f"k{n}", name, Side.SELL, 1) for n, name in enumerate(names, 1)]
    assert main(["export", str(log_of(tmp_path, extend([], [listed, *orders])))]) == 0
    header, *rows = csv.reader(io.StringIO(capsys.readouterr().out, newline=""))
    assert header[:4] == ["transaction_number", "name", "type", "quantity"]
    cells = [row[1] for row in rows]
    assert cells[: len(FORMULAS)] == [f"'{name}" for name in FORMULAS]
    assert [cell.removeprefix("'") for cell in cells] == names


def test_export_and_verify_ignore_truncated_entries(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = history(9)
    log_of(tmp_path, entries)
    with opened(tmp_path) as file:
        file.write(Write(2, 1, 5, tuple(extend(entries[:5], [Opened(leader=2)], term=2))))
    assert main(["export", str(tmp_path)]) == 0
    assert capsys.readouterr().out == ORDERS
    assert verify(tmp_path).last_number == 3


def test_an_empty_log_verifies_and_exports_no_orders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log_of(tmp_path, [], term=0)
    assert main(["export", str(tmp_path)]) == 0
    assert main(["verify", str(tmp_path)]) == 0
    header, sound = capsys.readouterr().out.splitlines()
    assert header == "transaction_number,name,type,quantity"
    assert sound.startswith("ok: replica=3 last_number=0 last_index=0 term=0 digest=00000000")


def test_export_and_verify_run_beside_the_replica_and_change_nothing(tmp_path: Path) -> None:
    entries = history(200)
    with opened(tmp_path) as file:
        for start in range(0, len(entries), 20):
            file.write(Write(1, 3, None, tuple(entries[start : start + 20])))
            before = files(tmp_path)
            assert verify(tmp_path).last_index == file.last_index
            assert main(["export", str(tmp_path)]) == 0
            assert files(tmp_path) == before
        check(file, entries, 1, 3)


def test_a_write_under_way_is_not_read(tmp_path: Path) -> None:
    entries = history(3)
    log_of(tmp_path, entries)
    last = max((tmp_path / "log").iterdir())
    text = last.read_bytes() + b'{"kind":"traded","index":6,'
    last.write_bytes(text)
    assert verify(tmp_path).digest == entries[-1].digest
    assert last.read_bytes() == text


def test_a_suspect_folder_is_refused(tmp_path: Path) -> None:
    """Not even one in which everything fits: rows that are missing cannot be seen."""
    log_of(tmp_path, history(3))
    (tmp_path / "mark").unlink()
    file = LogFile(tmp_path, 3, Random(1))
    file.write(Write(1, 0, None, tuple(history(2))))
    file.close()
    for command in ("export", "verify"):
        done = ask(command, tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"{command}: {tmp_path}: suspect, may lack orders: {file.suspect}\n"
        assert str(tmp_path / "log.damaged-1") in done.stderr


def test_a_log_that_is_shorter_than_it_was_is_damage(tmp_path: Path) -> None:
    log_of(tmp_path, history(3))
    last = max((tmp_path / "log").iterdir())
    lines = last.read_bytes().splitlines(keepends=True)
    last.write_bytes(b"".join(lines[:-1]))
    for command in ("export", "verify"):
        done = ask(command, tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            f"{command}: {last} line {len(lines)}: {len(lines[-1])} bytes that were on disk are"
            " missing (after entry 4)\n"
        )


def test_damage_is_reported_with_its_place_and_status_1(tmp_path: Path) -> None:
    log_of(tmp_path, history(9))
    path = min((tmp_path / "log").iterdir())
    path.write_bytes(path.read_bytes().replace(b'"key":"key-2"', b'"key":"key-1"'))
    for command in ("export", "verify"):
        done = ask(command, tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            f"{command}: {path} line 7: the checksum does not fit (after entry 3)\n"
        )


def forged(entries: Sequence[Entry], **changes: object) -> list[Entry]:
    """`entries` and one more that no leader can have made, with the digest that it names."""
    told = {
        "previous": entries[-1].digest,
        "index": entries[-1].index + 1,
        "term": entries[-1].term,
        "at_milliseconds": 0,
        "event": Opened(leader=1),
    } | changes
    return [*entries, encode_entry(**told)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"previous": "f" * 32}, "entry 5: its digest does not fit what comes before it"),
        ({"term": 1}, "entry 5: of term 1, after one of term 2, and the replica is in term 3"),
        ({"term": 4}, "entry 5: of term 4, after one of term 2, and the replica is in term 3"),
        ({"event": Traded(3, "k", "Unheard", Side.BUY, 1)}, "entry 5: order 3 cannot be"),
        ({"event": Traded(3, "k", "GameStart", Side.BUY, 10**10)}, "entry 5: order 3 cannot be"),
        ({"event": LISTED}, "entry 5: a stock is listed twice"),
        ({"event": Repriced("Unheard", 1)}, "entry 5: this price cannot be"),
        ({"event": Halted(("Unheard",))}, "entry 5: these stocks cannot be"),
        (
            {"event": Traded(3, "k", "GameStart", Side.BUY, 1, 1600)},
            "entry 5: order 3 is at 1600 cents, and GameStart at 1599",
        ),
        (
            {"event": Traded(3, "k", "GameStart", Side.BUY, 1, 1599, limit=1598)},
            "entry 5: order 3 is beyond its limit",
        ),
    ],
)
def test_verify_finds_entries_that_contradict_others_though_their_checksums_fit(
    tmp_path: Path, changes: dict[str, object], why: str
) -> None:
    entries = extend([], [Opened(leader=3), LISTED, order(1), order(2)], term=2)
    bad = forged(entries, **changes)
    log_of(tmp_path, [*bad, *extend(bad, [Opened(leader=2)], term=3)], term=3)
    with pytest.raises(Damaged, match=f"^{re.escape(f'{tmp_path}: {why}')}"):
        verify(tmp_path)


def test_a_gap_in_the_numbers_is_found(tmp_path: Path) -> None:
    entries = extend([], [LISTED, order(1), order(3), order(3)])
    log_of(tmp_path, entries)
    with pytest.raises(Damaged, match="entry 3: order 3 follows order 1"):
        verify(tmp_path)


def test_a_folder_without_a_log_is_one_clear_line_and_status_1(tmp_path: Path) -> None:
    for command in ("export", "verify"):
        for folder in (tmp_path, tmp_path / "nowhere"):
            done = ask(command, folder)
            assert (done.returncode, done.stdout) == (1, "")
            assert done.stderr == f"{command}: {folder}: not the folder of an order replica\n"


def test_a_log_that_may_not_be_read_is_one_clear_line(tmp_path: Path) -> None:
    log_of(tmp_path, history(1))
    path = min((tmp_path / "log").iterdir())
    path.rename(tmp_path / "moved")
    path.mkdir()
    with pytest.raises(Unusable, match="Is a directory"):
        verify(tmp_path)


def test_a_closed_pipe_ends_an_export_silently(tmp_path: Path) -> None:
    log_of(tmp_path, history(20_000))
    # Unbuffered, nothing would be left to write at exit.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    for command in ("export", "verify"):
        reading, writing = os.pipe()
        asked = subprocess.Popen(
            [sys.executable, "-m", "twisted_bazaar", command, str(tmp_path)],
            stdout=writing,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
        )
        os.close(writing)
        if command == "export":
            os.read(reading, 10)
        os.close(reading)
        _, complaint = asked.communicate(timeout=60)
        assert (asked.returncode, complaint) == (0, "")


@pytest.mark.parametrize("arguments", [(), ("export",), ("inspect", "x"), ("verify", "a", "b")])
def test_a_wrong_command_is_explained(arguments: tuple[str, ...]) -> None:
    done = ask(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: python -m twisted_bazaar")
