"""Who leads, as one front-end sees it, and whom to nominate when nobody does. Pure.

Highest id first: when no replica that answers leads, the one with the highest id is asked to
campaign, then the next. One that cannot lead now defers itself only; all wait together only
while a leader is heard, while a candidate asks for votes, and for a moment for each replica
that has just started. A front-end cannot do harm by being wrong, slow or doubled: a replica
refuses to campaign while a leader is heard, and only a majority of replicas elects.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from twisted_bazaar.consensus.messages import CampaignReply, Status
from twisted_bazaar.consensus.progress import majority
from twisted_bazaar.leases import kept
from twisted_bazaar.timing import Timing

__all__ = ["Leadership"]


class Leadership:
    """What the answers of the replicas amount to."""

    def __init__(self, replicas: Iterable[int], timing: Timing | None = None) -> None:
        self._longest_wait = (timing or Timing()).election_timeout
        self._replicas = sorted(replicas, reverse=True)
        self._known: dict[int, Status] = {}
        self._reachable: dict[int, bool] = {}
        self._claims: dict[int, int] = {}
        """The term in which each replica said last that it leads, if it did."""
        # About the search for a leader that is going on.
        self._not_before: dict[int, float] = {}
        self._had_turn: set[int] = set()
        """Those that were asked in this round and do not lead. The others come first: one that
        fails again and again must not keep them from their turn."""
        self._waited_since: dict[int, float] = {}
        """Since when all have waited for a replica now and then, though it heard no leader."""
        self._clocks: dict[int, tuple[float, float]] = {}
        """What each replica's clock showed last, and when that came here."""
        self._clusters: dict[int, str] = {}
        """The cluster that each replica named last; empty: it knew none yet."""
        self._cluster = ""

    @property
    def cluster(self) -> str:
        """The cluster that a majority of the replicas named; until then, the one that all name
        that have answered, which may be read from; empty: none is known."""
        if self._cluster:
            return self._cluster
        named = set(self._clusters.values()) - {""}
        return named.pop() if len(named) == 1 else ""

    @property
    def leader(self) -> int:
        """Send trades there; 0: nobody leads, as far as is known.

        One that was deposed may not know it yet: the claim of the highest term counts.
        """
        claims = self._own_claims
        return max(claims, key=lambda replica: claims[replica], default=0)

    @property
    def term(self) -> int:
        """The term in which the leader leads; 0: there is none."""
        return max(self._own_claims.values(), default=0)

    @property
    def _own_claims(self) -> Mapping[int, int]:
        """The claims of replicas that are of the cluster that a majority named. Nothing is sent
        to a leader that only one other, or none, vouches for."""
        clusters = self._clusters
        return {
            replica: term
            for replica, term in self._claims.items()
            if clusters.get(replica, "") == self._cluster
        }

    def heard(self, status: Status) -> str | None:
        """A replica described itself. Why it is none of this cluster's; None: it is."""
        self._clusters[status.replica] = status.cluster
        ((cluster, named),) = Counter(self._clusters.values()).most_common(1)
        if named >= majority(len(self._replicas)):
            self._cluster = cluster or self._cluster
        if self._cluster and status.cluster not in ("", self._cluster):
            self.silent(status.replica)
            return f"it is of cluster {status.cluster}, not {self._cluster}"
        self._known[status.replica] = status
        self._reachable[status.replica] = True
        if status.role == "leader":
            self._claims[status.replica] = status.term
            self._search_over()
        else:
            self._claims.pop(status.replica, None)
        return None

    def heard_clock(self, replica: int, shows: float, now: float) -> None:
        """A replica said what its clock shows; that came here at `now`."""
        self._clocks[replica] = shows, now

    def clock_of(self, replica: int) -> Callable[[float], float]:
        """What the clock of `replica` shows at a given moment on this front-end's, or less.

        Rates of clocks differ by what `leases` allows for. 0 at all times: it never said.
        """
        if replica not in self._clocks:
            return lambda moment: 0.0
        showed, heard = self._clocks[replica]
        return lambda moment: showed + kept(moment - heard)

    def silent(self, replica: int) -> None:
        """A replica did not answer in time."""
        self._reachable[replica] = False
        self._claims.pop(replica, None)

    def doubt(self, replica: int) -> None:
        """A replica that was sent trades did not take them: it leads only if it says so anew."""
        self._claims.pop(replica, None)

    def nominee(self, now: float) -> int | None:
        """Whom to ask to campaign now; None: nobody, or not yet."""
        if self._claims or len(self._reachable) < len(self._replicas):
            return None
        responsive = [replica for replica in self._replicas if self._reachable[replica]]
        if self._had_turn.issuperset(responsive):
            self._had_turn.clear()
        for replica in responsive:
            if replica in self._had_turn:
                continue
            if self._not_before.get(replica, 0.0) <= now:
                return replica
        return None

    def campaigned(self, replica: int, reply: CampaignReply | None, now: float) -> float:
        """How a nomination ended; None: no answer. Returns when to look for a nominee again.

        One that hears a leader, or has just started, is asked again when its wait is over: the
        next id would have to wait as well. So is one that is asking for votes: another campaign
        would take them away. One that cannot lead, or lost, gives the next id its turn.
        """
        if reply is None:
            # Pings say whether it can be reached: it may only not take nominations.
            self._claims.pop(replica, None)
        elif reply.leader == replica:
            self._claims[replica] = reply.term
            self._search_over()
            self._not_before.clear()
            return now
        elif reply.campaigning or (reply.wait > 0 and self._all_wait(replica, reply, now)):
            again = now + min(reply.wait, self._longest_wait)
            for each in self._replicas:
                self._not_before[each] = again
            return again
        self._had_turn.add(replica)
        self._not_before[replica] = now + _PATIENCE_SECONDS
        return now

    def _all_wait(self, replica: int, reply: CampaignReply, now: float) -> bool:
        """Whether the wait that `replica` asks for is one for all."""
        if reply.unable:
            return False
        # One that restarts again and again, or is cut off from those that would vote, would
        # make all wait for ever.
        since = self._waited_since.setdefault(replica, now)
        return bool(reply.leader) or now < since + 2 * self._longest_wait

    def _search_over(self) -> None:
        self._had_turn.clear()
        self._waited_since.clear()

    @property
    def followers(self) -> list[int]:
        """The replicas to be told who leads."""
        return [
            replica
            for replica in self._replicas
            if replica != self.leader and self._reachable.get(replica)
        ]

    @property
    def statuses(self) -> Mapping[int, tuple[Status | None, bool]]:
        """What every replica said last, if ever, and whether it answers now; by id."""
        return {
            replica: (self._known.get(replica), self._reachable.get(replica, False))
            for replica in sorted(self._replicas)
        }

    def by_trust(self) -> list[int]:
        """All replicas in the order in which to ask for what any may know: the leader first,
        then those that answer."""
        return sorted(
            self._replicas,
            key=lambda replica: (replica != self.leader, not self._reachable.get(replica)),
        )


_PATIENCE_SECONDS = 0.1
"""How long one that does not lead is passed over at least."""
