"""The client as calls that return Deferreds, over treq."""

from collections.abc import AsyncIterator, Callable
from random import Random, SystemRandom
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import uuid4

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from ..runtime.reactor import Reactor
from .answers import Answer, Broken
from .core import DEADLINE_SECONDS, Core
from .forms import described_by
from .session import Session, Stream
from .steps import Findings, Found, Open, Pause, Read, Reply, Send, Step, Steps

__all__ = ["Deferreds"]

CONNECTIONS = 16
"""How many idle connections to a front-end are kept."""

P = ParamSpec("P")
T = TypeVar("T")


def _call(
    steps: Callable[Concatenate[Core, P], Steps[T]],
) -> Callable[Concatenate["Deferreds", P], Deferred[T]]:
    """The method of `Deferreds` that takes the steps of this method of a `Core`."""

    @described_by(steps)
    def call(self: "Deferreds", /, *arguments: P.args, **options: P.kwargs) -> Deferred[T]:
        taking = _Taking(self._reactor, self._session)
        taken = taking.all(steps(self._core, *arguments, **options))
        return Deferred.fromCoroutine(taken)

    return call


def _iterator(
    steps: Callable[Concatenate[Core, P], Findings[T]],
) -> Callable[Concatenate["Deferreds", P], AsyncIterator[T]]:
    """The same, for a method that finds one value after the other: for `async for`."""

    @described_by(steps)
    def call(self: "Deferreds", /, *arguments: P.args, **options: P.kwargs) -> AsyncIterator[T]:
        taking = _Taking(self._reactor, self._session)
        return taking.each(steps(self._core, *arguments, **options))

    return call


def _listener(
    steps: Callable[Concatenate[Core, P], Findings[T]],
) -> Callable[Concatenate["Deferreds", Callable[[T], object], P], Deferred[None]]:
    """The same, for a function that is called with each value. The Deferred fails if no more values
    can be had, or with what the function raises; cancelling it ends the call, at any time."""

    def call(
        self: "Deferreds",
        seen: Callable[[T], object],
        /,
        *arguments: P.args,
        **options: P.kwargs,
    ) -> Deferred[None]:
        taking = _Taking(self._reactor, self._session)
        return taking.told(steps(self._core, *arguments, **options), seen)

    call.__doc__ = steps.__doc__
    return call


class Deferreds:
    """The bazaar whose front-ends are `urls`, one after the other where one fails.

    Calls may be under way at the same time. A call that is cancelled fails with `CancelledError`;
    a trade may have been executed then.
    """

    def __init__(
        self,
        reactor: Reactor,
        *urls: str,
        api_key: str | None = None,
        trusted: str | None = None,
        deadline: float = DEADLINE_SECONDS,
        random: Random | None = None,
        session: Session | None = None,
    ) -> None:
        """`api_key` shows who calls, where the bazaar asks for that, and `trusted` is a file of the
        certificates, PEM, that a front-end with a URL of HTTPS is known by; None: those that this
        system trusts. A `session` has its own of both. `deadline` is in seconds, for a call with
        all its attempts, where the call names no other; `random` spreads the pauses between
        attempts. The connections are those of `session`, or the client's own. Raises OSError if
        `trusted` cannot be read."""
        self._reactor = reactor
        self._session = session or Session(reactor, CONNECTIONS, api_key, trusted)
        self._core = Core(
            urls,
            seconds=reactor.seconds,
            random=random or SystemRandom(),
            fresh_key=lambda: uuid4().hex,
            deadline=deadline,
        )

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
    events = _listener(Core.events)

    def close(self) -> Deferred[None]:
        """Close the connections that are idle."""
        return self._session.close()


class _Taking:
    """Takes the steps of one call."""

    def __init__(self, reactor: Reactor, session: Session) -> None:
        self._reactor = reactor
        self._session = session
        self._stream: Stream | None = None
        self._step: Deferred[Any] | None = None
        self._cancelled = False

    async def all(self, steps: Steps[T]) -> T:
        """Take them, and return the result."""
        reply: Reply = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            reply = await self._take(step)

    async def each(self, steps: Findings[T]) -> AsyncIterator[T]:
        """Take them, and yield what is found."""
        reply: Reply = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration:
                return
            reply = None
            if isinstance(step, Found):
                yield step.value
            else:
                reply = await self._take(step)

    def told(self, steps: Findings[T], seen: Callable[[T], object]) -> Deferred[None]:
        """Take them, and call `seen` with what is found."""

        async def tell() -> None:
            try:
                async for value in self.each(steps):
                    seen(value)
                    if self._cancelled:
                        raise CancelledError
            finally:
                self._close()

        ended: Deferred[None] = Deferred(lambda _: self._cancel())
        Deferred.fromCoroutine(tell()).addBoth(_pass_on, ended)
        return ended

    def _cancel(self) -> None:
        # `seen` may be what cancels: then no step is under way.
        self._cancelled = True
        if self._step is not None:
            self._step.cancel()

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()

    async def _take(self, step: Step) -> Reply:
        self._step = _cancellable(self._begin(step))
        try:
            reply: Reply = await self._step
            return reply
        finally:
            self._step = None

    def _begin(self, step: Step) -> Deferred[Any]:
        match step:
            case Send(url, request, seconds):
                return self._session.send(url, request, seconds)
            case Open(url, request, seconds):
                self._close()
                return self._session.open(url, request, seconds).addCallback(self._opened)
            case Read(seconds):
                assert self._stream is not None
                reading = self._stream.read().addTimeout(seconds, self._reactor)
                return reading.addErrback(_silent)
            case Pause(seconds):
                return deferLater(self._reactor, seconds)

    def _opened(self, reply: Answer | Stream | Broken) -> Answer | Broken:
        if not isinstance(reply, Stream):
            return reply
        self._stream = reply
        return reply.head


def _cancellable(step: Deferred[T]) -> Deferred[T]:
    """`step`, which fails with `CancelledError` if it is cancelled, whatever `step` makes of it:
    otherwise a call that is cancelled would take it for a broken connection, and go on."""

    def cancel(taken: Deferred[T]) -> None:
        taken.errback(CancelledError())
        step.cancel()

    taken: Deferred[T] = Deferred(cancel)
    step.addBoth(_pass_on, taken)
    return taken


def _pass_on(result: T | Failure, to: Deferred[T]) -> None:
    """What a Deferred that was cancelled would still be told, is dropped."""
    if not to.called:
        to.callback(result)


def _silent(failure: Failure) -> bytes:
    failure.trap(TimeoutError)
    return b""
