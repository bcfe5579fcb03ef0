"""A catalog at work: takes in what the leader sends, answers lookups, keeps its file.

Entries are applied on the reactor thread. Readers, on gRPC's threads, never wait for that:
they read an immutable view, which the reactor thread replaces.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..market import Listing, Stock
from ..replication.messages import Apply, ApplyReply
from .database import Snapshot, save

__all__ = ["CatalogNode", "View"]

_SAVE_SECONDS = 0.25
"""How far the file may be behind. A catalog that was killed fetches the rest from the leader."""


class View(msgspec.Struct, frozen=True):
    """The market data at one point of the order log."""

    stocks: Mapping[str, Stock]
    current: bool
    """Whether it may be shown to clients."""


class CatalogNode(Service):
    """One catalog. `view` may be read on any thread."""

    log = Logger()

    def __init__(self, reactor: Any, snapshot: Snapshot, path: Path) -> None:
        """Go on from `snapshot`, which is what the file at `path` holds."""
        self._projection = projection = snapshot.projection()
        self._stocks = snapshot.stocks
        self._path = path
        self._reactor = reactor
        self._saved = projection.position
        self._failing = False
        self._saving = LoopingCall(self._save)
        self._saving.clock = reactor
        self._saving_ended: Deferred[LoopingCall] | None = None
        self._look()

    def _look(self) -> None:
        projection = self._projection
        self.view = View(dict(projection.ledger.stocks), projection.current)

    def startService(self) -> None:
        super().startService()
        self._saving_ended = self._saving.start(_SAVE_SECONDS, now=False)

    def stopService(self) -> Deferred[None] | None:
        super().stopService()
        if self._saving_ended is None:
            return None
        # A save that is under way ends first: all of them write the same temporary file.
        ended = self._saving_ended.addCallback(lambda _: self._save())
        self._saving.stop()
        return ended

    def apply(self, message: Apply) -> Deferred[ApplyReply]:
        """Take in what the leader sends."""
        before = self._projection.position, self._projection.current
        reply = self._projection.apply(message)
        if reply.applied < before[0].index:
            self.log.warn("what is here is not of this order log: rebuilding from its beginning")
        if (self._projection.position, self._projection.current) != before:
            self._look()
        return succeed(reply)

    def listing(self) -> Sequence[Listing]:
        """What a first leader should list: what this catalog's file holds."""
        stocks = self.view.stocks.values() or self._stocks
        return [Listing(stock.name, stock.price, stock.quantity) for stock in stocks]

    def _save(self) -> Deferred[None] | None:
        """Write the file if there is something new; one at a time, off the reactor thread."""
        if self._projection.position == self._saved or not self._projection.ledger.stocks:
            return None
        snapshot = Snapshot.of(self._projection)
        pool = self._reactor.getThreadPool()
        saved = deferToThreadPool(self._reactor, pool, save, self._path, snapshot)
        saved.addCallbacks(lambda _: self._now_saved(snapshot), self._not_saved)
        return saved

    def _now_saved(self, snapshot: Snapshot) -> None:
        self._saved = snapshot.position
        self._failing = False

    def _not_saved(self, failure: Failure) -> None:
        # Nothing is lost: the order log is the truth, and the next try is soon.
        if not failure.check(OSError):
            self.log.failure("cannot write {path}", failure, path=self._path)
        elif not self._failing:
            self.log.error("cannot write {path}: {why}", path=self._path, why=failure.value)
        self._failing = True
