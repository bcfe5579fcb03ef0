"""Faults of Redis cost hits; they show nothing old and delay no trade.

Two front-ends share one Redis and the secret that they need for that; a third has a Redis of its
own.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from random import Random
from typing import NamedTuple

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from twisted_bazaar.timing import Timing

from .cluster import Cluster
from .delays import Bound, Delays, measure
from .redis_server import Redis
from .traffic import STOCKS, now, traffic

SHARING = ["frontend", "frontend-2"]
ALONE = "frontend-3"
ALL = [*SHARING, ALONE]

LITTLE = Bound(0.5)
"""A Redis is nothing to trades."""
A_LEASE = Bound(Timing().lease + 1.5)
"""A front-end that has ended is waited for once."""
SLOW_MILLISECONDS = 10, 120
"""A front-end waits for 50."""


class World(NamedTuple):
    cluster: Cluster
    shared: Redis
    own: Redis


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Shared by all tests here; each leaves it without faults."""
    folder = tmp_path_factory.mktemp("cache")
    shared, own = Redis(folder), Redis(folder)
    redis = {**dict.fromkeys(SHARING, shared), ALONE: own}
    (folder / "secret").write_text("the secret of the cluster")
    secret = f"--secret-file={folder / 'secret'}"
    frontends = {name: [f"--cache=redis://{redis[name].address}", secret] for name in ALL}
    try:
        shared.start()
        own.start()
        with Cluster(
            folder / "cluster", frontends=frontends, catalogs={"catalog": [secret]}
        ) as cluster:
            yield World(cluster, shared, own)
    finally:
        shared.stop()
        own.stop()


# What can happen to a Redis, and is over when the block ends.


@contextmanager
def killed_and_empty_when_it_is_back(redis: Redis) -> Iterator[None]:
    redis.kill()
    try:
        yield
    finally:
        redis.start()


@contextmanager
def paused_and_woken(redis: Redis) -> Iterator[None]:
    redis.pause()
    try:
        yield
    finally:
        redis.resume()


@contextmanager
def refusing_to_be_read(redis: Redis) -> Iterator[None]:
    redis.ask("ACL", "SETUSER", "default", "-mget")
    try:
        yield
    finally:
        redis.ask("ACL", "SETUSER", "default", "+mget")


@contextmanager
def taking_no_writes(redis: Redis) -> Iterator[None]:
    """Values that are out of date cannot be removed either."""
    redis.ask("CONFIG", "SET", "min-replicas-to-write", "1")
    try:
        yield
    finally:
        redis.ask("CONFIG", "SET", "min-replicas-to-write", "0")


Fault = Callable[[Redis], AbstractContextManager[None]]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "fault",
    [killed_and_empty_when_it_is_back, paused_and_woken, refusing_to_be_read, taking_no_writes],
    ids=lambda fault: fault.__name__,
)
async def test_a_failing_redis_costs_only_hits(
    world: World, fault: Fault, capsys: pytest.CaptureFixture[str]
) -> None:
    async def with_fault() -> Delays:
        async with traffic(world.cluster, *ALL) as clients:
            await clients.shown("hit", *ALL)
            began = now()
            with fault(world.shared):
                await clients.shown("miss", *SHARING)
                await clients.shown("hit", ALONE)
                await clients.trading(*ALL)
            await clients.shown("hit", *ALL)
        return Delays(clients.gaps(began))

    await measure(capsys, f"a Redis {fault.__name__.replace('_', ' ')}", with_fault, LITTLE)


@pytest_twisted.ensureDeferred
async def test_a_redis_that_is_flushed_repeatedly_is_filled_again(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    async def with_fault() -> Delays:
        async with traffic(world.cluster, *ALL) as clients:
            began = now()
            for _ in range(5):
                await clients.shown("hit", *ALL)
                world.shared.ask("FLUSHALL")
            await clients.shown("hit", *ALL)
        return Delays(clients.gaps(began))

    await measure(capsys, "a Redis emptied again and again", with_fault, LITTLE)


@pytest_twisted.ensureDeferred
async def test_a_redis_that_is_sometimes_slow_shows_nothing_old(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    choose = Random(4)

    def slow_down() -> None:
        for _ in range(10):
            # The next of these waits until this one is over.
            world.shared.ask("CLIENT", "PAUSE", choose.randint(*SLOW_MILLISECONDS))

    async def with_fault() -> Delays:
        async with traffic(world.cluster, *ALL) as clients:
            await clients.shown("hit", *ALL)
            began = now()
            await deferToThread(slow_down)
            await clients.trading(*ALL)
            await clients.shown("hit", *ALL)
        return Delays(clients.gaps(began))

    await measure(capsys, "a slow Redis", with_fault, LITTLE)


@pytest_twisted.ensureDeferred
async def test_an_old_dump_that_is_restored_into_redis_is_not_shown(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    redis = world.shared

    async def with_fault() -> Delays:
        dump: dict[bytes, bytes] = {}

        def dumped() -> bool:
            # Values that are out of date are removed, so all are seldom there at once.
            dump.update(kept(redis))
            return len(dump) == len(STOCKS)

        def outdated() -> bool:
            return not dump.items() & kept(redis).items()

        async with traffic(world.cluster, *ALL) as clients:
            await clients.until(dumped, "all stocks have been there")
            await clients.until(outdated, "all have been traded since")
            began = now()
            for _ in range(15):
                # Again and again, as a newer one may be put in its place at once.
                for key, value in dump.items():
                    redis.ask("SET", key, value)
                await clients.shown("miss", *SHARING, lookups=1)
            await clients.trading(*ALL)
            await clients.shown("hit", *ALL)
        return Delays(clients.gaps(began))

    await measure(capsys, "an old dump restored", with_fault, LITTLE)


def kept(redis: Redis) -> dict[bytes, bytes]:
    """What is there now, by key."""
    found: list[bytes] = redis.ask("KEYS", "bazaar:*")
    values = redis.ask("MGET", *found) if found else []
    return {key: value for key, value in zip(found, values, strict=True) if value is not None}


@pytest_twisted.ensureDeferred
async def test_a_front_end_uses_a_redis_that_comes_up_later(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    async def with_fault() -> Delays:
        async with traffic(world.cluster, *ALL) as clients:
            began = now()
            with killed_and_empty_when_it_is_back(world.own):
                with world.cluster.without(ALONE):
                    await clients.pause(0.1)
                back = now()
                await clients.shown("miss", ALONE)
                await clients.trading(ALONE)
                assert "hit" not in clients.sources(ALONE, back)
            await clients.shown("hit", *ALL)
        return Delays(clients.gaps(began, *SHARING))

    await measure(capsys, "a front-end killed, and back before its Redis", with_fault, A_LEASE)


@pytest_twisted.ensureDeferred
async def test_front_ends_with_the_same_redis_share_their_quotes(
    world: World,
) -> None:
    async with traffic(world.cluster, *ALL) as clients:
        await clients.shown("hit", *ALL)
    first, second = SHARING
    for redis in (world.shared, world.own):
        redis.ask("FLUSHALL")

    def is_shared(stock: str) -> bool:
        fetched = [source(world, name, stock) for name in (first, first, second, ALONE)]
        return fetched == ["miss", "hit", "hit", "miss"]

    # Not all need be: a Redis that a busy machine keeps from answering is left alone for a while.
    assert [stock for stock in STOCKS if is_shared(stock)]


def source(world: World, name: str, stock: str) -> str:
    answer = world.cluster.request("GET", f"/stocks/{stock}", at=name)
    assert answer.status == 200
    return answer.headers["X-Cache"]
