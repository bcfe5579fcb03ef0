"""Decides which replica leads, as one front-end sees it, and which to nominate if none does. Pure.

Highest id first: when no replica that answers leads, the one with the highest id is asked to
campaign, then the next. Of several partitions, each begins with another id, so that the leaders
spread; the replica that an operator prefers comes before all. A replica that cannot lead now defers
itself only. All nominations wait while a leader is heard, while a candidate asks for votes, and up
to two election timeouts for each replica that has just started. A front-end that is wrong, slow or
doubled does no harm: a replica refuses to campaign while it hears a leader, and only a majority
elects.
"""

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

from twisted_bazaar.consensus.messages import CampaignReply, Status
from twisted_bazaar.consensus.progress import majority
from twisted_bazaar.leases import kept
from twisted_bazaar.timing import Timing

__all__ = ["Leadership"]

T = TypeVar("T")

_PASSED_OVER_SECONDS = 0.1
"""How long a replica that lost a campaign is not nominated again, at least."""


class Leadership:
    """What the answers to pings and nominations imply; `Pings` sends them. Times are seconds on the
    front-end's clock."""

    def __init__(
        self, replicas: Iterable[int], timing: Timing | None = None, partition: int = 0
    ) -> None:
        self._longest_wait = (timing or Timing()).election_timeout
        self._partition = partition
        self._replicas = self._in_order(replicas)
        """In the order in which they are nominated."""
        self._joining: Collection[int] = ()
        """Those that do not count yet: they are not nominated, and have no say."""
        self.preferred = 0
        """The replica that an operator wants to lead; 0: the usual one."""
        self._led_last = 0
        self._known: dict[int, Status] = {}
        self._reachable: dict[int, bool] = {}
        self._claims: dict[int, int] = {}
        """The term of each replica that said last that it leads."""
        self._levels: dict[int, tuple[int, int]] = {}
        """By replica: the last term in which it said that it leads, and its level then."""
        # Of the present search for a leader.
        self._not_before: dict[int, float] = {}
        self._had_turn: set[int] = set()
        """The replicas nominated in this round. Each of the others has its turn before them, also
        if one of them fails repeatedly."""
        self._waited_since: dict[int, float] = {}
        """By replica that asked all to wait though it heard no leader: when it first did."""
        self._clocks: dict[int, tuple[float, float]] = {}
        """What each replica's clock showed last, and when that was received."""
        self._clusters: dict[int, str] = {}
        """The cluster that each replica named last; empty: it knew none."""
        self._cluster = ""
        self.leader = 0
        """The replica to send trades to; 0: none is known to lead. Of several claims that of the
        highest term counts: a deposed leader may not know it yet."""
        self.term = 0
        """The leader's term; 0: none is known to lead."""

    def _in_order(self, replicas: Iterable[int]) -> list[int]:
        highest_first = deque(sorted(replicas, reverse=True))
        highest_first.rotate(-self._partition)
        return list(highest_first)

    def members_are(self, replicas: Iterable[int], joining: Collection[int]) -> None:
        """The replicas are these from now on; `joining` are those that do not count yet."""
        self._replicas, self._joining = self._in_order(replicas), frozenset(joining)
        self._known = _only(self._known, self._replicas)
        self._reachable = _only(self._reachable, self._replicas)
        self._claims = _only(self._claims, self._replicas)
        self._levels = _only(self._levels, self._replicas)
        self._clusters = _only(self._clusters, self._replicas)
        self._clocks = _only(self._clocks, self._replicas)
        self._not_before = _only(self._not_before, self._replicas)
        self._waited_since = _only(self._waited_since, self._replicas)
        self._had_turn.intersection_update(self._replicas)
        self._claims_changed()

    @property
    def joining(self) -> Collection[int]:
        """The ids of the replicas that do not count yet."""
        return self._joining

    @property
    def is_certain(self) -> bool:
        """Whether a majority of the replicas named the cluster."""
        return bool(self._cluster)

    @property
    def cluster(self) -> str:
        """The cluster that a majority of the replicas named. Before that, the one that all replicas
        that answered name, which may be read from; empty: none is known."""
        if self._cluster:
            return self._cluster
        named = set(self._clusters.values()) - {""}
        return named.pop() if len(named) == 1 else ""

    @property
    def level(self) -> int | None:
        """What the leader understands; None: it has not said, or none is known to lead. A process
        of another release that takes its place cannot lead in the same term."""
        term, level = self._levels.get(self.leader, (0, 0))
        return level if term and term == self.term else None

    def _claims_changed(self) -> None:
        """Find the leader anew: replicas claim to lead, or name a cluster, other than before."""
        # Of the cluster that a majority named: no trade goes to a leader of another.
        clusters = self._clusters
        claims = [
            (term, replica)
            for replica, term in self._claims.items()
            if clusters.get(replica, "") == self._cluster
        ]
        self.term, self.leader = max(claims, default=(0, 0))
        self._led_last = self.leader or self._led_last

    def heard(self, status: Status) -> str | None:
        """A replica described itself. Returns why it is not of this cluster; None: it is. One that
        was removed while it was asked has no say."""
        if status.replica not in self._replicas:
            return None
        self._clusters[status.replica] = status.cluster
        self._count_clusters()
        if self._cluster and status.cluster not in ("", self._cluster):
            self.silent(status.replica)
            return f"it is of cluster {status.cluster}, not {self._cluster}"
        self._known[status.replica] = status
        self._reachable[status.replica] = True
        if status.role == "leader":
            self._claims[status.replica] = status.term
            self._levels[status.replica] = status.term, status.level
            self._search_over()
        else:
            self._claims.pop(status.replica, None)
        self._claims_changed()
        return None

    def _count_clusters(self) -> None:
        named = [name for id_, name in self._clusters.items() if id_ not in self._joining]
        for cluster, count in Counter(named).most_common(1):
            if count >= majority(len(self._replicas) - len(self._joining)):
                self._cluster = cluster or self._cluster

    def prefer(self, replica: int, by: int) -> None:
        """Replica `by` said that an operator wants `replica` to lead; 0: the usual one. The one
        that led last was told so, and the others read it later."""
        if by == self._led_last or not self._reachable.get(self._led_last):
            self.preferred = replica

    def heard_clock(self, replica: int, shows: float, now: float) -> None:
        """A replica's clock showed `shows`; that was received at `now`."""
        self._clocks[replica] = shows, now

    def clock_of(self, replica: int) -> Callable[[float], float]:
        """Maps a time on this front-end's clock to what the clock of `replica` shows then, or less
        by the drift that `leases` allows; to 0 if that is unknown."""
        if replica not in self._clocks:
            return lambda moment: 0.0
        showed, heard = self._clocks[replica]
        return lambda moment: showed + kept(moment - heard)

    def silent(self, replica: int) -> None:
        """A replica did not answer a ping in time."""
        self._reachable[replica] = False
        self.doubt(replica)

    def doubt(self, replica: int) -> None:
        """A replica did not take trades: it counts as the leader only if it says so again."""
        self._claims.pop(replica, None)
        self._claims_changed()

    def nominee(self, now: float) -> int | None:
        """The replica to ask to campaign now; None: there is a leader, or not yet."""
        voters = [replica for replica in self._replicas if replica not in self._joining]
        if self._claims or not self._reachable.keys() >= set(voters):
            return None
        responsive = [replica for replica in voters if self._reachable[replica]]
        responsive.sort(key=lambda replica: replica != self.preferred)
        if self._had_turn.issuperset(responsive):
            self._had_turn.clear()
        for replica in responsive:
            if replica in self._had_turn:
                continue
            if self._not_before.get(replica, 0.0) <= now:
                return replica
        return None

    def campaigned(self, replica: int, reply: CampaignReply | None, now: float) -> float:
        """A nominee answered; None: it did not. Returns when to call `nominee` again.

        A replica that hears a leader, or has just started, is asked again when its wait is over:
        the next would have to wait as well. So is one that is asking for votes, which another
        campaign would take from it. After one that cannot lead, or lost, it is the next one's turn.
        """
        if reply is None:
            # Whether it can be reached, pings tell: it may only not take nominations.
            self.doubt(replica)
        elif reply.leader == replica and replica in self._replicas:
            self._claims[replica] = reply.term
            self._claims_changed()
            self._search_over()
            self._not_before.clear()
            return now
        elif reply.campaigning or (reply.wait > 0 and self._all_wait(replica, reply, now)):
            again = now + min(reply.wait, self._longest_wait)
            for each in self._replicas:
                self._not_before[each] = again
            return again
        self._had_turn.add(replica)
        self._not_before[replica] = now + _PASSED_OVER_SECONDS
        return now

    def _all_wait(self, replica: int, reply: CampaignReply, now: float) -> bool:
        """Whether all must wait for as long as `replica` asks."""
        if reply.unable:
            return False
        # Bounded: a replica that restarts repeatedly, or is cut off from the voters, would make
        # all wait forever.
        since = self._waited_since.setdefault(replica, now)
        return bool(reply.leader) or now < since + 2 * self._longest_wait

    def _search_over(self) -> None:
        self._had_turn.clear()
        self._waited_since.clear()

    @property
    def all_answer(self) -> bool:
        """Whether each replica answered its last ping."""
        return all(self._reachable.get(replica) for replica in self._replicas)

    @property
    def followers(self) -> list[int]:
        """The reachable replicas that do not lead: to be told which one does."""
        return [
            replica
            for replica in self._replicas
            if replica != self.leader and self._reachable.get(replica)
        ]

    @property
    def statuses(self) -> Mapping[int, tuple[Status | None, bool]]:
        """By id, the last status of each replica, if any, and whether it answered its last
        ping."""
        return {
            replica: (self._known.get(replica), self._reachable.get(replica, False))
            for replica in sorted(self._replicas)
        }

    def by_trust(self) -> list[int]:
        """All replicas in the order in which to send reads to them: the leader, those that answer,
        the others."""
        return sorted(
            self._replicas,
            key=lambda replica: (
                replica != self.leader,
                not self._reachable.get(replica),
                # It may lack orders that it is yet to be sent.
                replica in self._joining,
            ),
        )


def _only(known: dict[int, T], replicas: Collection[int]) -> dict[int, T]:
    """What is `known` of `replicas`."""
    return {replica: value for replica, value in known.items() if replica in replicas}
