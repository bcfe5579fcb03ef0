"""How the process of a service ends: its last line on standard error, and its exit status.

twistd by itself logs a failed start as a traceback, cannot exit with a failure once its reactor
has run, and dies by the signal that asked it to stop, so that an orderly stop looks like a kill.
Here a service that is asked to stop exits with status 0, and one that cannot go on prints one
line on standard error and exits with status 1.

A stop has a time limit, kept by a thread of its own: a silent name server, a disk that hangs or a
reader that does not read cannot delay it further. What was acknowledged is on disk by then, so a
process that ends at the limit loses nothing, as after a crash.
"""

import atexit
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, Thread, Timer
from typing import NoReturn
from weakref import WeakKeyDictionary, WeakSet

from twisted.logger import Logger

from twisted_bazaar.errors import Unusable

from .exit_codes import FAILURE, SUCCESS
from .output import Output, to_descriptor
from .reactor import Reactor

__all__ = [
    "STOP_SECONDS",
    "await_signals",
    "failing",
    "flushed_at_exit",
    "refuse",
    "refusing",
    "stop_on_signals",
    "stop_with",
]

STOP_SECONDS = 5.5
"""How long a stop may take: 5 s for requests under way, and the rest."""

_FLUSH_SECONDS = 0.3
"""How long an exit waits for the readers of its output."""

_ASKING = frozenset({signal.SIGTERM, signal.SIGINT})

Call = Callable[[], object]

log = Logger()


_stopping: WeakSet[Reactor] = WeakSet()
"""The reactors that have been told to stop: a second `reactor.stop()` is an error."""

_failed: WeakSet[Reactor] = WeakSet()
"""The reactors that stop because of a failure, which has been printed."""

_bounds: WeakKeyDictionary[Reactor, float] = WeakKeyDictionary()
"""How long each reactor may take to stop, in seconds, if not `STOP_SECONDS`."""

_bounded: WeakSet[Reactor] = WeakSet()
"""The reactors whose time limit runs."""

_lock = Lock()
"""Guards `_bounded` and `_waiting`."""

_waiting: list[Thread] = []
"""Threads that will wait for signals, not started until twistd has forked."""

_errors = Output(to_descriptor(2))
_flushed: list[Output] = [_errors]


def flushed_at_exit(output: Output) -> Output:
    """Register `output` to be flushed, for a moment, when the process exits. Returns it."""
    _flushed.append(output)
    atexit.register(output.flush, _FLUSH_SECONDS)
    return output


def refuse(line: str) -> NoReturn:
    """Print `line` on standard error and exit with status 1, before the reactor runs.

    For `makeService` and `startService`. In the latter a plain `SystemExit(line)` would be
    written to the log, as twistd has redirected `sys.stderr`.
    """
    _say(line)
    _flush()
    raise SystemExit(FAILURE)


@contextmanager
def refusing(service: str) -> Iterator[None]:
    """Around the body of `startService`: any exception there ends the process with status 1.

    An `Unusable` folder or port becomes one line. Threads that have started would keep a process
    alive that only raises SystemExit.
    """
    try:
        yield
    except Unusable as why:
        _say(f"{service}: {why}")
        _leave(FAILURE)
    except Exception:
        _say(traceback.format_exc().rstrip("\n"))
        _leave(FAILURE)


def stop_with(reactor: Reactor, line: str) -> None:
    """This service cannot go on: print `line`, stop every service in order, exit with status 1.

    For failures that are known only once the reactor runs: a port that cannot be listened on, a
    disk that fails. May be called before it runs, too, and again: only the first line, the
    cause, is printed.
    """
    if reactor in _failed:
        return
    _failed.add(reactor)
    _say(line)
    if _is_unseen():
        log.error("{line}", line=line)
    # twistd exits with 0 when its reactor stops. After all shutdown triggers is the last moment
    # to change that.
    reactor.addSystemEventTrigger("after", "shutdown", lambda: _leave(FAILURE))
    _end_in_time(reactor)
    reactor.callWhenRunning(lambda: _stop(reactor))


def failing(reactor: Reactor) -> bool:
    """Whether this process is about to end because of a failure."""
    return reactor in _failed


def stop_on_signals(
    reactor: Reactor, seconds: float = STOP_SECONDS, is_child: bool = False
) -> None:
    """Make SIGTERM and SIGINT stop the reactor, and the process then exit with 0.

    Called by every `makeService`. The process ends within `seconds` of the signal, and a moment
    to flush its output, even if something hangs or the reactor does not run yet. Further signals
    while stopping are ignored. Child processes inherit the blocked signals. The log names the
    signal; that of a child does so for debugging only, as its parent says that it stops or ended.
    """
    _bounds[reactor] = seconds
    # A thread waits for them: Python runs handlers on the main thread only, which may wait for a
    # disk. And twistd kills itself with a signal that its reactor has handled.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ASKING)
    say = log.debug if is_child else log.info
    _waiting.append(Thread(target=_await_signal, args=(reactor, say), name="signals", daemon=True))
    reactor.callWhenRunning(await_signals)


def await_signals() -> None:
    """Start the threads of `stop_on_signals`; signals since then count.

    For `startService`, which may take long: threads made earlier do not survive twistd's fork.
    Harmless when none waits to be started.
    """
    with _lock:
        while _waiting:
            _waiting.pop().start()


def _await_signal(reactor: Reactor, say: Callable[..., None]) -> None:
    number = signal.sigwait(_ASKING)
    _end_in_time(reactor)
    say("told to stop by {signal}", signal=signal.Signals(number).name)
    reactor.callFromThread(lambda: _stop(reactor))


def _stop(reactor: Reactor) -> None:
    if reactor not in _stopping:
        _stopping.add(reactor)
        reactor.stop()


def _end_in_time(reactor: Reactor) -> None:
    """Start the time limit of a stop; harmless when it runs."""
    with _lock:
        if reactor in _bounded:
            return
        _bounded.add(reactor)
    seconds = _bounds.get(reactor, STOP_SECONDS)

    def say() -> None:
        log.warn("not all has stopped within {seconds} s: ending without it", seconds=seconds)

    def end() -> None:
        _try(say, _FLUSH_SECONDS)
        _leave(FAILURE if reactor in _failed else SUCCESS)

    timer = Timer(seconds, end)
    timer.name = "end"
    timer.daemon = True
    timer.start()


def _say(line: str) -> None:
    _errors.write(f"{line}\n".encode("utf-8", "backslashreplace"))
    _errors.start()


def _is_unseen() -> bool:
    """Whether standard error leads nowhere, as once twistd has forked: there is a log file then."""
    return os.path.samestat(os.fstat(2), os.stat(os.devnull))


def _leave(status: int) -> NoReturn:
    _flush()
    os._exit(status)


def _flush() -> None:
    """Wait a moment until the output of this process is written."""

    def flush() -> None:
        for output in _flushed:
            output.flush(_FLUSH_SECONDS)
        for stream in (sys.__stdout__, sys.__stderr__):
            if stream is not None:
                stream.flush()

    _try(flush, _FLUSH_SECONDS)


def _try(call: Call, seconds: float) -> None:
    """Run `call`, which may block, on a thread, and wait at most `seconds` for it."""
    trying = Thread(target=call, daemon=True)
    trying.start()
    trying.join(seconds)
