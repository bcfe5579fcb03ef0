"""When processes are restarted, in which order they stop, and what the file lists meanwhile.

Time and processes are fakes; tests/integration/test_supervisor.py has real ones.
"""

import json
import signal
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import error
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure

from twisted_bazaar.consensus.membership import REMOVED, removed
from twisted_bazaar.local.console import Console
from twisted_bazaar.local.supervisor import Child, Supervisor
from twisted_bazaar.runtime import exits
from twisted_bazaar.runtime.announcement import DESCRIPTOR, VARIABLE
from twisted_bazaar.runtime.log_settings import Format
from twisted_bazaar.runtime.output import Output


class Transport:
    """A process that notes the signals it is sent, and dies only when the test says so."""

    def __init__(
        self, pid: int, protocol: Any, arguments: list[str], environment: dict[str, str]
    ) -> None:
        self.pid = pid
        self.arguments = arguments
        self.environment = environment
        self.protocol = protocol
        self.signals: list[str] = []
        protocol.makeConnection(self)

    def signalProcess(self, name: str) -> None:  # noqa: N802  # IProcessTransport's
        self.signals.append(name)

    def exit(self, status: int) -> None:
        self._end(status << 8, error.ProcessTerminated if status else error.ProcessDone, status)

    def kill(self, number: signal.Signals) -> None:
        self._end(number, error.ProcessTerminated, None, number)

    def _end(self, status: int, kind: Any, code: int | None, number: int | None = None) -> None:
        ended = kind(status) if kind is error.ProcessDone else kind(code, number, status)
        self.protocol.processEnded(Failure(ended))


class World(Clock):
    """A reactor's clock, and its processes by the name of their command, newest last."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[Transport] = []

    def spawnProcess(
        self,
        protocol: Any,
        executable: str,
        args: list[str],
        env: dict[str, str],
        childFDs: dict[int, str],  # noqa: N803
    ) -> Transport:
        assert childFDs.get(DESCRIPTOR, "") == ("r" if VARIABLE in env else "")
        self.started.append(Transport(100 + len(self.started), protocol, args, env))
        return self.started[-1]


FRONTEND = Child(name="frontend", address="a:1", command=["serve"], takes_requests=True)
ORDER = Child(name="order-1", address="a:2", command=["keep"])
CATALOG = Child(name="catalog", address="a:3", command=["show"], announces=True)


class Supervised:
    """A started supervisor of `children` in a made-up world.

    `wall` is the time of day, which is 1970 until a test sets it.
    """

    def __init__(self, folder: Path, *children: Child) -> None:
        self.world = World()
        self.wall = 0.0
        self.path = folder / "processes.json"
        console = Console(Output([].append), Format.TEXT, lambda: self.wall)
        self.refused: list[str] = []
        self.supervisor = Supervisor(
            self.world, self.path, children, {}, console, self.refused.append, lambda: self.wall
        )
        self.supervisor.startService()
        self.world.advance(0)

    @property
    def newest(self) -> Transport:
        return self.world.started[-1]

    def rows(self) -> list[dict[str, Any]]:
        return list(json.loads(self.path.read_text()))


def test_the_file_lists_every_process(tmp_path: Path) -> None:
    assert Supervised(tmp_path, FRONTEND, ORDER).rows() == [
        {
            "name": "frontend",
            "pid": 100,
            "address": "a:1",
            "command": ["serve"],
            "started": "1970-01-01T00:00:00+00:00",
            "restarts": 0,
        },
        {
            "name": "order-1",
            "pid": 101,
            "address": "a:2",
            "command": ["keep"],
            "started": "1970-01-01T00:00:00+00:00",
            "restarts": 0,
        },
    ]


def test_a_killed_process_is_restarted_at_once_and_the_file_never_lacks_a_pid(
    tmp_path: Path,
) -> None:
    supervised = Supervised(tmp_path, ORDER)
    for life in range(1, 4):
        supervised.world.advance(2)
        supervised.newest.kill(signal.SIGKILL)
        supervised.world.advance(0)
        (row,) = supervised.rows()
        assert (row["pid"], row["restarts"]) == (100 + life, life)


def test_the_pid_is_null_while_there_is_no_process(tmp_path: Path) -> None:
    supervised = Supervised(tmp_path, ORDER)
    supervised.newest.exit(1)
    supervised.world.advance(0)
    assert supervised.rows()[0]["pid"] is None
    supervised.world.advance(0.1)
    supervised.world.advance(0)
    assert supervised.rows()[0]["pid"] == 101


@pytest.mark.parametrize("life", [0.5, 9.0], ids=["at-once", "on-a-slow-machine"])
def test_the_delay_doubles_for_a_process_that_fails_by_itself(tmp_path: Path, life: float) -> None:
    supervised = Supervised(tmp_path, ORDER)
    pauses = []
    for _ in range(8):
        supervised.world.advance(life)
        lives = len(supervised.world.started)
        supervised.newest.exit(1)
        before = supervised.world.seconds()
        while len(supervised.world.started) == lives:
            supervised.world.advance(0.05)
        pauses.append(round(supervised.world.seconds() - before, 1))
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


@pytest.mark.parametrize("step", [-3600, 3600], ids=["back", "forth"])
def test_setting_the_wall_clock_changes_the_times_shown_and_no_restart(
    tmp_path: Path, step: int
) -> None:
    supervised = Supervised(tmp_path, ORDER)
    supervised.wall = 1_000_000.0
    pauses = []
    for _ in range(4):
        supervised.world.advance(0.5)
        supervised.wall += step
        supervised.newest.exit(1)
        before = supervised.world.seconds()
        lives = len(supervised.world.started)
        while len(supervised.world.started) == lives:
            supervised.world.advance(0.05)
        pauses.append(round(supervised.world.seconds() - before, 1))
    assert pauses == [0.1, 0.2, 0.4, 0.8]
    supervised.world.advance(0)
    shown = datetime.fromisoformat(supervised.rows()[0]["started"])
    assert shown.timestamp() == 1_000_000 + 4 * step


def test_a_process_that_ends_is_one_line_that_says_when_it_is_started_again(tmp_path: Path) -> None:
    supervised = Supervised(tmp_path, ORDER)
    with capturedLogs() as events:
        supervised.newest.exit(1)
    (line,) = map(formatEvent, events)
    assert line.startswith("order-1 (process 100) ended with status 1; starting it again in 0.")


def test_the_delay_is_reset_by_a_long_run(tmp_path: Path) -> None:
    supervised = Supervised(tmp_path, ORDER)
    for _ in range(5):
        supervised.newest.exit(1)
        supervised.world.advance(5)
    supervised.world.advance(60)
    supervised.newest.exit(1)
    supervised.world.advance(0)
    assert supervised.rows()[0]["pid"] == 106


def test_processes_that_take_requests_stop_before_the_others(tmp_path: Path) -> None:
    supervised = Supervised(tmp_path, ORDER, FRONTEND)
    order, frontend = supervised.world.started
    stopped = supervised.supervisor.stopService()
    assert (order.signals, frontend.signals) == ([], ["TERM"])
    frontend.exit(0)
    assert order.signals == ["TERM"]
    assert not stopped.called
    order.exit(0)
    assert stopped.called
    assert not supervised.path.exists()


ENGINE = Child(
    name="engine",
    address="a:5",
    command=["hold"],
    stops_last=True,
    stop_signal="INT",
    account="65534:65533",
    environment={"PASSWORD": "hush"},
)


def test_a_process_that_others_use_stops_after_them_by_its_own_signal(tmp_path: Path) -> None:
    supervised = Supervised(tmp_path, ENGINE, ORDER, FRONTEND)
    engine, order, frontend = supervised.world.started
    stopped = supervised.supervisor.stopService()
    frontend.exit(0)
    assert (order.signals, engine.signals) == (["TERM"], [])
    order.exit(0)
    assert engine.signals == ["INT"]
    assert not stopped.called
    engine.exit(0)
    assert stopped.called


def test_the_account_and_the_environment_of_a_process_are_its_own(tmp_path: Path) -> None:
    supervised = Supervised(tmp_path, ENGINE, ORDER)
    engine, order = supervised.world.started
    assert engine.environment["PASSWORD"] == "hush"
    assert engine.arguments[4:] == ["65534:65533", "hold"]
    assert "PASSWORD" not in order.environment
    assert order.arguments[4:] == [":", "keep"]
    assert "hush" not in supervised.path.read_text()


@pytest.mark.parametrize(("child", "seconds"), [(FRONTEND, 6.0), (ORDER, 3.0)])
def test_a_process_that_does_not_stop_in_time_is_killed(
    tmp_path: Path, child: Child, seconds: float
) -> None:
    """A service ends by itself within less than what those that take requests are given."""
    assert seconds < 6.0 or seconds > exits.STOP_SECONDS
    supervised = Supervised(tmp_path, child)
    stopped = supervised.supervisor.stopService()
    supervised.world.advance(seconds - 0.1)
    assert supervised.newest.signals == ["TERM"]
    supervised.world.advance(0.2)
    assert supervised.newest.signals == ["TERM", "KILL"]
    supervised.newest.kill(signal.SIGKILL)
    assert stopped.called


def test_no_process_is_restarted_during_a_stop(tmp_path: Path) -> None:
    supervised = Supervised(tmp_path, FRONTEND, ORDER)
    frontend, order = supervised.world.started
    order.exit(1)
    stopped = supervised.supervisor.stopService()
    frontend.exit(1)
    supervised.world.advance(60)
    assert stopped.called
    assert len(supervised.world.started) == 2
    assert not supervised.path.exists()


# A child that can never serve.


def test_a_process_that_exits_with_1_before_it_has_served_is_not_restarted(tmp_path: Path) -> None:
    supervised = Supervised(tmp_path, ORDER, CATALOG)
    catalog = supervised.newest
    catalog.protocol.childDataReceived(1, b"a log line\n")
    catalog.protocol.childDataReceived(2, b"a warning\nbazaar-catalog: x.csv line 2: no")
    catalog.protocol.childDataReceived(2, b" name\n")
    catalog.exit(1)
    supervised.world.advance(60)
    assert supervised.refused == ["catalog does not start: bazaar-catalog: x.csv line 2: no name"]
    assert len(supervised.world.started) == 2
    assert supervised.supervisor.stopService() is not None


def test_a_refusal_without_a_line_is_reported_and_only_the_first_refusal_is(
    tmp_path: Path,
) -> None:
    other = Child(name="order-2", address="a:4", command=["keep"], announces=True)
    supervised = Supervised(tmp_path, CATALOG, other)
    for each in supervised.world.started:
        each.exit(1)
    supervised.world.advance(60)
    assert supervised.refused == ["catalog does not start: it does not say why"]
    assert len(supervised.world.started) == 2


def test_a_process_that_has_served_is_restarted_though_it_exits_with_1(tmp_path: Path) -> None:
    supervised = Supervised(tmp_path, CATALOG)
    supervised.newest.protocol.childDataReceived(DESCRIPTOR, b"serving\n")
    for lives in range(2, 5):
        supervised.newest.exit(1)
        supervised.world.advance(60)
        assert len(supervised.world.started) == lives
    assert supervised.refused == []


@pytest.mark.parametrize("has_served", [True, False])
def test_a_replica_that_was_removed_is_left_out_and_the_others_go_on(
    tmp_path: Path, has_served: bool
) -> None:
    replica = Child(
        name="order-2", address="a:4", command=["keep"], announces=True, leaves_with=REMOVED
    )
    supervised = Supervised(tmp_path, CATALOG, replica)
    process = supervised.newest
    if has_served:
        process.protocol.childDataReceived(DESCRIPTOR, b"serving\n")
    line = f"bazaar-order: replica 2 must stop: {removed(2, 21)}\n"
    process.protocol.childDataReceived(2, line.encode())
    process.exit(1)
    supervised.world.advance(60)
    assert supervised.refused == []
    assert len(supervised.world.started) == 2
    assert supervised.rows()[1]["pid"] is None


@pytest.mark.parametrize("end", [0, 2, signal.SIGKILL, signal.SIGSEGV])
def test_only_status_1_is_a_refusal(tmp_path: Path, end: int | signal.Signals) -> None:
    supervised = Supervised(tmp_path, CATALOG)
    if isinstance(end, signal.Signals):
        supervised.newest.kill(end)
    else:
        supervised.newest.exit(end)
    supervised.world.advance(60)
    assert len(supervised.world.started) == 2
    supervised.newest.exit(1)
    assert len(supervised.refused) == 1, "it has still not served"


def test_an_exit_with_1_during_a_stop_is_no_refusal(tmp_path: Path) -> None:
    supervised = Supervised(tmp_path, CATALOG)
    stopped = supervised.supervisor.stopService()
    supervised.newest.exit(1)
    assert stopped.called
    assert supervised.refused == []
