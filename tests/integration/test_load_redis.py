"""Faults of a real Redis: it loses its content, gets an older one, or does not answer."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_twisted

from load.bazaar import redis
from load.bazaar.redis import Redis

from .test_redis_cache import Redis as Server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest_twisted.ensureDeferred
async def test_an_older_content_replaces_a_newer_one(server: Server) -> None:
    spoilt = Redis(server.address)
    assert await spoilt.quotes() == {}
    server.ask("SET", "bazaar:log:Fish", "3 {}")
    server.ask("SET", "somebody:else", "1")
    old = await spoilt.quotes()
    assert old == {b"bazaar:log:Fish": b"3 {}"}
    server.ask("SET", "bazaar:log:Fish", "4 {}")
    await spoilt.put_back(old)
    assert server.ask("GET", "bazaar:log:Fish") == b"3 {}"
    await spoilt.put_back({})


@pytest_twisted.ensureDeferred
async def test_a_flush_deletes_everything(server: Server) -> None:
    server.ask("SET", "bazaar:log:Fish", "3 {}")
    await Redis(server.address).flush()
    assert server.ask("DBSIZE") == 0


@pytest_twisted.ensureDeferred
async def test_a_server_that_does_not_answer_is_an_error_in_time(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "TIMEOUT_SECONDS", 0.1)
    spoilt = Redis(server.address)
    server.pause()
    with pytest.raises(OSError):
        await spoilt.flush()
    server.resume()
    server.ask("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(OSError, match="OOM"):
        await spoilt.put_back({b"bazaar:log:Fish": b"3 {}"})
    server.kill()
    with pytest.raises(OSError):
        await spoilt.quotes()
