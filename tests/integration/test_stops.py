"""A service stops within its time limit, with status 0, also while a call in it hangs."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from twisted_bazaar.local.command_lines import twistd
from twisted_bazaar.local.ports import Ports
from twisted_bazaar.runtime.exits import STOP_SECONDS

from .waiting import wait_until

LISTEN = "--listen=tcp:0:interface=127.0.0.1"
HANG = Path(__file__).parent / "hang_injection"
START_SECONDS = 30.0
SLACK_SECONDS = 1.5
"""For a machine that is busy with other things; an exit takes 0.3 s more than its bound."""
AT_ONCE_SECONDS = 3.0
"""Less than any bound."""


class Service:
    """A process in which some calls hang."""

    def __init__(self, folder: Path, what: str, *command: str) -> None:
        folder.mkdir()
        self._sign = folder / "hangs"
        self._log = folder / "log"
        ours = {name: value for name, value in os.environ.items() if "BAZAAR_" not in name}
        environment = {
            "PYTHONPATH": str(HANG),
            "HANG": what,
            "HANG_SIGN": str(self._sign),
        }
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                twistd(*command),
                cwd=folder,
                env={**ours, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def hangs(self) -> bool:
        assert self.process.poll() is None, self.tail()
        return self._sign.exists()

    def tail(self) -> str:
        return self._log.read_text(errors="replace")[-3000:]


Start = Callable[..., Service]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `start(what hangs, *command)`."""
    started: list[Service] = []

    def start_one(what: str, *command: str) -> Service:
        started.append(Service(tmp_path / f"service-{len(started)}", what, *command))
        return started[-1]

    yield start_one
    for each in started:
        each.process.kill()
        each.process.wait()


@pytest.fixture
def ports() -> Iterator[Ports]:
    ours = Ports()
    yield ours
    ours.release()


def check_ends(services: dict[str, tuple[Service, float]]) -> None:
    """Wait until all hang, and see that each ends with 0 within its seconds."""
    for name, (service, _) in services.items():
        wait_until(service.hangs, f"{name} hangs", START_SECONDS, service.tail)
    began = time.monotonic()
    for service, _ in services.values():
        service.process.send_signal(signal.SIGTERM)
    for name, (service, seconds) in sorted(services.items(), key=lambda item: item[1][1]):
        left = began + seconds - time.monotonic()
        try:
            status = service.process.wait(max(0.01, left))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{name}: not within {seconds} s\n{service.tail()}") from None
        assert status == 0, f"{name}: {status}\n{service.tail()}"


@pytest.mark.slow
def test_a_process_in_which_a_call_hangs_stops_in_time_with_status_0(
    start: Start, ports: Ports
) -> None:
    def order(what: str, *options: str) -> Service:
        return start(what, "bazaar-order", "--id=1", "--data=data", *options)

    def catalog(what: str, listen: str) -> Service:
        return start(what, "bazaar-catalog", listen, "--data=data")

    def frontend(what: str, *options: str) -> Service:
        return start(what, "bazaar-frontend", LISTEN, *options)

    def listening() -> str:
        return f"--listen={ports.reserve(0)}"

    bound = STOP_SECONDS + SLACK_SECONDS
    leader, pushing = ports.reserve(0), ports.reserve(0)
    # A front-end at an address that its catalog cannot resolve, and a leader for both.
    order("", f"--listen={leader}", f"--catalog={pushing}")
    frontend("", f"--catalog={pushing}", f"--replica=1={leader}", "--advertise=frontend.invalid:1")
    nobody = "--catalog=127.0.0.1:1", "--replica=1=127.0.0.1:1"
    check_ends(
        {
            "a front-end whose cache has a name that is not resolved": (
                frontend("names", *nobody, "--cache=redis://redis.invalid:6379"),
                AT_ONCE_SECONDS,
            ),
            "a catalog that pushes to a name that is not resolved": (
                catalog("names", f"--listen={pushing}"),
                AT_ONCE_SECONDS,
            ),
            "a catalog that never gets to run": (catalog("start", listening()), bound),
            "a replica that never gets to run": (order("start", listening()), bound),
            "a replica on a disk that hangs": (order("disk", listening()), bound),
            "a bazaar with replicas on disks that hang": (
                start(
                    "disk",
                    "bazaar",
                    "--listen=tcp:0:interface=127.0.0.1",
                    "--cache=off",
                    "--data=data",
                ),
                bound,
            ),
        }
    )
