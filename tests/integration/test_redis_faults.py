"""The cache on a Redis that is down, hangs, refuses commands, or is no Redis."""

import time
from collections.abc import Mapping

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater

from tests.fakes.leaks import nothing_leaks
from twisted_bazaar.frontend.cache.quotes import Quote
from twisted_bazaar.frontend.cache.redis import RedisCache
from twisted_bazaar.frontend.cache.redis_values import RedisValues
from twisted_bazaar.runtime.address import Address

from .redis_server import (
    AT_ONCE,
    LOG,
    PATIENCE,
    PAUSE,
    TIMEOUT,
    Redis,
    Start,
    absent,
    all_of,
    cache,
    eventually,
    now,
    place,
    quotes,
    redis,
    said,
    start,
    the_reactor,
    used,
    versions,
)

__all__ = ["absent", "cache", "nothing_leaks", "redis", "said", "start"]


@pytest_twisted.ensureDeferred
async def test_without_a_redis_the_cache_is_empty_and_one_line_is_logged(
    start: Start, absent: Redis, said: list[str]
) -> None:
    cache = start(absent.address)
    assert now(cache.get(LOG, ["a"])) == {}
    await eventually(lambda: any("Redis at" in line for line in said), "it is said")
    await deferLater(the_reactor(), 5 * PAUSE)  # it tries again and again
    cache.put(LOG, quotes(a=1))
    cache.drop(LOG, ["a"])
    assert now(cache.get(LOG, ["a"])) == {}

    def of_redis() -> list[str]:
        return [line for line in said if line.startswith("Redis at")]

    (given_up,) = of_redis()
    assert given_up.startswith(f"Redis at {absent.address} is given up for now: Connection was ref")
    absent.start()
    await used(cache)
    assert of_redis()[1:] == [f"Redis at {absent.address} is used again"]


@pytest_twisted.ensureDeferred
async def test_a_redis_that_was_killed_is_used_again_soon_after_its_restart(
    cache: RedisCache, redis: Redis, said: list[str]
) -> None:
    cache.put(LOG, quotes(a=7))
    assert await versions(cache, ["a"]) == {"a": 7}
    for _ in range(3):
        redis.kill()
        assert await versions(cache, ["a"]) == {}
        assert now(cache.get(LOG, ["a"])) == {}
        await deferLater(the_reactor(), 3 * PAUSE)
        redis.start()
        restarted = time.monotonic()
        await used(cache)
        assert time.monotonic() - restarted < PAUSE + TIMEOUT + 2 * AT_ONCE
        assert await versions(cache, ["a"]) == {}
    lines = ("is given up for now: the connection was lost", "is used again")
    assert said == [f"Redis at {redis.address} {line}" for line in lines] * 3


@pytest_twisted.ensureDeferred
async def test_a_redis_that_hangs_costs_one_timeout_and_then_nothing(
    cache: RedisCache, redis: Redis, said: list[str]
) -> None:
    redis.pause()
    begun = time.monotonic()
    cache.put(LOG, quotes(a=1))
    cache.drop(LOG, ["b"])
    answers = await all_of([cache.get(LOG, ["a"]) for _ in range(50)])
    assert answers == [{}] * 50
    assert TIMEOUT / 2 < time.monotonic() - begun < TIMEOUT + AT_ONCE
    for _ in range(20):  # trials go on meanwhile, and nothing is logged
        begun = time.monotonic()
        assert now(cache.get(LOG, ["a"])) == {}
        assert time.monotonic() - begun < AT_ONCE
        await deferLater(the_reactor(), PAUSE / 4)
    assert said == [f"Redis at {redis.address} is given up for now: no answer within {TIMEOUT} s"]
    redis.resume()
    await used(cache)
    assert said[1:] == [f"Redis at {redis.address} is used again"]


@pytest_twisted.ensureDeferred
async def test_a_late_reply_is_never_taken_for_another(cache: RedisCache, redis: Redis) -> None:
    many = {f"stock{n}": n + 1 for n in range(100)}
    cache.put(LOG, quotes(**many))
    assert await versions(cache, list(many)) == many
    for _ in range(3):
        redis.pause()
        lost = [cache.get(LOG, [name]) for name in many]
        assert await all_of(lost) == [{}] * len(many)
        redis.resume()
        while True:
            found = await all_of([Deferred.fromCoroutine(versions(cache, [name])) for name in many])
            # Each is the right one or none: `versions` looks at what is in it, too.
            assert all(each in ({}, {n: many[n]}) for n, each in zip(many, found, strict=True))
            if all(found):
                break
            await deferLater(the_reactor(), 0.01)


@pytest_twisted.ensureDeferred
async def test_a_busy_front_end_does_not_count_as_a_slow_redis(
    start: Start, redis: Redis, said: list[str]
) -> None:
    cache = start(redis.address, timeout=0.05)
    await used(cache)
    cache.put(LOG, quotes(a=7))
    for _ in range(5):
        answer = Deferred.fromCoroutine(versions(cache, ["a"]))
        time.sleep(0.2)  # holds the reactor up; the command has not even been sent
        assert await answer == {"a": 7}
    assert said == []


@pytest_twisted.ensureDeferred
async def test_the_number_of_waiting_commands_is_bounded(cache: RedisCache, redis: Redis) -> None:
    redis.pause()
    answers = [cache.get(LOG, ["a"]) for _ in range(1000)]
    waiting = [answer for answer in answers if not answer.called]
    assert 100 < len(waiting) < 500
    assert await all_of(answers) == [{}] * 1000


@pytest_twisted.ensureDeferred
async def test_a_cancelled_call_does_not_shift_later_replies(
    cache: RedisCache, said: list[str]
) -> None:
    cache.put(LOG, quotes(a=1, b=2, c=3))
    given_up = cache.get(LOG, ["a"])
    answer = Deferred.fromCoroutine(versions(cache, ["b"]))
    given_up.cancel()
    assert now(given_up) == {}
    assert await answer == {"b": 2}
    assert await versions(cache, ["c"]) == {"c": 3}
    assert said == []


@pytest_twisted.ensureDeferred
async def test_a_redis_that_refuses_writes_is_still_read_and_logged_once(
    cache: RedisCache, redis: Redis, said: list[str]
) -> None:
    cache.put(LOG, quotes(a=7))
    assert await versions(cache, ["a"]) == {"a": 7}
    redis.ask("CONFIG", "SET", "min-replicas-to-write", "1")
    for version in range(10, 15):
        cache.put(LOG, quotes(a=version))
        cache.drop(LOG, ["a"])
        assert await versions(cache, ["a"]) == {"a": 7}
    assert len(said) == 1
    assert said[0].startswith(f"Redis at {redis.address} refuses writes: NOREPLICAS")


@pytest_twisted.ensureDeferred
async def test_a_redis_that_refuses_reads_is_not_used_until_it_accepts_them(
    cache: RedisCache, redis: Redis, said: list[str]
) -> None:
    redis.ask("ACL", "SETUSER", "default", "-mget")
    assert await cache.get(LOG, ["a"]) == {}
    for _ in range(20):
        assert now(cache.get(LOG, ["a"])) == {}
        await deferLater(the_reactor(), PAUSE / 4)
    assert len(said) == 1
    assert said[0].startswith(f"Redis at {redis.address} is given up for now: NOPERM")
    redis.ask("ACL", "SETUSER", "default", "+mget")
    await used(cache)
    assert said[1:] == [f"Redis at {redis.address} is used again"]


# What only looks like Redis.


class NotRedis(Protocol):
    """Sends `banner` on each connection, and `answer` to everything it receives."""

    banner = b""
    answer = b""
    connections = 0

    def connectionMade(self) -> None:
        type(self).connections += 1
        self.transport.write(self.banner)

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(self.answer)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("banner", "answer"),
    [
        (b"220 mail.example.com ESMTP\r\n", b""),
        (b"", b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
        (b"-ERR max number of clients reached\r\n", b""),
        (b"", b"-LOADING the dataset is loading\r\n"),
        (b"", b":1\r\n"),
        (b"", b"$2\r\nno\r\n"),
        (b"", b"*2\r\n$-1\r\n$-1\r\n"),
        (b"", b"*1\r\n"),
    ],
)
async def test_a_server_that_is_no_redis_is_given_up_in_one_line(
    start: Start, said: list[str], banner: bytes, answer: bytes
) -> None:
    other = type("_", (NotRedis,), {"banner": banner, "answer": answer})
    factory = Factory.forProtocol(other)
    factory.noisy = False
    listening = the_reactor().listenTCP(0, factory, interface="127.0.0.1")
    try:
        cache_at = Address("127.0.0.1", listening.getHost().port)
        cache = start(cache_at)
        begun = time.monotonic()
        while other.connections < 3:
            assert now(cache.get(LOG, ["a"])) == {}
            assert time.monotonic() < begun + PATIENCE
            await deferLater(the_reactor(), 0.01)
        assert time.monotonic() - begun > 2 * PAUSE  # it is left alone in between
        (line,) = said
        assert line.startswith(f"Redis at {cache_at} is given up for now: ")
        await all_of([cache.stopService()])
    finally:
        await listening.stopListening()


class UnaskedReplies(Protocol):
    """Answers every command; after the first one of its first connection, once too often."""

    connections = 0

    def connectionMade(self) -> None:
        type(self).connections += 1
        self._once = self.connections == 1

    def dataReceived(self, data: bytes) -> None:
        key = data.split(b"\r\n")[-2]
        self._reply(RedisValues(b"").value(key, Quote(7, key)))
        if self._once:
            self._once = False
            self._reply(b"8 of nobody")

    def _reply(self, value: bytes) -> None:
        self.transport.write(b"*1\r\n$%d\r\n%b\r\n" % (len(value), value))


@pytest_twisted.ensureDeferred
async def test_an_unasked_reply_ends_the_connection(
    start: Start,
) -> None:
    UnaskedReplies.connections = 0
    factory = Factory.forProtocol(UnaskedReplies)
    factory.noisy = False
    listening = the_reactor().listenTCP(0, factory, interface="127.0.0.1")
    try:
        cache = start(Address("127.0.0.1", listening.getHost().port))
        found: Mapping[str, Quote] = {}
        deadline = time.monotonic() + PATIENCE
        while not found:
            assert time.monotonic() < deadline
            await deferLater(the_reactor(), 0.01)
            found = await cache.get(LOG, ["a"])
        assert found == {"a": Quote(7, place("a").encode())}
        assert UnaskedReplies.connections == 2
        await all_of([cache.stopService()])
    finally:
        await listening.stopListening()
