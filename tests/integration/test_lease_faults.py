"""Lease holders, front-ends and catalogs, are killed and paused.

Three front-ends cache in their own memory. Two catalogs, each with a folder of its own, follow
the order replicas; front-ends look stocks up at the one that holds the leader's lease.
"""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import grpc
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults

from tests.fakes.certificates import FRONTEND
from twisted_bazaar.local.command_lines import twistd
from twisted_bazaar.rpc.bazaar.v1 import market_pb2
from twisted_bazaar.rpc.bazaar.v1.catalog_pb2_grpc import CatalogStub
from twisted_bazaar.timing import Timing

from .bazaar import STOP_SECONDS
from .cluster import Cluster
from .delays import Bound, Delays, measure
from .inside import channel_to
from .traffic import PATIENT_SECONDS, STOCKS, now, traffic

FRONTENDS = "frontend", "frontend-2", "frontend-3"
CATALOGS = "catalog", "catalog-2"
LEASE = Timing().lease
ABOUT_A_LEASE = LEASE + 0.5
ONCE = Bound(longest=ABOUT_A_LEASE, others=0.9 * LEASE)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Shared by all tests here; each leaves it without faults."""
    with Cluster(
        tmp_path_factory.mktemp("lease") / "cluster",
        frontends=dict.fromkeys(FRONTENDS, ()),
        catalogs=dict.fromkeys(CATALOGS, ()),
    ) as running:
        yield running


# Front-ends.


@pytest_twisted.ensureDeferred
async def test_a_killed_front_end_delays_trades_once_and_caches_again_after_its_restart(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    *others, killed = FRONTENDS

    async def with_fault() -> Delays:
        async with traffic(cluster, *FRONTENDS) as clients:
            await clients.shown("hit", *FRONTENDS)
            began = now()
            with cluster.without(killed):
                await clients.trading(*others)
            await clients.trading(*FRONTENDS)
            await clients.shown("hit", *FRONTENDS)
        return Delays(clients.gaps(began, *others))

    await measure(capsys, "a front-end killed", with_fault, ONCE)


@pytest_twisted.ensureDeferred
async def test_a_front_end_paused_past_its_lease_delays_trades_once_and_shows_nothing_old(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    *others, paused = FRONTENDS

    async def with_fault() -> Delays:
        async with traffic(cluster, *FRONTENDS) as clients:
            await clients.shown("hit", *FRONTENDS)
            began = now()
            with cluster.paused(paused):
                await clients.pause(LEASE)
                await clients.trading(*others, orders=20)
                # It finds these in its sockets when it resumes, with its memory unchanged.
                first = [Deferred.fromCoroutine(clients.lookup(paused, name)) for name in STOCKS]
                await clients.pause(0.05)
            assert [call.status for call in await gatherResults(first)] == [200] * len(STOCKS)
            await clients.shown("hit", *FRONTENDS)
        return Delays(clients.gaps(began, *others))

    delays = await measure(capsys, "a front-end paused", with_fault, ONCE)
    assert delays.trades[0] > LEASE / 2


# Catalogs.


class Catalogs:
    """The catalogs, asked without a front-end in between."""

    def __init__(self, cluster: Cluster) -> None:
        channels = {name: channel_to(cluster, name, FRONTEND) for name in CATALOGS}
        self._stubs = {name: CatalogStub(channel) for name, channel in channels.items()}
        self._channels = channels.values()
        self._asked: dict[str, Any] = {}

    def ask(self, name: str) -> Any:
        """A question for all stocks, with `done`, `code` and `result`."""
        request = market_pb2.LookupRequest(all=True)
        return self._stubs[name].Lookup.future(request, timeout=PATIENT_SECONDS)

    def that_answers(self) -> str | None:
        """The one that holds the leader's lease, as far as is known yet: to be polled."""
        for name in CATALOGS:
            asked = self._asked.get(name)
            if asked is None:
                self._asked[name] = self.ask(name)
            elif asked.done():
                del self._asked[name]
                if asked.code() is grpc.StatusCode.OK:
                    return name
        return None

    def close(self) -> None:
        for channel in self._channels:
            channel.close()


@pytest.fixture
def catalogs(cluster: Cluster) -> Iterator[Catalogs]:
    asked = Catalogs(cluster)
    yield asked
    asked.close()


def killed(cluster: Cluster) -> AbstractContextManager[None]:
    return cluster.without(*CATALOGS)


@contextmanager
def paused(cluster: Cluster) -> Iterator[None]:
    with ExitStack() as all_of_them:
        for name in CATALOGS:
            all_of_them.enter_context(cluster.paused(name))
        yield


Fault = Callable[[Cluster], AbstractContextManager[None]]


@pytest_twisted.ensureDeferred
async def test_lookups_go_on_when_the_catalog_is_killed_and_the_standby_takes_over(
    cluster: Cluster, catalogs: Catalogs, capsys: pytest.CaptureFixture[str]
) -> None:
    async def with_fault() -> Delays:
        async with traffic(cluster, *FRONTENDS) as clients:
            await clients.shown("hit", *FRONTENDS)
            killed = await clients.until(catalogs.that_answers, "a catalog answers")
            began = now()
            with cluster.without(killed):
                other = await clients.until(catalogs.that_answers, "another catalog answers")
                assert other != killed
                await clients.shown("hit", *FRONTENDS)
            await clients.until(lambda: cluster.listens(killed), "it is back")
            await clients.trading(*FRONTENDS)
        return Delays(clients.gaps(began), clients.gaps(began, lookups=True)[0])

    bound = Bound(longest=ABOUT_A_LEASE, lookup=ABOUT_A_LEASE)
    for which in "one catalog", "the other":
        await measure(capsys, f"{which} killed", with_fault, bound)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "fault",
    [pytest.param(killed, marks=pytest.mark.slow), paused],
    ids=lambda fault: fault.__name__,
)
async def test_the_leader_answers_lookups_when_no_catalog_is_left(
    cluster: Cluster, fault: Fault, capsys: pytest.CaptureFixture[str]
) -> None:
    async def with_fault() -> Delays:
        async with traffic(cluster, *FRONTENDS) as clients:
            await clients.shown("hit", *FRONTENDS)
            began = now()
            with fault(cluster):
                await clients.pause(LEASE)
                await clients.trading(*FRONTENDS)
                await clients.shown("miss", *FRONTENDS)
            for name in CATALOGS:
                await clients.until(lambda name=name: cluster.listens(name), "it is back")
            await clients.shown("hit", *FRONTENDS)
            await clients.trading(*FRONTENDS)
        return Delays(clients.gaps(began), clients.gaps(began, lookups=True)[0])

    bound = Bound(longest=ABOUT_A_LEASE, lookup=ABOUT_A_LEASE)
    await measure(capsys, f"all catalogs {fault.__name__}", with_fault, bound)


@pytest_twisted.ensureDeferred
async def test_a_catalog_paused_past_its_lease_delays_trades_once_and_answers_nothing_after(
    cluster: Cluster, catalogs: Catalogs, capsys: pytest.CaptureFixture[str]
) -> None:
    async def with_fault() -> Delays:
        async with traffic(cluster, *FRONTENDS) as clients:
            await clients.shown("hit", *FRONTENDS)
            paused = await clients.until(catalogs.that_answers, "a catalog answers")
            began = now()
            with cluster.paused(paused):
                await clients.pause(LEASE)
                await clients.trading(*FRONTENDS)
                first = catalogs.ask(paused)
                await clients.until(catalogs.that_answers, "another catalog answers")
                await clients.shown("hit", *FRONTENDS)
            await clients.until(first.done, "it says that it does not know")
            assert first.code() is grpc.StatusCode.UNAVAILABLE
            await clients.trading(*FRONTENDS)
            await clients.shown("hit", *FRONTENDS)
        return Delays(clients.gaps(began))

    await measure(capsys, "a catalog paused", with_fault, ONCE)


def test_a_second_catalog_in_the_same_folder_is_refused_with_one_line(cluster: Cluster) -> None:
    folder = cluster.data / "catalog"
    ran = subprocess.run(
        twistd("bazaar-catalog", "--listen=127.0.0.1:1", f"--data={folder}"),
        capture_output=True,
        text=True,
        timeout=STOP_SECONDS,
        check=False,
    )
    assert ran.returncode == 1
    pid = cluster.process_id("catalog")
    assert ran.stderr == f"bazaar-catalog: folder {folder} is in use by process {pid}\n"
