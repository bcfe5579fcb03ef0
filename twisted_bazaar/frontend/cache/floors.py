"""What a front-end must not show any more: floors, which a catalog pushes, and a lease. Pure.

A floor is the version below which nothing may be shown of a stock. While the lease holds, the
catalog waits with every change until this front-end has answered that it knows the floor, and
shows no change beyond the last that was pushed. So a quote of this history, of at least the
floor and at most the last index that was pushed, is true wherever it comes from: a Redis that
was flushed, restarted, restored from an old dump or shared with others costs time, never truth;
and what a cache remembers of orders that a restored log does not hold is not shown.
"""

from collections.abc import Callable

from twisted_bazaar.backoff import LONGEST_LEASES
from twisted_bazaar.leases import Lease
from twisted_bazaar.rpc.push import Push, PushReply
from twisted_bazaar.timing import Timing

__all__ = ["Floors"]

_LONGEST_KEPT_OUT_LEASES = LONGEST_LEASES + 1


class Floors:
    """One front-end's subscriptions, one after the other. Times are on its own clock.

    Each begins with nothing known: whoever had no lease for a moment may have missed
    something.
    """

    def __init__(self, timing: Timing, lives: Callable[[], int]) -> None:
        """Each call of `lives` gives a number that was never given before."""
        self._timing = timing
        self._lives = lives
        self._again_at = float("-inf")
        self.kept_out_until = float("-inf")
        """Until then no catalog lets this front-end have a lease, as it held others up."""
        self._begin()

    def _begin(self) -> None:
        self._lease = Lease(self._lives())
        self._floors: dict[str, int] = {}
        self.highest = 0
        """No stock has a floor above this."""
        self._upto = 0
        """No catalog shows a version above this before it has been pushed here."""
        self.history = ""
        """Names the order log that versions are indexes of; empty before the first push."""

    @property
    def life(self) -> int:
        """Names the subscription."""
        return self._lease.life

    def subscribe(self, now: float) -> bool:
        """Whether to ask a catalog for a subscription now, under a new `life`."""
        if self.alive(now) or now < self._again_at:
            return False
        self._begin()
        # The first push says everything, the second brings the lease.
        self._again_at = now + self._timing.lease
        return True

    def kept_out(self, seconds: float, now: float) -> None:
        """The catalog lets this front-end have no lease for so long, as it held others up."""
        # Whatever a catalog says, it is asked again within a bounded time.
        self.kept_out_until = now + min(seconds, _LONGEST_KEPT_OUT_LEASES * self._timing.lease)
        self._again_at = self.kept_out_until

    def refused(self, now: float) -> None:
        """The catalog that was asked has no lease itself, or does not answer."""
        self._again_at = now + self._timing.heartbeat

    def push(self, push: Push, now: float) -> PushReply:
        """Take in what a catalog says has changed.

        A push may come late, twice, or after one that was sent later. One of an earlier
        subscription is answered, too, so that nobody waits for what is over.
        """
        if push.life != self.life:
            return PushReply(upto=push.upto, stamp=None)
        if self.history not in ("", push.history):
            # A new leader, or another log: what is known here is not of it for certain.
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
        """The stocks of which an older quote was good before `push`, and is not any more."""
        known = self._floors if push.life == self.life else {}
        return [name for name, version in push.floors.items() if known.get(name, version) < version]

    def alive(self, now: float) -> bool:
        """Whether the lease holds."""
        return self._lease.alive(now)

    def allow(self, name: str, version: int, now: float) -> bool:
        """Whether a quote of this version may be shown: to be asked after it was read."""
        # A stock without a floor came to the market after the last push.
        floor = self._floors.get(name, version + 1)
        return self.alive(now) and floor <= version <= self._upto

    def current(self, history: str, upto: int, now: float) -> bool:
        """Whether the market is still as entry `upto` of that log left it: likewise."""
        known = bool(history) and history == self.history
        return known and self.highest <= upto <= self._upto and self.alive(now)
