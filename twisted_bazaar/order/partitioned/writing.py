"""The calls by which a member leads a partition, made of its log."""

from collections.abc import Callable
from functools import partial

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from twisted_bazaar.engine.calls import Call, Load, make
from twisted_bazaar.engine.shared_log import (
    EngineError,
    Lost,
    Refused,
    SharedLog,
    Snapshot,
    Unknown,
)

from .call_thread import CallThread

__all__ = ["Wrote", "Writing"]

Wrote = Callable[[Call, float, str], None]
"""Told of each call, how many seconds it took, and how it ended: `done`, `lost`, `refused` or
`unknown`."""


class Writing:
    """The log of one partition, as its leader calls it. On the reactor thread."""

    def __init__(
        self,
        thread: CallThread[SharedLog],
        load_seconds: float,
        seconds: Callable[[], float],
        wrote: Wrote,
    ) -> None:
        """To load the market may take `load_seconds`. `seconds` is a clock that only goes
        forward."""
        self._thread = thread
        self._load_seconds = load_seconds
        self._seconds = seconds
        self._wrote = wrote

    def make(self, call: Call) -> Deferred[Snapshot | EngineError | None]:
        """Make `call`; fires with the answer to a `Load`, with None, or with why it did not
        succeed."""
        timeout = self._load_seconds if isinstance(call, Load) else None
        began = self._seconds()
        made = self._thread.call(partial(make, call), timeout)
        return made.addCallbacks(self._done, self._failed, (call, began), {}, (call, began))

    def _done(self, answer: Snapshot | None, call: Call, began: float) -> Snapshot | None:
        self._wrote(call, self._seconds() - began, "done")
        return answer

    def _failed(self, failure: Failure, call: Call, began: float) -> EngineError:
        failure.trap(EngineError)
        error = failure.value
        assert isinstance(error, EngineError)
        self._wrote(call, self._seconds() - began, _result(error))
        return error


def _result(error: EngineError) -> str:
    """The error as `SharedLog` names it: an engine has kinds of its own."""
    kinds = (kind for kind in (Lost, Refused) if isinstance(error, kind))
    return next(kinds, Unknown).__name__.lower()
