"""How the process of a service ends, whatever ends it: what it says, and its exit status.

Left to itself, twistd logs a failed start as a traceback, cannot exit with a failure once its
reactor has run, and dies by the very signal that asked it to stop, so that an orderly end
looks like a kill. Here: asked to stop is status 0, and unable to go on is one clear line on
standard error and status 1.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn, Protocol
from weakref import WeakSet

from twisted.logger import Logger

from .errors import Unusable

__all__ = ["failing", "refuse", "refusing", "stop_on_signals", "stop_with"]


Call = Callable[[], object]

log = Logger()


class Reactor(Protocol):
    """What ending needs of a reactor."""

    def addSystemEventTrigger(self, phase: str, event: str, call: Call) -> object: ...
    def callFromThread(self, call: Call) -> object: ...
    def callWhenRunning(self, call: Call) -> object: ...
    def stop(self) -> None: ...


_stopping: WeakSet[Reactor] = WeakSet()
"""The reactors that have been told to stop; telling them twice is an error."""

_failed: WeakSet[Reactor] = WeakSet()
"""Those of them that stop because of a failure, which has been said."""


def refuse(line: str) -> NoReturn:
    """Say `line` on standard error and leave with status 1, before the reactor runs.

    For `makeService` and `startService`. From the latter a plain `SystemExit(line)` would end
    up in the log, because twistd has pointed `sys.stderr` there by then.
    """
    _say(line)
    raise SystemExit(1)


@contextmanager
def refusing(service: str) -> Iterator[None]:
    """Around the body of `startService`: whatever fails there ends the process with status 1.

    An `Unusable` folder or port becomes one line. What was started by then may have threads,
    which would keep a process that only raises SystemExit alive for ever.
    """
    try:
        yield
    except Unusable as why:
        _say(f"{service}: {why}")
        _leave()
    except Exception:
        traceback.print_exc(file=sys.__stderr__)
        _leave()


def stop_with(reactor: Reactor, line: str) -> None:
    """This service cannot go on: say `line`, stop every service in good order, exit with 1.

    For failures that are known only once the reactor runs: a port that cannot be listened on, a
    disk that fails. May be called before it runs as well, and again: the first line is the
    cause and is the only one shown.
    """
    if reactor in _failed:
        return
    _failed.add(reactor)
    _say(line)
    # twistd exits with 0 whenever its reactor stops; after all shutdown is the last moment
    # at which this can be helped.
    reactor.addSystemEventTrigger("after", "shutdown", _leave)
    reactor.callWhenRunning(lambda: _stop(reactor))


def failing(reactor: Reactor) -> bool:
    """Whether this process is about to end because of a failure."""
    return reactor in _failed


def stop_on_signals(reactor: Reactor) -> None:
    """Make SIGTERM and SIGINT stop the reactor, and the process then exit with 0.

    Called by every `makeService`. Further signals while stopping are ignored: the services
    bound how long that takes.
    """

    def asked(number: int) -> None:
        log.info("told to stop by {signal}", signal=signal.Signals(number).name)
        _stop(reactor)

    def install() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _: reactor.callFromThread(lambda: asked(number)))

    # From now on, and what comes in before the reactor runs is carried out when it does. The
    # reactor installs handlers of its own as it starts, which note the signal and make twistd
    # kill itself with it in the end: so once more after that.
    install()
    reactor.callWhenRunning(install)


def _stop(reactor: Reactor) -> None:
    if reactor not in _stopping:
        _stopping.add(reactor)
        reactor.stop()


def _say(line: str) -> None:
    stderr = sys.__stderr__ or sys.stderr
    print(line, file=stderr, flush=True)


def _leave() -> NoReturn:
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            stream.flush()
    os._exit(1)
