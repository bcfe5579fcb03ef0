"""A gRPC server as a Service, and the way from its threads to the reactor."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from random import Random
from typing import Any, ParamSpec, TypeAlias, TypeVar

import grpc
from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.errors import BazaarError, Malformed, NotAuthorised, Unusable
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.reactor import Reactor

from . import keepalive
from .status import abort_with

__all__ = ["GRACE_SECONDS", "RpcServer", "on_reactor"]

GRACE_SECONDS = 5.0
"""How long calls under way may take to finish when the server stops."""

_LONGEST_WAIT_SECONDS = 30.0
"""A handler gives up after this long if its caller has named no deadline."""

_NO_DEADLINE_SECONDS = 1e9
"""gRPC reports a longer time left for a caller that has named no deadline."""

_LOG_SECONDS = 10.0
"""At most one log line in so many seconds reports refused messages."""
_SAID_CHARACTERS = 300

P = ParamSpec("P")
T = TypeVar("T")
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
"""Generic in the stubs only."""


def on_reactor(
    reactor: Reactor,
    context: grpc.ServicerContext,
    function: Callable[P, Deferred[T]],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """On a handler's thread: call `function` on the reactor, and wait for its answer.

    It waits no longer than the caller does, so that no thread is held for a caller that is gone;
    a `BazaarError` ends the handler with its status. A call that the caller has given up before
    the reactor gets to it is not begun: a process that was paused must not decide old trades.
    """
    left = context.time_remaining()
    if left is None or left > _NO_DEADLINE_SECONDS:
        left = _LONGEST_WAIT_SECONDS
    give_up = reactor.seconds() + left
    answers: SimpleQueue[T | Failure] = SimpleQueue()

    def ask() -> None:
        if reactor.seconds() < give_up and context.is_active():
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


class _Guarded(grpc.ServerInterceptor):
    """Around every handler: turns an exception into a status for the caller and a log line."""

    log = Logger()

    def __init__(self, seconds: Callable[[], float], random: Random) -> None:
        self._seconds = seconds
        self._random = random
        self._handlers: dict[str, Handler] = {}
        self._log_again_at = float("-inf")
        self._not_logged = 0

    def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Handler | None]",
        details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        method = details.method
        if method not in self._handlers:
            handler = continuation(details)
            if handler is None:
                return None
            self._handlers[method] = self._guard(method, handler)
        return self._handlers[method]

    def _guard(self, method: str, handler: Handler) -> Handler:
        answer = handler.unary_unary
        assert answer is not None, "no call of a bazaar is a stream"

        def guarded(request: Any, context: Any) -> Any:
            try:
                return answer(request, context)
            except BazaarError as error:
                if isinstance(error, Malformed | NotAuthorised):
                    self._report(method, context.peer(), error)
                abort_with(context, error)
            except Exception:
                # `context.abort` raises, too, and has set the status.
                if context.code() is not None:
                    raise
                name = f"{self._random.getrandbits(48):012x}"
                self.log.failure(
                    "unexpected error in call {name} of {method}", name=name, method=method
                )
            context.abort(
                grpc.StatusCode.INTERNAL, f"unexpected error: call {name} in the log of the service"
            )

        return grpc.unary_unary_rpc_method_handler(
            guarded, handler.request_deserializer, handler.response_serializer
        )

    def _report(self, method: str, peer: str, error: BazaarError) -> None:
        """Log what was refused, at most every `_LOG_SECONDS`."""
        now = self._seconds()
        if now < self._log_again_at:
            self._not_logged += 1
            return
        self.log.warn(
            "{method} from {peer} was refused: {why} ({more} more since the last line like this)",
            method=method,
            peer=peer,
            why=str(error)[:_SAID_CHARACTERS],
            more=self._not_logged,
        )
        self._log_again_at, self._not_logged = now + _LOG_SECONDS, 0


class RpcServer(Service):
    """Serves on `address` from `startService` to `stopService`.

    The gRPC server is made when the service starts: one made before twistd forks hangs
    (grpc#13873).
    """

    def __init__(
        self,
        reactor: Reactor,
        address: Address,
        threads: int,
        add_servicers: Callable[[grpc.Server], None],
        random: Random,
    ) -> None:
        """`threads` is the number of handlers that run at a time. `random` names the calls that
        fail; it is used on any thread."""
        self._reactor = reactor
        self._random = random
        self._address = address
        self._threads = threads
        self._add_servicers = add_servicers
        self._server: grpc.Server | None = None

    def startService(self) -> None:
        """Raises `Unusable` if the address cannot be listened on."""
        self._server = grpc.server(
            ThreadPoolExecutor(self._threads, thread_name_prefix="grpc"),
            options=(
                *keepalive.SERVER,
                # By default, a second process could bind the same port and get half of the calls.
                ("grpc.so_reuseport", 0),
            ),
            interceptors=[_Guarded(self._reactor.seconds, self._random)],
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
        stopped = self._server.stop(GRACE_SECONDS)
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), stopped.wait)
