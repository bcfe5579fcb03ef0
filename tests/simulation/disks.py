"""The disks of simulated replicas: their writes take time, and crashes cut them short."""

from collections.abc import Callable

from twisted_bazaar.consensus.log import Write

from .storages import KeptStorage
from .world import World

__all__ = ["NEW", "Disk"]

NEW = "new"
"""Why a storage that never had anything is suspect."""


class Disk:
    """A storage whose writes take time. A crash during a write leaves any first part of it."""

    def __init__(self, world: World) -> None:
        self.storage = KeptStorage(suspect=NEW, fresh=True)
        self.votes: set[tuple[int, int]] = set()
        """Each term and vote that were ever on it, also before it was lost or replaced."""
        self._world = world
        self._writing: Write | None = None
        self._held: Callable[[Write], None] = lambda write: None
        self.slow = False
        """All writes take long."""
        self.seconds = 0.0
        """Every write takes this long at least."""
        self.stuck = False
        """No write is done but by `finish`."""
        self.often_slow = 0.0
        """The share of writes that take long."""

    def write(self, write: Write, done: Callable[[Write], None]) -> None:
        """Make `write` durable, and call `done(write)` then."""
        self._writing, self._held = write, done
        if self.stuck:
            return
        random = self._world.random
        seconds = self.seconds + random.uniform(0.0001, 0.001)
        if self.slow or (self.often_slow and random.random() < self.often_slow):
            seconds += random.uniform(0.0, 0.4)
        self._world.after(seconds, self._written, write, done)

    def _written(self, write: Write, done: Callable[[Write], None]) -> None:
        if self._writing is write:
            self._writing = None
            self._keep(write)
            done(write)

    def finish(self) -> None:
        """Finish the write that is stuck, if there is one; the next one may be stuck again."""
        if self._writing is not None:
            self._written(self._writing, self._held)

    def crash(self) -> None:
        """The machine stops: some first lines of the write under way are on disk."""
        write, self._writing = self._writing, None
        if write is None or self.stuck:
            self.stuck = False
            return
        random = self._world.random
        truncate = [] if write.truncate is None else [write.truncate]
        lines = random.randint(0, 1 + len(truncate) + len(write.entries))
        if lines == 0:
            return
        kept = write.entries[: max(0, lines - 1 - len(truncate))]
        cut = write.truncate if truncate and lines > 1 else None
        self._keep(Write(write.term, write.vote, cut, kept, cluster=write.cluster))

    def _keep(self, write: Write) -> None:
        self.storage.write(write)
        self.votes.add((write.term, write.vote))

    def copy(self) -> KeptStorage:
        """A copy of what is on disk now."""
        return self.storage.copy()
