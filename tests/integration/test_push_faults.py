"""Bad days of the pushes from a catalog to its front-ends, and pushes that nobody ought to send.

The pushes to one of two front-ends go through somebody who can do with them as he likes. Both,
and the catalog, have the cluster's secret.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec
import pytest
import pytest_twisted

from twisted_bazaar.rpc.push import MAX_PUSH_BYTES, decode_push, encode, sign
from twisted_bazaar.timing import Timing

from .bazaar import Answer
from .cluster import Cluster
from .delays import Bound, Delays, measure
from .meddler import Fate, Meddler, Seen
from .traffic import STOCKS, now, traffic
from .waiting import wait_until
from .web_client import version_of

MEDDLED, OTHER = BOTH = "frontend", "frontend-2"
LEASE = Timing().lease
ABOUT_A_LEASE = LEASE + 0.5
LESS_THAN_A_LEASE = 0.9 * LEASE


class World(NamedTuple):
    cluster: Cluster
    meddler: Meddler
    folder: Path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """What all tests here share; each leaves it as well as it was."""
    from twisted.internet import reactor

    folder = tmp_path_factory.mktemp("push")
    (folder / "secret").write_text("the secret of the cluster")
    secret = (f"--secret-file={folder / 'secret'}",)
    cluster = Cluster(
        folder / "cluster", frontends=dict.fromkeys(BOTH, secret), catalogs={"catalog": secret}
    )
    meddler = Meddler(reactor, cluster.internal[MEDDLED])
    cluster.frontends[MEDDLED] = (*secret, f"--advertise={meddler.address}")
    try:
        with cluster:
            yield World(cluster, meddler, folder)
    finally:
        meddler.stop()


# A bad network.


def lost() -> Fate:
    return Fate(())


def answers_lost() -> Fate:
    return Fate(answered=False)


def late() -> Fate:
    """Later than the catalog waits for an answer, and so than the next ones."""
    return Fate((0.4,))


def again_later() -> Fate:
    """At once, a moment later, and when the lease that it brought has run out."""
    return Fate((0.0, 0.1, 1.5 * LEASE))


def as_it_comes() -> Callable[[], Fate]:
    choose = Random(6)
    odd = [lost(), answers_lost(), late(), again_later(), Fate((0.05,)), Fate((0.2, 0.0))]

    def as_it_comes() -> Fate:
        return choose.choice(odd) if choose.random() < 0.5 else Fate()

    return as_it_comes


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("fate", [lost, answers_lost, late], ids=lambda fate: fate.__name__)
async def test_a_front_end_that_cannot_be_told_shows_nothing_from_memory_and_delays_trades_once(
    world: World, fate: Callable[[], Fate], capsys: pytest.CaptureFixture[str]
) -> None:
    async def suffer() -> Delays:
        async with traffic(world.cluster, *BOTH) as clients:
            await clients.shown("hit", *BOTH)
            began = now()
            with world.meddler.meddling(fate):
                await clients.pause(LEASE)
                await clients.trading(*BOTH)
                alone = now()
                await clients.shown("miss", MEDDLED, lookups=20)
                await clients.shown("hit", OTHER)
                assert "hit" not in clients.sources(MEDDLED, alone)
            await clients.shown("hit", *BOTH)
        return Delays(clients.gaps(began))

    bound = Bound(longest=ABOUT_A_LEASE, others=LESS_THAN_A_LEASE)
    await measure(capsys, f"pushes {fate.__name__.replace('_', ' ')}", suffer, bound)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("fates", [again_later, as_it_comes()], ids=lambda fate: fate.__name__)
async def test_pushes_that_come_twice_or_late_or_out_of_order_mislead_nobody(
    world: World, fates: Callable[[], Fate], capsys: pytest.CaptureFixture[str]
) -> None:
    async def suffer() -> Delays:
        async with traffic(world.cluster, *BOTH) as clients:
            began = now()
            with world.meddler.meddling(fates):
                await clients.pause(2 * LEASE)
                await clients.trading(*BOTH)
            await clients.shown("hit", *BOTH)
        return Delays(clients.gaps(began))

    what = f"pushes {fates.__name__.replace('_', ' ')}"
    await measure(capsys, what, suffer, Bound(longest=ABOUT_A_LEASE))


# A bad neighbour.


@pytest_twisted.ensureDeferred
async def test_a_push_that_is_not_the_catalogs_is_refused_logged_once_and_without_effect(
    world: World,
) -> None:
    async with traffic(world.cluster, *BOTH) as clients:
        await clients.shown("hit", *BOTH)
        genuine = world.meddler.seen[-1]
        before = refusals(world.cluster)
        for forged, code in forgeries(genuine):
            assert (await world.meddler.post(forged))[0] == code, forged
        assert refusals(world.cluster) == before + 1
        await clients.shown("hit", *BOTH)
        await clients.trading(*BOTH)
        # Nothing that was said with one of them is believed.
        found = {name: await clients.lookup(MEDDLED, name) for name in STOCKS}
        assert all(call.status == 200 for call in found.values())
        # A copy of one that was true once is no forgery. It is of no use either.
        assert (await world.meddler.post(world.meddler.seen[0]))[0] == 200
        await clients.shown("hit", *BOTH)


def forgeries(genuine: Seen) -> Iterator[tuple[Seen, int]]:
    """What somebody could send who has seen a push, and the status that refuses it."""
    push = decode_push(genuine.body)
    hiding_all = encode(msgspec.structs.replace(push, floors=dict.fromkeys(STOCKS, 2**40)))
    lasting = encode(msgspec.structs.replace(push, floors={}, seconds=3600.0))
    for body in hiding_all, lasting, b"", b"no push", b"[" * 100_000, b"\xff" * 1000:
        yield Seen(genuine.signature, body), 403
        yield Seen(sign(b"a guess at the secret", "and at the token", body), body), 403
        yield Seen(b"", body), 403
    yield Seen(genuine.signature, genuine.body.ljust(MAX_PUSH_BYTES + 1)), 413


def refusals(cluster: Cluster) -> int:
    """How many lines of the log tell of refused pushes."""
    return cluster.log.read_text().count("was refused: it is not signed for")


@pytest_twisted.ensureDeferred
async def test_front_ends_that_cannot_or_do_not_cache_say_so_are_right_and_delay_nobody(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    (world.folder / "another").write_text("a secret that nobody else knows")
    never = {"another-secret": "miss", "off": "off"}

    async def suffer() -> Delays:
        async with traffic(world.cluster, *BOTH, *never) as clients:
            began = now()
            await clients.pause(LEASE)
            await clients.trading(*BOTH, *never)
            await clients.shown("hit", *BOTH)
            for name, source in never.items():
                assert set(clients.sources(name, began)) == {source}
        return Delays(clients.gaps(began))

    world.cluster.add_frontend("another-secret", f"--secret-file={world.folder / 'another'}")
    world.cluster.add_frontend("off", "--cache=off")
    try:
        world.cluster.wait_ready()
        what = "one front-end with another secret, one without a cache"
        await measure(capsys, what, suffer, Bound(longest=LESS_THAN_A_LEASE))
        for name, source in never.items():
            version = look_up(world, name, STOCKS[0]).headers["ETag"]
            same = look_up(world, name, STOCKS[0], version)
            assert (same.status, same.headers["X-Cache"]) == (304, source)
    finally:
        for name in never:
            world.cluster.remove_frontend(name)


# Versions that clients have.


@pytest_twisted.ensureDeferred
async def test_a_client_that_has_the_version_is_told_so_by_hits_and_misses_until_it_is_old(
    world: World,
) -> None:
    stock = STOCKS[0]
    trade = {"name": stock, "quantity": 1, "type": "sell"}
    assert world.cluster.request("POST", "/orders", trade).status == 200
    first = look_up(world, MEDDLED, stock)
    assert (first.status, first.headers["X-Cache"]) == (200, "miss")
    version = first.headers["ETag"]
    same = look_up(world, OTHER, stock, version)
    assert (same.status, same.headers["X-Cache"], same.headers["ETag"]) == (304, "miss", version)

    def hit() -> bool:
        again = look_up(world, OTHER, stock, version)
        assert (again.status, again.body, again.headers["ETag"]) == (304, None, version)
        return again.headers["X-Cache"] == "hit"

    wait_until(hit, "a lookup is a hit")
    assert world.cluster.request("POST", "/orders", trade).status == 200
    for name in BOTH:
        newer = look_up(world, name, stock, version)
        assert newer.status == 200
        assert newer.body["data"]["quantity"] == first.body["data"]["quantity"] + 1
        assert version_of(newer.headers["ETag"]) > version_of(version)


def look_up(world: World, name: str, stock: str, version: str = '"0"') -> Answer:
    path = f"/stocks/{stock}"
    return world.cluster.request("GET", path, headers={"If-None-Match": version}, at=name)
