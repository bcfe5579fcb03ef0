"""How market data becomes visible: from the leader's entries to what clients may see. Pure.

    leader ── Apply ──▶ applied ── pushes ──▶ front-ends show nothing older ──▶ released

An entry is released once every front-end that may show market data from memory has answered
that it shows nothing older. Lookups are answered with what is released, never from ahead of
it: else one front-end could show a new quantity while another still shows the old one. The
leader's question is answered once everything is released, or after a moment with how far it
is: clients wait for that answer.

The owner feeds requests, answers and time, and carries out what `take_answers` and
`take_pushes` say.
"""

from collections import deque
from collections.abc import Callable, Mapping

import msgspec

from twisted_bazaar.backoff import Backoff
from twisted_bazaar.consensus.messages import Apply, ApplyReply
from twisted_bazaar.errors import NotOurs, Unavailable
from twisted_bazaar.leases import Lease
from twisted_bazaar.market import Stock
from twisted_bazaar.rpc.push import Push, PushReply, Subscription
from twisted_bazaar.timing import Timing

from .projection import Projection
from .subscribers import OutgoingPush, Subscribers

__all__ = ["Publisher", "View"]


class View(msgspec.Struct, frozen=True):
    """The market data that clients may see, until the catalog's lease runs out."""

    stocks: Mapping[str, Stock]
    until: float
    """On the catalog's clock. Not to be shown at this moment or later."""
    history: str = ""
    """Names the order log that versions are indexes of."""
    upto: int = 0
    """The stocks are as this entry of it left them."""


class _Question(msgspec.Struct, frozen=True):
    message: Apply
    ticket: object
    answer_by: float


class Publisher:
    """One life of a catalog. All times are seconds on one monotonic clock of this machine."""

    def __init__(
        self, projection: Projection, timing: Timing, lives: Callable[[], int], now: float
    ) -> None:
        """Go on from `projection`; each call of `lives` gives a number never given before."""
        self._projection = projection
        self._timing = timing
        self._lives = lives
        self.cluster = ""
        """The cluster that this life follows: the first whose leader was heard; empty: none."""
        self.backoff = Backoff(timing.lease)
        """Which front-ends are kept out, by address, as they hold others up."""
        self._new = projection.position.index == 0
        self._questions: list[_Question] = []
        self._answers: list[tuple[object, ApplyReply]] = []
        self._stocks: Mapping[str, Stock] = dict(projection.ledger.stocks)
        # What an earlier life promised to front-ends is forgotten: nothing is released before
        # the last lease that it can have granted has run out.
        self._longest_lease = timing.lease
        self._begin(now)

    def _begin(self, now: float) -> None:
        self._lease = Lease(self._lives())
        self._subscribers = Subscribers(self._timing, self.backoff)
        self._silent_since, self._silent_until = now, now + self._longest_lease
        self._released = 0
        self._unreleased: deque[Stock] = deque()
        self._show()

    def _show(self) -> None:
        self.view = View(self._stocks, self._lease.until, self._projection.history, self._released)

    # What goes in.

    def apply(self, message: Apply, ticket: object, now: float) -> None:
        """Take in a leader's entries; the answer to `ticket` says what came of it.

        Raises `NotOurs` if it leads another cluster than the one that this life follows.
        """
        if message.cluster not in ("", self.cluster or message.cluster):
            raise NotOurs(f"this is a catalog of cluster {self.cluster}, not {message.cluster}")
        self.cluster = self.cluster or message.cluster
        projection = self._projection
        beginnings = projection.beginnings
        # An earlier life may have granted leases as long as any that a leader gave it.
        self._longest_lease = max(self._timing.lease, message.longest)
        self._silent_until = max(self._silent_until, self._silent_since + self._longest_lease)
        if self._new and message.commit <= 1:
            # Nothing has ever been listed that an earlier life could have shown to anybody.
            self._silent_since = float("-inf")
            self._silent_until = now
        self._new = False
        touched = projection.apply(message)
        if projection.beginnings != beginnings:
            self._stocks = {}
            self._begin(now)
            touched = sorted(projection.ledger.stocks.values(), key=lambda stock: stock.version)
        self._unreleased += touched
        if message.term == projection.position.term:
            self._granted(message)
        self._questions.append(_Question(message, ticket, now + self._timing.heartbeat))
        self._release(now)

    def _granted(self, message: Apply) -> None:
        """Take the lease that came with `message`, if one did."""
        stamp, projection = message.stamp, self._projection
        if stamp is not None and stamp.life == self._lease.life and not projection.history:
            # What was answered then held this leader's first entry, and no later one has come
            # since. Without a lease the name is not believed: this catalog may be ahead of logs
            # that were restored, and would show what it has under their name.
            projection.history = message.history
        self._lease.granted(stamp, message.lease)

    def subscribe(self, subscription: Subscription, now: float) -> float:
        """A front-end asks to be told of changes: it is if this returns 0, and else kept out
        for so many seconds more. Raises `Unavailable`, or `Overloaded`."""
        if not self._lease.alive(now):
            raise Unavailable("this catalog has no lease of the order leader's now")
        return self._subscribers.add(subscription, now)

    def answered(self, push: Push, reply: PushReply, now: float) -> None:
        """A front-end has taken in `push`."""
        self._subscribers.answered(push, reply, now)
        self._release(now)

    def unreachable(self, push: Push, now: float) -> None:
        """A front-end has not answered `push` in time."""
        self._subscribers.unreachable(push, now)

    def tick(self, now: float) -> None:
        """Time has passed. To be called a few times a heartbeat."""
        self._subscribers.tick(now)
        self._release(now)

    # What comes out.

    def take_answers(self) -> list[tuple[object, ApplyReply]]:
        """The answers that the leader can have now, by their tickets."""
        answers, self._answers = self._answers, []
        return answers

    def take_pushes(self, now: float) -> list[OutgoingPush]:
        """What front-ends are to be told now."""
        known = self._projection
        return list(
            self._subscribers.pushes(
                known.ledger, known.position.index, known.history, self._lease, now
            )
        )

    def _release(self, now: float) -> None:
        applied = self._projection.position.index
        silent = now < self._silent_until
        if not silent:
            released = max(self._released, self._subscribers.cleared(applied, now))
            if self._unreleased and self._unreleased[0].version <= released:
                stocks = dict(self._stocks)
                while self._unreleased and self._unreleased[0].version <= released:
                    stock = self._unreleased.popleft()
                    stocks[stock.name] = stock
                self._stocks = stocks
            self._released = released
        self._show()
        waiting = []
        for question in self._questions:
            if silent or self._released >= applied or now >= question.answer_by:
                self._answers.append((question.ticket, self._answer(question.message, now)))
            else:
                waiting.append(question)
        self._questions = waiting

    def _answer(self, message: Apply, now: float) -> ApplyReply:
        position = self._projection.position
        return ApplyReply(
            learner="",
            term=position.term,
            applied=position.index,
            digest=position.digest,
            released=self._released,
            stamp=self._lease.stamp(now),
            holds=self._lease.alive(now),
            sent=message.sent,
        )
