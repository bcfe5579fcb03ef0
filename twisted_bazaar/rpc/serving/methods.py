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

    Every other method runs on the reactor's thread, and returns the reply, a Deferred or a
    coroutine. `runs_on_a_thread = True` in a servicer's class marks all of its methods.
    """
    setattr(behaviour, _BLOCKING, True)
    return behaviour


@attrs.frozen
class Method:
    """One unary method."""

    path: str
    behaviour: Callable[[Any, Any], Any]
    decode: Callable[[bytes], Any] = bytes
    encode: Callable[[Any], bytes] = bytes
    blocking: bool = False

    @classmethod
    def of(cls, path: str, handler: Any) -> "Method":
        """From a `grpc.RpcMethodHandler`. Raises ValueError if it streams."""
        if handler.request_streaming or handler.response_streaming:
            raise ValueError(f"{path} streams: only unary methods are served")
        behaviour = handler.unary_unary
        owner = getattr(behaviour, "__self__", None)
        return cls(
            path,
            behaviour,
            handler.request_deserializer or bytes,
            handler.response_serializer or bytes,
            bool(getattr(behaviour, _BLOCKING, False) or getattr(owner, _BLOCKING, False)),
        )


class _Details(NamedTuple):
    """As much of `grpc.HandlerCallDetails` as a generic handler needs."""

    method: str
    invocation_metadata: tuple[()] = ()


class Methods:
    """As much of a `grpc.Server` as `add_…Servicer_to_server` calls."""

    def __init__(self) -> None:
        self._methods: dict[str, Method] = {}
        self._generic: list[grpc.GenericRpcHandler] = []

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Serve `handlers`, whose keys are method names of `service`."""
        for name, handler in handlers.items():
            path = f"/{service}/{name}"
            self._methods[path] = Method.of(path, handler)

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Serve what these return for methods that are not registered by name."""
        self._generic.extend(handlers)

    def find(self, path: str) -> Method | None:
        """The method at `path`, `/package.Service/Method`; None if there is none."""
        if (method := self._methods.get(path)) is not None:
            return method
        details: Any = _Details(path)
        for each in self._generic:
            if (handler := each.service(details)) is not None:
                return Method.of(path, handler)
        return None
