"""Real replicas elect a leader while disks are slow, and while the highest id cannot lead."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .cluster import Cluster
from .faulty_cluster import FaultyCluster
from .replicas import leader, wait_converged
from .waiting import wait_until

pytestmark = pytest.mark.slow

REPLICAS = ("order-1", "order-2", "order-3")


class ElectingCluster(FaultyCluster):
    """A cluster in which replica 3 may not reach replica 1, which all others call by a name."""

    no_names = False
    """Whether replica 3, when it is launched, finds no address for any name."""

    def command(self, name: str) -> list[str]:
        return [
            each.replace("127.0.0.1", "localhost") if each.startswith("--peer=1=") else each
            for each in super().command(name)
        ]

    def launch(self, name: str) -> None:
        if not (self.no_names and name == "order-3"):
            super().launch(name)
            return
        ours = self._environment
        folder = str(Path(__file__).parent / "hang_injection")
        sign = str(self.folder / "hangs")
        self._environment = {**ours, "PYTHONPATH": folder, "HANG": "names", "HANG_SIGN": sign}
        # Without the slow disks, which are injected in the same way.
        Cluster.launch(self, name)
        self._environment = ours

    def rows(self) -> dict[str, Any]:
        """What `/replicas` says of each, by the name of its process."""
        return {f"order-{row['id']}": row for row in self.request("GET", "/replicas").body["data"]}

    def buys(self, within: float) -> None:
        """A share can be bought within so many seconds."""
        order = {"name": "MenhirCo", "type": "buy", "quantity": 1}

        def bought() -> bool:
            return self.request("POST", "/orders", order).status == 200

        wait_until(bought, "a share is bought", within, self.tail)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ElectingCluster]:
    with ElectingCluster(tmp_path_factory.mktemp("elections") / "cluster") as running:
        assert isinstance(running, ElectingCluster)
        yield running
        running.kill_all()


def fail_over(cluster: ElectingCluster, within: float) -> str:
    """Kill the leader, and wait for another one that trades; then start the first again."""
    first = leader(cluster)
    cluster.kill(first)

    def replaced() -> str | None:
        rows = cluster.rows()
        names = [name for name in rows if rows[name]["role"] == "leader" and name != first]
        return names[0] if names else None

    name = wait_until(replaced, "another leads", within, cluster.tail)
    assert name is not None
    cluster.buys(within)
    cluster.launch(first)
    return str(name)


def test_a_suspect_with_the_highest_id_delays_no_election(cluster: ElectingCluster) -> None:
    """Replica 3 has lost its disk and does not reach replica 1, from which it would have to
    recall; replica 2 restarts."""
    cluster.buys(5)
    cluster.kill("order-3")
    shutil.rmtree(cluster.data / "order-3")
    cluster.no_names = True
    cluster.launch("order-3")
    wait_until(lambda: cluster.rows()["order-3"]["role"] == "suspect", "suspect", 10, cluster.tail)
    if leader(cluster) == "order-1":
        fail_over(cluster, 5)
    cluster.kill("order-2")
    cluster.launch("order-2")
    cluster.buys(8)
    assert cluster.rows()["order-3"]["role"] == "suspect"
    cluster.no_names = False
    cluster.kill("order-3")
    cluster.launch("order-3")
    wait_converged(cluster, 2)


@pytest.mark.parametrize(("seconds", "within"), [(0.16, 4.0), (0.6, 6.0)])
def test_fail_over_on_slow_disks_succeeds_within_its_bound(
    cluster: ElectingCluster, seconds: float, within: float
) -> None:
    """160 ms are more than half an election timeout, 600 ms are two."""
    cluster.delay(seconds, *REPLICAS)
    try:
        cluster.buys(within)
        name = fail_over(cluster, within)
        rows = cluster.rows()
        assert rows[name]["disk_seconds"] >= seconds
        terms = rows[name]["term"]
        began = time.monotonic()
        while time.monotonic() < began + 1.0:
            cluster.buys(within)
        rows = cluster.rows()
        assert (rows[name]["role"], rows[name]["term"]) == ("leader", terms), "it keeps its place"
    finally:
        cluster.delay(0.0, *REPLICAS)
    said = [line for line in cluster.log.read_text().splitlines() if "the disk is slow" in line]
    assert any(f"{cluster.data / name}: " in line for line in said)
