"""Faults of the network between a catalog and its front-ends, and forged pushes.

The pushes to one of two front-ends go through a proxy. Both, and the catalog, have the cluster's
secret.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec
import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from twisted_bazaar.rpc.push import MAX_PUSH_BYTES, decode_push, encode, sign
from twisted_bazaar.timing import Timing

from .bazaar import Answer
from .cluster import Cluster
from .delays import Bound, Delays, measure
from .push_proxy import PushFault, PushProxy, SentPush
from .traffic import STOCKS, now, traffic
from .waiting import wait_until
from .web_client import version_of

PROXIED, OTHER = BOTH = "frontend", "frontend-2"
LEASE = Timing().lease
ABOUT_A_LEASE = LEASE + 0.5
LESS_THAN_A_LEASE = 0.9 * LEASE


class World(NamedTuple):
    cluster: Cluster
    proxy: PushProxy
    folder: Path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Shared by all tests here; each leaves it without faults."""
    from twisted.internet import reactor

    folder = tmp_path_factory.mktemp("push")
    (folder / "secret").write_text("the secret of the cluster")
    secret = (f"--secret-file={folder / 'secret'}",)
    cluster = Cluster(
        folder / "cluster", frontends=dict.fromkeys(BOTH, secret), catalogs={"catalog": secret}
    )
    proxy = PushProxy(reactor, cluster.internal[PROXIED])
    cluster.frontends[PROXIED] = (*secret, f"--advertise={proxy.address}")
    try:
        with cluster:
            yield World(cluster, proxy, folder)
    finally:
        proxy.stop()


# Faults of the network.


def lost() -> PushFault:
    return PushFault(())


def answers_lost() -> PushFault:
    return PushFault(answered=False)


def late() -> PushFault:
    """Later than the catalog waits for an answer, and so later than the next pushes."""
    return PushFault((0.4,))


def again_later() -> PushFault:
    """At once, a moment later, and when the lease that it brought has run out."""
    return PushFault((0.0, 0.1, 1.5 * LEASE))


def at_random() -> Callable[[], PushFault]:
    choose = Random(6)
    odd = [lost(), answers_lost(), late(), again_later(), PushFault((0.05,)), PushFault((0.2, 0.0))]

    def at_random() -> PushFault:
        return choose.choice(odd) if choose.random() < 0.5 else PushFault()

    return at_random


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "fault",
    # What of answers that are lost? They are as good as late to the catalog.
    [lost, pytest.param(answers_lost, marks=pytest.mark.slow), late],
    ids=lambda fault: fault.__name__,
)
async def test_a_front_end_without_pushes_shows_nothing_from_memory_and_delays_trades_once(
    world: World, fault: Callable[[], PushFault], capsys: pytest.CaptureFixture[str]
) -> None:
    async def with_fault() -> Delays:
        async with traffic(world.cluster, *BOTH) as clients:
            await clients.shown("hit", *BOTH)
            began = now()
            with world.proxy.applying(fault):
                await clients.pause(LEASE)
                await clients.trading(*BOTH)
                alone = now()
                await clients.shown("miss", PROXIED, lookups=20)
                await clients.shown("hit", OTHER)
                assert "hit" not in clients.sources(PROXIED, alone)
            await clients.shown("hit", *BOTH)
        return Delays(clients.gaps(began))

    bound = Bound(longest=ABOUT_A_LEASE, others=LESS_THAN_A_LEASE)
    await measure(capsys, f"pushes {fault.__name__.replace('_', ' ')}", with_fault, bound)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "faults",
    [again_later, pytest.param(at_random(), marks=pytest.mark.slow)],
    ids=lambda fault: fault.__name__,
)
async def test_repeated_late_or_reordered_pushes_show_nothing_old(
    world: World, faults: Callable[[], PushFault], capsys: pytest.CaptureFixture[str]
) -> None:
    async def with_fault() -> Delays:
        async with traffic(world.cluster, *BOTH) as clients:
            began = now()
            with world.proxy.applying(faults):
                await clients.pause(2 * LEASE)
                await clients.trading(*BOTH)
            await clients.shown("hit", *BOTH)
        return Delays(clients.gaps(began))

    what = f"pushes {faults.__name__.replace('_', ' ')}"
    await measure(capsys, what, with_fault, Bound(longest=ABOUT_A_LEASE))


# Forged pushes.


@pytest_twisted.ensureDeferred
async def test_a_forged_push_is_refused_and_logged_once(
    world: World,
) -> None:
    async with traffic(world.cluster, *BOTH) as clients:
        await clients.shown("hit", *BOTH)
        genuine = world.proxy.pushes[-1]
        before = refusals(world.cluster)
        for forged, code in forgeries(genuine):
            assert (await world.proxy.post(forged))[0] == code, forged
        assert refusals(world.cluster) == before + 1
        await clients.shown("hit", *BOTH)
        await clients.trading(*BOTH)
        # Nothing that was said with one of them is believed.
        found = {name: await clients.lookup(PROXIED, name) for name in STOCKS}
        assert all(call.status == 200 for call in found.values())
        # A copy of one that was true once is no forgery. It is of no use either.
        assert (await world.proxy.post(world.proxy.pushes[0]))[0] == 200
        await clients.shown("hit", *BOTH)


def forgeries(genuine: SentPush) -> Iterator[tuple[SentPush, int]]:
    """What a process that has seen a push could send, and the status that refuses it."""
    push = decode_push(genuine.body)
    hiding_all = encode(msgspec.structs.replace(push, floors=dict.fromkeys(STOCKS, 2**40)))
    lasting = encode(msgspec.structs.replace(push, floors={}, seconds=3600.0))
    for body in hiding_all, lasting, b"", b"no push", b"[" * 100_000, b"\xff" * 1000:
        yield SentPush(genuine.signature, body), 403
        yield SentPush(sign(b"a guess at the secret", "and at the token", body), body), 403
        yield SentPush(b"", body), 403
    yield SentPush(genuine.signature, genuine.body.ljust(MAX_PUSH_BYTES + 1)), 413


def refusals(cluster: Cluster) -> int:
    """How many lines of the log tell of refused pushes."""
    return cluster.log.read_text().count("was refused: it is not signed for")


@pytest_twisted.ensureDeferred
async def test_front_ends_without_a_cache_are_right_and_delay_no_trade(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    (world.folder / "another").write_text("a secret of its own")
    never = {"another-secret": "miss", "off": "off"}

    async def with_fault() -> Delays:
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
        await measure(capsys, what, with_fault, Bound(longest=LESS_THAN_A_LEASE))
        for name, source in never.items():
            version = look_up(world, name, STOCKS[0]).headers["ETag"]
            same = look_up(world, name, STOCKS[0], version)
            assert (same.status, same.headers["X-Cache"]) == (304, source)
    finally:
        for name in never:
            world.cluster.remove_frontend(name)


# Versions that clients have.


@pytest_twisted.ensureDeferred
async def test_a_current_version_is_304_from_hits_and_misses_until_it_is_old(
    world: World,
) -> None:
    stock = STOCKS[0]
    trade = {"name": stock, "quantity": 1, "type": "sell"}
    assert world.cluster.request("POST", "/orders", trade).status == 200
    # A miss, unless the pushed quote was there sooner.
    first = look_up(world, PROXIED, stock)
    assert first.status == 200
    version = first.headers["ETag"]
    same = look_up(world, OTHER, stock, version)
    assert (same.status, same.headers["ETag"]) == (304, version)

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


@pytest_twisted.ensureDeferred
async def test_after_a_trade_a_lookup_is_soon_a_hit_though_none_has_fetched_the_stock(
    world: World,
) -> None:
    """The catalog pushes the new quote, also to the front-end behind a proxy for HTTP."""
    stock = STOCKS[0]
    async with traffic(world.cluster, *BOTH) as clients:
        await clients.shown("hit", *BOTH)
        await clients.pause(0.1)
    trade = {"name": stock, "quantity": 1, "type": "sell"}
    found = set()
    for _ in range(5):
        # On a thread: the proxy has to go on meanwhile.
        sold = await deferToThread(world.cluster.request, "POST", "/orders", trade)
        assert sold.status == 200
        await clients.pause(0.3)
        for name in BOTH:
            answer = await deferToThread(look_up, world, name, stock)
            found.add(answer.headers["X-Cache"])
    assert found == {"hit"}


def look_up(world: World, name: str, stock: str, version: str = '"0"') -> Answer:
    path = f"/stocks/{stock}"
    return world.cluster.request("GET", path, headers={"If-None-Match": version}, at=name)
