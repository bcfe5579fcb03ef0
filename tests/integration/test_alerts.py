"""A real Prometheus scrapes real processes: each alert fires on a fault of its own, and ends."""

import http.client
import json
import os
import random
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import pytest

from tests.fakes.certificates import CATALOG, issuing
from tests.fakes.monitoring_files import ALERTS, RECORDED, queries
from twisted_bazaar.frontend.api.batches import MAX_BATCH_TRADES
from twisted_bazaar.security.folder import CertificateFolder

from .faulty_cluster import FaultyCluster
from .prometheus_server import SCRAPE_SECONDS, Alarms, Prometheus
from .redis_server import Redis
from .replicas import leader
from .waiting import wait_until

pytestmark = pytest.mark.slow

STOCKS = ("GameStart", "FishCo", "BoarCo", "MenhirCo")
REPLICAS = ("order-1", "order-2", "order-3")
UNREAD = "frontend-2"
"""The service whose output nobody reads."""
TRADERS = 3
THINK_SECONDS = 0.02
FIRES_WITHIN = 30.0
ENDS_WITHIN = 90.0
BATCHES = 80
HOLD_SECONDS = 0.5
"""For how long a front-end stands still at a time."""


class MonitoredCluster(FaultyCluster):
    """A cluster in which the output of one front-end goes to a pipe that is not read."""

    def __init__(self, folder: Path, redis: Redis) -> None:
        cached = (f"--cache=redis://{redis.address}",)
        super().__init__(
            folder,
            frontends={"frontend": cached, UNREAD: (*cached, "--log-level=debug")},
            tls=True,
        )
        self._pipe = os.pipe()
        self._name = ""

    def command(self, name: str) -> list[str]:
        archiving = [f"--archive={self.archive}", "--keep=1", "--segment=4KiB"]
        return [*super().command(name), *(archiving if name == "order-1" else [])]

    @property
    def archive(self) -> Path:
        """Of a replica whose log is short."""
        return self.folder / "archive"

    def launch(self, name: str) -> None:
        self._name = name
        super().launch(name)

    def _open_output(self) -> IO[bytes]:
        if self._name == UNREAD:
            return open(os.dup(self._pipe[1]), "wb")
        return super()._open_output()

    def read_all(self) -> None:
        """From now on, what nobody read is read."""
        reading = threading.Thread(target=self._read, name="reader", daemon=True)
        reading.start()

    def _read(self) -> None:
        while os.read(self._pipe[0], 1 << 20):
            pass

    @property
    def targets(self) -> dict[str, list[str]]:
        """What Prometheus scrapes."""
        return {
            "bazaar-frontend": [str(at) for at in self.internal.values()],
            "bazaar-catalog": [self.address["catalog"]],
            "bazaar-order": [self.address[name] for name in REPLICAS],
        }


class Visitors:
    """Clients that trade and look stocks up at one front-end, whatever they are answered."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._stop = threading.Event()
        doing = [self._look_up, *[self._trade] * TRADERS]
        self._threads = [threading.Thread(target=self._run, args=(each,)) for each in doing]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, visit: "Visit") -> None:
        choose = random.Random(1)
        connection = http.client.HTTPConnection(self._address, timeout=10)
        while not self._stop.wait(THINK_SECONDS):
            try:
                visit(connection, choose.choice(STOCKS), choose.choice(("buy", "sell")))
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                connection.close()
        connection.close()

    @staticmethod
    def _look_up(connection: http.client.HTTPConnection, name: str, side: str) -> None:
        connection.request("GET", f"/stocks/{name}")

    @staticmethod
    def _trade(connection: http.client.HTTPConnection, name: str, side: str) -> None:
        trade = json.dumps({"name": name, "quantity": 1, "type": side})
        connection.request("POST", "/orders", trade, {"Content-Type": "application/json"})


Visit = type(Visitors._look_up)


class Row(NamedTuple):
    """What is printed."""

    alert: str
    fault: str
    fired: float
    """So many seconds after the fault began."""
    since: float
    """When the fault ended."""


class World:
    """What the faults are made in."""

    def __init__(
        self, cluster: MonitoredCluster, redis: Redis, prometheus: Prometheus, alarms: Alarms
    ) -> None:
        self.cluster = cluster
        self.redis = redis
        self.prometheus = prometheus
        self.alarms = alarms
        self.rows: list[Row] = []

    @contextmanager
    def fault(self, what: str, *alerts: str) -> Iterator[None]:
        """Within, a fault is made; when the block ends, wait until these alerts have fired."""
        begun = time.monotonic()
        yield
        wait_until(
            lambda: all(self.alarms.first(name, begun) is not None for name in alerts),
            f"{what}: {', '.join(alerts)}",
            FIRES_WITHIN,
            lambda: f"firing: {sorted(self.alarms.firing)}\n{self.cluster.tail()}",
        )
        now = time.monotonic()
        for name in alerts:
            self.rows.append(Row(name, what, self.alarms.first(name, begun) or 0.0, now))

    def ended(self, *names: str) -> None:
        """Wait until these alerts do not fire: before a fault that they are to show."""
        wait_until(lambda: not self.alarms.firing & set(names), f"{names} end", ENDS_WITHIN)

    def up(self, name: str) -> str | None:
        """When the process of `name` was started that Prometheus saw last; None: it is down."""
        at = str(self.cluster.internal.get(name, self.cluster.address[name]))
        found = self.prometheus.query(f'process_start_time_seconds{{instance="{at}"}}')
        return str(found[0]["value"][1]) if found else None

    def restart(self, name: str) -> None:
        """Kill it, start it, and wait until Prometheus has seen both."""
        before = self.up(name)
        self.cluster.kill(name)
        self.cluster.launch(name)
        wait_until(lambda: self.up(name) not in (None, before), f"{name} is up", 20.0)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("alerts")
    if shutil.which("prometheus") is None:
        pytest.skip("Prometheus is not installed: Debian has it as the package prometheus")
    redis = Redis(folder)
    redis.start()
    with ExitStack() as stack:
        stack.callback(redis.stop)
        cluster = stack.enter_context(MonitoredCluster(folder / "cluster", redis))
        stack.callback(cluster.kill_all)
        prometheus = stack.enter_context(Prometheus(folder, cluster.targets, cluster.certificates))
        stack.enter_context(Visitors(cluster.address["frontend"]))
        alarms = stack.enter_context(Alarms(prometheus))
        yield World(cluster, redis, prometheus, alarms)


def test_every_alert_fires_on_its_fault_and_ends_after_it(world: World) -> None:
    wait_until(lambda: len(world.prometheus.query("up == 1")) == 6, "all are scraped", 20.0)
    quiet(world)
    restarts(world)
    a_certificate_expires(world)
    an_archive_cannot_be_written(world)
    a_replica_stops_and_another_loses_its_disk(world)
    the_catalog_stops(world)
    nobody_reads(world)
    slow_ones(world)
    answers(world.prometheus)
    for name in ALERTS:
        world.ended(name)
    show(world)
    assert {row.alert for row in world.rows} == set(ALERTS)
    for name, texts in world.alarms.texts.items():
        assert "error" not in str(texts).lower() or name == "BazaarHttpErrors", texts
        assert "<no value>" not in str(texts), texts


def quiet(world: World) -> None:
    """A bazaar without faults has no alert, for a while."""
    since = time.monotonic()

    def nothing() -> bool:
        nonlocal since
        if world.alarms.firing:
            since = time.monotonic()
        return time.monotonic() - since > 5.0

    wait_until(nothing, "no alert fires", ENDS_WITHIN, lambda: str(world.alarms.texts))


def restarts(world: World) -> None:
    with world.fault("Redis is killed", "BazaarCacheDown"):
        world.redis.kill()
    world.redis.start()
    with (
        world.fault("the leader is killed three times", "BazaarElectionsFrequent"),
        world.fault("a front-end is killed three times", "BazaarRestarts"),
    ):
        for _ in range(3):
            first = leader(world.cluster)
            world.restart(UNREAD)
            world.restart(first)
            wait_until(world.cluster.is_ready, "ready", 20.0, world.cluster.tail)


def a_certificate_expires(world: World) -> None:
    assert world.cluster.certificates is not None
    certificates = CertificateFolder(world.cluster.certificates)
    with world.fault("a certificate is for 13 days", "BazaarCertificateExpires"):
        certificates.issue([CATALOG], issuing(days=13))
    certificates.issue([CATALOG], issuing())


def an_archive_cannot_be_written(world: World) -> None:
    archive = world.cluster.archive
    wait_until(archive.exists, "entries are archived", 20.0, world.cluster.tail)
    with (
        world.fault("the folder of an archive is a file", "BazaarArchiveFails"),
        # It would make the folder again in between.
        world.cluster.paused("order-1"),
    ):
        aside = archive.rename(archive.with_name("aside"))
        archive.touch()
    archive.unlink()
    aside.rename(archive)


def a_replica_stops_and_another_loses_its_disk(world: World) -> None:
    cluster = world.cluster
    first = leader(cluster)
    stopped, wiped = [name for name in REPLICAS if name != first]
    world.ended("BazaarProcessDown", "BazaarFollowerLags")
    with cluster.paused(stopped):
        with world.fault("a follower is stopped", "BazaarProcessDown", "BazaarFollowerLags"):
            pass
        with world.fault(
            "a follower is stopped, another loses its disk",
            *("BazaarReplicaSuspect", "BazaarNoLeader", "BazaarFrontendNotReady"),
            *("BazaarOutcomesUnknown", "BazaarHttpErrors", "BazaarTradesSlow"),
        ):
            cluster.kill(wiped)
            shutil.rmtree(cluster.data / wiped)
            cluster.launch(wiped)
    wait_until(cluster.is_ready, "ready", 30.0, cluster.tail)


def the_catalog_stops(world: World) -> None:
    alerts = "BazaarNoCatalogLease", "BazaarFrontendWithoutLease"
    world.ended(*alerts)
    with world.cluster.paused("catalog"), world.fault("the catalog is stopped", *alerts):
        pass


def nobody_reads(world: World) -> None:
    with world.fault("nobody reads a front-end's output", "BazaarLogLinesDropped"):
        flood(world.cluster.address[UNREAD])
    world.cluster.read_all()


def slow_ones(world: World) -> None:
    cluster = world.cluster
    world.ended("BazaarEventLoopBlocked", "BazaarKeptOut", "BazaarDiskSlow")
    cluster.delay(0.2, *REPLICAS)
    ended = threading.Event()
    hanging = threading.Thread(target=stumble, args=(cluster, ended), name="stumble")
    hanging.start()
    try:
        with (
            world.fault("a front-end is stopped over and over", "BazaarEventLoopBlocked"),
            world.fault("a front-end is stopped over and over", "BazaarKeptOut"),
            world.fault("each write takes 0.2 s longer", "BazaarDiskSlow"),
        ):
            pass
    finally:
        ended.set()
        hanging.join()
        cluster.delay(0.0, *REPLICAS)


def stumble(cluster: MonitoredCluster, ended: threading.Event) -> None:
    """Stop a front-end half of the time, one at which nobody trades: trades elsewhere wait."""
    while not ended.wait(HOLD_SECONDS):
        with cluster.paused(UNREAD):
            time.sleep(HOLD_SECONDS)


def flood(address: str) -> None:
    """Trade until the lines about it, one for each trade, are more than a service keeps."""
    connection = http.client.HTTPConnection(address, timeout=10)
    sides = ("buy", "sell") * (MAX_BATCH_TRADES // 2)
    trades = [{"name": STOCKS[0], "quantity": 1, "type": side} for side in sides]
    headers = {"Content-Type": "application/json", "X-Request-Id": "flood" * 12}
    for _ in range(BATCHES):
        connection.request("POST", "/orders/batch", json.dumps({"orders": trades}), headers)
        connection.getresponse().read()
    connection.close()


def answers(prometheus: Prometheus) -> None:
    """Every rule is evaluated, and every query of the dashboard has something to show."""
    for rule in prometheus.rules():
        assert rule["health"] == "ok", rule
    for query in queries():
        # What marks a moment is empty at others.
        lately = f"max_over_time(({query.expr})[5m:1s])"
        assert prometheus.query(query.expr) or prometheus.query(lately), query
    assert all(prometheus.query(name) for name in RECORDED)


def show(world: World) -> None:
    print()
    print(f"  scraped every {SCRAPE_SECONDS} s, times of rules a twentieth of theirs")
    print(f"  {'alert':<28}{'fault':<48}{'fires':>7}{'ends':>7}")
    for row in world.rows:
        over = world.alarms.over(row.alert, row.since)
        print(f"  {row.alert:<28}{row.fault:<48}{row.fired:>6.1f}s{over or 0:>6.1f}s")
