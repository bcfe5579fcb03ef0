"""The log and the index of an order replica, each written on a thread of its own."""

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads

from twisted_bazaar.consensus.log import Write
from twisted_bazaar.runtime.threads import Threads
from twisted_bazaar.storage.index import Index
from twisted_bazaar.storage.logfile import LogFile

from .desk import IndexUpdate

__all__ = ["Disk"]


class Disk:
    """Writes from `start` to `stop`. Methods are called on the reactor thread."""

    def __init__(self, reactor: IReactorFromThreads, logfile: LogFile, index: Index) -> None:
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

    def write(self, write: Write) -> Deferred[None]:
        """Fires when `write` is durable."""
        return self._writer.defer(self._reactor, self._logfile.write, write)

    def index(self, update: IndexUpdate) -> Deferred[None]:
        """Fires when the index has taken in `update`."""
        return self._indexer.defer(
            self._reactor, self._index.write, update.entries, update.stocks, update.last_number
        )
