"""The front-end's heartbeat: pings every replica, and has a leader elected when there is none.

    ping ──▶ heard, or silent ──▶ nobody leads? ──▶ campaign ──▶ won ──▶ tell the others

Every arrow is a callback on the Deferred of the step before; what follows from the answers is
decided in `leadership.Leadership`.
"""

from collections.abc import Callable, Mapping

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.consensus.messages import CampaignReply, Status
from twisted_bazaar.errors import BazaarError
from twisted_bazaar.frontend.clients import ReplicaClient
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.timing import Timing

from .leadership import Leadership

__all__ = ["Pings"]


class Pings(Service):
    """Keeps `leadership` true. `led_by` is called with the leader after each ping of it."""

    log = Logger()

    def __init__(
        self,
        reactor: Reactor,
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
        self._searching = False
        self._said = 0, 0
        self._said_of_search: set[tuple[int, str]] = set()
        """What was told of the search for a leader that is going on."""
        self._led_since: float | None = None
        self._mistakes: dict[int, str | None] = {}
        """What was wrong with each replica's last answer."""
        self._beats = [LoopingCall(self._ping, replica) for replica in replicas]
        for beat in self._beats:
            beat.clock = reactor

    def startService(self) -> None:
        super().startService()
        for beat in self._beats:
            beat.start(self._interval)

    def stopService(self) -> None:
        super().stopService()
        for beat in self._beats:
            beat.stop()

    def _ping(self, replica: int) -> Deferred[None]:
        """One beat. The next one waits for the Deferred that this returns, which never fails."""

        def heard(status: Status) -> None:
            mistake: str | None
            if status.replica == replica:
                mistake = self._leadership.heard(status)
                self._leadership.heard_clock(replica, status.clock, self._seconds())
            else:
                self._leadership.silent(replica)
                mistake = f"it is replica {status.replica}"
            self._warn(replica, mistake)

        def silent(failure: Failure) -> None:
            self._leadership.silent(replica)
            self._no_answer(failure)

        pinged = self._replicas[replica].status()
        pinged.addCallbacks(heard, silent)
        return pinged.addCallback(self._look).addErrback(self._unforeseen)

    def _no_answer(self, failure: Failure) -> None:
        """What is not a `BazaarError` is a bug: it is told, and does not end the heartbeat."""
        if not failure.check(BazaarError):
            self._unforeseen(failure)

    def _unforeseen(self, failure: Failure) -> None:
        self.log.failure("the heartbeat met a failure that nobody foresaw", failure)

    def _warn(self, replica: int, mistake: str | None) -> None:
        """Tell the operator of a stranger, once for as long as it stays the same."""
        if self._mistakes.get(replica) != mistake:
            self._mistakes[replica] = mistake
            if mistake is not None:
                self.log.error(
                    "what answers at the address of replica {replica} is not ours: {mistake}",
                    replica=replica,
                    mistake=mistake,
                )

    def _look(self, _: object = None) -> None:
        """Go on from what is known now."""
        leader = self._leadership.leader
        if leader:
            self._say(leader)
            self._led_by(leader)
            return
        self._led_since = None
        if not self._searching and self.running:
            nominee = self._leadership.nominee(self._seconds())
            if nominee is not None:
                self._nominate(nominee)

    def _nominate(self, nominee: int) -> None:
        self._searching = True
        self._say_of_search(nominee, "nobody leads; replica {replica} is asked to campaign")
        campaign = self._replicas[nominee].campaign()
        campaign.addErrback(self._no_answer)
        campaign.addCallback(self._campaigned, nominee).addErrback(self._unforeseen)

    def _campaigned(self, reply: CampaignReply | None, nominee: int) -> None:
        self._searching = False
        now = self._seconds()
        if reply is not None and reply.unable:
            text = "replica {replica} cannot lead now: {why}"
            self._say_of_search(nominee, text, why=reply.unable)
        again = self._leadership.campaigned(nominee, reply, now)
        if self._leadership.leader:
            self._notify()
            self._look()
        else:
            self._reactor.callLater(max(0.0, again - now), self._look)

    def _notify(self) -> None:
        """Tell the others. Whoever is not reached hears it from the leader."""
        leadership = self._leadership
        for replica in leadership.followers:
            told = self._replicas[replica].follow(leadership.leader, leadership.term)
            told.addErrback(self._no_answer)

    def _say_of_search(self, replica: int, text: str, **more: object) -> None:
        """Say it once in a search: a search that takes long must not fill the log."""
        if (replica, text) not in self._said_of_search:
            self._said_of_search.add((replica, text))
            self.log.info(text, replica=replica, **more)

    def _say(self, leader: int) -> None:
        term = self._leadership.term
        if (leader, term) != self._said:
            self.log.info("replica {leader} leads in term {term}", leader=leader, term=term)
            self._said = leader, term
        if self._led_since is None:
            self._led_since = self._seconds()
        elif self._seconds() - self._led_since > _SEARCH_OVER_SECONDS:
            self._said_of_search.clear()


_SEARCH_OVER_SECONDS = 1.0
"""A search is over once there has been a leader for so long: one that has just been elected may
not take trades yet, and be in doubt again and again."""
