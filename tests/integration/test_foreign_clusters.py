"""Folders, addresses and options of another bazaar, and copies of folders, are recognised by real
processes, and nothing acknowledged is lost."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from twisted_bazaar.local.command_lines import twistd
from twisted_bazaar.storage.lines import CLOSING_BYTES, close_lines, resume

from .bazaar import Bazaar
from .cluster import Cluster
from .replicas import leader, verify, wait_converged
from .waiting import wait_until

pytestmark = pytest.mark.slow

DEADLINE = ("--deadline=2",)


class Addressed(Cluster):
    """A cluster whose services can be given wrong addresses of one another."""

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder, *options)
        self.wrong: dict[str, dict[str, str]] = {}
        """By service: the addresses that it is given in place of others."""

    def command(self, name: str) -> list[str]:
        wrong = self.wrong.get(name, {})
        words = super().command(name)
        return [
            f"{word[: -len(at)]}{wrong[at]}"
            if (at := word.rpartition("=")[2]) in wrong and not word.startswith("--listen")
            else word
            for word in words
        ]

    def redirect(self, name: str, about: str, to: str) -> None:
        """Give `name` the address `to` in place of that of the service `about`."""
        self.wrong.setdefault(name, {})[self.address[about]] = to


@contextmanager
def traded(folder: Path, orders: int = 1) -> Iterator[Addressed]:
    with Addressed(folder, *DEADLINE) as cluster:
        for number in range(1, orders + 1):
            buy(cluster, f"key-{number}", number)
        yield cluster


def buy(bazaar: Bazaar, key: str, number: int | None = None) -> int:
    """Buy a share under `key`, and return the status."""
    trade = {"name": "GameStart", "quantity": 1, "type": "buy"}
    answer = bazaar.request("POST", "/orders", trade, {"Idempotency-Key": key})
    if number is not None:
        assert answer.body["data"]["transaction_number"] == number, answer.body
    return answer.status


def bought(bazaar: Bazaar, key: str, number: int) -> None:
    """Buy a share under `key`, and send it again until it is known to be order `number`."""

    def known() -> bool:
        try:
            return buy(bazaar, key) == 200
        except OSError:
            return False  # the front-end starts

    wait_until(known, f"order {number}", 15, bazaar.tail)
    buy(bazaar, key, number)


def says(bazaar: Bazaar, text: str) -> None:
    """Wait until the log says `text`."""
    wait_until(lambda: text in bazaar.log.read_text("utf-8", "replace"), text, 10, bazaar.tail)


def test_the_folder_of_another_bazaar_is_refused_and_has_no_vote(
    tmp_path: Path,
) -> None:
    """Its log is longer than this bazaar's."""
    with traded(tmp_path / "other", 5) as other:
        other.stop()
    with traded(tmp_path / "own", 1) as own:
        own.kill("order-1")
        own.kill("order-2")
        shutil.rmtree(own.data / "order-1")
        shutil.copytree(other.data / "order-1", own.data / "order-1")
        own.launch("order-1")
        assert buy(own, "key-2") == 503
        own.launch("order-2")
        own.wait_ready()
        says(own, "bazaar-order: ")
        own._running.pop("order-1").wait(10)
        says(own, "of cluster")
        bought(own, "key-2", 2)
        assert own.log.read_text().count("another bazaar's") == 1


def test_the_address_of_another_bazaars_replica_stops_no_service(tmp_path: Path) -> None:
    with traded(tmp_path / "other", 3) as other, traded(tmp_path / "own", 1) as own:
        for name in ("order-2", "order-3", "frontend"):
            own.redirect(name, "order-1", other.address["order-1"])
            own.kill(name)
            own.launch(name)
        bought(own, "key-2", 2)
        says(own, "not ours")
        own.kill("order-2")
        assert buy(own, "key-3") == 503, "what the other holds is on one disk of this bazaar"
        own.launch("order-2")
        own.wait_ready()
        assert buy(other, "key-4", 4) == 200
        for bazaar in (own, other):
            assert all(process.poll() is None for process in bazaar._running.values())
        rows = {row["id"]: row for row in own.request("GET", "/replicas").body["data"]}
        assert not rows[1]["reachable"]
        assert other.request("GET", "/stocks/GameStart").body["data"]["volume"] == 4


def test_an_address_of_another_replica_or_of_itself_counts_as_unreachable(
    tmp_path: Path,
) -> None:
    with traded(tmp_path, 1) as own:
        own.redirect("order-3", "order-1", own.address["order-2"])
        own.redirect("order-2", "order-1", own.address["order-2"])
        # Replica 1, which knows the right addresses, must not be the one that leads.
        for name in ("order-1", "order-2", "order-3"):
            own.kill(name)
        own.launch("order-2")
        own.launch("order-3")
        bought(own, "key-2", 2)
        says(own, "not replica 1")
        own.launch("order-1")
        own.wrong.clear()
        for name in ("order-2", "order-3"):
            own.kill(name)
            own.launch(name)
        bought(own, "key-3", 3)
        wait_converged(own, 3)


def test_a_bazaar_of_three_is_not_run_as_one(tmp_path: Path) -> None:
    """One replica would be a majority by itself, and may lack what the others acknowledged."""
    bazaar = Bazaar(tmp_path)
    with bazaar:
        buy(bazaar, "key-1", 1)
    listen = ["--listen=tcp:0:interface=127.0.0.1", f"--data={bazaar.data}"]
    for replicas in (1, 5):
        ran = subprocess.run(
            twistd("bazaar", *listen, f"--replicas={replicas}"),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert ran.returncode == 1, ran.stderr
        assert "a cluster with replicas 1, 2, 3, not 1" in ran.stderr
    with bazaar:
        assert bazaar.request("GET", "/orders/1").body["data"]["number"] == 1


@pytest.mark.parametrize("in_place", [False, True])
def test_a_restored_folder_has_no_vote(tmp_path: Path, in_place: bool) -> None:
    """Orders 2 to 4 are on two disks, of which one is put back to order 1 and one is down."""
    with traded(tmp_path, 1) as own:
        wait_converged(own, 1)
        folder, copy = own.data / "order-2", tmp_path / "copy"
        own.kill("order-2")
        shutil.copytree(folder, copy)
        own.launch("order-2")
        wait_converged(own, 1)
        own.kill("order-1")
        for number in (2, 3, 4):
            bought(own, f"key-{number}", number)
        own.kill("order-2")
        own.kill("order-3")
        if in_place:
            shutil.copytree(copy, folder, dirs_exist_ok=True)
        else:
            shutil.rmtree(folder)
            copy.rename(folder)
        own.launch("order-1")
        own.launch("order-2")
        assert buy(own, "key-5") == 503
        own.launch("order-3")
        bought(own, "key-5", 5)
        wait_converged(own, 5)
        for number in (2, 3, 4):
            assert own.request("GET", f"/orders/{number}").status == 200
        assert {verify(own.data / f"order-{each}")[0] for each in (1, 2, 3)} == {5}


def test_a_bazaar_goes_on_after_all_folders_are_restored(tmp_path: Path) -> None:
    """What an operator does with a backup."""
    bazaar = Bazaar(tmp_path)
    with bazaar:
        buy(bazaar, "key-1", 1)
        wait_converged(bazaar, 1)
    shutil.copytree(bazaar.data, tmp_path / "backup")
    with bazaar:
        buy(bazaar, "key-2", 2)
    for number in (1, 2, 3):
        shutil.rmtree(bazaar.data / f"order-{number}")
        shutil.copytree(tmp_path / "backup" / f"order-{number}", bazaar.data / f"order-{number}")
    with bazaar:
        assert bazaar.request("GET", "/orders/2").status == 404
        buy(bazaar, "key-3", 2)
        assert bazaar.request("GET", "/stocks/GameStart").body["data"]["volume"] == 2
        assert leader(bazaar)


def test_a_log_of_a_newer_release_is_left_as_it_is(tmp_path: Path) -> None:
    with traded(tmp_path, 1) as own:
        wait_converged(own, 1)
        own.kill("order-1", signal.SIGTERM)
        (segment,) = (own.data / "order-1" / "log").iterdir()
        text = segment.read_bytes()
        newer = b'{"kind":"halted","index":9,"term":1,"at":1,"stock":"X"'
        lines, _ = close_lines([newer], resume(text[-CLOSING_BYTES:]))
        segment.write_bytes(text + lines)
        kept = segment.read_bytes()
        own.launch("order-1")
        assert own._running.pop("order-1").wait(15) == 1
        says(own, "a line of kind 'halted' is not known to this release")
        assert segment.read_bytes() == kept
        assert not list((own.data / "order-1").glob("*damaged*"))


@pytest.mark.parametrize("engine", ["embedded-postgres", "postgresql://127.0.0.1:1/none"])
def test_a_bazaar_with_logs_of_replicas_begins_none_in_an_engine(
    tmp_path: Path, engine: str
) -> None:
    log = tmp_path / "data" / "order-1" / "log"
    log.mkdir(parents=True)
    line = "holds an order log, which"
    listen = "--listen=tcp:0:interface=127.0.0.1"
    refuses(["bazaar", listen, f"--data={tmp_path / 'data'}", f"--engine={engine}"], line)
    own = ["--listen=127.0.0.1:1", f"--data={log.parent}", "--id=1", f"--engine={engine}"]
    if engine != "embedded-postgres":
        refuses(["bazaar-order", *own], line)


def test_a_bazaar_with_a_server_of_its_own_begins_none_in_files(tmp_path: Path) -> None:
    (tmp_path / "engine" / "server").mkdir(parents=True)
    listen = "--listen=tcp:0:interface=127.0.0.1"
    refuses(["bazaar", listen, f"--data={tmp_path}"], "--engine=embedded-postgres finds them")
    assert not (tmp_path / "order-1").exists()


def test_a_catalog_of_other_partitions_is_refused(tmp_path: Path) -> None:
    own = ["bazaar-catalog", "--listen=127.0.0.1:1", f"--data={tmp_path}"]
    for number in ("", "-1"):
        (tmp_path / f"catalog{number}.csv").write_text("name,price,quantity\nGameStart,15.99,1\n")
    refuses(own, "is a catalog of 2, not 1")


def refuses(command: list[str], line: str) -> None:
    """It ends with one line, which holds `line`, and with status 1."""
    ran = subprocess.run(twistd(*command), capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == 1, ran.stderr
    assert line in ran.stderr.splitlines()[-1]
    assert len(ran.stderr.splitlines()) == 1
