"""The front-ends that a catalog tells of every change, and what it must wait for. Pure.

One push at a time is on its way to each, with all that has changed since the last that was
answered. Each answer earns a lease, which goes out with the next push (see `leases`).

What waits for these is each entry that a client is to hear of. So one that holds others up again
and again is kept out for a while, by the address at which it is reached: each of its
subscriptions is another, and so is each life of its process. It earns no lease, is waited for
until its last one has run out, and shows nothing from memory meanwhile (see `backoff`).
"""

from collections.abc import Iterator

import msgspec

from twisted_bazaar.backoff import Backoff
from twisted_bazaar.errors import Overloaded
from twisted_bazaar.leases import Holder, Lease
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.rpc.push import Push, PushReply, Subscription
from twisted_bazaar.timing import Timing

__all__ = ["OutgoingPush", "Subscribers"]

_CAPACITY = 256
_PUSHES_PER_LEASE = 4
"""So often a push goes out although nothing has changed, for the lease that it carries."""


class OutgoingPush(msgspec.Struct, frozen=True):
    """Send `push`; say `answered`, or `unreachable` if no answer comes in time."""

    subscription: Subscription
    push: Push


class _Subscriber:
    """One subscription. A front-end that lost its lease makes another one."""

    def __init__(self, subscription: Subscription, now: float, patience: float) -> None:
        self.subscription = subscription
        self.holder = Holder()
        self.cleared = 0
        """The front-end shows nothing older than what entries up to here say."""
        self.given_up_at = now + patience
        """If it has not answered by then, it is forgotten."""
        self.behind_since: float | None = None
        """Since when something is there to be told that it has not taken in."""
        self.in_flight = False
        self.granted = False
        """Whether a lease has been on its way to it."""
        self._idle_until = self._not_before = now

    def due(self, now: float, applied: int, can_grant: bool) -> bool:
        """Whether a push should go out now. Not all of them can bring a lease."""
        if self.in_flight or now < self._not_before:
            return False
        first_lease = can_grant and self.holder.earned is not None and not self.granted
        return applied > self.cleared or first_lease or now >= self._idle_until

    def behind_for(self, now: float) -> float:
        """For how many seconds it has not taken in something that it is to be told."""
        return 0.0 if self.behind_since is None else now - self.behind_since

    def sending(self, now: float, push: Push, idle_for: float) -> None:
        """`push` goes out."""
        self.in_flight = True
        self.granted = push.stamp is not None
        self._idle_until = now + idle_for

    def lost(self, not_before: float) -> None:
        """The push that was on its way was not answered."""
        self.in_flight = False
        self._not_before = not_before


class Subscribers:
    """All subscriptions in one life of a catalog. Times are on its clock."""

    def __init__(self, timing: Timing, backoff: Backoff | None = None) -> None:
        """`backoff` is what earlier lives of the catalog in this process know, if any did."""
        self._timing = timing
        self._backoff = backoff or Backoff(timing.lease)
        self._by_life: dict[int, _Subscriber] = {}
        self._push_seconds = timing.lease / _PUSHES_PER_LEASE
        self._ticked_at = float("-inf")

    def add(self, subscription: Subscription, now: float) -> float:
        """A front-end asks to be told: it is from now on if this returns 0, and else it is kept
        out for so many seconds more. Raises `Overloaded` if there are too many."""
        if (left := self._backoff.left(subscription.address, now)) > 0:
            return left
        if len(self._by_life) >= _CAPACITY:
            raise Overloaded("too many front-ends have subscribed")
        # It is waited for only once it has answered: one that cannot be reached costs nothing.
        known = _Subscriber(subscription, now, self._timing.lease)
        self._by_life.setdefault(subscription.life, known)
        return 0.0

    def pushes(
        self, ledger: Ledger, index: int, history: str, lease: Lease, now: float
    ) -> Iterator[OutgoingPush]:
        """What should go out now. `ledger` is the state after entry `index`."""
        for subscriber in self._by_life.values():
            if index > subscriber.cleared and subscriber.behind_since is None:
                subscriber.behind_since = now
            if subscriber.due(now, index, lease.alive(now)):
                push = self._push(subscriber, ledger, index, history, lease, now)
                subscriber.sending(now, push, self._push_seconds)
                yield OutgoingPush(subscriber.subscription, push)

    def _push(
        self,
        subscriber: _Subscriber,
        ledger: Ledger,
        index: int,
        history: str,
        lease: Lease,
        now: float,
    ) -> Push:
        cleared, holder = subscriber.cleared, subscriber.holder
        stocks = ledger.stocks.values()
        floors = {stock.name: stock.version for stock in stocks if stock.version > cleared}
        # Whatever comes after this catalog's own lease is another's to tell of.
        seconds = min(self._timing.lease, lease.until - holder.earned_at)
        worth = lease.alive(now) and seconds > 0
        return Push(
            life=subscriber.subscription.life,
            history=history,
            upto=index,
            floors=floors,
            stamp=holder.earned if worth else None,
            seconds=seconds if worth else 0.0,
        )

    def answered(self, push: Push, reply: PushReply, now: float) -> None:
        """`push` was answered. The lease that this earns goes out with a push that says all
        that is released by then, and from now on nothing is released without this front-end.
        """
        subscriber = self._by_life.get(push.life)
        if subscriber is None:
            return
        if reply.stamp is None:
            del self._by_life[push.life]
            return
        subscriber.cleared = max(subscriber.cleared, min(reply.upto, push.upto))
        if reply.upto < push.upto:
            # One that answers and does not take in what it is told must not be waited for.
            subscriber.lost(now + self._timing.heartbeat)
            return
        subscriber.in_flight = False
        subscriber.behind_since = None
        if not self._backoff.left(subscriber.subscription.address, now):
            subscriber.holder.earns(reply.stamp, now, self._timing.lease)

    def unreachable(self, push: Push, now: float) -> None:
        """`push` got no answer in time."""
        subscriber = self._by_life.get(push.life)
        if subscriber is not None:
            subscriber.lost(now + self._timing.heartbeat)

    def cleared(self, index: int, now: float) -> int:
        """Up to where, and not beyond `index`, nobody who may show anything shows older."""
        waiting = (
            subscriber.cleared
            for subscriber in self._by_life.values()
            if subscriber.holder.attached(now)
        )
        return min([index, *waiting])

    def tick(self, now: float) -> None:
        """Count who holds others up, and forget those whose leases have run out: each makes a
        new subscription."""
        self._count(now)
        gone = [
            life
            for life, subscriber in self._by_life.items()
            if now >= max(subscriber.given_up_at, subscriber.holder.attached_until)
        ]
        for life in gone:
            del self._by_life[life]

    def _count(self, now: float) -> None:
        """Tell `backoff` who has held others up since the last tick.

        Whoever takes longer than two heartbeats does while another one does not. Where none is
        as quick, the machine may be slow for all of them: then only a push that was not answered
        in time counts.
        """
        heartbeat = self._timing.heartbeat
        at_once = 2 * heartbeat
        # The catalog may have stood still itself.
        passed, self._ticked_at = min(now - self._ticked_at, heartbeat), now
        attached = [each for each in self._by_life.values() if each.holder.attached(now)]
        slow = [each for each in attached if each.behind_for(now) > at_once]
        in_time = at_once if len(slow) < len(attached) else self._push_seconds
        late = {each.subscription.address for each in slow if each.behind_for(now) > in_time}
        for address in late:
            self._backoff.delayed(address, passed, now)
