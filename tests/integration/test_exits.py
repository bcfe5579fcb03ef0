"""How a service's process ends under twistd: what it says, and its exit status."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .waiting import is_alive, wait_until

TWISTD = [sys.executable, "-Pc", "from twisted.scripts.twistd import run; run()"]

SERVICE = """
import os, sys
from twisted.application import service
from twisted.internet import defer, reactor, task
from twisted_bazaar.runtime import exits
from twisted_bazaar.errors import Unusable

exits.stop_on_signals(reactor)

class Example(service.Service):
    def startService(self):
        super().startService()
        {start}
        reactor.callWhenRunning(print, "started", file=sys.__stdout__, flush=True)

    def stopService(self):
        return task.deferLater(reactor, 0.05, print, "stopped", file=sys.__stdout__)

application = service.Application("example")
Example().setServiceParent(application)
"""

Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts twistd with a service whose `startService` runs the line of code given."""
    running: list[subprocess.Popen[str]] = []

    def start_one(line: str) -> "subprocess.Popen[str]":
        (tmp_path / "example.tac").write_text(SERVICE.format(start=line))
        running.append(
            subprocess.Popen(
                [*TWISTD, "-n", "--pidfile=", "-y", "example.tac"],
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            )
        )
        return running[-1]

    yield start_one
    for each in running:
        each.kill()
        each.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_service_that_is_asked_to_stop_does_so_in_order_and_exits_with_0(
    start: Start, number: signal.Signals
) -> None:
    service = start("pass")
    assert service.stdout is not None
    while "started" not in service.stdout.readline():
        assert service.poll() is None
    service.send_signal(number)
    service.send_signal(number)
    out, err = service.communicate(timeout=10)
    assert service.returncode == 0
    assert f"told to stop by {number.name}" in out
    assert "stopped\n" in out
    assert err == ""


def test_a_service_that_is_asked_to_stop_before_it_runs_stops_as_well(start: Start) -> None:
    service = start("os.kill(os.getpid(), 15)")
    out, err = service.communicate(timeout=10)
    assert service.returncode == 0
    assert "stopped\n" in out
    assert err == ""


@pytest.mark.parametrize(
    "line",
    [
        "exits.stop_with(reactor, 'example: the disk has failed')",
        "reactor.callLater(0.01, exits.stop_with, reactor, 'example: the disk has failed')",
    ],
    ids=["before-it-runs", "while-it-runs"],
)
def test_a_service_that_cannot_go_on_says_so_stops_in_order_and_exits_with_1(
    start: Start, line: str
) -> None:
    service = start(f"{line}; reactor.callLater(0.02, exits.stop_with, reactor, 'so what')")
    out, err = service.communicate(timeout=10)
    assert service.returncode == 1
    assert err == "example: the disk has failed\n"
    assert "stopped\n" in out
    assert "Traceback" not in out


def test_a_service_that_has_forked_says_in_its_log_file_why_it_cannot_go_on(tmp_path: Path) -> None:
    line = "reactor.callLater(0.01, exits.stop_with, reactor, 'example: the disk has failed')"
    (tmp_path / "example.tac").write_text(SERVICE.format(start=line))
    subprocess.run(
        [*TWISTD, "--pidfile=pid", "--logfile=log", "-y", "example.tac"], cwd=tmp_path, check=True
    )
    log = tmp_path / "log"
    wait_until(lambda: log.exists() and "the disk has failed" in log.read_text(), "it is logged")
    wait_until(lambda: not is_alive(int((tmp_path / "pid").read_text())), "it has ended")


def test_a_failure_while_stopping_is_a_failure(start: Start) -> None:
    service = start(
        "reactor.addSystemEventTrigger('before', 'shutdown', exits.stop_with, reactor, 'late'); "
        "reactor.callLater(0.01, os.kill, os.getpid(), 15)"
    )
    _, err = service.communicate(timeout=10)
    assert service.returncode == 1
    assert err == "late\n"


def test_a_service_that_cannot_start_says_so_in_one_line_and_exits_with_1(start: Start) -> None:
    service = start(
        "with exits.refusing('example'): raise Unusable('folder var is in use by process 7')"
    )
    out, err = service.communicate(timeout=10)
    assert service.returncode == 1
    assert err == "example: folder var is in use by process 7\n"
    assert "Traceback" not in out
