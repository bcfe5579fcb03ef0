"""Being called: a gRPC server as a Service, and the way from its threads to the reactor."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import ParamSpec, TypeVar

import grpc
from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from ..address import Address
from ..errors import BazaarError, Unusable
from ..services import monotonic_seconds
from . import connection
from .status import abort_with

__all__ = ["GRACE_SECONDS", "RpcServer", "on_reactor"]

GRACE_SECONDS = 5.0
"""How long calls that are under way may take to finish when the server stops."""

_LONGEST_WAIT_SECONDS = 30.0
"""A handler gives up after this long when its caller named no deadline."""

_NO_DEADLINE_SECONDS = 1e9
"""More than this is left, says gRPC, of the time of a caller that named none."""

P = ParamSpec("P")
T = TypeVar("T")


def on_reactor(
    reactor: IReactorFromThreads,
    context: grpc.ServicerContext,
    function: Callable[P, Deferred[T]],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """On a handler's thread: have the reactor call `function`, and wait for what it answers.

    Never longer than the caller waits, so that no thread is held for a caller that is gone;
    a `BazaarError` ends the handler with its status. What the caller has given up by the time
    the reactor comes to it is not begun: a process that stood still for a while must not
    decide trades of long ago.
    """
    left = context.time_remaining()
    if left is None or left > _NO_DEADLINE_SECONDS:
        left = _LONGEST_WAIT_SECONDS
    give_up = monotonic_seconds() + left
    answers: SimpleQueue[T | Failure] = SimpleQueue()

    def ask() -> None:
        if monotonic_seconds() < give_up:
            maybeDeferred(function, *args, **kwargs).addBoth(answers.put)

    reactor.callFromThread(ask)
    try:
        answer = answers.get(timeout=max(0.0, left))
    except Empty:
        context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "the reactor took too long")
        raise
    if isinstance(answer, Failure):
        if isinstance(answer.value, BazaarError):
            abort_with(context, answer.value)
        answer.raiseException()
    return answer


class RpcServer(Service):
    """Serves on `address` from `startService` to `stopService`.

    The gRPC server is made when the service starts: one made before twistd forks hangs
    (grpc#13873).
    """

    def __init__(
        self, address: Address, threads: int, add_servicers: Callable[[grpc.Server], None]
    ) -> None:
        self._address = address
        self._threads = threads
        self._add_servicers = add_servicers
        self._server: grpc.Server | None = None

    def startService(self) -> None:
        """Raises `Unusable` if the address cannot be listened on."""
        self._server = grpc.server(
            ThreadPoolExecutor(self._threads, thread_name_prefix="grpc"),
            options=(
                *connection.SERVER,
                # Else a second process would bind the same port and get half of the calls.
                ("grpc.so_reuseport", 0),
            ),
        )
        self._add_servicers(self._server)
        try:
            self._server.add_insecure_port(str(self._address))
        except RuntimeError:
            raise Unusable(f"cannot listen on {self._address}: is the port taken?") from None
        self._server.start()
        super().startService()

    def stopService(self) -> Deferred[bool] | None:
        super().stopService()
        if self._server is None:
            return None
        return deferToThread(self._server.stop(GRACE_SECONDS).wait)
