"""Members of a bazaar over an engine in memory, on one clock, without threads or sockets."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.task import Clock

from tests.fakes.replicas import result_of
from twisted_bazaar.engine.memory import MemoryEngine
from twisted_bazaar.engine.tenure import Tenure
from twisted_bazaar.errors import BazaarError, Unavailable
from twisted_bazaar.market import Listing, Side, Trade
from twisted_bazaar.metrics.figures import Metrics
from twisted_bazaar.order.following import Following
from twisted_bazaar.order.partitioned.figures import MemberFigures, PartitionFigures
from twisted_bazaar.order.partitioned.node import PartitionNode
from twisted_bazaar.order.partitioned.pages import EnginePages
from twisted_bazaar.order.partitioned.servicer import PartitionService
from twisted_bazaar.order.partitioned.writing import Writing
from twisted_bazaar.order.questions import Outcome
from twisted_bazaar.partitions import home
from twisted_bazaar.sending import UNGUARDED
from twisted_bazaar.timing import Timing

__all__ = ["LISTING", "Calls", "EngineMember", "EngineWorld", "buy"]

TIMING = Timing()
LISTING = (Listing("GameStart", 1599, 100), Listing("FishCo", 2050, 100))
POLL_SECONDS = TIMING.tenure / 4


def buy(key: str, stock: str = "GameStart", quantity: int = 1) -> Trade:
    return Trade(key, stock, Side.BUY, quantity)


class Calls:
    """In place of a `CallThread`: each call is made at once, and answered a turn later."""

    def __init__(self, clock: Clock, called: Any) -> None:
        self._clock = clock
        self._called = called
        self.held: deque[Callable[[], None]] | None = None
        """Calls that are not made yet; None: all are made."""

    def call(self, function: Callable[[Any], Any], timeout: float | None = None) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()

        def make() -> None:
            maybeDeferred(function, self._called).addBoth(
                lambda result: self._clock.callLater(0, answer.callback, result) and None
            )

        if self.held is None:
            make()
        else:
            self.held.append(make)
        return answer


class OneCatalog:
    """A catalog that has a file, and cannot be reached otherwise."""

    leaves_at_once = True

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions

    def listing(self, partition: int = 0) -> Deferred[Sequence[Listing]]:
        return succeed([each for each in LISTING if home(each.name, self._partitions) == partition])

    def ask(self, message: Any) -> Deferred[Any]:
        return fail(Unavailable("no answer"))


class EngineMember:
    """One member, and what its partitions end with."""

    def __init__(self, clock: Clock, engine: MemoryEngine, member: int, is_debugging: bool) -> None:
        self.said: list[str] = []
        self.writes = [Calls(clock, engine.log(p)) for p in range(engine.bazaar.partitions)]
        figures = MemberFigures(Metrics())
        self.nodes: list[PartitionNode] = []
        self.services: list[PartitionService] = []
        for partition, write in enumerate(self.writes):
            cluster = f"{engine.bazaar.name}/{partition}"
            node = PartitionNode(
                reactor=cast(Any, clock),
                seconds=clock.seconds,
                partition=partition,
                partitions=engine.bazaar.partitions,
                make_tenure=lambda market, cluster=cluster: Tenure(  # type: ignore[misc]
                    member=member,
                    members=(1, 2, 3),
                    cluster=cluster,
                    catalogs=("catalog",),
                    timing=TIMING,
                    milliseconds=lambda: int(clock.seconds() * 1000),
                    names=lambda: f"{member}-{clock.seconds()}",
                    snapshot=market,
                    now=clock.seconds(),
                ),
                writing=Writing(cast(Any, write), 5.0, clock.seconds, figures.wrote),
                finding=cast(Any, Calls(clock, engine.log(partition))),
                prefer=lambda to, partition=partition: succeed(  # type: ignore[misc]
                    engine.prefer(partition, to)
                ),
                catalogs=cast(Any, {"catalog": OneCatalog(engine.bazaar.partitions)}),
                timing=TIMING,
                stop=self.said.append,
                figures=PartitionFigures(figures),
                make_following=lambda tenure: Following.of(tenure, None, is_debugging),
            )
            reading = cast(Any, Calls(clock, engine.log(partition)))
            pages = EnginePages(reading, node.readable(node.ask_last_number))
            self.nodes.append(node)
            self.services.append(PartitionService(clock, clock.seconds, node, pages, TIMING.tenure))
            node.startService()


class EngineWorld:
    """Members 1, 2, 3 of a bazaar with so many partitions."""

    def __init__(self, partitions: int = 1, *, is_debugging: bool = False) -> None:
        """`is_debugging`: trades are followed."""
        self.clock = Clock()
        self.clock.advance(100.0)
        self.engine = MemoryEngine("0123456789abcdef", partitions)
        self.members = {
            n: EngineMember(self.clock, self.engine, n, is_debugging) for n in (1, 2, 3)
        }
        self.deaf: set[int] = set()
        """The members to which the engine shows nothing."""

    def run(self, seconds: float) -> None:
        """Let time pass, in which the members are shown the tails."""
        polls = max(1, round(seconds / POLL_SECONDS))
        for _ in range(polls):
            tails, placements = self.engine.tails()
            for number, member in self.members.items():
                for node in member.nodes:
                    if number not in self.deaf:
                        node.saw(tails, placements)
            for _ in range(10):
                self.clock.advance(POLL_SECONDS / 10)

    def lead(self, member: int, partition: int = 0) -> PartitionNode:
        """Make `member` the leader, of a market that is open."""
        node = self.members[member].nodes[partition]
        self.run(POLL_SECONDS)
        while not node.tenure.leads:
            node.campaign()
            self.run(POLL_SECONDS)
        self.run(TIMING.lease + POLL_SECONDS)
        return node

    def got(self, answer: Deferred[Any]) -> Any:
        """What `answer` fires with within a second, or fails with."""
        told = result_of(answer)
        for _ in range(20):
            if told:
                return told[0]
            self.run(POLL_SECONDS)
        raise AssertionError("there is no answer")

    def trade(self, node: PartitionNode, *trades: Trade) -> Sequence[Outcome] | BazaarError:
        """What becomes of `trades`."""
        keys, stocks = [trade.key for trade in trades], {trade.stock for trade in trades}
        known = self.got(node.find(keys, stocks))
        outcomes: Sequence[Outcome] | BazaarError = self.got(
            node.trade(trades, known, UNGUARDED, 0.0)
        )
        return outcomes
