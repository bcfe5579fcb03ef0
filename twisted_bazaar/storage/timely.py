"""A store that is asked on threads of its own, and is not waited for when it does not answer.

A disk in the network that hangs keeps each reader waiting. A replica has few threads for reading,
and needs them to trade.
"""

from collections.abc import Callable, Collection
from threading import Condition, Thread

from .stores import Store

__all__ = ["TimelyStore"]

_SECONDS = 1.0
_MOST = 4


class TimelyStore:
    """A `Store` whose reads take `seconds` at most, and longer ones fail; `most` are under way.

    After one that was late, others fail at once, until a read has succeeded: one at a time is still
    made, to find out.
    """

    def __init__(self, store: Store, seconds: float = _SECONDS, most: int = _MOST) -> None:
        self._store = store
        self._seconds = seconds
        self._most = most
        self._changed = Condition()
        """Guards what follows, and is told of each read that ends."""
        self._under_way = 0
        self._late = False

    @property
    def where(self) -> str:
        return self._store.where

    def names(self) -> Collection[str]:
        return self._store.names()

    def put(self, name: str, content: bytes) -> None:
        self._store.put(name, content)

    def settle(self) -> None:
        self._store.settle()

    def read(self, name: str, offset: int, size: int) -> bytes:
        return self._asked(lambda: self._store.read(name, offset, size))

    def tail(self, name: str, size: int) -> bytes:
        return self._asked(lambda: self._store.tail(name, size))

    def _asked(self, ask: Callable[[], bytes]) -> bytes:
        reading = _Reading(ask)
        with self._changed:
            self._changed.wait_for(self._is_decided, self._seconds)
            if self._under_way >= (1 if self._late else self._most):
                raise OSError("does not answer")
            self._under_way += 1
            patience = 0.0 if self._late else self._seconds
            Thread(target=self._read, args=(reading,), daemon=True, name="archived").start()
            if not self._changed.wait_for(lambda: reading.ended, patience):
                self._late = True
                self._changed.notify_all()
                raise OSError("does not answer in time")
        return reading.result()

    def _is_decided(self) -> bool:
        """Whether another read need not wait to be made, or to fail."""
        return self._late or self._under_way < self._most

    def _read(self, reading: "_Reading") -> None:
        reading.read()
        with self._changed:
            reading.ended = True
            self._under_way -= 1
            self._late = self._late and reading.error is not None
            self._changed.notify_all()


class _Reading:
    """One read, on a thread of its own."""

    def __init__(self, ask: Callable[[], bytes]) -> None:
        self._ask = ask
        self._data = b""
        self.error: BaseException | None = None
        self.ended = False

    def read(self) -> None:
        try:
            self._data = self._ask()
        except BaseException as error:
            self.error = error

    def result(self) -> bytes:
        if self.error is not None:
            raise self.error
        return self._data
