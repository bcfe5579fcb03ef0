"""Reads the file of clients, at the start and whenever it changes."""

from collections.abc import Callable
from pathlib import Path

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from twisted_bazaar.errors import Unusable
from twisted_bazaar.runtime.file_state import FileState, file_state

from .client_file import read_clients
from .gate import Gate

__all__ = ["CHECK_SECONDS", "MAX_FILE_BYTES", "ClientFile"]

CHECK_SECONDS = 1.0
"""Between two looks at the file."""
MAX_FILE_BYTES = 16 * 1024 * 1024


class ClientFile(Service):
    """Keeps `gate` as the file says. Each look is one call of the system; only a file that has
    changed is read."""

    log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        path: Path,
        changed: Callable[[Gate], None] = lambda gate: None,
    ) -> None:
        """`changed` is called once the file was read again. Raises `Unusable` if it cannot be
        used."""
        self._reactor = reactor
        self._path = path
        self._changed = changed
        self._seen: FileState | None = None
        """As it was when it was read."""
        self._written: FileState | None = None
        """As it was at the last look at which it was another one."""
        self._wrong = ""
        """Why the file is not in force, as the log says; empty: it is."""
        self._call: IDelayedCall | None = None
        self.gate = Gate()
        try:
            self._read()
        except (OSError, ValueError) as why:
            raise Unusable(f"--clients {path}: {_said(why)}") from None

    def startService(self) -> None:
        super().startService()
        self._call = self._reactor.callLater(CHECK_SECONDS, self._check)

    def stopService(self) -> None:
        super().stopService()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _check(self) -> None:
        self._call = self._reactor.callLater(CHECK_SECONDS, self._check)
        try:
            is_new = self._read()
        except (OSError, ValueError) as why:
            # The clients of before stay: an editor may be about to write the file.
            if self._wrong != _said(why):
                self._wrong = _said(why)
                self.log.error(
                    "clients: {path}: {why}; the clients of before stay",
                    path=self._path,
                    why=self._wrong,
                )
            return
        if is_new:
            self._wrong = ""
            self.log.info(
                "clients: {path} is read again; it has {keys} API keys",
                path=self._path,
                keys=len(self.gate),
            )
            self._changed(self.gate)

    def _read(self) -> bool:
        """Read the file if it has changed; returns whether it had."""
        state = file_state(self._path)
        if state is not None and state == self._seen:
            return False
        if state is not None and not state.is_regular:
            # To read a pipe would wait for who writes to it.
            raise ValueError("it is no file")
        if state is not None and state.size > MAX_FILE_BYTES:
            raise ValueError(f"it is larger than {MAX_FILE_BYTES} bytes")
        if self._is_being_written(state):
            return False
        text = self._path.read_text("utf-8")
        self._seen = state
        entries = read_clients(text)
        self.gate.replace(entries.values())
        return True

    def _is_being_written(self, state: FileState | None) -> bool:
        """Whether the file may not be whole yet: it is the one that was read before, and was
        written since the last look. Its first lines alone may say more than all of it: a client
        without its line of permissions may trade."""
        before, self._written = self._written, state
        if state is None or self._seen is None or state.inode != self._seen.inode:
            return False
        return state != before


def _said(why: OSError | ValueError) -> str:
    if isinstance(why, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return (why.strerror or str(why)) if isinstance(why, OSError) else str(why)
