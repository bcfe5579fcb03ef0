"""What operators run: the tools that read a replica's files, and services that cannot start."""

import csv
import io
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.commands import Ran, run
from twisted_bazaar.local.command_lines import twistd

from .background_trader import BackgroundTrader
from .bazaar import Bazaar
from .waiting import wait_until

REPLICAS = ("order-1", "order-2", "order-3")
END_SECONDS = 10.0
"""By then a service that cannot start has said so and ended; it takes half a second."""
SETTLED_SECONDS = 10.0
NOWHERE = "127.0.0.1:1"
HEADER = ["transaction_number", "name", "type", "quantity", "price", "client_order_id"]


@pytest.fixture(scope="module")
def bazaar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bazaar]:
    """A bazaar in which some orders were placed, for tests that leave it as it is."""
    with Bazaar(tmp_path_factory.mktemp("tools"), "--cache=off") as running:
        trade(running)
        yield running


def trade(bazaar: Bazaar) -> None:
    for quantity in range(1, 8):
        for name in "GameStart", "BoarCo", "RomanCo":
            for side in "buy", "sell":
                body = {"name": name, "quantity": quantity, "type": side}
                assert bazaar.request("POST", "/orders", body).status == 200


def settled(bazaar: Bazaar) -> dict[str, str]:
    """What all three replicas say once they have all orders: last_number, last_index, digest."""
    last = int(orders(bazaar)[-1][0])

    def agree() -> dict[str, str] | None:
        rows = bazaar.request("GET", "/replicas").body["data"]
        first, *others = (
            {name: str(row[name]) for name in ("last_number", "last_index", "digest")}
            for row in rows
        )
        return first if first["last_number"] == str(last) and others == [first] * 2 else None

    said = wait_until(agree, "the replicas agree", SETTLED_SECONDS, bazaar.tail)
    assert said is not None
    return said


def orders(bazaar: Bazaar) -> list[list[str]]:
    """All orders, as the rows of a CSV file."""
    rows: list[list[str]] = []
    following: int | None = 0
    while following is not None:
        page = bazaar.request("GET", f"/orders?after={following}&limit=500").body
        rows += [
            [
                *(str(order[name]) for name in ("number", "name", "type", "quantity")),
                f"{order['price']:.2f}",
                order["client_order_id"] or "",
            ]
            for order in page["data"]
        ]
        following = page["next"]
    return rows


def ask(command: str, *folders: Path) -> list[Ran]:
    """`python -m twisted_bazaar`, asked about all folders."""
    return [run(*command.split(), folder) for folder in folders]


def exported(data: Path) -> list[list[list[str]]]:
    """The orders in the files of each replica, which must be sound."""
    tables = []
    for done in ask("export --whole", *(data / name for name in REPLICAS)):
        assert (done.returncode, done.stderr) == (0, "")
        header, *rows = csv.reader(io.StringIO(done.stdout))
        assert header == HEADER
        tables.append(rows)
    return tables


def verified(data: Path) -> list[dict[str, str]]:
    """What `verify` says of each replica: last_number, last_index and digest."""
    found = []
    for replica, done in enumerate(ask("verify", *(data / name for name in REPLICAS)), 1):
        assert (done.returncode, done.stderr) == (0, "")
        assert re.fullmatch(rf"ok: replica={replica} [^\n]*\n", done.stdout), done.stdout
        said = dict(re.findall(r"(\w+)=(\w+)", done.stdout))
        found.append({name: said[name] for name in ("last_number", "last_index", "digest")})
    return found


def refused(*words: str | Path, **environment: str) -> str:
    """The one line that a service says on standard error before it exits with status 1."""
    outside = {name: value for name, value in os.environ.items() if "BAZAAR_" not in name}
    ran = subprocess.run(
        twistd(*words),
        capture_output=True,
        text=True,
        env={**outside, **environment},
        timeout=END_SECONDS,
        check=False,
    )
    assert ran.returncode == 1, ran
    assert "Traceback" not in ran.stdout
    assert ran.stderr.count("\n") == 1, ran.stderr
    line = ran.stderr.rstrip("\n")
    assert line.startswith(f"{words[0]}: ")
    return line


# export and verify


def test_the_export_of_each_running_replica_is_what_the_api_lists(bazaar: Bazaar) -> None:
    settled(bazaar)
    listed = orders(bazaar)
    assert len(listed) >= 42
    assert exported(bazaar.data) == [listed] * 3


def test_verify_prints_one_number_and_digest_for_all_idle_replicas(
    bazaar: Bazaar,
) -> None:
    agreed = settled(bazaar)
    assert verified(bazaar.data) == [agreed] * 3


def test_an_export_during_trades_has_all_acknowledged_orders_and_no_gap(
    bazaar: Bazaar,
) -> None:
    with BackgroundTrader(bazaar.processes()["frontend"]["address"], "BankCo") as background:
        wait_until(
            lambda: len(background.placed) > 20, "the background trader trades", why_not=bazaar.tail
        )
        acknowledged = background.placed[-1]
        tables = exported(bazaar.data)
        verified(bazaar.data)
        wait_until(lambda: background.placed[-1] > acknowledged, "it was not disturbed")
    assert background.failures == []
    listed = orders(bazaar)
    for rows in tables:
        assert [row[0] for row in rows] == [str(n) for n in range(1, len(rows) + 1)]
        assert rows[:acknowledged] == listed[: len(rows)][:acknowledged]
    assert sorted(map(len, tables))[1] >= acknowledged


def test_a_stopped_bazaar_exports_the_same_and_damage_is_found(
    start_bazaar: Callable[..., Bazaar], tmp_path: Path
) -> None:
    bazaar = start_bazaar("--cache=off")
    trade(bazaar)
    listed, agreed = orders(bazaar), settled(bazaar)
    bazaar.stop()
    assert exported(bazaar.data) == [listed] * 3
    assert verified(bazaar.data) == [agreed] * 3

    copy = tmp_path / "damaged"
    shutil.copytree(bazaar.data / "order-1", copy)
    segment = max((copy / "log").iterdir())
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)
    for command in "verify", "export":
        [done] = ask(command, copy)
        assert done.returncode == 1
        assert re.fullmatch(
            rf"{command}: {re.escape(str(segment))}.*(entry|line) \d+.*\n", done.stderr
        )


# Services that cannot start

LOCAL = ["bazaar", "--listen=tcp:0:interface=127.0.0.1"]
ORDER = ["bazaar-order", "--id=1", f"--listen={NOWHERE}", "--data=data"]
CATALOG = ["bazaar-catalog", f"--listen={NOWHERE}", "--data=data"]
FRONTEND = ["bazaar-frontend", f"--catalog={NOWHERE}", f"--replica=1={NOWHERE}"]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["bazaar", "--replicas=two"], "--replicas"),
        (["bazaar", "--cache=redis"], "--cache"),
        (["bazaar", "--listen=tcp:99999999"], "--listen"),
        ([*ORDER, "--id", "x"], "--id"),
        ([*ORDER, "--peer=2"], "--peer"),
        (["bazaar-order", "--id=1", f"--listen={NOWHERE}"], "--data"),
        ([*CATALOG, "--listen=127.0.0.1"], "--listen"),
        ([*CATALOG, "--listing=nowhere.csv"], "--listing"),
        ([*CATALOG, "--lease=never"], "--lease"),
        ([*FRONTEND, "--replica=x"], "--replica"),
        ([*FRONTEND, "--listen=tcp:99999999"], "--listen"),
        ([*FRONTEND, "--colour=red"], "--colour"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_a_wrong_option_is_one_line_that_names_it_and_status_1(
    words: Sequence[str], named: str
) -> None:
    assert named in refused(*words)


def test_a_wrong_option_in_the_environment_is_one_line_that_names_it_and_status_1() -> None:
    line = refused("bazaar-order", f"--listen={NOWHERE}", "--data=data", BAZAAR_ID="x")
    assert "BAZAAR_ID" in line


@pytest.mark.parametrize("service", ["bazaar", "bazaar-frontend", "bazaar-order", "bazaar-catalog"])
def test_a_port_that_is_taken_is_one_line_that_names_it_and_status_1(
    tmp_path: Path, service: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        data, address = f"--data={tmp_path / 'data'}", f"127.0.0.1:{port}"
        endpoint = f"--listen=tcp:{port}:interface=127.0.0.1"
        words = {
            "bazaar": ["bazaar", data, endpoint],
            "bazaar-frontend": [*FRONTEND, endpoint],
            "bazaar-order": [*ORDER, data, f"--listen={address}"],
            "bazaar-catalog": [*CATALOG, data, f"--listen={address}"],
        }
        line = refused(*words[service])
    assert str(port) in line


@pytest.mark.parametrize("words", [LOCAL, ORDER, CATALOG], ids=lambda w: w[0])
def test_a_folder_that_cannot_be_made_is_one_line_that_names_it_and_status_1(
    tmp_path: Path, words: Sequence[str]
) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "data"
    line = refused(*words, f"--data={folder}")
    assert line == f"{words[0]}: folder {folder} cannot be used: Not a directory"


@pytest.mark.parametrize(
    ("words", "name"),
    [(LOCAL, ""), (ORDER, "order-1"), (CATALOG, "catalog")],
    ids=["bazaar", "order", "catalog"],
)
def test_a_second_copy_in_a_folder_is_one_line_and_status_1_and_the_first_goes_on(
    bazaar: Bazaar, words: Sequence[str], name: str
) -> None:
    pid = bazaar.process_id(name) if name else bazaar.pid
    folder = bazaar.data / name if name else bazaar.data
    line = refused(*words, f"--data={folder}")
    assert line == f"{words[0]}: folder {folder} is in use by process {pid}"
    assert pid == (bazaar.process_id(name) if name else bazaar.pid)
    body = {"name": "MenhirCo", "quantity": 1, "type": "sell"}
    assert bazaar.request("POST", "/orders", body).status == 200


def test_market_finds_address_and_secret_in_the_folder_of_a_bazaar(
    bazaar: Bazaar, tmp_path: Path
) -> None:
    """Also where there is no cache, and so no push."""
    words = ("market", "price", "GameStart", "15.99")
    said = [run(*words, f"--data={data}") for data in (bazaar.data, tmp_path)]
    unreadable = f"market: {tmp_path}/processes.json cannot be read: No such file or directory"
    assert said == [
        (0, "ok: it was so already\n", ""),
        (1, "", f"{unreadable}; is the bazaar running?\n"),
    ]
