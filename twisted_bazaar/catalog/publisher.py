"""Decides when a log entry that the leader sent is cleared, and when it is released: shown to
clients. Pure.

    leader ── Apply ──▶ proposed ── pushes ──▶ front-ends show nothing older ──▶ cleared
                                             leader ── it is committed ──▶ released

An entry is cleared once every front-end that may hold a lease has answered that it shows nothing
older (invariant 9). The pushes go out while the replicas write the entry to their disks. The
leader's message is answered once all is cleared, or a heartbeat later with how far that is: clients
wait for that answer. From then on lookups of the stocks of cleared entries wait until it is known
whether those are committed (`holds`).

An entry is released once it is cleared and committed. Lookups show the released state and nothing
beyond it: else one front-end could show a new quantity while another still shows the old one.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from operator import attrgetter
from typing import Generic, TypeVar

import msgspec

from twisted_bazaar.backoff import Backoff
from twisted_bazaar.consensus.messages import Apply, ApplyReply
from twisted_bazaar.errors import NotOurs, Unavailable
from twisted_bazaar.leases import Lease
from twisted_bazaar.market import Stock
from twisted_bazaar.rpc.catalog_status import CatalogStatus
from twisted_bazaar.rpc.push import PushReply, Subscription
from twisted_bazaar.timing import Timing

from .holds import Holds, Wait
from .projection import Gone, Projection
from .subscribers import OutgoingPush, Subscribers

__all__ = ["NO_LEASE", "Publisher", "View"]

NO_LEASE = "this catalog holds no lease of the order leader"

T = TypeVar("T")
"""A ticket: what the caller knows a message by."""


class View(msgspec.Struct, frozen=True):
    """The released state of the market, which clients may see while the catalog's lease holds."""

    stocks: Mapping[str, Stock]
    until: float
    """The end of the lease, on the catalog's clock: not to be shown at this moment or later."""
    history: str = ""
    """Names the order log that versions are indexes of."""
    upto: int = 0
    """The stocks are as this entry of that log left them."""
    whole_before: int = 0
    """What a caller has of an older market than after this entry may hold stocks that are gone:
    the changes since then do not tell it."""


class _Unanswered(msgspec.Struct, Generic[T], frozen=True):
    message: Apply
    ticket: T
    answer_by: float


class Publisher(Generic[T]):
    """One life of a catalog; `CatalogNode` does what it decides. Times are seconds on one clock
    that only goes forward."""

    def __init__(
        self, projection: Projection, timing: Timing, lives: Callable[[], int], now: float
    ) -> None:
        """Go on from `projection`. Each call of `lives` returns a number never returned before."""
        self._projection = projection
        self._timing = timing
        self._lives = lives
        self.cluster = ""
        """The cluster that this life follows: that of the first leader heard; empty: none yet."""
        self.backoff = Backoff(timing.lease)
        """Which front-ends are kept out, by address."""
        self._new = projection.position.index == 0
        """Whether it began with no entry, and no message has come yet."""
        self._unanswered: list[_Unanswered[T]] = []
        self._answers: list[tuple[T, ApplyReply]] = []
        self._stocks: Mapping[str, Stock] = dict(projection.ledger.stocks)
        # The leases that an earlier life granted are forgotten: nothing is released before the last
        # of them can have run out.
        self._longest_lease = timing.lease
        self._begin(now)

    def _begin(self, now: float) -> None:
        self._lease = Lease(self._lives())
        self._subscribers = Subscribers(self._timing, self.backoff)
        self._silent_since, self._silent_until = now, now + self._longest_lease
        self._holds = Holds(self._projection)
        self._cleared = self._released = 0
        self._unreleased: deque[Stock | Gone] = deque()
        self._whole_before = self._projection.position.index
        self._show()

    def _show(self) -> None:
        self.view = View(
            self._stocks,
            self._lease.until,
            self._projection.history,
            self._released,
            self._whole_before,
        )

    # Input.

    def apply(self, message: Apply, ticket: T, now: float) -> None:
        """Take in a leader's entries; `ticket` is among `take_answers` later.

        Raises `NotOurs` if the leader is of another cluster than this life follows.
        """
        if message.cluster not in ("", self.cluster or message.cluster):
            raise NotOurs(f"this is a catalog of cluster {self.cluster}, not {message.cluster}")
        self.cluster = self.cluster or message.cluster
        projection = self._projection
        beginnings, truncations = projection.beginnings, projection.truncations
        position = projection.position.index
        # An earlier life may have granted leases as long as the longest that a leader granted.
        self._longest_lease = max(self._timing.lease, message.longest)
        self._silent_until = max(self._silent_until, self._silent_since + self._longest_lease)
        if self._new and message.commit <= 1:
            # Nothing was ever listed, so that an earlier life cannot have granted a lease.
            self._silent_since = float("-inf")
            self._silent_until = now
        self._new = False
        touched = projection.apply(message)
        if projection.beginnings != beginnings:
            self._stocks = {}
            self._begin(now)
            touched = [*sorted(projection.ledger.stocks.values(), key=attrgetter("version"))]
        elif projection.truncations != truncations:
            self._subscribers.truncated(position)
            self._cleared = min(self._cleared, position)
        self._holds.applied()
        self._unreleased += touched
        if message.term == projection.position.term:
            self._granted(message)
        self._unanswered.append(_Unanswered(message, ticket, now + self._timing.heartbeat))
        self._release(now)

    def _granted(self, message: Apply) -> None:
        """Take in the lease that came with `message`, if one did."""
        stamp, projection = message.stamp, self._projection
        if stamp is not None and stamp.life == self._lease.life and not projection.history:
            # The answer that earned this lease held the leader's first entry, and no later one has
            # come since. Without a lease the name is not taken over: this catalog may be ahead of
            # logs that were restored, and would show what it has under their name.
            projection.history = message.history
        self._lease.granted(stamp, message.lease)

    def subscribe(self, subscription: Subscription, now: float) -> float:
        """Subscribe a front-end to invalidations, unless it is kept out: returns for how many
        seconds more, or 0. Raises `Unavailable` without a lease, or `Overloaded`."""
        if not self._lease.alive(now):
            raise Unavailable(NO_LEASE)
        return self._subscribers.add(subscription, now)

    def answered(self, outgoing: OutgoingPush, reply: PushReply, now: float) -> None:
        """A front-end answered a push."""
        self._subscribers.answered(outgoing, reply, now)
        self._release(now)

    def unreachable(self, outgoing: OutgoingPush, now: float) -> None:
        """A front-end did not answer a push in time."""
        self._subscribers.unreachable(outgoing, now)

    def tick(self, now: float) -> None:
        """To be called a few times per heartbeat."""
        self._subscribers.tick(now)
        self._release(now)

    # Output.

    def take_answers(self) -> list[tuple[T, ApplyReply]]:
        """The answers to the leader since the last call, with their tickets."""
        answers, self._answers = self._answers, []
        return answers

    def take_pushes(self, now: float) -> Sequence[OutgoingPush]:
        """The pushes to send now."""
        return self._subscribers.pushes(self._projection, self._lease, now)

    def quotes_due(self) -> float | None:
        """When `take_pushes` is to be called next although nothing else has happened: for quotes
        that have waited long enough; None: not for them."""
        return self._subscribers.quotes_due()

    @property
    def cleared(self) -> int:
        """No client is shown anything older than what entries up to here left."""
        return self._cleared

    @property
    def is_open(self) -> bool:
        """Whether lookups show a market, which may have no stocks."""
        return bool(self._stocks) or 0 < self._projection.listed <= self._released

    def status(self, now: float) -> CatalogStatus:
        """How the catalog is."""
        alive = self._lease.alive(now)
        return CatalogStatus(
            applied=self._projection.position.index,
            released=self._released,
            lease_seconds=max(0.0, self._lease.until - now),
            serving=alive and self.is_open,
            subscribers=self._subscribers.statuses(now),
        )

    def wait_for(self, name: str | None) -> Wait | None:
        """What a lookup of this stock, or of the whole market (None), has to wait for before it is
        answered from `view`; None: nothing."""
        return self._holds.wait_for(name, self._released)

    def is_over(self, wait: Wait) -> bool:
        """Whether that has come."""
        return self._holds.is_over(wait, self._released)

    def _release(self, now: float) -> None:
        """Release what no front-end delays, and answer the leader's messages that are due."""
        applied, tip = self._projection.position.index, self._projection.tip
        silent = now < self._silent_until
        if not silent:
            self._cleared = max(self._cleared, self._subscribers.cleared(tip, now))
            released = min(self._cleared, applied)
            if self._unreleased and self._unreleased[0].version <= released:
                stocks = dict(self._stocks)
                news: dict[str, Stock] = {}
                while self._unreleased and self._unreleased[0].version <= released:
                    stock = self._unreleased.popleft()
                    if isinstance(stock, Gone):
                        stocks.pop(stock.name, None)
                        news.pop(stock.name, None)
                        self._whole_before = stock.version
                    else:
                        stocks[stock.name] = news[stock.name] = stock
                self._stocks = stocks
                self._subscribers.released(news.values(), now)
            self._released = released
        self._show()
        if not self._unanswered:
            return
        waiting = []
        for each in self._unanswered:
            if silent or self._cleared >= tip or now >= each.answer_by:
                self._answers.append((each.ticket, self._answer(each.message, now)))
            else:
                waiting.append(each)
        self._unanswered = waiting

    def _answer(self, message: Apply, now: float) -> ApplyReply:
        position, cleared = self._projection.position, self._cleared
        self._holds.cleared(
            takewhile(lambda entry: entry.index <= cleared, self._projection.proposed)
        )
        return ApplyReply(
            term=position.term,
            applied=position.index,
            digest=position.digest,
            released=self._released,
            stamp=self._lease.stamp(now),
            holds=self._lease.alive(now),
            sent=message.sent,
            taken=self._projection.tip,
            cleared=cleared,
        )
