"""The subscriptions at a catalog: what to push to each front-end, and which to wait for. Pure.

At most one push is on its way to a front-end, with the floors of all that was changed, or is
proposed to be, since the last one that was answered. Each answer earns a lease, which goes out with
the next push (see `leases`).

Every release waits for these front-ends. So one that repeatedly delays releases is kept out for a
while (see `backoff`): it earns no lease, and is waited for until its last one has run out. It is
known by its address, which outlives its subscriptions and its process.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from twisted_bazaar.backoff import Backoff
from twisted_bazaar.errors import Overloaded
from twisted_bazaar.leases import Holder, Lease
from twisted_bazaar.market import Stock
from twisted_bazaar.rpc.catalog_status import SubscriberStatus
from twisted_bazaar.rpc.push import MAX_QUOTES, Push, PushedQuote, PushReply, Subscription
from twisted_bazaar.timing import Timing

from .projection import Projection

__all__ = ["PUSHES_PER_LEASE", "QUOTE_SECONDS", "OutgoingPush", "Subscribers"]

_CAPACITY = 256
"""Subscriptions at a time."""
PUSHES_PER_LEASE = 4
"""How often a push goes out where nothing has changed, to renew the lease; and the part of a lease
that a push may take. A front-end that does not answer so many in a row has lost its lease."""

QUOTE_SECONDS = 0.005
"""How long a quote waits for a push that goes out anyway."""


class OutgoingPush(msgspec.Struct, frozen=True):
    """A push to send. It must be followed by `answered`, or `unreachable` if no answer comes in
    time."""

    subscription: Subscription
    push: Push
    truncations: int = 0
    """How often what was proposed had been truncated before."""


class _Subscriber:
    """One subscription. A front-end that lost its lease makes a new one."""

    def __init__(self, subscription: Subscription, now: float, seconds: float) -> None:
        """It is forgotten `seconds` after `now`, unless it holds a lease."""
        self.subscription = subscription
        self.holder = Holder()
        self.cleared = 0
        """The front-end shows nothing older than the state after this entry, applied or
        proposed."""
        self.given_up_at = now + seconds
        self.behind_since: float | None = None
        """Since when there is an entry that it has not taken in."""
        self.in_flight = False
        self.granted = False
        """Whether the last push carried a lease."""
        self._idle_until = self._not_before = now
        self._quotes: dict[str, Stock] = {}
        """Released since the last push, the oldest first."""
        self._quotes_due = now

    def due(self, now: float, tip: int, can_grant: bool) -> bool:
        """Whether a push should go out now. `can_grant`: the catalog itself holds a lease."""
        if self.in_flight or now < self._not_before:
            return False
        first_lease = can_grant and self.holder.earned is not None and not self.granted
        if tip > self.cleared or first_lease or now >= self._idle_until:
            return True
        quotes = self.quotes_due()
        return quotes is not None and now >= quotes

    def released(self, stock: Stock, now: float) -> None:
        """Quote `stock` in the next push, if the front-end takes quotes and holds a lease. Quotes
        are lost with a push that is lost, and the oldest if there are too many: that costs misses
        only."""
        if not self.subscription.quotes or not self.holder.attached(now):
            return
        if not self._quotes:
            self._quotes_due = now + QUOTE_SECONDS
        self._quotes.pop(stock.name, None)
        if len(self._quotes) >= MAX_QUOTES:
            del self._quotes[next(iter(self._quotes))]
        self._quotes[stock.name] = stock

    def take_quotes(self, floors: Mapping[str, int]) -> tuple[PushedQuote, ...]:
        """The quotes for a push with `floors`, but for those that must not be shown by these."""
        quotes, self._quotes = self._quotes, {}
        return tuple(
            PushedQuote(*msgspec.structs.astuple(each))
            for each in quotes.values()
            if floors.get(each.name, 0) <= each.version
        )

    def quotes_due(self) -> float | None:
        """From when on a push goes out for its quotes alone; None: not before something else
        happens."""
        if not self._quotes or self.in_flight:
            return None
        return max(self._quotes_due, self._not_before)

    def behind_for(self, now: float) -> float:
        """For how many seconds there has been an entry that it has not taken in."""
        return 0.0 if self.behind_since is None else now - self.behind_since

    def sending(self, now: float, push: Push, idle_for: float) -> None:
        """`push` goes out."""
        self.in_flight = True
        self.granted = push.stamp is not None
        self._idle_until = now + idle_for

    def lost(self, not_before: float) -> None:
        """The push on its way was not answered. The next one goes out at `not_before`."""
        self.in_flight = False
        self._not_before = not_before


class Subscribers:
    """All subscriptions in one life of a catalog. Times are seconds on its clock."""

    def __init__(self, timing: Timing, backoff: Backoff | None = None) -> None:
        """`backoff` is what earlier lives of the catalog in this process know, if any did."""
        self._timing = timing
        self._backoff = backoff or Backoff(timing.lease)
        self._by_life: dict[int, _Subscriber] = {}
        self._push_seconds = timing.lease / PUSHES_PER_LEASE
        self._truncations = 0
        self._ticked_at = float("-inf")

    def add(self, subscription: Subscription, now: float) -> float:
        """Subscribe a front-end, unless it is kept out: returns for how many seconds more, or 0.
        Raises `Overloaded` at capacity."""
        if (left := self._backoff.left(subscription.address, now)) > 0:
            return left
        if len(self._by_life) >= _CAPACITY:
            raise Overloaded("too many front-ends have subscribed")
        # Releases wait for it once it has answered: one that cannot be reached delays nothing.
        known = _Subscriber(subscription, now, self._timing.lease)
        self._by_life.setdefault(subscription.life, known)
        return 0.0

    def pushes(self, known: Projection, lease: Lease, now: float) -> Sequence[OutgoingPush]:
        """The pushes to send now. `lease` is the catalog's own."""
        tip, can_grant = known.tip, lease.alive(now)
        pushes: list[OutgoingPush] = []
        for subscriber in self._by_life.values():
            if tip > subscriber.cleared and subscriber.behind_since is None:
                subscriber.behind_since = now
            if subscriber.due(now, tip, can_grant):
                push = self._push(subscriber, known, lease, now)
                subscriber.sending(now, push, self._push_seconds)
                pushes.append(OutgoingPush(subscriber.subscription, push, self._truncations))
        return pushes

    def _push(self, subscriber: _Subscriber, known: Projection, lease: Lease, now: float) -> Push:
        holder = subscriber.holder
        floors = known.floors(subscriber.cleared)
        # The lease of a front-end ends with that of its catalog.
        seconds = min(self._timing.lease, lease.until - holder.earned_at)
        grants = lease.alive(now) and seconds > 0
        return Push(
            life=subscriber.subscription.life,
            history=known.history,
            upto=known.tip,
            floors=floors,
            stamp=holder.earned if grants else None,
            seconds=seconds if grants else 0.0,
            quotes=subscriber.take_quotes(floors),
        )

    def released(self, stocks: Iterable[Stock], now: float) -> None:
        """`stocks` were released: clients may see them as they are here."""
        for stock in stocks:
            for subscriber in self._by_life.values():
                subscriber.released(stock, now)

    def quotes_due(self) -> float | None:
        """When `pushes` is to be asked next, for the sake of quotes; None: not for them."""
        due: float | None = None
        for subscriber in self._by_life.values():
            at = subscriber.quotes_due()
            if at is not None and (due is None or at < due):
                due = at
        return due

    def statuses(self, now: float) -> Sequence[SubscriberStatus]:
        """Every front-end that is subscribed or kept out, by address."""
        kept_out = self._backoff.kept_out(now)
        until = dict.fromkeys(kept_out, now)
        for each in self._by_life.values():
            address = each.subscription.address
            until[address] = max(until.get(address, now), each.holder.attached_until)
        return [
            SubscriberStatus(
                address=address,
                lease_seconds=until[address] - now,
                kept_out_seconds=kept_out.get(address, 0.0),
            )
            for address in sorted(until)
        ]

    def truncated(self, index: int) -> None:
        """What was proposed after entry `index` may be replaced by other entries, whose floors no
        front-end knows."""
        self._truncations += 1
        for subscriber in self._by_life.values():
            subscriber.cleared = min(subscriber.cleared, index)

    def answered(self, outgoing: OutgoingPush, reply: PushReply, now: float) -> None:
        """A front-end answered a push. The lease that this earns goes out with the next push; from
        now on releases wait for this front-end."""
        push = outgoing.push
        subscriber = self._by_life.get(push.life)
        if subscriber is None:
            return
        if reply.stamp is None:
            del self._by_life[push.life]
            return
        if outgoing.truncations != self._truncations:
            # What it now knows may be the floors of entries that are gone. It was not late.
            subscriber.lost(now)
            subscriber.behind_since = None
            return
        subscriber.cleared = max(subscriber.cleared, min(reply.upto, push.upto))
        if reply.upto < push.upto:
            # Not renewed: releases must not wait for a front-end that does not take its floors in.
            subscriber.lost(now + self._timing.heartbeat)
            return
        subscriber.in_flight = False
        subscriber.behind_since = None
        if not self._backoff.left(subscriber.subscription.address, now):
            subscriber.holder.earns(reply.stamp, now, self._timing.lease)

    def unreachable(self, outgoing: OutgoingPush, now: float) -> None:
        """A front-end did not answer a push in time."""
        subscriber = self._by_life.get(outgoing.push.life)
        if subscriber is not None:
            subscriber.lost(now + self._timing.heartbeat)

    def cleared(self, tip: int, now: float) -> int:
        """The highest index, up to `tip`, such that no front-end with a lease shows an older
        state."""
        for subscriber in self._by_life.values():
            if subscriber.cleared < tip and subscriber.holder.attached(now):
                tip = subscriber.cleared
        return tip

    def tick(self, now: float) -> None:
        """Count delays, and forget the subscriptions whose leases have run out."""
        self._count(now)
        gone = [
            life
            for life, subscriber in self._by_life.items()
            if now >= max(subscriber.given_up_at, subscriber.holder.attached_until)
        ]
        for life in gone:
            del self._by_life[life]

    def _count(self, now: float) -> None:
        """Tell `backoff` which front-ends have delayed releases since the last tick.

        A front-end does so if it takes longer than two heartbeats where another does not. Where all
        do, the machine may be slow: then only one that takes longer than a push may counts.
        """
        heartbeat = self._timing.heartbeat
        at_once = 2 * heartbeat
        # No more than a heartbeat: the catalog itself may have been stopped.
        passed, self._ticked_at = min(now - self._ticked_at, heartbeat), now
        attached = [each for each in self._by_life.values() if each.holder.attached(now)]
        slow = [each for each in attached if each.behind_for(now) > at_once]
        in_time = at_once if len(slow) < len(attached) else self._push_seconds
        late = {each.subscription.address for each in slow if each.behind_for(now) > in_time}
        for address in late:
            self._backoff.delayed(address, passed, now)
