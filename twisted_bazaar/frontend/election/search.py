"""The search for a leader of one partition: has one replica campaign while none leads. `Leadership`
decides which.

heard, or silent ──▶ no leader? ──▶ campaign ──▶ won ──▶ tell the followers
"""

from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from twisted_bazaar.consensus.messages import CampaignReply, Status
from twisted_bazaar.errors import BazaarError
from twisted_bazaar.frontend.clients import ReplicaClient

from .leadership import Leadership
from .views import NO_PARTITION, seen_in

__all__ = ["Search"]

_OVER_SECONDS = 1.0
"""A search for a leader is over once there has been one for so long: one that was just elected may
not take trades yet, and be doubted again."""


_START_SECONDS = 2.0
"""How long the members of several partitions may take to start, so that leaders spread over them:
one that leads keeps its lead. With one partition, replicas that have just started ask to wait."""


class Search:
    """Keeps `leadership` up to date with what `Pings` hears, and calls `led_by(leader)` after each
    ping while one leads."""

    log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        seconds: Callable[[], float],
        leadership: Leadership,
        replicas: Mapping[int, ReplicaClient],
        led_by: Callable[[int], None],
        partition: int = 0,
        partitions: int = 1,
    ) -> None:
        """`replicas` are clients for `partition`, of so many."""
        self._reactor = reactor
        self._seconds = seconds
        self._leadership = leadership
        self._replicas = replicas
        self._led_by = led_by
        self._partition = partition
        self._partitions = partitions
        self._in = "" if partitions == 1 else " partition {partition}"
        self.running = False
        """Whether replicas may be asked to campaign."""
        self.leader_changes = 0
        """How often another leadership than the last known was found."""
        self.nominations = 0
        """How often a replica was asked to campaign."""
        self._campaigning = False
        """Whether a replica that was asked to campaign has not answered yet."""
        self._logged_leader = 0, 0
        self._logged_of_search: set[tuple[int, str]] = set()
        self._led_since: float | None = None
        self._patient_until: float | None = None if partitions > 1 else 0.0
        """Until then a member that does not answer may be about to start; None: nothing was heard
        yet."""

    def heard(self, status: Status) -> str | None:
        """A replica described itself. Returns why it is not of this cluster; None: it is."""
        seen = seen_in(status, self._partition, self._partitions)
        if seen is None:
            self._leadership.silent(status.replica)
            if not status.partitions and not status.cluster:
                # It has not reached the engine yet.
                return None
            return NO_PARTITION.format(len(status.partitions) or 1, self._partitions)
        mistake = self._leadership.heard(seen)
        self._leadership.heard_clock(status.replica, status.clock, self._seconds())
        for each in status.partitions[self._partition : self._partition + 1]:
            self._leadership.prefer(each.preferred, status.replica)
        return mistake

    def silent(self, replica: int) -> None:
        """A replica did not answer a ping in time."""
        self._leadership.silent(replica)

    def check(self) -> None:
        """Report the leader, or have a nominee campaign."""
        leader = self._leadership.leader
        if leader:
            self._patient_until = 0.0
            self._log_leader(leader)
            self._led_by(leader)
            return
        self._led_since = None
        if not self._campaigning and self.running and not self._is_patient():
            nominee = self._leadership.nominee(self._seconds())
            if nominee is not None:
                self._start(self._campaign(nominee))

    def _is_patient(self) -> bool:
        """Whether members may be about to start. Pings check again."""
        now = self._seconds()
        if self._patient_until is None:
            self._patient_until = now + _START_SECONDS
        if now < self._patient_until and not self._leadership.all_answer:
            return True
        self._patient_until = now
        return False

    def _start(self, steps: Coroutine[Deferred[Any], Any, None]) -> None:
        Deferred.fromCoroutine(steps).addErrback(
            lambda failure: self.log.failure("unexpected error in the search for a leader", failure)
        )

    async def _campaign(self, nominee: int) -> None:
        self._campaigning = True
        self.nominations += 1
        text = f"no replica leads{self._in}; replica {{replica}} is asked to campaign"
        self._log_of_search(nominee, text)
        reply: CampaignReply | None = None
        try:
            with suppress(BazaarError):
                reply = await self._replicas[nominee].campaign()
        except Exception:
            self.log.failure("unexpected error in a campaign")
        self._campaigning = False
        now = self._seconds()
        if reply is not None and reply.unable:
            text = f"replica {{replica}} cannot lead{self._in} now: {{why}}"
            self._log_of_search(nominee, text, why=reply.unable)
        again = self._leadership.campaigned(nominee, reply, now)
        if self._leadership.leader:
            for replica in self._leadership.followers:
                self._start(self._tell(replica))
            self.check()
        else:
            self._reactor.callLater(max(0.0, again - now), self.check)

    async def _tell(self, replica: int) -> None:
        """Tell `replica` that another one leads. If that fails, it hears so from the leader."""
        with suppress(BazaarError):
            await self._replicas[replica].follow(self._leadership.term)

    def _log_of_search(self, replica: int, text: str, **more: str) -> None:
        """Log `text` once in a search: a long search must not fill the log."""
        if (replica, text) not in self._logged_of_search:
            self._logged_of_search.add((replica, text))
            self.log.info(text, replica=replica, partition=self._partition, **more)

    def _log_leader(self, leader: int) -> None:
        term = self._leadership.term
        if (leader, term) != self._logged_leader:
            text = f"replica {{replica}} leads{self._in} in term {{term}}"
            self.log.info(text, replica=leader, term=term, partition=self._partition)
            self.leader_changes += self._logged_leader != (0, 0)
            self._logged_leader = leader, term
        if self._led_since is None:
            self._led_since = self._seconds()
        elif self._seconds() - self._led_since > _OVER_SECONDS:
            self._logged_of_search.clear()
