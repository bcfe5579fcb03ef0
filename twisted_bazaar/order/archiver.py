"""Moves closed segments of a replica's log to its archive, on a thread of its own.

A segment leaves once all of its entries are released and durably in the index (`storage.leaving`).
The beginning of the log moves on the reactor thread: so it does not change while the replica makes
a decision.
"""

from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from twisted_bazaar.errors import BazaarError, Damaged
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.threads import Threads
from twisted_bazaar.storage.archive import Archive
from twisted_bazaar.storage.leaving import Keep, boundary, leave
from twisted_bazaar.storage.logfile import LogFile

__all__ = ["Archiver"]

_LOOK_SECONDS = 1.0
_PAUSE_SECONDS = 10.0
"""After a failure."""


class Archiver(Service):
    """Archives what is older than `keep`, while it runs."""

    log = Logger()

    def __init__(
        self,
        reactor: Reactor,
        logfile: LogFile,
        archive: Archive,
        keep: Keep,
        place: str,
        covered: Callable[[], int],
        sync_index: Callable[[], Deferred[int]],
        cannot_read: Callable[[Exception], None],
    ) -> None:
        """`place` names the archive, as the option does. `covered`: entries up to this one are
        released, and in the index. `sync_index` makes that durable, and fires with the entry.
        `cannot_read` is told that the log is not as it was written."""
        self._reactor = reactor
        self._logfile = logfile
        self._archive = archive
        self._keep = keep
        self._place = place
        self._covered = covered
        self._sync_index = sync_index
        self._cannot_read = cannot_read
        self._threads = Threads(1, "archive")
        self._looking = LoopingCall(self._look)
        clock: IReactorTime = reactor
        self._looking.clock = clock
        self._failed_at: float | None = None
        self._failing_since: float | None = None
        self._said = ""

    @property
    def failing_seconds(self) -> float:
        """Since when nothing leaves the log though something should; 0: it does."""
        since = self._failing_since
        return 0.0 if since is None else self._reactor.seconds() - since

    def startService(self) -> None:
        super().startService()
        self._threads.start()
        self._looking.start(_LOOK_SECONDS, now=False)

    def stopService(self) -> None:
        """Returns when the step under way is done."""
        super().stopService()
        if self._looking.running:
            self._looking.stop()
        self._threads.stop()

    def _look(self) -> Deferred[None] | None:
        failed_at = self._failed_at
        if failed_at is not None and self._reactor.seconds() < failed_at + _PAUSE_SECONDS:
            return None
        return Deferred.fromCoroutine(self._archive_all())

    async def _archive_all(self) -> None:
        try:
            while self.running:
                began = self._reactor.seconds()
                if not await self._archive_one():
                    break
                # To compress a segment takes a second of CPU, which trades need as well.
                await deferLater(self._reactor, self._reactor.seconds() - began)
        except Damaged as why:
            # Of the log itself: another start reads all of it, and sees what is left.
            self._cannot_read(why)
        except (BazaarError, OSError) as why:
            self._failed_at = now = self._reactor.seconds()
            if self._failing_since is None:
                self._failing_since = now
            if str(why) != self._said:
                self._said = str(why)
                self.log.warn("nothing leaves the log: {why}", why=why)
        else:
            self._failed_at = self._failing_since = None
            self._said = ""

    async def _archive_one(self) -> bool:
        """Archive one segment; returns whether there was one."""
        threads, reactor, logfile = self._threads, self._reactor, self._logfile
        if logfile.suspect:
            return False
        stays = await threads.defer(reactor, boundary, logfile, self._covered(), self._keep)
        if stays is None or await self._sync_index() < stays.index or not self.running:
            return False
        begins = await threads.defer(reactor, leave, logfile, self._archive, stays, self._place)
        logfile.leave(begins)
        if self.running:
            await threads.defer(reactor, logfile.segments.sweep, begins.position)
        self.log.info(
            "entries up to {index}, order {number}, are in {where}",
            index=begins.before.index,
            number=begins.before.number,
            where=self._archive.where,
        )
        return True
