"""The methods of a gRPC server, registered by the code that grpcio's generator writes."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

import attrs
import grpc

__all__ = ["Method", "Methods", "blocking"]

F = TypeVar("F", bound=Callable[..., Any])

_BLOCKING = "runs_on_a_thread"


def blocking(behaviour: F) -> F:
    """Marks a servicer's method that may block, on a disk or a lock: it runs on a thread.

    Every other unary method runs on the reactor's thread, and returns the reply, a Deferred or a
    coroutine; one that streams answers is an async generator (see `streaming`).
    `runs_on_a_thread = True` in a servicer's class marks all of its methods.
    """
    setattr(behaviour, _BLOCKING, True)
    return behaviour


@attrs.frozen
class Method:
    """One method: unary, or one that streams answers."""

    path: str
    behaviour: Callable[[Any, Any], Any]
    decode: Callable[[bytes], Any] = bytes
    encode: Callable[[Any], bytes] = bytes
    blocking: bool = False
    streams: bool = False
    """Whether it streams answers: the behaviour is an async generator."""
    streams_requests: bool = False
    """Whether it is given an async iterator of requests."""

    @classmethod
    def of(cls, path: str, handler: Any) -> "Method":
        """From a `grpc.RpcMethodHandler`. Raises ValueError if it streams requests only, or
        streams and is marked as blocking."""
        answers, requests = handler.response_streaming, handler.request_streaming
        if requests and not answers:
            raise ValueError(f"{path} streams requests only, which is not served")
        behaviour = handler.unary_unary
        if answers:
            behaviour = handler.stream_stream if requests else handler.unary_stream
        owner = getattr(behaviour, "__self__", None)
        blocks = bool(getattr(behaviour, _BLOCKING, False) or getattr(owner, _BLOCKING, False))
        if answers and blocks:
            raise ValueError(f"{path} streams, which is not done on a thread")
        return cls(
            path,
            behaviour,
            handler.request_deserializer or bytes,
            handler.response_serializer or bytes,
            blocks,
            answers,
            requests,
        )


class _Details(NamedTuple):
    """As much of `grpc.HandlerCallDetails` as a generic handler needs."""

    method: str
    invocation_metadata: tuple[()] = ()


class Methods:
    """As much of a `grpc.Server` as `add_…Servicer_to_server` calls."""

    def __init__(self) -> None:
        # Of two kinds, so that to serve those that stream costs an ordinary call nothing.
        self._unary: dict[str, Method] = {}
        self._streaming: dict[str, Method] = {}
        self._generic: list[grpc.GenericRpcHandler] = []

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Serve `handlers`, whose keys are method names of `service`."""
        for name, handler in handlers.items():
            method = Method.of(f"/{service}/{name}", handler)
            (self._streaming if method.streams else self._unary)[method.path] = method

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Serve what these return for methods that are not registered by name."""
        self._generic.extend(handlers)

    def find(self, path: str) -> Method | None:
        """The unary method at `path`, `/package.Service/Method`; None if there is none."""
        if (method := self._unary.get(path)) is not None:
            return method
        return self._ask_generic(path, streams=False)

    def find_streaming(self, path: str) -> Method | None:
        """The method at `path` that streams answers; None if there is none."""
        if (method := self._streaming.get(path)) is not None:
            return method
        return self._ask_generic(path, streams=True)

    def _ask_generic(self, path: str, streams: bool) -> Method | None:
        if path in self._unary or path in self._streaming:
            return None
        details: Any = _Details(path)
        for each in self._generic:
            if (handler := each.service(details)) is not None:
                method = Method.of(path, handler)
                return method if method.streams is streams else None
        return None
