"""A catalog node on a clock of its own, with threads and front-ends that a test drives."""

from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from twisted_bazaar.catalog.market_file import Snapshot, load
from twisted_bazaar.catalog.node import CatalogNode
from twisted_bazaar.catalog.projection import Position
from twisted_bazaar.consensus.messages import ApplyReply
from twisted_bazaar.errors import Unavailable
from twisted_bazaar.leases import Stamp
from twisted_bazaar.market import Stock
from twisted_bazaar.rpc.push import Push, PushReply, Subscription
from twisted_bazaar.timing import Timing

from .histories import history, sends
from .replicas import result_of

TIMING = Timing()
LOG = history(6)
SOON = 0.5
"""Seconds after which a change is on disk."""
SUBSCRIPTION = Subscription(address="127.0.0.1:7001", life=71, token="token")


class Threads:
    """A thread pool that runs its work when the test says so."""

    def __init__(self) -> None:
        self.work: list[tuple[Callable[[bool, Any], None], Callable[[], Any]]] = []

    def callInThreadWithCallback(  # noqa: N802
        self, on_result: Any, function: Any, *args: Any
    ) -> None:
        self.work.append((on_result, lambda: function(*args)))

    def finish(self) -> None:
        """Do the oldest work."""
        on_result, function = self.work.pop(0)
        try:
            result = function()
        except Exception:
            on_result(False, Failure())
        else:
            on_result(True, result)


class ReactorWithThreads(Clock):
    def __init__(self) -> None:
        super().__init__()
        self.threads = Threads()

    def getThreadPool(self) -> Threads:  # noqa: N802
        return self.threads

    def callFromThread(self, function: Any, *args: Any) -> None:
        function(*args)


class Frontends:
    """A push client whose pushes wait for the test to answer."""

    def __init__(self) -> None:
        self.pushed: list[tuple[str, str, Push, Deferred[PushReply]]] = []

    def push(
        self, address: str, token: str, push: Push, takes_frames: bool = False
    ) -> Deferred[PushReply]:
        answer: Deferred[PushReply] = Deferred()
        self.pushed.append((address, token, push, answer))
        return answer

    def answer(self) -> None:
        """The push that is under way is answered."""
        _, _, push, answer = self.pushed.pop()
        answer.callback(PushReply(upto=push.upto, stamp=Stamp(push.life, 0.0)))


class Catalog:
    """A catalog that runs, with a file in `path`, and is beyond its first silence."""

    def __init__(self, path: Path, snapshot: Snapshot | None = None) -> None:
        self.path = path
        self.reactor = ReactorWithThreads()
        self.threads = self.reactor.threads
        self.frontends = Frontends()
        self.node = self.life(snapshot or Snapshot((), Position(), 0))
        self.node.startService()
        self.reactor.advance(TIMING.lease)

    def life(self, snapshot: Snapshot) -> CatalogNode:
        seconds, lives = self.reactor.seconds, count(1).__next__
        return CatalogNode(
            self.reactor, seconds, snapshot, self.path, self.frontends, lives, TIMING
        )

    def apply(self, upto: int, rebuild: bool = False, stamp: Stamp | None = None) -> ApplyReply:
        after = 0 if rebuild else self.node._projection.position.index
        [reply] = result_of(self.node.apply(sends(LOG, after, upto, rebuild=rebuild, stamp=stamp)))
        assert reply.applied == upto
        return cast(ApplyReply, reply)

    def lease(self) -> None:
        """The leader grants a lease for an answer that is sent now."""
        index = self.node._projection.position.index
        self.apply(index, stamp=self.apply(index).stamp)

    def tell(self) -> None:
        """It releases entry 6, and tells one front-end, which holds a lease."""
        self.apply(6)
        self.lease()
        assert self.node.subscribe(SUBSCRIPTION) == 0.0
        for _ in range(2):
            self.frontends.answer()
        assert self.frontends.pushed == []

    def shown(self) -> Mapping[str, Stock] | None:
        """What a reader is shown; None: nothing may be."""
        try:
            return self.node.view().stocks
        except Unavailable:
            return None

    def pass_time(self) -> None:
        """Long enough for a save to begin, if there is anything to save."""
        self.reactor.pump([SOON / 10] * 10)

    def saved(self) -> int:
        """The index that the file reflects; 0: there is none."""
        return load(self.path).position.index if self.path.exists() else 0
