"""The log of a process: which events are written, in which form, and where twistd's options say,
by a thread of its own.

twistd writes each line on the thread that logs it, which is the reactor's.
"""

import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
)
from twisted.python.logfile import LogFile
from zope.interface import implementer

from .log_lines import Writer, plain_event, writer
from .log_settings import Format, Level, LogSettings
from .output import Output, text_remark, to_descriptor

__all__ = ["Log", "filtered"]

_OWNER_ONLY = 0o600
_DEFAULT_FILE = "twistd.log"

_TALKATIVE = ("twisted", "log_legacy")
"""Namespaces of Twisted's own events, those of the old interface as well. At info they tell of each
factory and port that starts and stops, so they count as debug. Warnings and errors are shown."""


class Log:
    """The log of this process, and the queue that it goes through.

    `twistd` holds the options of twistd. With `--syslog` or `--logger` the operator chooses an
    observer, which stays as it is and is given all events. Raises OSError if the log file cannot
    be written.
    """

    def __init__(
        self,
        reactor: IReactorFromThreads,
        twistd: Mapping[str, Any],
        service: str,
        settings: LogSettings,
        has_name: bool = False,
    ) -> None:
        """`service` is the name of this process. With `has_name` each line of text begins with
        it, as those of other processes will come between."""
        self.forks = not twistd.get("nodaemon", True)
        """Whether twistd will fork before it starts the service."""
        path = twistd.get("logfile") or (_DEFAULT_FILE if self.forks else "-")
        self.observer: ILogObserver | None = None
        """The log observer for twistd to use; None: its own."""
        remark = _remark(service) if settings.format is Format.JSON else text_remark
        if twistd.get("logger") or twistd.get("syslog") or (path == "-" and self.forks):
            self.output = Output(to_descriptor(1), remark=remark)
            return
        sink = to_descriptor(1) if path == "-" else _to_file(reactor, path)
        self.output = Output(sink, remark=remark)
        written = _Written(writer(settings.format, service, has_name), self.output)
        self.observer = filtered(written, settings.level)


def filtered(observer: ILogObserver, level: Level) -> ILogObserver:
    """`observer`, without the events that are less important than `level`."""
    # An event is dropped before it is formatted.
    least = LogLevel.levelWithName(level.value)
    predicate = LogLevelFilterPredicate(defaultLogLevel=least)
    if level is Level.INFO:
        for namespace in _TALKATIVE:
            predicate.setLogLevelForNamespace(namespace, LogLevel.warn)
    return FilteringLogObserver(observer, [predicate])


@implementer(ILogObserver)
class _Written:
    """Puts each event into the queue as a line."""

    def __init__(self, write: Writer, output: Output) -> None:
        self._write = write
        self._output = output

    def __call__(self, event: LogEvent) -> None:
        self._output.write(self._write(event))


def _remark(service: str) -> Callable[[int], bytes]:
    """What JSON says of lines that were dropped."""

    def remark(dropped: int) -> bytes:
        message = f"{dropped} lines dropped: they could not be written"
        return plain_event(time.time(), Level.WARN, service, message)

    return remark


def _to_file(reactor: IReactorFromThreads, path: str) -> Callable[[bytes], object]:
    # An existing file keeps its mode: it may be shared on purpose, or be /dev/null.
    file = LogFile.fromFullPath(path, defaultMode=None if os.path.exists(path) else _OWNER_ONLY)
    # As twistd documents it.
    if not signal.getsignal(signal.SIGUSR1):
        signal.signal(signal.SIGUSR1, lambda *_: reactor.callFromThread(file.rotate))
    write: Callable[[bytes], object] = file.write
    return write
