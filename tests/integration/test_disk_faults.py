"""Real replicas on disks that are slow, fail, are full or damaged, while clients trade."""

import contextlib
import os
import resource
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.commands import run
from twisted_bazaar.rpc.serving.server import GRACE_SECONDS
from twisted_bazaar.storage.index import witness_in
from twisted_bazaar.storage.logfile import LogReader

from .faulty_cluster import FaultyCluster
from .replicas import leader, verify_all, wait_converged
from .trader import Trader, check_nothing_lost
from .waiting import wait_until

STOCKS = ["GameStart", "FishCo", "BoarCo", "MenhirCo"]
REPLICAS = ("order-1", "order-2", "order-3")
WAIT_SECONDS = 0.7
"""More than two election timeouts, and less than a client waits."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyCluster]:
    """Shared by all tests here; each leaves it without faults."""
    with FaultyCluster(tmp_path_factory.mktemp("disk") / "cluster") as running:
        assert isinstance(running, FaultyCluster)
        yield running
        # How they stop is not the matter here: what was just damaged may still be recalled.
        running.kill_all()


@pytest.fixture(scope="module")
def everything(cluster: FaultyCluster) -> Iterator[Trader]:
    """Who has traded here so far, and remembers all that was promised."""
    with Trader(cluster.address["frontend"], STOCKS, clients=0) as nobody:
        yield nobody


@contextlib.contextmanager
def trading(cluster: FaultyCluster, everything: Trader) -> Iterator[Trader]:
    seed = 1 + len(everything.acknowledged)
    with Trader(cluster.address["frontend"], STOCKS, clients=3, seed=seed) as trader:
        wait_trading(trader)
        yield trader
    everything.acknowledged += trader.acknowledged
    everything.failed += trader.failed
    assert everything.failed == []
    wait_converged(cluster, trader.last_number)
    check_nothing_lost(cluster, everything)
    verify_all(cluster)


def wait_trading(trader: Trader, orders: int = 10) -> None:
    wanted = len(trader.acknowledged) + orders
    wait_until(lambda: len(trader.acknowledged) >= wanted, f"{orders} more orders", 15)


def back(cluster: FaultyCluster, name: str) -> None:
    cluster.launch(name)
    number = int(name[-1])

    def is_reachable() -> bool:
        rows = cluster.request("GET", "/replicas").body["data"]
        return any(row["id"] == number and row["reachable"] for row in rows)

    wait_until(is_reachable, f"{name} is back", 15, cluster.tail)


def test_a_trade_is_acknowledged_only_once_it_is_on_the_disks_of_a_majority(
    cluster: FaultyCluster, everything: Trader
) -> None:
    """What a `kill -9` cannot show: nothing is lost by it, on disk or not."""
    with trading(cluster, everything):
        pass
    first = leader(cluster)
    others = [name for name in REPLICAS if name != first]
    holds = [cluster.fault(name, "hold") for name in (first, others[0])]
    answers: list[object] = []
    order = {"name": "GameStart", "quantity": 1, "type": "sell"}

    def place() -> None:
        answers.append(cluster.request("POST", "/orders", order, {"Idempotency-Key": "held"}))

    placing = threading.Thread(target=place)
    placing.start()
    wait_until(lambda: "held" in newest_lines(cluster, first), "the leader has written it")
    time.sleep(WAIT_SECONDS)
    assert answers == [], "acknowledged, though one disk of three had it"
    holds[1].unlink()
    placing.join(10)
    assert [answer.status for answer in answers] == [200]  # type: ignore[attr-defined]
    holds[0].unlink()


def newest_lines(cluster: FaultyCluster, name: str) -> str:
    return max((cluster.data / name / "log").iterdir()).read_text()[-2000:]


def limit_size(cluster: FaultyCluster, name: str) -> None:
    """The system lets no file of the process grow beyond what its log has now, and a little."""
    size = max((cluster.data / name / "log").iterdir()).stat().st_size + 300
    resource.prlimit(cluster.pid_of(name), resource.RLIMIT_FSIZE, (size, size))


def fault(kind: str) -> Callable[[FaultyCluster, str], None]:
    def turn_on(cluster: FaultyCluster, name: str) -> None:
        cluster.fault(name, kind)

    return turn_on


@pytest.mark.parametrize(
    ("break_disk", "who", "said"),
    [
        (fault("sync"), "leader", "the log cannot be written: [Errno 5] Input/output error"),
        (fault("full"), "leader", "the log cannot be written: [Errno 28] No space left on device"),
        (limit_size, "follower", ""),
    ],
    ids=["sync", "full", "limit"],
)
def test_a_replica_whose_disk_fails_stops_in_order_and_can_be_restarted(
    cluster: FaultyCluster,
    everything: Trader,
    break_disk: Callable[[FaultyCluster, str], None],
    who: str,
    said: str,
) -> None:
    with trading(cluster, everything) as trader:
        first = leader(cluster)
        name = first if who == "leader" else next(each for each in REPLICAS if each != first)
        before = len(cluster.log.read_text())
        broken = time.monotonic()
        break_disk(cluster, name)
        status, log = cluster.wait_ended(name)
        assert time.monotonic() - broken < GRACE_SECONDS, "answers that cannot come were awaited"
        lines = [line for line in log[before:].splitlines() if line.startswith("bazaar-order:")]
        assert (status, len(lines)) == (1, 1), log[before:]
        assert said in lines[0]
        assert "Traceback" not in log[before:]
        wait_trading(trader)
        for each in (cluster.folder / "faults" / name).iterdir():
            each.unlink()
        back(cluster, name)
        wait_trading(trader)


def flip(path: Path, what: bytes) -> None:
    """Flip a bit in the first line of `path` that holds `what`."""
    text = bytearray(path.read_bytes())
    text[text.index(what)] ^= 1
    with path.open("r+b") as file:
        file.write(text)


def first_segment(cluster: FaultyCluster, name: str) -> Path:
    return min((cluster.data / name / "log").iterdir())


def cut(cluster: FaultyCluster, name: str) -> None:
    path = max((cluster.data / name / "log").iterdir())
    os.truncate(path, path.stat().st_size * 2 // 3)


def damage(cluster: FaultyCluster, name: str) -> None:
    flip(first_segment(cluster, name), b'"number":5,')


def forget(cluster: FaultyCluster, name: str) -> None:
    (cluster.data / name / "mark").unlink()


def keep(cluster: FaultyCluster, name: str) -> None:
    """Copy the log and the mark as they are now, for `put_back`."""
    copy = cluster.folder / "copy"
    shutil.copytree(cluster.data / name / "log", copy / "log")
    shutil.copy(cluster.data / name / "mark", copy / "mark")


def put_back(cluster: FaultyCluster, name: str) -> None:
    """The log and the mark are as they once were; only the index knows of more."""
    folder = cluster.data / name
    known = witness_in(folder / "index.sqlite")
    assert known is not None
    shutil.rmtree(folder / "log")
    shutil.copytree(cluster.folder / "copy", folder, dirs_exist_ok=True)
    assert LogReader(folder).last_index < known.index


def wait_healed(cluster: FaultyCluster, name: str, after: int) -> None:
    """Wait until `name` has said, in the log after so many characters, that it is suspect, and
    has become trusted again."""
    said = f"{name}: suspect, until all other replicas have been asked: "
    wait_until(lambda: said in cluster.log.read_text()[after:], said, 15, cluster.tail)
    mark = cluster.data / name / "mark"
    wait_until(lambda: '"suspect":null' in mark.read_text(), f"{name} is trusted", 15, cluster.tail)


def test_a_damaged_replica_says_so_and_gets_everything_from_the_others(
    cluster: FaultyCluster, everything: Trader
) -> None:
    with trading(cluster, everything) as trader:
        cluster.kill("order-3")
        keep(cluster, "order-3")
        back(cluster, "order-3")
        wait_trading(trader, 50)
        for spoil, name in (
            (damage, leader(cluster)),
            (cut, "order-1"),
            (forget, "order-2"),
            (put_back, "order-3"),
        ):
            cluster.kill(name)
            before = len(cluster.log.read_text())
            spoil(cluster, name)
            back(cluster, name)
            wait_healed(cluster, name, before)
            assert (cluster.data / name / "log.damaged-1").is_dir()
            wait_trading(trader)


def test_damage_found_at_run_time_stops_a_replica_and_a_restart_recovers_it(
    cluster: FaultyCluster, everything: Trader
) -> None:
    name = leader(cluster)
    with trading(cluster, everything) as trader:
        wait_until(lambda: indexed(cluster, name), "the first orders are read from the file", 10)
        before = len(cluster.log.read_text())
        flip(first_segment(cluster, name), b'"number":3,')
        answer = cluster.request("GET", "/orders/3")
        assert (answer.status, answer.body["data"]["number"]) == (200, 3)
        status, log = cluster.wait_ended(name)
        assert status == 1
        assert "line" in log.rpartition("bazaar-order: ")[2].splitlines()[0]
        back(cluster, name)
        wait_healed(cluster, name, before)
        wait_trading(trader)


def indexed(cluster: FaultyCluster, name: str) -> bool:
    known = witness_in(cluster.data / name / "index.sqlite")
    return known is not None and known.index > 20


def test_two_damaged_replicas_stop_and_say_so(cluster: FaultyCluster) -> None:
    """They never guess: a person must say which of them is to be believed."""
    damaged = ("order-1", "order-2")
    for name in damaged:
        cluster.kill(name)
        damage(cluster, name)
    for name in damaged:
        cluster.launch(name)
    name = wait_until(lambda: cluster.has_ended(*damaged), "one stops", 15, cluster.tail)
    status, log = cluster.wait_ended(name)
    assert status == 1
    assert "there is nobody to recall it from" in log
    for name in damaged:
        ran = run("verify", cluster.data / name)
        assert ran.returncode == 1
        assert f"{name}: suspect, may lack orders: " in ran.stderr
        assert "line " in ran.stderr
