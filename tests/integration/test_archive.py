"""Real replicas whose first entries have left the log."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.commands import run

from .bazaar import Bazaar
from .cluster import Cluster
from .replicas import leader, verify_all, wait_converged
from .waiting import wait_until

pytestmark = pytest.mark.slow

ORDERS = 300


class ShortLogs(Cluster):
    """Replicas that keep few entries in their logs."""

    def command(self, name: str) -> list[str]:
        short = ["--segment=8KiB", "--keep=20"] if name.startswith("order") else []
        return [*super().command(name), *short]

    def log_files(self, name: str) -> list[Path]:
        return sorted((self.data / name / "log").glob("*.jsonl"))

    def archived(self, name: str) -> list[Path]:
        return sorted((self.data / name / "archive").glob("*.zst"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShortLogs]:
    """Shared by the tests that use it; each places the first orders, once."""
    with ShortLogs(tmp_path_factory.mktemp("short") / "cluster") as running:
        yield running


def trade(number: int) -> dict[str, object]:
    side = ("sell", "buy")[number % 2]
    key = f"key-{number}"
    return {"name": "GameStart", "type": side, "quantity": 1, "client_order_id": key}


def place(cluster: Bazaar, first: int, last: int) -> None:
    """Place the orders `first` to `last`, ten in a request."""
    for at in range(first, last + 1, 10):
        batch = [trade(number) for number in range(at, min(at + 10, last + 1))]
        answer = cluster.request("POST", "/orders/batch", {"orders": batch})
        assert answer.status == 200, answer


def wait_short(cluster: ShortLogs, *names: str) -> None:
    """Wait until the first segments of these replicas have left."""

    def short() -> bool:
        return all(
            len(cluster.log_files(name)) <= 2 and len(cluster.archived(name)) > 3 for name in names
        )

    wait_until(short, "segments have left", 20, cluster.tail)


def check_reads(cluster: Bazaar, last: int) -> None:
    """The first and the last order are answered, by number, by key and in lists."""
    for number in (1, 2, last):
        order = cluster.request("GET", f"/orders/{number}").body["data"]
        assert order["number"] == number
        found = cluster.request("GET", f"/orders?client_order_id={order['client_order_id']}")
        assert [each["number"] for each in found.body["data"]] == [number]
    listed = cluster.request("GET", "/orders?stock=GameStart&limit=5").body["data"]
    assert [each["number"] for each in listed] == [1, 2, 3, 4, 5]


def test_orders_that_have_left_the_logs_are_answered_verified_and_exported(
    cluster: ShortLogs,
) -> None:
    place(cluster, 1, ORDERS)
    wait_short(cluster, "order-1", "order-2", "order-3")
    check_reads(cluster, ORDERS)
    wait_converged(cluster, ORDERS)
    cluster.kill("order-3")
    cluster.launch("order-3")
    wait_converged(cluster, ORDERS)
    check_reads(cluster, ORDERS)
    again = cluster.request("POST", "/orders", trade(1))
    assert again.body["data"]["transaction_number"] == 1
    verify_all(cluster)
    exported = run_tool("export", str(cluster.data / "order-3"))
    assert len(exported.splitlines()) == ORDERS + 1


def test_a_replica_with_an_empty_folder_takes_a_snapshot_while_trades_flow_and_then_leads(
    cluster: ShortLogs,
) -> None:
    place(cluster, 1, ORDERS)
    wait_short(cluster, "order-1", "order-2", "order-3")
    cluster.kill("order-3")
    shutil.rmtree(cluster.data / "order-3")
    last = ORDERS
    for _ in range(2):
        # It is killed once, as soon as the snapshot is there, and goes on.
        cluster.launch("order-3")
        for _ in range(3):
            place(cluster, last + 1, last + 20)
            last += 20
        wait_until(
            lambda: (cluster.data / "order-3" / "log" / "begin").exists(),
            "it has a snapshot",
            20,
            cluster.tail,
        )
        cluster.kill("order-3")
    cluster.launch("order-3")
    wait_converged(cluster, last)
    # The highest id leads again once the others are away.
    cluster.kill(leader(cluster))
    wait_until(lambda: leader(cluster) == "order-3", "it leads", 20, cluster.tail)
    place(cluster, last + 1, last + 20)
    check_reads(cluster, last)

    def is_replayed() -> bool:
        again = cluster.request("POST", "/orders", trade(1))
        if again.status == 503:
            # What is before the snapshot is still being fetched.
            return False
        assert again.body["data"]["transaction_number"] == 1, again
        return True

    wait_until(is_replayed, "the first trade is replayed", 20, cluster.tail)
    assert cluster.archived("order-3")


def test_the_replicas_of_a_bazaar_archive_in_one_place(tmp_path: Path) -> None:
    place_of_all = tmp_path / "archive"
    options = ("--keep=20", f"--archive={place_of_all}", "--cache=memory")
    bazaar = Bazaar(tmp_path / "bazaar", *options, environment={"BAZAAR_SEGMENT": "8KiB"})
    replicas = [bazaar.data / f"order-{number}" for number in (1, 2, 3)]

    def short() -> bool:
        return all(
            (folder / "log" / "begin").exists() and len(list(folder.glob("log/*.jsonl"))) <= 2
            for folder in replicas
        )

    with bazaar:
        place(bazaar, 1, ORDERS)
        wait_until(short, "segments have left", 20, bazaar.tail)
        check_reads(bazaar, ORDERS)
    assert not [folder for folder in replicas if (folder / "archive").exists()]
    for folder in replicas:
        verified = run_tool("verify", str(folder))
        assert f"last_number={ORDERS}" in verified, verified
    with bazaar:
        check_reads(bazaar, ORDERS)
    place_of_all.rename(tmp_path / "elsewhere")
    with bazaar:
        assert bazaar.request("POST", "/orders", trade(ORDERS + 1)).status == 200
        with ThreadPoolExecutor(2) as threads:
            # Both are in one batch, again and again.
            lost = [threads.submit(bazaar.request, "POST", "/orders", trade(1)) for _ in range(20)]
            place(bazaar, ORDERS + 2, ORDERS + 101)
        reasons = {each.result().body["error"]["reason"] for each in lost}
    assert reasons == {"outcome_unknown"}


def run_tool(*arguments: str) -> str:
    """What a tool of ours prints."""
    ran = run(*arguments)
    assert ran.returncode == 0, ran
    return ran.stdout
