"""Services start in order and stop in reverse, and a failed start is one line."""

import subprocess
import sys
from typing import Any

import pytest
from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from twisted_bazaar.errors import Unusable
from twisted_bazaar.runtime import exits
from twisted_bazaar.runtime.services import Late, Layers


def test_without_clock_boottime_the_monotonic_clock_is_used() -> None:
    code = (
        "import time; vars(time).pop('CLOCK_BOOTTIME', None); "
        "from twisted_bazaar.runtime.services import monotonic_seconds; "
        "print(monotonic_seconds() > 0)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("True\n", "")


@pytest.mark.parametrize(
    ("service", "options"),
    [
        ("local.", ["--replicas=1"]),
        ("frontend.", ["--plain-inside", "--catalog=a:1", "--replica=1=b:1"]),
        ("catalog.", ["--plain-inside", "--listen=a:1", "--data=nowhere"]),
        ("order.", ["--plain-inside", "--id=1", "--listen=a:1", "--data=nowhere"]),
    ],
)
def test_a_service_uses_the_monotonic_clock_and_makes_files_for_its_owner_only(
    service: str, options: list[str]
) -> None:
    code = (
        f"import os; from twisted_bazaar.{service}tap import Options, makeService; "
        f"options = Options(); options.parseOptions({options}); makeService(options); "
        "from twisted.internet import reactor; "
        "from twisted_bazaar.runtime.services import monotonic_seconds; "
        "print(reactor.seconds is monotonic_seconds, oct(os.umask(0)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("True 0o77\n", "")


class Layer(Service):
    def __init__(self, name: str, happened: list[str], stops: object = None) -> None:
        self.name = name
        self._happened = happened
        self._stops = stops

    def startService(self) -> None:
        super().startService()
        self._happened.append(f"{self.name} starts")

    def stopService(self) -> Any:
        super().stopService()
        self._happened.append(f"{self.name} stops")
        if isinstance(self._stops, Exception):
            raise self._stops
        return self._stops


def test_layers_start_in_order_and_stop_one_by_one_in_reverse() -> None:
    happened: list[str] = []
    slow: Deferred[None] = Deferred()
    layers = Layers(
        Layer("disk", happened), Layer("node", happened, slow), Layer("server", happened)
    )
    layers.startService()
    assert happened == ["disk starts", "node starts", "server starts"]
    happened.clear()
    stopped: list[object] = []
    layers.stopService().addCallback(stopped.append)
    assert (happened, stopped) == (["server stops", "node stops"], [])
    slow.callback(None)
    assert (happened[2:], stopped) == (["disk stops"], [None])
    assert not layers.running


@pytest.mark.parametrize("how", ["raises", "fails"])
def test_the_other_layers_stop_though_one_fails_to(
    how: str, logged_failures: list[Failure]
) -> None:
    happened: list[str] = []
    bug = KeyError("a bug")
    layers = Layers(
        Layer("disk", happened), Layer("node", happened, bug if how == "raises" else fail(bug))
    )
    layers.startService()
    stopped: list[object] = []
    layers.stopService().addCallback(stopped.append)
    assert happened[2:] == ["node stops", "disk stops"]
    assert stopped == [None]
    assert [failure.type for failure in logged_failures] == [KeyError]
    logged_failures.clear()


def test_a_late_service_is_made_when_it_starts() -> None:
    happened: list[str] = []

    def make() -> Layer:
        happened.append("made")
        return Layer("late", happened)

    late = Late("bazaar-late", make)
    assert happened == []
    late.startService()
    assert happened == ["made", "late starts"]
    late.stopService()
    assert happened[2:] == ["late stops"]


def test_a_late_service_stops_once_the_service_that_it_made_has() -> None:
    slow: Deferred[None] = Deferred()
    late = Late("bazaar-late", lambda: Layer("late", [], slow))
    late.startService()
    stopped: list[object] = []
    late.stopService().addCallback(stopped.append)
    assert stopped == []
    slow.callback(None)
    assert stopped == [None]


def test_a_late_service_that_was_never_started_stops() -> None:
    stopped: list[object] = []
    Late("bazaar-late", lambda: Layer("late", [])).stopService().addCallback(stopped.append)
    assert len(stopped) == 1


@pytest.mark.parametrize("where", ["made", "started"])
def test_a_late_service_that_cannot_be_made_is_one_line(
    where: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the process is left at once: threads that run by then would keep it alive."""

    def leave(status: int) -> None:
        exits._flush()
        raise SystemExit(status)

    monkeypatch.setattr(exits, "_leave", leave)

    def make() -> Service:
        if where == "made":
            raise Unusable("no room")
        service = Layer("late", [])
        service.startService = refuse  # type: ignore[method-assign]
        return service

    def refuse() -> None:
        raise Unusable("no room")

    with pytest.raises(SystemExit) as left:
        Late("bazaar-late", make).startService()
    assert left.value.code == 1
    assert capfd.readouterr().err == "bazaar-late: no room\n"
