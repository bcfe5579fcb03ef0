"""Child processes: started, signalled, and ended with this process."""

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from twisted_bazaar.local.command_lines import ending_with
from twisted_bazaar.runtime.reactor import Reactor

__all__ = ["Process", "environment", "last_message"]

LAST_BYTES = 20_000


def environment() -> Mapping[str, str]:
    """The environment for children: this process's, without `BAZAAR_…` options, so that only
    their command lines decide."""
    return {name: value for name, value in os.environ.items() if not name.startswith("BAZAAR_")}


class Process:
    """A child process, which may be started again once it has ended."""

    def __init__(
        self,
        reactor: Reactor,
        command: Sequence[str],
        log: Path,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """The output of `command` is appended to the file `log`. `variables` are
        added to `environment()`."""
        self._reactor = reactor
        self._command = list(command)
        self._variables = dict(variables or {})
        self._log = log
        self._life: _Life | None = None
        self.on_end: Callable[[], None] | None = None
        """Called each time that it ends."""

    def start(self) -> None:
        """Start it; it must not be running."""
        assert self.pid is None
        arguments = ending_with(os.getpid(), self._command)
        self._life = _Life(self._ended)
        with open(os.devnull, "rb") as nothing, self._log.open("ab") as log:
            self._reactor.spawnProcess(
                self._life,
                arguments[0],
                arguments,
                {**environment(), **self._variables},
                childFDs={0: nothing.fileno(), 1: log.fileno(), 2: log.fileno()},
            )

    @property
    def pid(self) -> int | None:
        """The process id; None: it does not run."""
        life = self._life
        if life is None or life.status is not None or life.transport is None:
            return None
        pid: int = life.transport.pid
        return pid

    @property
    def status(self) -> int | None:
        """Its last exit status, or minus the signal that ended it; None: it has not ended."""
        return self._life.status if self._life is not None else None

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it runs."""
        if self.pid is not None:
            os.kill(self.pid, number)

    async def wait(self, seconds: float) -> None:
        """Return when it has ended, or after `seconds`."""
        if self._life is not None and self.status is None:
            ended = self._life.ended()
            ended.addTimeout(seconds, self._reactor).addErrback(lambda why: why.trap(TimeoutError))
            await ended

    async def stop(self, within: float) -> int | None:
        """SIGTERM, and SIGKILL after `within` seconds. Return its exit status once it has ended."""
        life = self._life
        if life is not None and self.pid is not None:
            self.send(signal.SIGTERM)
            late = self._reactor.callLater(within, self.send, signal.SIGKILL)
            await life.ended()
            if late.active():
                late.cancel()
        return self.status

    async def end(self) -> None:
        """SIGKILL, if it runs. Return once it has ended."""
        if self._life is not None and self.pid is not None:
            self.send(signal.SIGKILL)
            await self._life.ended()

    def _ended(self) -> None:
        if self.on_end is not None:
            self.on_end()


class _Life(ProcessProtocol):
    """A process from its start to its end."""

    def __init__(self, on_end: Callable[[], None]) -> None:
        self.status: int | None = None
        self._on_end = on_end
        self._waiting: list[Deferred[None]] = []

    def ended(self) -> Deferred[None]:
        waits: Deferred[None] = Deferred()
        if self.status is not None:
            waits.callback(None)
        else:
            self._waiting.append(waits)
        return waits

    def processEnded(self, reason: Failure) -> None:
        why = reason.value
        assert isinstance(why, ProcessDone | ProcessTerminated)
        self.status = -why.signal if why.signal else (why.exitCode or 0)
        self._on_end()
        for waits in self._waiting:
            # A wait with a timeout may have been cancelled.
            if not waits.called:
                waits.callback(None)


def last_message(log: Path) -> str:
    """The last line of `log` that is not a twistd log entry: why a service could not start."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LAST_BYTES))
        lines = file.read().decode("utf-8", "replace").splitlines()
    plain = [line for line in lines if line and not line[:4].isdecimal() and not line[0].isspace()]
    return (plain or lines or ["it said nothing"])[-1]
