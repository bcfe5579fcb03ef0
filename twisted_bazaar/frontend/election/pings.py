"""Pings every replica, and has one campaign while none leads. `Leadership` decides which.

ping ──▶ heard, or silent ──▶ no leader? ──▶ campaign ──▶ won ──▶ tell the followers
"""

from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from twisted_bazaar.consensus.messages import CampaignReply, Status
from twisted_bazaar.errors import BazaarError
from twisted_bazaar.frontend.clients import ReplicaClient
from twisted_bazaar.timing import Timing

from .leadership import Leadership

__all__ = ["Pings"]

_SEARCH_OVER_SECONDS = 1.0
"""A search for a leader is over once there has been one for so long: one that was just elected may
not take trades yet, and be doubted again."""


class Pings(Service):
    """Keeps `leadership` up to date, and calls `led_by(leader)` after each ping while one leads."""

    log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        seconds: Callable[[], float],
        leadership: Leadership,
        replicas: Mapping[int, ReplicaClient],
        timing: Timing,
        led_by: Callable[[int], None],
    ) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._leadership = leadership
        self._replicas = replicas
        self._interval = timing.ping
        self._led_by = led_by
        self.leader_changes = 0
        """How often another leadership than the last known was found."""
        self.nominations = 0
        """How often a replica was asked to campaign."""
        self._campaigning = False
        """Whether a replica that was asked to campaign has not answered yet."""
        self._logged_leader = 0, 0
        self._logged_of_search: set[tuple[int, str]] = set()
        self._led_since: float | None = None
        self._mistakes: dict[int, str | None] = {}
        """By replica: why its last answer was not that of this cluster's replica; None: it was."""
        self._loops = [LoopingCall(self._start, self._ping, replica) for replica in replicas]
        for loop in self._loops:
            loop.clock = reactor

    def startService(self) -> None:
        super().startService()
        for loop in self._loops:
            loop.start(self._interval)

    def stopService(self) -> None:
        super().stopService()
        for loop in self._loops:
            loop.stop()

    def _start(
        self, steps: Callable[[int], Coroutine[Deferred[Any], Any, None]], replica: int
    ) -> Deferred[None]:
        """Fires when `steps` are done. Never fails: an error is logged, and pings go on."""
        done = Deferred.fromCoroutine(steps(replica))
        return done.addErrback(
            lambda failure: self.log.failure("unexpected error in pings", failure)
        )

    async def _ping(self, replica: int) -> None:
        """Ping `replica`, and take in the answer. The loop awaits it before the next ping."""
        try:
            status = await self._replicas[replica].status()
        except BazaarError:
            self._leadership.silent(replica)
        except Exception:
            self._leadership.silent(replica)
            self.log.failure("unexpected error in a ping")
        else:
            self._heard(replica, status)
        self._check_leader()

    def _heard(self, replica: int, status: Status) -> None:
        if status.replica == replica:
            mistake = self._leadership.heard(status)
            self._leadership.heard_clock(replica, status.clock, self._seconds())
        else:
            self._leadership.silent(replica)
            mistake = f"it is replica {status.replica}"
        if self._mistakes.get(replica) != mistake:
            self._mistakes[replica] = mistake
            if mistake is not None:
                self.log.error(
                    "another process answers at the address of replica {replica}: {mistake}",
                    replica=replica,
                    mistake=mistake,
                )

    def _check_leader(self) -> None:
        """Report the leader, or have a nominee campaign."""
        leader = self._leadership.leader
        if leader:
            self._log_leader(leader)
            self._led_by(leader)
            return
        self._led_since = None
        if not self._campaigning and self.running:
            nominee = self._leadership.nominee(self._seconds())
            if nominee is not None:
                self._start(self._campaign, nominee)

    async def _campaign(self, nominee: int) -> None:
        self._campaigning = True
        self.nominations += 1
        self._log_of_search(nominee, "no replica leads; replica {replica} is asked to campaign")
        reply: CampaignReply | None = None
        try:
            with suppress(BazaarError):
                reply = await self._replicas[nominee].campaign()
        except Exception:
            self.log.failure("unexpected error in a campaign")
        self._campaigning = False
        now = self._seconds()
        if reply is not None and reply.unable:
            text = "replica {replica} cannot lead now: {why}"
            self._log_of_search(nominee, text, why=reply.unable)
        again = self._leadership.campaigned(nominee, reply, now)
        if self._leadership.leader:
            for replica in self._leadership.followers:
                self._start(self._tell, replica)
            self._check_leader()
        else:
            self._reactor.callLater(max(0.0, again - now), self._check_leader)

    async def _tell(self, replica: int) -> None:
        """Tell `replica` that another one leads. If that fails, it hears so from the leader."""
        with suppress(BazaarError):
            await self._replicas[replica].follow(self._leadership.term)

    def _log_of_search(self, replica: int, text: str, **more: str) -> None:
        """Log `text` once in a search: a long search must not fill the log."""
        if (replica, text) not in self._logged_of_search:
            self._logged_of_search.add((replica, text))
            self.log.info(text, replica=replica, **more)

    def _log_leader(self, leader: int) -> None:
        term = self._leadership.term
        if (leader, term) != self._logged_leader:
            self.log.info("replica {replica} leads in term {term}", replica=leader, term=term)
            self.leader_changes += self._logged_leader != (0, 0)
            self._logged_leader = leader, term
        if self._led_since is None:
            self._led_since = self._seconds()
        elif self._seconds() - self._led_since > _SEARCH_OVER_SECONDS:
            self._logged_of_search.clear()
