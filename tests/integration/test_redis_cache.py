"""The cache in Redis, on a real server: what is kept, and how it starts and stops."""

import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import attrs
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from tests.fakes.edge_files import ServerFiles
from tests.fakes.leaks import nothing_leaks
from twisted_bazaar.frontend.cache.quotes import Quote
from twisted_bazaar.frontend.cache.redis import RedisCache
from twisted_bazaar.runtime import options
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.redis_url import RedisUrl

from .redis_server import (
    ANOTHER_LOG,
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
    scheduled,
    start,
    the_reactor,
    used,
    versions,
)
from .tls_proxy import TlsProxy

__all__ = ["absent", "cache", "nothing_leaks", "redis", "said", "start"]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "body",
    [b'{"data":{"price":15.99}}', b"12", b"1.5 2.5", b" ", b"a\r\nb\n", bytes(range(256)) * 4],
)
async def test_a_quote_is_read_as_it_was_written(cache: RedisCache, body: bytes) -> None:
    cache.put(LOG, {"GameStart": Quote(7, body), "FishCo": Quote(123456789012345, body)})
    assert await cache.get(LOG, ["GameStart", "Nope", "FishCo"]) == {
        "GameStart": Quote(7, body),
        "FishCo": Quote(123456789012345, body),
    }


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "name",
    [
        "Ünter & Söhne",
        "a b",
        "a:b",
        ":",
        "a\nb",
        "a\r\nb",
        "*",
        "{a}",
        "\0",
        "🐟",
        "\ud800",
        "x" * 999,
    ],
)
async def test_every_name_can_be_cached(cache: RedisCache, name: str) -> None:
    cache.put(LOG, {name: Quote(7, b"{}"), "a": Quote(8, b"{}"), "b": Quote(9, b"{}")})
    assert (await cache.get(LOG, [name]))[name] == Quote(7, b"{}")
    cache.drop(LOG, [name])
    assert sorted(await cache.get(LOG, [name, "a", "b"])) == ["a", "b"]


@pytest_twisted.ensureDeferred
async def test_a_quote_is_never_replaced_by_an_older_one(
    cache: RedisCache, start: Start, redis: Redis
) -> None:
    another = start(redis.address)
    await used(another)
    cache.put(LOG, quotes(a=9, b=9, c=9))
    assert await versions(cache, ["a", "b", "c"]) == {"a": 9, "b": 9, "c": 9}
    another.put(LOG, quotes(a=8, b=9, c=10, d=1))  # 10 comes before 9 in the order of text
    assert await versions(another, "abcd") == {"a": 9, "b": 9, "c": 10, "d": 1}
    for version in range(20, 30):
        writer, late = (cache, another) if version % 2 else (another, cache)
        writer.put(LOG, quotes(a=version))
        late.put(LOG, quotes(a=version - 1))
        assert (await versions(writer, ["a"]))["a"] >= version
    await versions(another, ["a"])  # by now both have been heard
    assert await versions(cache, ["a"]) == {"a": 29}


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ((LOG, "GameStart"), (ANOTHER_LOG, "GameStart")),
        (("a", "b:c"), ("a:b", "c")),
        (("a:", "c"), ("a%3A", "c")),
        (("", "a:c"), ("a", "c")),
    ],
)
async def test_two_order_logs_are_never_mixed_up(
    cache: RedisCache, mine: tuple[str, str], theirs: tuple[str, str]
) -> None:
    cache.put(mine[0], {mine[1]: Quote(7, b"mine")})
    assert await cache.get(theirs[0], [theirs[1]]) == {}
    cache.put(theirs[0], {theirs[1]: Quote(3, b"theirs")})
    cache.drop(mine[0], [mine[1]])
    assert await cache.get(theirs[0], [theirs[1]]) == {theirs[1]: Quote(3, b"theirs")}


@pytest_twisted.ensureDeferred
async def test_many_names_are_one_command(cache: RedisCache, redis: Redis) -> None:
    many = [f"stock{n}" for n in range(1000)]
    redis.ask("CONFIG", "RESETSTAT")
    cache.put(LOG, quotes(**{name: n + 1 for n, name in enumerate(many)}))
    assert await versions(cache, many) == {name: n + 1 for n, name in enumerate(many)}
    cache.drop(LOG, many)
    assert await cache.get(LOG, many) == {}
    calls = redis.calls()
    assert calls.get("eval", 0) + calls.get("evalsha", 0) == 1
    assert (calls["mget"], calls["del"]) == (2, 1)


@pytest_twisted.ensureDeferred
async def test_an_empty_call_sends_no_command(cache: RedisCache, redis: Redis) -> None:
    redis.ask("CONFIG", "RESETSTAT")
    cache.put(LOG, {})
    cache.drop(LOG, [])
    assert now(cache.get(LOG, [])) == {}
    await used(cache)
    calls = redis.calls()
    assert calls.get("eval", 0) + calls.get("evalsha", 0) == calls["mget"] == 1
    assert "del" not in calls


@pytest_twisted.ensureDeferred
async def test_a_quote_expires_after_an_hour(cache: RedisCache, redis: Redis) -> None:
    cache.put(LOG, quotes(a=1))
    assert await versions(cache, ["a"]) == {"a": 1}
    assert 3590 <= redis.ask("TTL", place("a")) <= 3600


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "rubbish",
    ["", "x", "12", "12 ", " {}", "12x {}", "-1 {}", "+1 {}", "1e3 {}", "0x10 {}", "1.5 {}",
     "\n12 {}", "1234567890123456 {}", "٣ {}", b"\xff\xfe \x80", b"\0",
     '999999999999999 {"data":{"name":"a","price":0.01}}', b"9 " + bytes(16) + b"{}"],
)  # fmt: skip
async def test_a_malformed_value_counts_as_missing_and_is_replaced(
    cache: RedisCache, redis: Redis, rubbish: str | bytes
) -> None:
    redis.ask("SET", place("a"), rubbish)
    redis.ask("RPUSH", place("b"), "a", "list")
    cache.put(LOG, quotes(c=7))
    assert await versions(cache, "abc") == {"c": 7}
    cache.put(LOG, quotes(a=1, b=2, c=3))
    assert await versions(cache, "abc") == {"a": 1, "b": 2, "c": 7}


@pytest_twisted.ensureDeferred
async def test_a_value_copied_to_another_stock_or_log_counts_as_missing(
    cache: RedisCache, redis: Redis
) -> None:
    cache.put(LOG, quotes(a=7))
    cache.put(ANOTHER_LOG, quotes(b=9))
    assert await versions(cache, ["a"]) == {"a": 7}
    redis.ask("COPY", place("a"), place("c"))
    redis.ask("COPY", place("b", ANOTHER_LOG), place("b"))
    assert await versions(cache, "abc") == {"a": 7}


@pytest_twisted.ensureDeferred
async def test_front_ends_with_different_secrets_do_not_share_values(
    cache: RedisCache, start: Start, redis: Redis
) -> None:
    another = start(redis.address, secret=b"another secret")
    await used(another)
    cache.put(LOG, quotes(a=7))
    assert await versions(cache, ["a"]) == {"a": 7}
    assert await versions(another, ["a"]) == {}
    another.put(LOG, quotes(a=9))
    assert await versions(another, ["a"]) == {"a": 9}
    assert await versions(cache, ["a"]) == {"a": 7}


@pytest_twisted.ensureDeferred
async def test_a_flush_costs_only_hits(cache: RedisCache, redis: Redis, said: list[str]) -> None:
    cache.put(LOG, quotes(a=7))
    assert await versions(cache, ["a"]) == {"a": 7}
    redis.ask("FLUSHALL")
    redis.ask("SCRIPT", "FLUSH")
    assert await versions(cache, ["a"]) == {}
    cache.put(LOG, quotes(a=5))
    assert (await eventually_there(cache, "a")) == 5
    assert said == []


async def eventually_there(cache: RedisCache, name: str) -> int:
    """The version of what was just put in, which may take Redis two commands."""
    deadline = time.monotonic() + PATIENCE
    while not (found := await versions(cache, [name])):
        assert time.monotonic() < deadline, f"{name} is not there"
    return found[name]


# Start and stop.


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "moment", ["under way", "paused", "idle", "given up", "resolving", "connecting", "trial"]
)
async def test_a_stop_at_any_moment_is_prompt_and_logs_nothing(
    absent: Redis, said: list[str], moment: str
) -> None:
    before = scheduled()
    reactor = the_reactor()
    cache = RedisCache(reactor, reactor.seconds, RedisUrl(absent.address), TIMEOUT, PAUSE)
    answers: list[Deferred[Mapping[str, Quote]]] = []
    if moment in ("under way", "paused", "idle", "given up"):
        absent.start()
        cache.startService()
        await used(cache)
    if moment == "under way":
        answers = [cache.get(LOG, ["a"]) for _ in range(10)]
    elif moment == "paused":
        absent.pause()
        answers = [cache.get(LOG, ["a"]) for _ in range(10)]
        cache.put(LOG, {"a": Quote(1, bytes(10_000_000))})  # more than its socket takes in
        await deferLater(reactor, 0.05)
        assert not any(answer.called for answer in answers)
    elif moment == "given up":
        absent.kill()
        await eventually(lambda: said, "it is given up")
    elif moment != "idle":
        if moment == "trial":
            absent.start()
            absent.pause()
        cache.startService()
        await deferLater(reactor, {"resolving": 0, "connecting": 0.01, "trial": 0.1}[moment])
    said.clear()
    begun = time.monotonic()
    await all_of([cache.stopService()])
    if moment in ("resolving", "connecting"):
        await deferLater(reactor, 0)  # Twisted ends an attempt in the turn after
    assert scheduled() <= before
    assert time.monotonic() - begun < AT_ONCE
    assert await all_of(answers) == [{}] * len(answers)
    assert now(cache.get(LOG, ["a"])) == {}
    await deferLater(reactor, 2 * PAUSE)  # it is not tried again
    assert scheduled() <= before
    assert said == []


@pytest_twisted.ensureDeferred
async def test_a_cache_that_was_stopped_can_be_started_again(cache: RedisCache) -> None:
    cache.put(LOG, quotes(a=7))
    assert await versions(cache, ["a"]) == {"a": 7}
    await all_of([cache.stopService()])
    assert now(cache.get(LOG, ["a"])) == {}
    cache.startService()
    await used(cache)
    assert await versions(cache, ["a"]) == {"a": 7}


@pytest_twisted.ensureDeferred
async def test_the_cache_option_selects_the_redis(start: Start, redis: Redis) -> None:
    given = options.cache(f"redis://{redis.address}/")
    cache = start(Address.parse(given.removeprefix("redis://")))
    await used(cache)
    assert redis.ask("EXISTS", place("probe", "probe")) == 1


# Passwords and TLS.

PASSWORD = "h@sh:1"


@pytest_twisted.ensureDeferred
async def test_a_redis_that_asks_for_a_password_is_used_with_it_and_not_without(
    start: Start, absent: Redis, said: list[str]
) -> None:
    absent.start("--requirepass", PASSWORD)
    await used(start(RedisUrl(absent.address, password=PASSWORD), PATIENCE))
    await used(start(RedisUrl(absent.address, user="default", password=PASSWORD), PATIENCE))
    assert said == []
    wrong = start(RedisUrl(absent.address, password="another"), PATIENCE)
    await eventually(lambda: said, "it is given up")
    assert "is given up for now: WRONGPASS " in said[0]
    start(absent.address, PATIENCE)
    await eventually(lambda: len(said) == 2, "the other is given up, too")
    assert "is given up for now: NOAUTH " in said[1]
    await deferLater(the_reactor(), 2.5 * PAUSE)
    assert wrong.is_given_up
    assert len(said) == 2
    assert not [line for line in said if PASSWORD in line or "another" in line]


@pytest_twisted.ensureDeferred
async def test_a_redis_is_used_by_tls_if_its_certificate_is_trusted_and_for_its_host(
    start: Start,
    absent: Redis,
    said: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = ServerFiles(tmp_path)
    files.write(1, has_address=False)
    absent.start("--requirepass", PASSWORD)
    with TlsProxy(files, absent.address) as proxy:
        monkeypatch.setenv("SSL_CERT_FILE", str(files.certificate))
        url = RedisUrl.parse(f"rediss://:{quote(PASSWORD)}@{proxy.address}")
        cache = start(url, PATIENCE)
        await used(cache)
        cache.put(LOG, quotes(a=1))
        assert await versions(cache, ["a"]) == {"a": 1}
        assert said == []
        # It is the same place, but the certificate is not for it.
        start(attrs.evolve(url, address=Address("127.0.0.1", proxy.address.port)), PATIENCE)
        monkeypatch.delenv("SSL_CERT_FILE")
        start(url, PATIENCE)
        await eventually(lambda: len(said) == 2, "both are given up")
    assert not [line for line in said if "hush" in line or PASSWORD in line]
    assert all("its certificate is not trusted: " in line for line in said)
