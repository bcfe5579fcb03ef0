"""A bazaar of the release before becomes one of this, one process after the other, while it trades.

The release before is taken from the history of the clone; without that there is nothing to test.
"""

import subprocess
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from signal import SIGKILL, SIGTERM

import pytest

from .cluster import Cluster
from .replicas import leader, verify, wait_converged
from .trader import Trader, check_nothing_lost
from .waiting import wait_until

pytestmark = pytest.mark.slow

BEFORE = "b78365b"
"""The last commit of the release before."""
HERE = Path(__file__).parents[2]
REPLICAS = ("order-1", "order-2", "order-3")
STOCKS = ["GameStart", "BoarCo", "FishCo"]
MORE = 20
SECONDS = 30.0


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the release before."""
    command = ["git", "-C", str(HERE), "archive", BEFORE, "twisted_bazaar", "plugins"]
    try:
        archive = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"the history of this clone has no commit {BEFORE}")
    folder = tmp_path_factory.mktemp("release")
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder


class Upgraded(Cluster):
    """A cluster whose services are of the release before until they are upgraded."""

    def __init__(self, folder: Path, release: Path) -> None:
        super().__init__(folder, tls=False)
        self.old = set(self.address)
        """The services that are of the release before."""
        self._ours = self._environment
        self._theirs = {**self._ours, "PYTHONPATH": f"{release}:{release / 'plugins'}"}

    def launch(self, name: str) -> None:
        self._environment = self._theirs if name in self.old else self._ours
        super().launch(name)

    def releases(self) -> set[bool]:
        """Whether processes that run are of the release before, as the system says."""
        return {
            b"/release" in Path(f"/proc/{row['pid']}/environ").read_bytes()
            for row in self.processes().values()
        }

    def upgrade(self, name: str) -> None:
        """As an operator does: end it in order, start the new one, and wait until it listens."""
        self.kill(name, SIGTERM)
        self.old.discard(name)
        self.launch(name)
        self._wait(lambda: self.listens(name), f"{name} listens", SECONDS)

    def caught_up(self, name: str, number: int) -> bool:
        """Whether a replica has the orders up to `number`."""
        [row] = [
            row
            for row in self.request("GET", "/replicas").body["data"]
            if f"order-{row['id']}" == name
        ]
        return bool(row["reachable"]) and row["last_number"] >= number


@pytest.fixture
def bazaar(tmp_path: Path, release: Path) -> Iterator[Upgraded]:
    with Upgraded(tmp_path, release) as running:
        yield running


def go_on(bazaar: Upgraded, trader: Trader) -> int:
    """They trade; the last order by then."""
    seen = trader.last_number
    wait_until(lambda: trader.last_number > seen + MORE, "they go on", SECONDS, bazaar.tail)
    return trader.last_number


def crash(bazaar: Upgraded, trader: Trader, name: str) -> None:
    """Kill a replica; the others go on, and it comes back."""
    bazaar.kill(name, SIGKILL)
    seen = go_on(bazaar, trader)
    bazaar.launch(name)
    wait_until(lambda: bazaar.caught_up(name, seen), f"{name} catches up", SECONDS, bazaar.tail)


@pytest.mark.parametrize("first", ["replicas", "others"])
def test_each_process_is_upgraded_and_replicas_crash_meanwhile_and_nothing_is_lost(
    bazaar: Upgraded, first: str
) -> None:
    others = ("catalog", "frontend")
    assert bazaar.releases() == {True}
    with Trader(bazaar.address["frontend"], STOCKS, 4) as trader:
        seen = go_on(bazaar, trader)
        if first == "others":
            for name in others:
                bazaar.upgrade(name)
                go_on(bazaar, trader)
        for name in REPLICAS:
            bazaar.upgrade(name)
            wait_until(
                lambda name=name, seen=seen: bazaar.caught_up(name, seen),  # type: ignore[misc]
                f"{name} has what was there",
                SECONDS,
                bazaar.tail,
            )
            seen = go_on(bazaar, trader)
            if name != REPLICAS[-1]:
                crash(bazaar, trader, leader(bazaar))
        if first == "replicas":
            for name in others:
                bazaar.upgrade(name)
                go_on(bazaar, trader)
        assert not bazaar.old
        assert bazaar.releases() == {False}
        crash(bazaar, trader, leader(bazaar))
    assert not [each for each in trader.failed if not each.what.startswith("503")], trader.failed
    check_nothing_lost(bazaar, trader)
    wait_converged(bazaar, trader.last_number)
    bazaar.stop()
    assert len({verify(bazaar.data / name) for name in REPLICAS}) == 1
