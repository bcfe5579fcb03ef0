"""Reads the file of clients, at the start and whenever it changes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.errors import Unusable
from twisted_bazaar.runtime.file_state import FileState, file_state

from .client_file import ClientEntry, read_clients
from .gate import Gate

__all__ = ["CHECK_SECONDS", "MAX_FILE_BYTES", "REPLACED_SECONDS", "ClientFile"]

CHECK_SECONDS = 1.0
"""Between two looks at the file. One that is written in place is read if it stays the same for so
long."""
REPLACED_SECONDS = 0.2
"""The same for a file that has come in place of another: most are whole then, but an editor may
also write a new file under the name of the old one."""
MAX_FILE_BYTES = 16 * 1024 * 1024

T = TypeVar("T")
Blocking = Callable[[Callable[[], T]], Deferred[T]]
"""Calls a function in a thread."""


class ClientFile(Service):
    """Keeps `gate` as the file says. Each look is one call of the system; only a file that has
    changed is read."""

    log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        path: Path,
        blocking: Blocking[Mapping[str, ClientEntry]],
        changed: Callable[[Gate], None] = lambda gate: None,
    ) -> None:
        """The file is read now, and then by `blocking`, as one with ten thousand clients takes a
        second or two. `changed` is called once it was read again. Raises `Unusable` if it cannot be
        used."""
        self._reactor = reactor
        self._path = path
        self._blocking = blocking
        self._changed = changed
        self._seen = file_state(path)
        """As it was when it was read; None: it could not be."""
        self._looked = self._seen
        """As it was at the last look."""
        self._wrong = ""
        """Why the file is not in force, as the log says; empty: it is."""
        self._call: IDelayedCall | None = None
        try:
            self.gate = Gate(_read(path, self._seen).values())
        except (OSError, ValueError) as why:
            raise Unusable(f"--clients {path}: {_said(why)}") from None

    def startService(self) -> None:
        super().startService()
        self._look_later()

    def stopService(self) -> None:
        super().stopService()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _look_later(self, seconds: float = CHECK_SECONDS) -> None:
        if self.running:
            self._call = self._reactor.callLater(seconds, self._look)

    def _look(self) -> None:
        self._call = None
        before, self._looked = self._looked, file_state(self._path)
        state = self._looked
        if state is not None and state == self._seen:
            self._look_later()
        elif state is not None and state != before:
            # Its first lines alone may say more than all of it: a client without its line of
            # permissions may trade.
            is_other = before is None or state.inode != before.inode
            self._look_later(REPLACED_SECONDS if is_other else CHECK_SECONDS)
        else:
            read = self._blocking(lambda: _read(self._path, state))
            read.addCallbacks(self._take, self._keep, (state,), errbackArgs=(state,))
            read.addErrback(lambda failure: self.log.failure("unexpected error", failure))
            read.addCallback(lambda _: self._look_later())

    def _take(self, entries: Mapping[str, ClientEntry], state: FileState | None) -> None:
        self._seen = state
        self._wrong = ""
        self.gate.replace(entries.values())
        self.log.info(
            "clients: {path} is read again; it has {keys} API keys",
            path=self._path,
            keys=len(self.gate),
        )
        self._changed(self.gate)

    def _keep(self, failure: Failure, state: FileState | None) -> None:
        """The clients of before stay: an editor may be about to write the file."""
        error = failure.value
        if not isinstance(error, OSError | ValueError):
            failure.raiseException()
        # What cannot be opened may be later, and what is gone may come back as it was.
        self._seen = None if isinstance(error, OSError) else state
        why = _said(error)
        if self._wrong != why:
            self._wrong = why
            self.log.error(
                "clients: {path}: {why}; the clients of before stay", path=self._path, why=why
            )


def _read(path: Path, state: FileState | None) -> Mapping[str, ClientEntry]:
    """What is in the file, which is as `state` says. Raises OSError, or ValueError with what is
    wrong."""
    if state is not None and not state.is_regular:
        # To read a pipe would wait for who writes to it.
        raise ValueError("it is no file")
    if state is not None and state.size > MAX_FILE_BYTES:
        raise ValueError(f"it is larger than {MAX_FILE_BYTES} bytes")
    return read_clients(path.read_text("utf-8"))


def _said(why: OSError | ValueError) -> str:
    if isinstance(why, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return (why.strerror or str(why)) if isinstance(why, OSError) else str(why)
