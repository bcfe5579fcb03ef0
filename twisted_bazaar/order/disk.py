"""The log and the index of an order replica, each written on a thread of its own.

A small write to the log need not go to the thread, while the disk proves prompt.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads

from twisted_bazaar.consensus.log import Write
from twisted_bazaar.runtime.threads import Threads
from twisted_bazaar.storage.index import Index
from twisted_bazaar.storage.logfile import LogFile

from .desk import IndexUpdate
from .promptness import Promptness

__all__ = ["Disk"]

_PROMPT_SECONDS = 0.005
"""A write takes less on a disk that is prompt."""
_SMALL_WRITE_ENTRIES = 64


class Disk:
    """Writes from `start` to `stop`. Methods are called on the reactor thread."""

    def __init__(
        self,
        reactor: IReactorFromThreads,
        seconds: Callable[[], float],
        logfile: LogFile,
        index: Index,
        wrote: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        """`seconds` is a clock that only goes forward. `wrote` is told how long each write of the
        log took."""
        self._wrote = wrote
        self._seconds = seconds
        self._promptness = Promptness(_PROMPT_SECONDS)
        self._reactor = reactor
        self._logfile = logfile
        self._index = index
        self._writer = Threads(1, "disk")
        self._indexer = Threads(1, "index")

    def start(self) -> None:
        self._writer.start()
        self._indexer.start()

    def stop(self) -> None:
        """Returns when the writes that were begun are done, and closes the files."""
        self._writer.stop()
        self._indexer.stop()
        self._index.close()
        self._logfile.close()

    def is_prompt(self, write: Write) -> bool:
        """Whether `write_here` will most likely return within a few milliseconds."""
        return self._promptness.prompt and len(write.entries) <= _SMALL_WRITE_ENTRIES

    def write_here(self, write: Write) -> None:
        """Make `write` durable before this returns. Raises OSError."""
        self._took(self._write(write))

    def write(self, write: Write) -> Deferred[None]:
        """Fires when `write` is durable."""
        return self._writer.defer(self._reactor, self._write, write).addCallback(self._took)

    def _write(self, write: Write) -> float:
        """Returns how many seconds it took. On any thread."""
        began = self._seconds()
        self._logfile.write(write)
        return self._seconds() - began

    def _took(self, seconds: float) -> None:
        self._promptness.took(seconds)
        self._wrote(seconds)

    def sync_index(self) -> Deferred[int]:
        """Fires with the entry up to which the index is durable."""
        return self._indexer.defer(self._reactor, self._index.sync)

    def index(self, update: IndexUpdate) -> Deferred[None]:
        """Fires when the index has taken in `update`."""
        return self._indexer.defer(
            self._reactor, self._index.write, update.entries, update.stocks, update.last_number
        )
