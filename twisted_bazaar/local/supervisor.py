"""Starts the processes of `twistd bazaar`, restarts them when they end, and lists them in a file.

`twisted.runner.procmon` watches them. This adds the file `processes.json`, children that end with
their parent, a stop that waits for them, and a delay of restarts that depends on how a process
ended.
"""

import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import attrs
from twisted.application import service
from twisted.internet import error
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.runner import procmon

from twisted_bazaar.runtime import announcement
from twisted_bazaar.runtime.exit_codes import FAILURE
from twisted_bazaar.runtime.log_settings import Level
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.storage.files import replace_file

from .command_lines import ending_with
from .console import Console, Lines

__all__ = ["LAST_SECONDS", "STOP_SECONDS", "Child", "Supervisor"]

_REQUESTS_SECONDS = 6.0
"""From SIGTERM to SIGKILL for a process that takes requests: more than its own limit of a stop."""

_IDLE_SECONDS = 3.0
"""The same for the others, which have no calls under way by then."""

STOP_SECONDS = _REQUESTS_SECONDS + _IDLE_SECONDS
"""The longest time until all processes have been killed, but for one that stops last."""

LAST_SECONDS = 3.0
"""What one that stops last adds to that."""

_STAGES = _REQUESTS_SECONDS, _IDLE_SECONDS, LAST_SECONDS

BLAMELESS = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
"""Signals that are sent from outside, not because of a fault of the process."""

_LAST_WORDS_BYTES = 8192


@attrs.frozen(kw_only=True)
class Child:
    """One process to keep running."""

    name: str
    address: str
    """Where it is reached, usually HOST:PORT."""
    internal: str = ""
    """Where a front-end takes market operations; empty: it is no front-end."""
    command: Sequence[str]
    tls: bool = False
    """Whether clients reach it by TLS."""
    takes_requests: bool = False
    """Whether it stops before the others, which serve its requests under way."""
    announces: bool = False
    """Whether it says when it serves (see `announcement`)."""
    stops_last: bool = False
    """Whether it stops after all others, which use it to their end."""
    leaves_with: str = ""
    """How its last line ends if it fails because the others go on without it; empty: never."""
    stop_signal: str = "TERM"
    """What tells it to stop; without the `SIG`."""
    account: str = ":"
    """As whom it runs: see `ending_with`."""
    environment: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """What it gets beside the environment of all; it may hold secrets, and is listed nowhere."""


class Supervisor(procmon.ProcessMonitor):
    """Keeps `children` running from `startService` to `stopService`.

    Meanwhile the file `path` lists them, a JSON array of objects: name, pid (null while there is
    no process), address, command, started (RFC 3339), restarts, internal where there is such an
    address, and tls where that is true. It is replaced whole at every change, and removed when all
    have stopped.

    A child that has served is restarted whenever it ends. One that ends with status 1 before it
    has ever served cannot use its folder or its options, and a restart would not help: `refused`
    is called, once, with one line. One that the others go on without is left out.
    """

    log = Logger()
    killTime: float = _REQUESTS_SECONDS  # type: ignore[assignment]
    """Seconds from SIGTERM to SIGKILL."""
    minRestartDelay = 0.1  # type: ignore[assignment]  # procmon means float
    maxRestartDelay = 5

    def __init__(
        self,
        reactor: Reactor,
        path: Path,
        children: Sequence[Child],
        environment: Mapping[str, str],
        console: Console,
        refused: Callable[[str], None],
        wall: Callable[[], float],
    ) -> None:
        """Restarts are timed by `reactor`, whose clock never goes back. `wall` is the time of day
        in seconds since 1970, which is only shown."""
        super().__init__(reactor)
        self._path = path
        self._children = {each.name: each for each in children}
        self._environment = dict(environment)
        self._console = console
        self._wall = wall
        self._started_at: dict[str, float] = {}
        """When each process started, by `wall`."""
        self._lives: dict[str, _ChildProtocol] = {}
        self._restarts = dict.fromkeys(self._children, -1)
        self._refused = refused
        self._served = {each.name for each in children if not each.announces}
        """The names of those that have served, and of those that do not say when."""
        self._given_up = False
        self._publishing = False
        for each in children:
            self.addProcess(each.name, list(each.command))

    def startProcess(self, name: str) -> None:
        """Start `name` unless it runs. procmon calls this at the start and after each end."""
        if name in self.protocols:
            return
        ours = self._children[name]
        life = _ChildProtocol(self, name, self._console)
        self.protocols[name] = self._lives[name] = life
        self.timeStarted[name] = self._clock.seconds()
        self._started_at[name] = self._wall()
        self._restarts[name] += 1
        arguments = ending_with(os.getpid(), ours.command, ours.account)
        environment, pipes = {**self._environment, **ours.environment}, {0: "w", 1: "r", 2: "r"}
        if ours.announces:
            environment = environment | {announcement.VARIABLE: str(announcement.DESCRIPTOR)}
            pipes[announcement.DESCRIPTOR] = "r"
        try:
            self._reactor.spawnProcess(life, arguments[0], arguments, environment, childFDs=pipes)
        except OSError:
            self._monitoredProcessExited(name, Failure())
        self._publish_soon()

    # procmon has no public hook for an end, and one threshold for all of them.
    def _monitoredProcessExited(self, name: str, reason: Failure | None = None) -> None:
        what, blameless = _judge(reason)
        # A process that was killed is to be back at once. One that fails by itself will fail
        # again, for which a slow machine may need seconds.
        self.threshold = 1 if blameless else 10
        life = self._lives.pop(name)
        super()._monitoredProcessExited(name, reason)
        failed = self.running and _status(reason) == FAILURE
        leaves_with = self._children[name].leaves_with
        if failed and leaves_with and life.last_words.endswith(leaves_with):
            self.restart[name].cancel()
            self.log.warn("{name} is not started again: {words}", name=name, words=life.last_words)
        elif failed and name not in self._served:
            self._give_up(name, life)
        elif self.running:
            pause = max(0.0, self.restart[name].getTime() - self._clock.seconds())
            self.log.warn(
                "{name} (process {pid}) {what}; starting it again in {pause:.1f} s",
                name=name,
                pid=life.pid,
                what=what,
                pause=pause,
            )
        self._publish_soon()

    def served(self, name: str) -> None:
        """`name` has announced that it serves."""
        self._served.add(name)

    def _give_up(self, name: str, life: "_ChildProtocol") -> None:
        self.restart[name].cancel()
        if not self._given_up:
            self._given_up = True
            self._refused(f"{name} does not start: {life.last_words or 'it does not say why'}")

    def stopProcess(self, name: str) -> None:
        """Tell `name` to stop; `killTime` later it is killed. procmon knows but one signal."""
        process = self._lives[name].transport
        assert process is not None
        try:
            process.signalProcess(self._children[name].stop_signal)
        except error.ProcessExitedAlready:
            return
        self.murder[name] = self._clock.callLater(self.killTime, self._forceStopProcess, process)

    def stopService(self) -> Deferred[None]:  # type: ignore[override]  # procmon does not wait
        """Stop the processes that take requests, then the others, then those that stop last.

        Fires when all are gone."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        service.Service.stopService(self)
        for restart in self.restart.values():
            if restart.active():
                restart.cancel()
        for stage, seconds in enumerate(_STAGES):
            self.killTime = min(self.killTime, seconds)
            lives = [life for n, life in self._lives.items() if _stage(self._children[n]) == stage]
            for life in lives:
                self.stopProcess(life.name)
            await DeferredList([life.ended for life in lives])
        self._path.unlink(missing_ok=True)

    def _publish_soon(self) -> None:
        # In the next turn: the file need not show an end that is followed by a start in this one.
        if not self._publishing:
            self._publishing = True
            self._clock.callLater(0, self._publish)

    def _publish(self) -> None:
        self._publishing = False
        if not self.running:
            return
        rows = [
            {
                "name": each.name,
                "pid": self._lives[each.name].pid if each.name in self._lives else None,
                "address": each.address,
                "command": list(each.command),
                "started": datetime.fromtimestamp(self._started_at[each.name], UTC).isoformat(),
                "restarts": self._restarts[each.name],
                **({"internal": each.internal} if each.internal else {}),
                **({"tls": True} if each.tls else {}),
            }
            for each in self._children.values()
        ]
        try:
            # Not synced: after a crash of the machine it would not be true.
            replace_file(self._path, (json.dumps(rows, indent=1) + "\n").encode(), sync=False)
        except OSError as why:
            self.log.error("{file} cannot be written: {why}", file=self._path, why=why.strerror)


def _stage(child: Child) -> int:
    """When it is stopped: the place in `_STAGES`."""
    if child.stops_last:
        return 2
    return 0 if child.takes_requests else 1


class _ChildProtocol(procmon.LoggingProtocol):
    """One process. procmon's own protocol ends a child that writes a very long line."""

    def __init__(self, supervisor: Supervisor, name: str, console: Console) -> None:
        self.service = self._supervisor = supervisor
        self.name = name
        self.pid: int | None = None
        self.ended: Deferred[None] = Deferred()
        self._tail = b""
        self._out = Lines(console, name)
        self._err = Lines(console, name, Level.WARN)

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.pid = self.transport.pid

    def outReceived(self, data: bytes) -> None:
        self._out.received(data)

    def errReceived(self, data: bytes) -> None:
        self._err.received(data)
        self._tail = (self._tail + data)[-_LAST_WORDS_BYTES:]

    @property
    def last_words(self) -> str:
        """The last line on standard error; empty if there is none."""
        lines = self._tail.decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N803
        if childFD == announcement.DESCRIPTOR:
            self._supervisor.served(self.name)
        else:
            super().childDataReceived(childFD, data)

    def processEnded(self, reason: Failure) -> None:
        self._out.ended()
        self._err.ended()
        self.service._monitoredProcessExited(self.name, reason)
        self.ended.callback(None)


def _status(reason: Failure | None) -> int | None:
    """The exit status of a process that ended by itself."""
    why = reason.value if reason is not None else None
    return why.exitCode if isinstance(why, error.ProcessTerminated) else None


def _judge(reason: Failure | None) -> tuple[str, bool]:
    """How a process ended, in words, and whether it was ended from outside."""
    why = reason.value if reason is not None else None
    if isinstance(why, error.ProcessTerminated) and why.signal is not None:
        names = {known.value: known.name for known in signal.Signals}
        name = names.get(why.signal, f"signal {why.signal}")
        return f"was ended by {name}", why.signal in BLAMELESS
    if isinstance(why, error.ProcessTerminated | error.ProcessDone):
        return f"ended with status {why.exitCode or 0}", False
    return f"could not be started: {why}", False
