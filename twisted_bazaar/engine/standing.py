"""What a member is to a partition whose log is in an engine, as its owner asks.

The part of `Tenure` that is asked. Pure.
"""

from collections.abc import Mapping

from twisted_bazaar.backoff import Backoff
from twisted_bazaar.consensus.disk_latency import DiskLatency
from twisted_bazaar.consensus.entries import GENESIS
from twisted_bazaar.consensus.role import Role
from twisted_bazaar.errors import NotLeader
from twisted_bazaar.timing import Timing

from .campaign import Campaign
from .incumbent import Incumbent
from .leadership import Leadership
from .shared_log import Snapshot, Tail
from .window import Window

__all__ = ["Standing"]


class Standing:
    """A follower, a candidate or the leader of one partition. Times are seconds on the member's
    clock."""

    def __init__(self, member: int, cluster: str, timing: Timing, keep: int) -> None:
        self.id = member
        self.cluster = cluster
        self.term = 0
        """The highest term that this member has seen. Never decreases."""
        self.elections_won = 0
        """How often it became the leader, in this life."""
        self.disk = DiskLatency(timing.tenure / 2)
        """How long the engine takes for a write."""
        self._timing = timing
        self._incumbent = Incumbent(timing.tenure)
        self._campaign: Campaign | None = None
        """None: it is not nominated, or leads."""
        self._leadership: Leadership | None = None
        """None: it does not lead."""
        self._log = Window(0, GENESIS, 0, keep)

    @property
    def _led(self) -> Leadership:
        """What this member keeps while it leads. Raises `NotLeader`."""
        if self._leadership is None:
            raise NotLeader()
        return self._leadership

    @property
    def log(self) -> Window:
        """The end of the log, as this member led it last."""
        return self._log

    @property
    def led(self) -> Snapshot | None:
        """The state that this leadership began with, which is committed; None: it does not lead."""
        return None if self._leadership is None else self._leadership.snapshot

    @property
    def opened(self) -> int:
        """Index of this leadership's first entry. Raises `NotLeader`."""
        return self._led.opened

    @property
    def history(self) -> str:
        """Names the log that versions of stocks are indexes of; empty: it does not lead."""
        return "" if self._leadership is None else self._leadership.history

    @property
    def role(self) -> Role:
        """A follower, a candidate or the leader."""
        if self._leadership is not None:
            return Role.LEADER
        return Role.FOLLOWER if self._campaign is None else Role.CANDIDATE

    @property
    def leads(self) -> bool:
        """Whether this member leads, as far as it knows; `holds_lease` says how sure that is."""
        return self._leadership is not None

    @property
    def leaving(self) -> bool:
        """Whether it leads and hands over: its owner takes nothing more that it would have to
        decide or confirm."""
        return self._leadership is not None and self._leadership.leaving

    def holds_lease(self, now: float) -> bool:
        """Whether it leads, and no other leader can have come by now."""
        return self._leadership is not None and self._leadership.holds_lease(now)

    def can_answer(self, now: float) -> bool:
        """Whether it surely leads, and all that earlier leaders acknowledged is released here, as
        its own first entry is."""
        return self.holds_lease(now) and self.released >= self._led.opened

    def known_leader(self, now: float) -> int:
        """This member if it leads, or the one that has written within a tenure; 0: none."""
        if self.leads:
            return self.id
        leader = self._incumbent.leader(now)
        # Another life of this one, or a claim of its own that it gave up.
        return 0 if leader == self.id else leader

    @property
    def tail(self) -> Tail | None:
        """The partition's tail as it was seen last; None: it was not yet."""
        return self._incumbent.tail

    @property
    def commit(self) -> int:
        """Entries up to here are committed. If it does not lead: as far as it was seen."""
        if self._leadership is not None:
            return self._leadership.commit
        return self.released

    @property
    def released(self) -> int:
        """Clients may see entries up to here. Invariant: released <= commit."""
        if self._leadership is not None:
            return self._leadership.released
        return 0 if self.tail is None else self.tail.released.index

    @property
    def told_released(self) -> int:
        """The engine surely knows that clients may see entries up to here; 0: it does not lead."""
        return 0 if self._leadership is None else self._leadership.told_released

    @property
    def backoff(self) -> Backoff | None:
        """Which catalogs this leader keeps out; None: it does not lead."""
        return None if self._leadership is None else self._leadership.learners.backoff

    @property
    def cleared(self) -> int:
        """Entries up to here are cleared by the catalog that may hold a lease of this leader; 0:
        there is none."""
        return 0 if self._leadership is None else self._leadership.learners.cleared

    def catalog_lags(self) -> Mapping[str, int]:
        """By catalog: how many entries of this leader's log it has not cleared; empty: this member
        does not lead."""
        return {} if self._leadership is None else self._leadership.learners.catalog_lags()
