"""Decides whether a front-end may show a cached quote: by the floors and the lease that the pushes
of its subscription carry. Pure.

The floor of a stock is the lowest version that may still be shown. While the lease holds, the
catalog releases a change only once this front-end has answered the push with its floor, and shows
nothing beyond the last index that it pushed. So a quote of the pushed history is true if its
version is from the floor to that index. That holds for any cache: one that was flushed, restarted,
restored from a dump or shared causes misses, never stale answers.
"""

from collections.abc import Callable, Sequence

from twisted_bazaar.backoff import LONGEST_LEASES
from twisted_bazaar.leases import Lease
from twisted_bazaar.rpc.push import Push, PushedQuote, PushReply
from twisted_bazaar.timing import Timing

__all__ = ["Floors"]

_LONGEST_KEPT_OUT_LEASES = LONGEST_LEASES + 1


class Floors:
    """The floors and the lease of one front-end. Times are seconds on its clock.

    Each subscription begins without any: a front-end without a lease may have missed a push.
    `Subscriber` subscribes and takes in pushes.
    """

    def __init__(self, timing: Timing, lives: Callable[[], int]) -> None:
        """Each call of `lives` returns a number never returned before."""
        self._timing = timing
        self._lives = lives
        self._again_at = float("-inf")
        self.kept_out_until = float("-inf")
        """Before this moment the catalog grants this front-end no lease."""
        self._begin()

    def _begin(self) -> None:
        self._lease = Lease(self._lives())
        self._floors: dict[str, int] = {}
        self.highest = 0
        """No stock has a floor above this."""
        self._upto = 0
        """The last index pushed: the catalog shows no version above it."""
        self.history = ""
        """Names the order log that versions are indexes of; empty: nothing was pushed yet."""

    @property
    def life(self) -> int:
        """Identifies the subscription."""
        return self._lease.life

    def subscribe(self, now: float) -> bool:
        """Whether to subscribe now. If so, a new `life` begins."""
        if self.alive(now) or now < self._again_at:
            return False
        self._begin()
        # The first push carries all floors, the second the lease.
        self._again_at = now + self._timing.lease
        return True

    def kept_out(self, seconds: float, now: float) -> None:
        """The catalog grants this front-end no lease for so many seconds."""
        # Bounded: a catalog's answer is not trusted.
        self.kept_out_until = now + min(seconds, _LONGEST_KEPT_OUT_LEASES * self._timing.lease)
        self._again_at = self.kept_out_until

    def refused(self, now: float) -> None:
        """No catalog took the subscription: none holds a lease, or answers."""
        self._again_at = now + self._timing.heartbeat

    def push(self, push: Push, now: float) -> PushReply:
        """Take in a push. It may come late, twice or out of order.

        One of an earlier subscription is answered, too, so that the catalog does not wait for it.
        """
        if push.life != self.life:
            return PushReply(upto=push.upto, stamp=None)
        if self.history not in ("", push.history):
            # A new leader, or another log: what is known may not be of it.
            self._begin()
            self._again_at = now
            return PushReply(upto=push.upto, stamp=None)
        self.history = push.history
        self._upto = max(self._upto, push.upto)
        for name, version in push.floors.items():
            if version > self._floors.get(name, 0):
                self._floors[name] = version
                self.highest = max(self.highest, version)
        self._lease.granted(push.stamp, push.seconds)
        return PushReply(upto=push.upto, stamp=self._lease.stamp(now))

    def outdated(self, push: Push) -> list[str]:
        """The stocks whose floor `push` raises."""
        known = self._floors if push.life == self.life else {}
        return [name for name, version in push.floors.items() if known.get(name, version) < version]

    def worth_keeping(self, push: Push, now: float) -> Sequence[PushedQuote]:
        """The quotes of `push`, which was taken in, that may be shown now: others are of no use in
        the cache."""
        if push.life != self.life or push.history != self.history:
            return ()
        return [each for each in push.quotes if self.allow(each.name, each.version, now)]

    def alive(self, now: float) -> bool:
        """Whether the lease holds."""
        return self._lease.alive(now)

    def left(self, now: float) -> float:
        """For how many seconds more the lease holds; 0: there is none."""
        return max(0.0, self._lease.until - now)

    def allow(self, name: str, version: int, now: float) -> bool:
        """Whether a quote of this version may be shown. To be called after it was read."""
        # A stock without a floor was listed after the last push.
        floor = self._floors.get(name, version + 1)
        return self.alive(now) and floor <= version <= self._upto

    def current(self, history: str, upto: int, now: float) -> bool:
        """Whether the market may be shown as entry `upto` of log `history` left it. To be called
        after it was read."""
        known = bool(history) and history == self.history
        return known and self.highest <= upto <= self._upto and self.alive(now)
