"""How the process of a service ends, whatever ends it: what it says, and its exit status.

Left to itself, twistd logs a failed start as a traceback, cannot exit with a failure once its
reactor has run, and dies by the very signal that asked it to stop, so that an orderly end
looks like a kill. Here: asked to stop is status 0, and unable to go on is one clear line on
standard error and status 1.

And it does end. A stop has a bound, kept by a thread that waits for nothing else: a name
server that is silent, a disk that hangs or a reader that does not read cannot hold it up. What
was acknowledged by then is on disk, so that an end without order is as good as a crash, which
loses nothing.
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
"""How long a stop may take: the 5 s of requests that are under way, and the rest."""

_FLUSH_SECONDS = 0.3
"""How long an exit waits for those who read what was said."""

_ASKING = frozenset({signal.SIGTERM, signal.SIGINT})

Call = Callable[[], object]

log = Logger()


_stopping: WeakSet[Reactor] = WeakSet()
"""The reactors that have been told to stop; telling them twice is an error."""

_failed: WeakSet[Reactor] = WeakSet()
"""Those of them that stop because of a failure, which has been said."""

_bounds: WeakKeyDictionary[Reactor, float] = WeakKeyDictionary()
"""How long each reactor may take to stop, if not `STOP_SECONDS`."""

_bounded: WeakSet[Reactor] = WeakSet()
"""Those whose time has begun."""

_lock = Lock()
"""Guards `_bounded` and `_waiting`."""

_waiting: list[Thread] = []
"""Will wait for signals, once the process is the one that it stays."""

_errors = Output(to_descriptor(2))
_flushed: list[Output] = [_errors]


def flushed_at_exit(output: Output) -> Output:
    """`output`, which gets a moment to be written whenever the process ends by itself."""
    _flushed.append(output)
    atexit.register(output.flush, _FLUSH_SECONDS)
    return output


def refuse(line: str) -> NoReturn:
    """Say `line` on standard error and leave with status 1, before the reactor runs.

    For `makeService` and `startService`. From the latter a plain `SystemExit(line)` would end
    up in the log, because twistd has pointed `sys.stderr` there by then.
    """
    _say(line)
    _flush()
    raise SystemExit(FAILURE)


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
        _leave(FAILURE)
    except Exception:
        _say(traceback.format_exc().rstrip("\n"))
        _leave(FAILURE)


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
    reactor.addSystemEventTrigger("after", "shutdown", lambda: _leave(FAILURE))
    _end_in_time(reactor)
    reactor.callWhenRunning(lambda: _stop(reactor))


def failing(reactor: Reactor) -> bool:
    """Whether this process is about to end because of a failure."""
    return reactor in _failed


def stop_on_signals(reactor: Reactor, seconds: float = STOP_SECONDS) -> None:
    """Make SIGTERM and SIGINT stop the reactor, and the process then exit with 0.

    Called by every `makeService`. Whatever hangs, and whether the reactor runs yet or not, the
    process ends within `seconds` of the signal, and a moment for what is still to be written.
    Further signals while stopping are ignored. Child processes inherit that these signals are
    blocked.
    """
    _bounds[reactor] = seconds
    # They are waited for by a thread, as Python runs handlers on the main thread only: that may
    # be waiting for a disk. And twistd would kill itself with a signal that its reactor handled.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ASKING)
    _waiting.append(Thread(target=_await_signal, args=(reactor,), name="signals", daemon=True))
    reactor.callWhenRunning(await_signals)


def await_signals() -> None:
    """Attend to signals from now on; those that came since `stop_on_signals` count.

    For `startService`, which may take long: threads that were made earlier would not survive
    that twistd forks. Harmless when there is nothing to be done.
    """
    with _lock:
        while _waiting:
            _waiting.pop().start()


def _await_signal(reactor: Reactor) -> None:
    number = signal.sigwait(_ASKING)
    _end_in_time(reactor)
    log.info("told to stop by {signal}", signal=signal.Signals(number).name)
    reactor.callFromThread(lambda: _stop(reactor))


def _stop(reactor: Reactor) -> None:
    if reactor not in _stopping:
        _stopping.add(reactor)
        reactor.stop()


def _end_in_time(reactor: Reactor) -> None:
    """The process ends when its time is over, unless it has by then."""
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


def _leave(status: int) -> NoReturn:
    _flush()
    os._exit(status)


def _flush() -> None:
    """Give what was said a moment to get out."""

    def flush() -> None:
        for output in _flushed:
            output.flush(_FLUSH_SECONDS)
        for stream in (sys.__stdout__, sys.__stderr__):
            if stream is not None:
                stream.flush()

    _try(flush, _FLUSH_SECONDS)


def _try(call: Call, seconds: float) -> None:
    """Do what may block, and wait for it no longer than `seconds`."""
    trying = Thread(target=call, daemon=True)
    trying.start()
    trying.join(seconds)
