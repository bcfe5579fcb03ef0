"""The threads of a member on which it calls the engine."""

from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.defer import Deferred

from twisted_bazaar.engine.shared_log import Bazaar, Engine, SharedLog, Unknown
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.threads import Threads

from .call_thread import CallThread

__all__ = ["EngineThreads"]


class EngineThreads(Service):
    """One for the engine, once it is opened, and those of the logs: each has a connection of its
    own. They end with this Service."""

    def __init__(
        self,
        reactor: Reactor,
        open_engine: Callable[[], Engine],
        write_seconds: float,
        read_seconds: float,
    ) -> None:
        """`open_engine` is called on a thread. A write may take `write_seconds`, and so may a
        question for the tails, or for keys; to read orders may take `read_seconds`."""
        self._reactor = reactor
        self._open_engine = open_engine
        self._write_seconds = write_seconds
        self._read_seconds = read_seconds
        self._opening: Threads | None = None
        self._engine: Engine | None = None
        self._calls: CallThread[Engine] | None = None
        self._logs: list[CallThread[SharedLog]] = []

    def open(self) -> Deferred[None]:
        """Open the engine. Fails as `open_engine` raises; then it may be tried again."""
        if self._opening is None:
            self._opening = Threads(1, "open")
            self._opening.start()
        return self._opening.defer(self._reactor, self._open_engine).addCallback(self._opened)

    def _opened(self, engine: Engine) -> None:
        if not self.running:
            engine.close()
            raise Unknown("this member is stopping")
        self._engine = engine
        self._calls = CallThread(self._reactor, "engine", engine, self._write_seconds)

    @property
    def engine(self) -> CallThread[Engine]:
        """The engine. It must be open."""
        assert self._calls is not None, "the engine is not open yet"
        return self._calls

    @property
    def bazaar(self) -> Bazaar:
        """What is fixed in the engine. It must be open."""
        assert self._engine is not None, "the engine is not open yet"
        return self._engine.bazaar

    def log(self, purpose: str, partition: int) -> CallThread[SharedLog]:
        """A thread for the log of a partition. `purpose` is `write`, `find` or `read`. The engine
        must be open."""
        assert self._engine is not None, "the engine is not open yet"
        seconds = self._read_seconds if purpose == "read" else self._write_seconds
        log = self._engine.log(partition)
        thread = CallThread(self._reactor, f"{purpose}-{partition}", log, seconds)
        self._logs.append(thread)
        return thread

    def stopService(self) -> None:
        """Nothing waits for a thread that still tries to open the engine."""
        super().stopService()
        for thread in self._logs:
            thread.stop()
        if self._calls is not None:
            self._calls.stop()
