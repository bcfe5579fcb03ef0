"""The folders of a bazaar's replicas: replaced by an older copy or by an empty one, one at a time.

A replica that finds such a folder has forgotten what it acknowledged, and recalls it from the
others. That restores everything as long as no other member has forgotten anything either, so
nobody's folder is replaced before all replicas are known to be trusted.
"""

from itertools import count
from pathlib import Path
from shutil import copytree

from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from twisted_bazaar.errors import Damaged
from twisted_bazaar.storage.mark import read_mark
from twisted_bazaar.storage.origin import origin_of

from .fleet import Fleet

__all__ = ["Folders", "is_trusted", "stands"]

STAND_SECONDS = 1.0
"""A process that was told to stop stands still within this time, or has ended."""
POLL_SECONDS = 0.005


class Folders:
    """Those of the replicas of `fleet`, below `data`.

    What replaces a folder, and what was replaced, is kept in the folder `folders` beside `data`,
    which must be on the same file system.
    """

    def __init__(self, fleet: Fleet, data: Path) -> None:
        self._fleet = fleet
        self._data = data
        self._kept = data.with_name("folders")
        self._numbers = count(1)
        self._begun = False

    async def begin(self) -> bool:
        """Reserve the right to replace a folder, until `end`; False: not now, as another one is
        being replaced, or some replica may still lack what it acknowledged."""
        if self._begun:
            return False
        self._begun = True
        if await self.settled():
            return True
        self._begun = False
        return False

    def end(self) -> None:
        """The folder has been replaced, or not; see `settled` for what becomes of it."""
        self._begun = False

    async def settled(self) -> bool:
        """Whether every replica trusts its folder, is reachable, and has the leader's log."""
        names = [name for name in self._fleet.names() if name.startswith("order-")]
        if not all(is_trusted(self._data / name) for name in names):
            return False
        return bool(await self._fleet.converged())

    async def copy(self, name: str) -> Path | None:
        """A copy of what the folder of replica `name` holds now; None: it could not be made, as
        the process does not run, or was woken meanwhile."""
        copy = self._new(name, "copy")
        try:
            pid = await self._stop(name)
            if pid is None:
                return None
            await deferToThread(copytree, self._data / name, copy)
            return copy if stands(pid) else None
        except OSError:
            return None
        finally:
            self._fleet.resume(name)

    def empty(self, name: str) -> Path:
        """A folder for replica `name` that holds nothing."""
        folder = self._new(name, "empty")
        folder.mkdir(0o700)
        return folder

    async def replace(self, name: str, by: Path) -> bool:
        """Kill replica `name`, which finds `by` in place of its folder when it is started again;
        False: nothing was done, as the process does not run, or was woken meanwhile."""
        try:
            if await self._stop(name) is None:
                return False
            # It stands still, so nobody writes there, and nobody else has been started.
            folder = self._data / name
            folder.rename(self._new(name, "replaced"))
            by.rename(folder)
            self._fleet.kill(name)
            return True
        finally:
            self._fleet.resume(name)

    def _new(self, name: str, what: str) -> Path:
        self._kept.mkdir(exist_ok=True)
        return self._kept / f"{next(self._numbers):03d}-{name}-{what}"

    async def _stop(self, name: str) -> int | None:
        """Pause process `name`; its id, once it stands still."""
        self._fleet.pause(name)
        reactor = self._fleet.reactor
        give_up = reactor.seconds() + STAND_SECONDS
        while (pid := self._fleet.pid(name)) is not None and reactor.seconds() < give_up:
            if stands(pid):
                return pid
            await deferLater(reactor, POLL_SECONDS)
        return None


def is_trusted(folder: Path) -> bool:
    """Whether the replica in `folder` has opened it there, and lacks nothing that it
    acknowledged."""
    try:
        mark = read_mark(folder)
        return mark is not None and mark.suspect is None and mark.origin == origin_of(folder)
    except (OSError, Damaged):
        return False


def stands(pid: int) -> bool:
    """Whether every thread of process `pid` stands still, as SIGSTOP has it."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        states = [(task / "stat").read_text().rpartition(")")[2].split()[0] for task in tasks]
    except OSError:
        return False
    return bool(states) and set(states) == {"T"}
