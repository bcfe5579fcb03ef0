"""A catalog that pushes to one front-end."""

import itertools
from collections.abc import Mapping

from twisted_bazaar.frontend.cache.floors import Floors
from twisted_bazaar.leases import Stamp, kept
from twisted_bazaar.rpc.push import Push, PushReply
from twisted_bazaar.timing import Timing

TIMING = Timing()
LEASE = kept(TIMING.lease)
"""What a front-end may use of a lease."""
HISTORY = "log-1"


class FakePublisher:
    """A catalog and the `floors` that it pushes to. `now` is both clocks."""

    def __init__(self, history: str = HISTORY) -> None:
        self.floors = Floors(TIMING, itertools.count(1).__next__)
        self.history = history
        self.now = 10.0

    def push(
        self,
        floors: Mapping[str, int] | None = None,
        stamp: Stamp | None = None,
        life: int | None = None,
        upto: int = 9,
    ) -> PushReply:
        """Push `floors`, and the lease that the answer with `stamp` earned."""
        life = self.floors.life if life is None else life
        lease = TIMING.lease if stamp is not None else 0.0
        push = Push(
            life=life,
            history=self.history,
            upto=upto,
            floors=floors or {},
            stamp=stamp,
            seconds=lease,
        )
        return self.floors.push(push, self.now)

    def grant(self, **floors: int) -> Stamp:
        """Subscribe, if there is no lease, and push these floors and a lease."""
        self.floors.subscribe(self.now)
        reply = self.push(floors)
        assert reply.stamp is not None
        self.push(stamp=reply.stamp)
        assert self.floors.alive(self.now)
        return reply.stamp
