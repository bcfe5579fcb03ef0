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
        silent: Callable[[int], None] | None = None,
    ) -> None:
        """`heard` is called with what each replica says, after the searches heard it and before
        they act on it; `silent` with the id of one that did not answer."""
        self._replicas = replicas
        self._searches = searches
        self._interval = timing.ping
        self._told = heard
        self._told_silent = silent
        self._reactor = reactor
        self._mistakes: dict[int, str | None] = {}
        """By replica: why its last answer was not that of this cluster's replica; None: it was."""
        self._loops: dict[int, LoopingCall] = {}

    def startService(self) -> None:
        super().startService()
        for search in self._searches:
            search.running = True
        self.follow_members()

    def follow_members(self) -> None:
        """Ping the replicas that are members now, and no others."""
        if not self.running:
            return
        for replica in self._loops.keys() - self._replicas.keys():
            self._loops.pop(replica).stop()
            self._mistakes.pop(replica, None)
        for replica in self._replicas.keys() - self._loops.keys():
            loop = self._loops[replica] = LoopingCall(self._start, replica)
            loop.clock = self._reactor
            loop.start(self._interval)

    def stopService(self) -> None:
        super().stopService()
        for search in self._searches:
            search.running = False
        for loop in self._loops.values():
            loop.stop()
        self._loops.clear()

    def _start(self, replica: int) -> Deferred[None]:
        """Fires when `replica` was pinged. Never fails: an error is logged, and pings go on."""
        done = Deferred.fromCoroutine(self._ping(replica))
        return done.addErrback(
            lambda failure: self.log.failure("unexpected error in pings", failure)
        )

    async def _ping(self, replica: int) -> None:
        """Ping `replica`, and take in the answer. The loop awaits it before the next ping."""
        status: Status | None = None
        try:
            status = await self._replicas[replica].status()
        except BazaarError:
            pass
        except Exception:
            self.log.failure("unexpected error in a ping")
        if replica not in self._loops:
            return  # It is a member no more.
        if status is not None:
            self._heard(replica, status)
        else:
            self._silent(replica)
        for search in self._searches:
            search.check()

    def _silent(self, replica: int) -> None:
        for search in self._searches:
            search.silent(replica)
        if self._told_silent is not None:
            self._told_silent(replica)

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
