"""Pings every replica, for the searches for a leader of all partitions.

ping ──▶ heard, or silent ──▶ each search checks whether there is a leader
"""

from collections.abc import Callable, Mapping, Sequence

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from twisted_bazaar.consensus.messages import Status
from twisted_bazaar.errors import BazaarError
from twisted_bazaar.frontend.clients import ReplicaClient
from twisted_bazaar.timing import Timing

from .search import Search

__all__ = ["Pings"]


class Pings(Service):
    """Tells `searches`, one for each partition, what the replicas say of themselves."""

    log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        replicas: Mapping[int, ReplicaClient],
        searches: Sequence[Search],
        timing: Timing,
        heard: Callable[[Status], None] | None = None,
    ) -> None:
        """`heard` is called with what each replica says, before the searches are."""
        self._replicas = replicas
        self._searches = searches
        self._interval = timing.ping
        self._told = heard
        self._mistakes: dict[int, str | None] = {}
        """By replica: why its last answer was not that of this cluster's replica; None: it was."""
        self._loops = [LoopingCall(self._start, replica) for replica in replicas]
        for loop in self._loops:
            loop.clock = reactor

    def startService(self) -> None:
        super().startService()
        for search in self._searches:
            search.running = True
        for loop in self._loops:
            loop.start(self._interval)

    def stopService(self) -> None:
        super().stopService()
        for search in self._searches:
            search.running = False
        for loop in self._loops:
            loop.stop()

    def _start(self, replica: int) -> Deferred[None]:
        """Fires when `replica` was pinged. Never fails: an error is logged, and pings go on."""
        done = Deferred.fromCoroutine(self._ping(replica))
        return done.addErrback(
            lambda failure: self.log.failure("unexpected error in pings", failure)
        )

    async def _ping(self, replica: int) -> None:
        """Ping `replica`, and take in the answer. The loop awaits it before the next ping."""
        try:
            status = await self._replicas[replica].status()
        except BazaarError:
            self._silent(replica)
        except Exception:
            self._silent(replica)
            self.log.failure("unexpected error in a ping")
        else:
            self._heard(replica, status)
        for search in self._searches:
            search.check()

    def _silent(self, replica: int) -> None:
        for search in self._searches:
            search.silent(replica)

    def _heard(self, replica: int, status: Status) -> None:
        mistake: str | None = None
        if status.replica == replica:
            for search in self._searches:
                mistake = search.heard(status) or mistake
            if self._told is not None and mistake is None:
                self._told(status)
        else:
            self._silent(replica)
            mistake = f"it is replica {status.replica}"
        if self._mistakes.get(replica) != mistake:
            self._mistakes[replica] = mistake
            if mistake is not None:
                self.log.error(
                    "another process answers at the address of replica {replica}: {mistake}",
                    replica=replica,
                    mistake=mistake,
                )
