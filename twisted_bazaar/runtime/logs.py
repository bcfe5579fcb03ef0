"""The log of a process: written where twistd's options say, by a thread of its own.

twistd writes each line on the thread that logs it, which is the reactor's.
"""

import io
import os
import signal
from collections.abc import Callable, Mapping
from typing import Any, TextIO, cast

from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import ILogObserver, textFileLogObserver
from twisted.python.logfile import LogFile

from .output import Output, to_descriptor

__all__ = ["Log"]

_OWNER_ONLY = 0o600
_DEFAULT_FILE = "twistd.log"


class Log:
    """The log of this process, and the queue that it goes through.

    `twistd` holds the options of twistd. With `--syslog` or `--logger` the operator chooses an
    observer, which stays as it is. Raises OSError if the log file cannot be written.
    """

    def __init__(self, reactor: IReactorFromThreads, twistd: Mapping[str, Any]) -> None:
        self.forks = not twistd.get("nodaemon", True)
        """Whether twistd will fork before it starts the service."""
        path = twistd.get("logfile") or (_DEFAULT_FILE if self.forks else "-")
        self.observer: ILogObserver | None = None
        """The log observer for twistd to use; None: its own."""
        if twistd.get("logger") or twistd.get("syslog") or (path == "-" and self.forks):
            self.output = Output(to_descriptor(1))
            return
        self.output = Output(to_descriptor(1) if path == "-" else _to_file(reactor, path))
        self.observer = cast(ILogObserver, textFileLogObserver(cast(TextIO, _Text(self.output))))


def _to_file(reactor: IReactorFromThreads, path: str) -> Callable[[bytes], object]:
    # An existing file keeps its mode: it may be shared on purpose, or be /dev/null.
    file = LogFile.fromFullPath(path, defaultMode=None if os.path.exists(path) else _OWNER_ONLY)
    # As twistd documents it.
    if not signal.getsignal(signal.SIGUSR1):
        signal.signal(signal.SIGUSR1, lambda *_: reactor.callFromThread(file.rotate))
    write: Callable[[bytes], object] = file.write
    return write


class _Text(io.TextIOBase):
    """The text file that an observer writes to."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def write(self, text: str) -> int:
        self._output.write(text.encode("utf-8", "backslashreplace"))
        return len(text)
