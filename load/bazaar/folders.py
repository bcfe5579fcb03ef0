"""Replaces the folders of a bazaar's replicas by an older copy or an empty one, one at a time.

A replica with such a folder lacks entries that it acknowledged, and fetches them from the others.
That restores all of them as long as no other replica lacks any, so a folder is replaced only when
all replicas are trusted.
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

__all__ = ["Folders", "is_stopped", "is_trusted"]

STOPPED_SECONDS = 1.0
"""Within this time after SIGSTOP a process is stopped, or has ended."""
POLL_SECONDS = 0.005


class Folders:
    """The folders of the replicas of `fleet`, in `data`.

    Copies and replaced folders are kept in the folder `folders` beside `data`, which must be on
    the same file system.
    """

    def __init__(self, fleet: Fleet, data: Path) -> None:
        self._fleet = fleet
        self._data = data
        self._kept = data.with_name("folders")
        self._numbers = count(1)
        self._reserved = False

    async def reserve(self) -> bool:
        """Reserve the right to replace a folder, until `release`; False: another one is being
        replaced, or some replica may lack entries that it acknowledged."""
        if self._reserved:
            return False
        self._reserved = True
        if await self.settled():
            return True
        self._reserved = False
        return False

    def release(self) -> None:
        """End the reservation, whether a folder was replaced or not."""
        self._reserved = False

    async def settled(self) -> bool:
        """Whether every replica trusts its folder, is reachable, and has the same log."""
        names = [name for name in self._fleet.names() if name.startswith("order-")]
        if not all(is_trusted(self._data / name) for name in names):
            return False
        return bool(await self._fleet.converged())

    async def copy(self, name: str) -> Path | None:
        """Copy the folder of replica `name` while its process is stopped; None: the process does
        not run, or was resumed meanwhile."""
        copy = self._new(name, "copy")
        try:
            pid = await self._stop(name)
            if pid is None:
                return None
            await deferToThread(copytree, self._data / name, copy)
            return copy if is_stopped(pid) else None
        except OSError:
            return None
        finally:
            self._fleet.resume(name)

    def empty(self, name: str) -> Path:
        """Make an empty folder for replica `name`."""
        folder = self._new(name, "empty")
        folder.mkdir(0o700)
        return folder

    async def replace(self, name: str, by: Path) -> bool:
        """Kill replica `name`, with `by` in place of its folder when it is started again; False:
        nothing was done, as the process does not run, or could not be stopped."""
        try:
            if await self._stop(name) is None:
                return False
            # While the process is stopped, nothing writes there and no successor is started.
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
        """Pause process `name`; return its id once it is stopped, None if it does not run."""
        self._fleet.pause(name)
        reactor = self._fleet.reactor
        give_up = reactor.seconds() + STOPPED_SECONDS
        while (pid := self._fleet.pid(name)) is not None and reactor.seconds() < give_up:
            if is_stopped(pid):
                return pid
            await deferLater(reactor, POLL_SECONDS)
        return None


def is_trusted(folder: Path) -> bool:
    """Whether the mark in `folder` was made there, and says that no acknowledged entry is
    missing."""
    try:
        mark = read_mark(folder)
        return mark is not None and mark.suspect is None and mark.origin == origin_of(folder)
    except (OSError, Damaged):
        return False


def is_stopped(pid: int) -> bool:
    """Whether every thread of process `pid` is stopped by a signal. Linux only."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        states = [(task / "stat").read_text().rpartition(")")[2].split()[0] for task in tasks]
    except OSError:
        return False
    return bool(states) and set(states) == {"T"}
