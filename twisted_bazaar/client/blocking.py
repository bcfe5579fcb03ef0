"""The client as calls that block. It imports no reactor, and no Twisted."""

import time
from collections.abc import Callable, Iterator
from random import Random, SystemRandom
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar
from uuid import uuid4

from .core import DEADLINE_SECONDS, Core
from .forms import described_by
from .plain_http import Connection, trusting
from .steps import Findings, Found, Open, Pause, Read, Reply, Send, Step, Steps

__all__ = ["Client"]

P = ParamSpec("P")
T = TypeVar("T")


def _call(
    steps: Callable[Concatenate[Core, P], Steps[T]],
) -> Callable[Concatenate["Client", P], T]:
    """The method of a `Client` that takes the steps of this method of a `Core`."""

    @described_by(steps)
    def call(self: "Client", /, *arguments: P.args, **options: P.kwargs) -> T:
        return self._run(steps(self._core, *arguments, **options))

    return call


def _iterator(
    steps: Callable[Concatenate[Core, P], Findings[T]],
) -> Callable[Concatenate["Client", P], Iterator[T]]:
    """The same, for a method that finds one value after the other."""

    @described_by(steps)
    def call(self: "Client", /, *arguments: P.args, **options: P.kwargs) -> Iterator[T]:
        return self._each(steps(self._core, *arguments, **options))

    return call


class Client:
    """The bazaar whose front-ends are `urls`, one after the other where one fails.

    For one thread at a time; another thread has a client of its own. Close it in the end, or use it
    as a context manager.
    """

    def __init__(
        self,
        *urls: str,
        api_key: str | None = None,
        trusted: str | None = None,
        deadline: float = DEADLINE_SECONDS,
        random: Random | None = None,
    ) -> None:
        """`api_key` shows who calls, where the bazaar asks for that. `trusted` is a file of the
        certificates, PEM, that a front-end with a URL of HTTPS is known by; None: those that this
        system trusts. `deadline` is in seconds, for a call with all its attempts, where the call
        names no other; `random` spreads the pauses between attempts. Raises OSError if `trusted`
        cannot be read."""
        self._core = Core(
            urls,
            seconds=time.monotonic,
            random=random or SystemRandom(),
            fresh_key=lambda: uuid4().hex,
            deadline=deadline,
        )
        self._api_key = api_key
        is_secure = any(url.startswith("https:") for url in urls)
        self._context = trusting(trusted) if is_secure else None
        self._connections: dict[str, Connection] = {}

    ping = _call(Core.ping)
    stock = _call(Core.stock)
    stocks = _call(Core.stocks)
    place = _call(Core.place)
    validate = _call(Core.validate)
    place_batch = _call(Core.place_batch)
    order = _call(Core.order)
    find = _call(Core.find)
    page = _call(Core.page)
    orders = _iterator(Core.orders)
    events = _iterator(Core.events)

    def close(self) -> None:
        """Close the connections. The client may be used again."""
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, steps: Steps[T]) -> T:
        reply: Reply = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            reply = self._take(step)

    def _each(self, steps: Findings[T]) -> Iterator[T]:
        stream: Connection | None = None
        reply: Reply = None
        try:
            while True:
                try:
                    step = steps.send(reply)
                except StopIteration:
                    return
                reply = None
                match step:
                    case Found(value):
                        yield value
                    case Open(url, request, seconds):
                        # A connection of its own, as other calls are made while it is read.
                        if stream is not None:
                            stream.close()
                        stream = Connection(url, self._api_key, self._context)
                        reply = stream.open(request, seconds)
                    case Read(seconds):
                        assert stream is not None
                        reply = stream.read(seconds)
                    case _:
                        reply = self._take(step)
        finally:
            if stream is not None:
                stream.close()

    def _take(self, step: Step) -> Reply:
        match step:
            case Send(url, request, seconds):
                if url not in self._connections:
                    self._connections[url] = Connection(url, self._api_key, self._context)
                return self._connections[url].send(request, seconds)
            case Pause(seconds):
                time.sleep(seconds)
                return None
        raise AssertionError(f"no step of a call: {step}")
