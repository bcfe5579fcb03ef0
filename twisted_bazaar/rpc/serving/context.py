"""The context of a call, as its handler sees it: that of grpcio, and `defer`."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn, ParamSpec, TypeVar

import grpc
from twisted.internet.defer import Deferred

from .framing import Metadata

__all__ = ["Aborted", "Context"]

P = ParamSpec("P")
T = TypeVar("T")


class Aborted(Exception):
    """Raised by `abort`, to end the handler."""


class Context(grpc.ServicerContext):
    """A `grpc.ServicerContext`. Used on the reactor's thread, or on that of a blocking handler."""

    def __init__(
        self, peer: str, metadata: Metadata, deadline: float | None, seconds: Callable[[], float]
    ) -> None:
        """`deadline` is a time of the clock `seconds`; None if the client set none."""
        self.over = False
        """Whether the call has ended: nothing more is sent to the client."""
        self.deadline = deadline
        self._peer = peer
        self._metadata = metadata
        self._seconds = seconds
        self._status = 0
        self._details = ""
        self._initial: Metadata = ()
        self._trailing: Metadata = ()
        self._callbacks: list[Callable[[], None]] = []

    @abstractmethod
    def defer(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        """Call `function` on a thread; fires with its result, or fails with its exception.

        A call that has ended before a thread is free does not run `function`. To cancel the
        Deferred does not stop it.
        """

    def is_active(self) -> bool:
        return not self.over

    def time_remaining(self) -> float | None:  # type: ignore[override]  # None, as grpcio's
        if self.deadline is None:
            return None
        return max(0.0, self.deadline - self._seconds())

    def add_callback(self, callback: Callable[[], None]) -> bool:
        """Call `callback` when the call ends; False, and no call, if it has."""
        if not self.over:
            self._callbacks.append(callback)
        return not self.over

    def invocation_metadata(self) -> Any:
        return tuple(self._metadata)

    def peer(self) -> str:
        return self._peer

    def peer_identities(self) -> Iterable[bytes] | None:
        return None

    def peer_identity_key(self) -> str | None:
        return None

    def auth_context(self) -> Mapping[str, bytes]:
        return {}

    def send_initial_metadata(self, initial_metadata: Any) -> None:
        self._initial = tuple(initial_metadata)

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        self._trailing = tuple(trailing_metadata)

    def trailing_metadata(self) -> Any:
        return self._trailing

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        self.set_code(code)
        self.set_details(details)
        raise Aborted(details)

    def abort_with_status(self, status: grpc.Status) -> NoReturn:
        self._trailing = tuple(status.trailing_metadata or ())
        self.abort(status.code, status.details)

    def set_code(self, code: grpc.StatusCode) -> None:
        self._status = int(code.value[0])

    def set_details(self, details: str) -> None:
        self._details = details

    def code(self) -> Any:
        codes = {each.value[0]: each for each in grpc.StatusCode}
        return codes[self._status] if self._status else None

    def details(self) -> Any:
        return self._details
