"""Caches and catalogs after order logs were restored, and front-ends that are paused repeatedly,
with real processes.

One front-end caches in its memory, the other one in Redis. Leases are short, to save time.
"""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from .cluster import Cluster
from .redis_server import Redis
from .waiting import wait_until

pytestmark = pytest.mark.slow

LEASE = 0.5
IN_MEMORY, IN_REDIS = BOTH = "frontend", "frontend-2"
ORDERS = "order-1", "order-2", "order-3"
TOUCHED, LEFT = "GameStart", "BoarCo"
LOST_TRADES = 8


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("memories")
    redis = Redis(folder)
    redis.start()
    frontends = {IN_MEMORY: (), IN_REDIS: (f"--cache=redis://{redis.address}",)}
    try:
        with Cluster(folder / "cluster", f"--lease={LEASE}", frontends=frontends) as cluster:
            yield cluster
    finally:
        redis.stop()


def trade(cluster: Cluster, name: str, quantity: int, at: str = IN_MEMORY) -> None:
    order = {"name": name, "quantity": quantity, "type": "sell"}
    answer = cluster.request("POST", "/orders", order, at=at)
    assert answer.status == 200, answer


def look_up(cluster: Cluster, at: str, name: str) -> tuple[int, str]:
    """The quantity that is shown, and where it came from."""
    answer = cluster.request("GET", f"/stocks/{name}", at=at)
    assert answer.status == 200, answer
    return answer.body["data"]["quantity"], answer.headers["X-Cache"]


def hits(cluster: Cluster, name: str, quantity: int) -> None:
    """Wait until both front-ends show `quantity` from their caches, and nothing else before."""
    for at in BOTH:

        def hit(at: str = at) -> bool:
            shown, source = look_up(cluster, at, name)
            assert shown == quantity, (at, source)
            return source == "hit"

        wait_until(hit, f"{at} answers lookups from its cache", why_not=cluster.tail)


def put_back(cluster: Cluster, backup: Path) -> None:
    """Replace the folders of all order replicas, as an operator would who restores a backup."""
    for name in ORDERS:
        cluster.kill(name)
    for name in ORDERS:
        shutil.rmtree(cluster.data / name)
        shutil.copytree(backup / name, cluster.data / name)
        cluster.launch(name)


def test_only_what_a_restored_log_holds_is_shown(cluster: Cluster, tmp_path: Path) -> None:
    """Catalog, Redis and front-ends remember it. Its versions come again, with other trades."""
    for name in (TOUCHED, LEFT):
        trade(cluster, name, 1)
    touched, left = (look_up(cluster, IN_MEMORY, name)[0] for name in (TOUCHED, LEFT))
    for name in ORDERS:
        cluster.kill(name)
        shutil.copytree(cluster.data / name, tmp_path / name)
        cluster.launch(name)
    for count in range(LOST_TRADES):
        trade(cluster, (TOUCHED, LEFT)[count % 2], 100)
    hits(cluster, TOUCHED, touched + LOST_TRADES // 2 * 100)
    hits(cluster, LEFT, left + LOST_TRADES // 2 * 100)
    put_back(cluster, tmp_path)
    for count in range(1, 2 * LOST_TRADES):
        trade(cluster, TOUCHED, 1)
        for at in BOTH:
            for _ in range(2):
                assert look_up(cluster, at, TOUCHED)[0] == touched + count
                assert look_up(cluster, at, LEFT)[0] == left
    hits(cluster, TOUCHED, touched + count)
    hits(cluster, LEFT, left)


class Trades(Thread):
    """A client that trades for as long as this lasts: how long it had to wait, all in all."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(daemon=True)
        self._cluster = cluster
        self._over = Event()
        self.placed = 0
        self.waited = 0.0

    def run(self) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            trade(self._cluster, TOUCHED, 1)
            took = time.monotonic() - began
            self.placed += 1
            self.waited += took if took > LEASE / 5 else 0.0

    def __enter__(self) -> "Trades":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


def test_a_front_end_that_is_paused_repeatedly_is_kept_out(cluster: Cluster) -> None:
    name = LEFT
    quantity = look_up(cluster, IN_MEMORY, name)[0]
    hits(cluster, name, quantity)
    began = time.monotonic()
    with Trades(cluster) as trades:
        for _ in range(10):
            with cluster.paused(IN_REDIS):
                time.sleep(LEASE)
            time.sleep(0.25)
    lasted = time.monotonic() - began
    assert trades.placed > 20
    assert trades.waited < 0.5 * lasted, f"{trades.waited:.1f} s of {lasted:.1f} s"
    log = cluster.log.read_text()
    address = cluster.internal[IN_REDIS]
    assert f"front-end {address} is kept out for " in log
    assert "this front-end repeatedly delayed trades" in log
    assert f"front-end {cluster.internal[IN_MEMORY]} is kept out" not in log
    ready = cluster.request("GET", "/readyz", at=IN_REDIS)
    assert (ready.status, ready.body["data"]) == (200, "ready")
    assert "this front-end repeatedly delayed trades" in ready.body["notice"]
    # It serves all the same, from the catalog.
    assert look_up(cluster, IN_REDIS, name) == (quantity, "miss")
    trade(cluster, name, 1)
    assert look_up(cluster, IN_REDIS, name) == (quantity + 1, "miss")
