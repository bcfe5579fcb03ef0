"""Order processes whose log is in PostgreSQL: they are killed and stopped while clients trade."""

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from twisted_bazaar.engine.postgres import PostgresEngine
from twisted_bazaar.local.command_lines import twistd
from twisted_bazaar.local.ports import Ports

from .engine_cluster import EngineCluster
from .postgres_servers import PostgresServers
from .replicas import leader, wait_converged
from .waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def servers() -> Iterator[PostgresServers]:
    with PostgresServers(1) as running:
        yield running


@pytest.fixture
def bazaar(servers: PostgresServers, tmp_path: Path) -> Iterator[EngineCluster]:
    with EngineCluster(tmp_path, servers.database(tmp_path.name)) as running:
        yield running


def place(bazaar: EngineCluster, key: str) -> int:
    """The number of the order of a trade with this key."""
    order = {"name": "GameStart", "quantity": 1, "type": "buy", "client_order_id": key}
    answer = bazaar.request("POST", "/orders", order)
    assert answer.status == 200, answer.body
    number: int = answer.body["data"]["transaction_number"]
    return number


def test_trades_go_on_after_leaders_were_killed_and_stopped(bazaar: EngineCluster) -> None:
    assert [place(bazaar, key) for key in "abc"] == [1, 2, 3]
    first = leader(bazaar)
    bazaar.kill(first)
    assert place(bazaar, "d") == 4
    assert place(bazaar, "a") == 1, "a key has one order, whoever leads"
    bazaar.launch(first)
    wait_until(lambda: bazaar.listens(first), "it is back")
    second = leader(bazaar)
    bazaar.send(second, signal.SIGSTOP)
    assert place(bazaar, "e") == 5
    bazaar.send(second, signal.SIGCONT)
    wait_converged(bazaar, 5)
    assert leader(bazaar) != second, "it finds that another one leads"
    assert place(bazaar, "f") == 6
    shown = bazaar.request("GET", "/orders").body["data"]
    assert [(order["number"], order["client_order_id"]) for order in shown] == [
        *zip(range(1, 7), "abcdef", strict=True)
    ]
    assert bazaar.request("GET", "/stocks/GameStart").body["data"]["quantity"] == 94


def test_orders_are_read_from_any_member_while_none_leads(bazaar: EngineCluster) -> None:
    place(bazaar, "a")
    wait_converged(bazaar, 1)
    with bazaar.without("order-2", "order-3"):
        assert bazaar.request("GET", "/orders/1").body["data"]["client_order_id"] == "a"
    wait_converged(bazaar, 1)


@pytest.mark.slow
def test_a_bazaar_is_found_again_in_its_engine(servers: PostgresServers, tmp_path: Path) -> None:
    url = servers.database("again")
    with EngineCluster(tmp_path / "before", url) as before:
        assert place(before, "a") == 1
    with EngineCluster(tmp_path / "after", url) as after:
        assert place(after, "a") == 1
        assert place(after, "b") == 2


@pytest.fixture(scope="module")
def used(servers: PostgresServers, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a database that holds a bazaar of one partition."""
    url = servers.database("used")
    PostgresEngine.open(url, partitions=1, name="0123456789abcdef").close()
    return url


def refused(folder: Path, *options: str) -> str:
    """What an order process says on standard error that ends with status 1."""
    listen = f"--listen={Ports().reserve(0)}"
    ran = subprocess.run(
        twistd("bazaar-order", "--id=1", f"--data={folder}", listen, *options),
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "Traceback" not in ran.stdout
    return ran.stderr


def test_an_engine_with_other_partitions_is_refused_in_one_line(used: str, tmp_path: Path) -> None:
    line = "bazaar-order: partitions: the bazaar in this database was created with 1, .*\\n"
    assert re.fullmatch(line, refused(tmp_path, f"--engine={used}", "--partitions=2"))


def test_an_engine_of_a_newer_release_is_refused_in_one_line(
    servers: PostgresServers, used: str, tmp_path: Path
) -> None:
    newer = "INSERT INTO bazaar.migrations (number, name, sha256) VALUES (999, 'x', 'x')"
    servers.sql(newer, database="used")
    line = "bazaar-order: the engine: its schema has .* it is of a newer release\\n"
    assert re.fullmatch(line, refused(tmp_path, f"--engine={used}"))
    servers.sql("DELETE FROM bazaar.migrations WHERE number = 999", database="used")


def test_a_database_that_is_not_there_is_refused_in_one_line_without_the_password(
    servers: PostgresServers, tmp_path: Path
) -> None:
    url = servers.url("nowhere").replace("bazaar@", "bazaar:open-sesame@")
    said = refused(tmp_path, f"--engine={url}")
    assert re.fullmatch('bazaar-order: the engine: .*"nowhere" does not exist\\n', said)
    assert "open-sesame" not in said
