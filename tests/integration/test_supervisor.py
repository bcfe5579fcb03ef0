"""The supervisor over real processes: small ones that stand in for the services."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.logger import capturedLogs, formatEvent

from twisted_bazaar.local import child
from twisted_bazaar.local.console import Console
from twisted_bazaar.local.supervisor import Child, Supervisor
from twisted_bazaar.runtime.log_settings import Format
from twisted_bazaar.runtime.output import Output, to_descriptor

from .waiting import is_alive, wait_until


def python(code: str) -> list[str]:
    return [sys.executable, "-ISc", code]


SLEEPS = python("import time; time.sleep(600)")
FAILS = python("import sys; sys.exit('cannot go on: bad data')")
STUBBORN = python(
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('ready', flush=True); time.sleep(600)"
)
STARTER = """
import subprocess, sys, os, time
child = subprocess.Popen([sys.executable, "-IS", sys.argv[1], str(os.getpid()), ":", *sys.argv[2:]])
print(child.pid, flush=True)
time.sleep(600)
"""


class Running:
    """A started supervisor, and what its processes have said."""

    def __init__(
        self, folder: Path, reactor: Any, commands: dict[str, list[str]], announces: bool = False
    ) -> None:
        self.path = folder / "processes.json"
        self.output = folder / "output"
        self._descriptor = os.open(self.output, os.O_WRONLY | os.O_CREAT)
        children = [
            Child(name=n, address="a:1", command=c, announces=announces)
            for n, c in commands.items()
        ]
        self._output = Output(to_descriptor(self._descriptor))
        self._output.start()
        console = Console(self._output, Format.TEXT, time.time)
        self.refused: list[str] = []
        self.supervisor = Supervisor(
            reactor, self.path, children, os.environ, console, self.refused.append, time.time
        )
        self.supervisor.startService()

    def pid(self, name: str) -> int | None:
        if not self.path.exists():
            return None
        rows = json.loads(self.path.read_text())
        return next(row["pid"] for row in rows if row["name"] == name)

    async def stop(self) -> None:
        await self.supervisor.stopService()
        assert self._output.flush(10)
        os.close(self._descriptor)


async def eventually(happened: Callable[[], object]) -> None:
    """Let the reactor run until `happened()`; fails after ten seconds."""
    from twisted.internet import reactor, task

    clock: Any = reactor
    deadline = clock.seconds() + 10
    while not happened():
        assert clock.seconds() < deadline
        await task.deferLater(clock, 0.01)


@pytest_twisted.async_yield_fixture
async def run(tmp_path: Path) -> AsyncIterator[Callable[..., Running]]:
    from twisted.internet import reactor

    started: list[Running] = []

    def start(commands: dict[str, list[str]], announces: bool = False) -> Running:
        started.append(Running(tmp_path, reactor, commands, announces))
        return started[-1]

    yield start
    for running in started:
        await running.stop()


@pytest_twisted.ensureDeferred
async def test_a_process_killed_repeatedly_comes_back_with_a_live_pid(run: Any) -> None:
    running = run({"order-1": SLEEPS})
    pid = None
    for _ in range(3):
        await eventually(lambda: running.pid("order-1") not in (None, pid))  # noqa: B023
        pid = running.pid("order-1")
        assert is_alive(pid)
        os.kill(pid, signal.SIGKILL)
    await eventually(lambda: running.pid("order-1") not in (None, pid))


@pytest_twisted.ensureDeferred
async def test_a_process_that_keeps_failing_shows_its_line_and_is_restarted_with_delays(
    run: Any,
) -> None:
    from twisted.internet import reactor

    clock: Any = reactor
    before = clock.seconds()
    running = run({"order-1": FAILS})
    shown = b"order-1 | cannot go on: bad data\n"
    await eventually(lambda: running.output.read_bytes().count(shown) >= 3)
    assert clock.seconds() - before > 0.3, "0.1 s, then 0.2 s"


@pytest_twisted.ensureDeferred
async def test_a_service_that_exits_with_1_is_restarted_only_if_it_has_served(run: Any) -> None:
    served = python(
        "import os, sys; sys.path.insert(0, '.'); "
        "from twisted_bazaar.runtime.announcement import announce; announce(os.environ); "
        "sys.exit('cannot go on: bad data')"
    )
    running = run({"order-1": FAILS, "order-2": served}, announces=True)
    shown = b"order-2 | cannot go on: bad data\n"
    await eventually(lambda: running.output.read_bytes().count(shown) >= 3)
    assert running.refused == ["order-1 does not start: cannot go on: bad data"]
    assert running.output.read_bytes().count(b"order-1 | cannot go on: bad data\n") == 1


@pytest_twisted.ensureDeferred
async def test_a_process_that_ignores_sigterm_is_killed(run: Any) -> None:
    running = run({"order-1": STUBBORN})
    running.supervisor.killTime = 0.2
    await eventually(lambda: b"ready" in running.output.read_bytes())
    pid = running.pid("order-1")
    await running.supervisor.stopService()
    assert not is_alive(pid)


@pytest_twisted.ensureDeferred
async def test_a_command_that_cannot_be_run_says_so(run: Any) -> None:
    running = run({"redis": ["/nowhere/redis-server"]})
    line = b"redis   | /nowhere/redis-server cannot be run: No such file or directory\n"
    await eventually(lambda: line in running.output.read_bytes())


@pytest_twisted.ensureDeferred
async def test_ctrl_c_does_not_reach_a_child(run: Any) -> None:
    running = run({"order-1": SLEEPS})
    await eventually(lambda: running.pid("order-1"))
    pid = running.pid("order-1")
    await eventually(lambda: os.getpgid(pid) == pid != os.getpgrp())


@pytest.fixture
def starter() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    started: list[subprocess.Popen[str]] = []

    def start(*command: str) -> "subprocess.Popen[str]":
        arguments = [sys.executable, "-c", STARTER, child.__file__, *command]
        started.append(subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.communicate()


@pytest_twisted.ensureDeferred
async def test_a_child_does_not_inherit_blocked_signals(run: Any) -> None:
    """Its parent blocks SIGTERM, to wait for it on a thread."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        running = run({"redis": SLEEPS})
        await eventually(lambda: running.pid("redis"))
        pid = running.pid("redis")
        running.supervisor._clock.callLater(0.2, os.kill, pid, signal.SIGTERM)
        line = "was ended by SIGTERM"
        with capturedLogs() as events:
            await eventually(lambda: any(line in formatEvent(event) for event in events))
        assert not is_alive(pid)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of this")
def test_a_child_dies_with_its_parent_also_when_that_is_killed(starter: Any) -> None:
    parent = starter(*STUBBORN)
    pid = int(parent.stdout.readline())
    assert parent.stdout.readline() == "ready\n"
    assert is_alive(pid)
    parent.kill()
    parent.wait()
    wait_until(lambda: not is_alive(pid), "the child is gone")
