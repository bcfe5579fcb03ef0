"""All partitions of a process: what the engine shows, and what operators are told."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from tests.fakes.engine_world import TIMING, EngineWorld
from twisted_bazaar.engine.shared_log import Bazaar, Unknown
from twisted_bazaar.errors import Unusable
from twisted_bazaar.order.partitioned.member import Member, Part
from twisted_bazaar.order.partitioned.tails import Tails

PAUSE = 0.15


class Threads:
    """In place of `EngineThreads`: an engine whose answers are those of a test."""

    def __init__(self, opens: Callable[[], Any], tails: Callable[[], Any]) -> None:
        self._opens = opens
        self.opened = 0
        self.engine = SimpleNamespace(call=lambda function: tails())

    def open(self) -> "Deferred[None]":
        self.opened += 1
        answer: Deferred[None] = self._opens()
        return answer


def asking(clock: Clock, threads: Threads, took: list[Any], said: list[str]) -> Tails:
    def take(*shown: Any) -> None:
        took.append(shown)

    tails = Tails(cast(Any, clock), clock.seconds, cast(Any, threads), PAUSE, take, said.append)
    tails.startService()
    return tails


def test_the_tails_are_asked_for_again_and_again() -> None:
    clock, took, said = Clock(), [], []  # type: ignore[var-annotated]
    threads = Threads(lambda: succeed(None), lambda: succeed(((), ())))
    tails = asking(clock, threads, took, said)
    clock.pump([PAUSE] * 3)
    assert (len(took), threads.opened, said) == (4, 1, [])
    tails.stopService()
    clock.pump([PAUSE] * 3)
    assert len(took) == 4


def test_an_engine_that_does_not_answer_is_asked_again_and_named_once_if_that_lasts() -> None:
    clock, took, said = Clock(), [], []  # type: ignore[var-annotated]
    answers = [fail(Unknown("refused"))]
    threads = Threads(lambda: answers.pop(), lambda: succeed(((), ())))
    with capturedLogs() as events:
        asking(clock, threads, took, said)
        for _ in range(100):
            answers.append(fail(Unknown("refused")))
            clock.advance(PAUSE)
        answers.append(succeed(None))
        clock.advance(PAUSE)
    assert len(took) == 1
    assert [formatEvent(event) for event in events] == [
        "the engine does not answer: refused",
        "the engine answers again",
    ]


def test_an_engine_that_does_not_fit_ends_the_process_with_its_line() -> None:
    said: list[str] = []
    threads = Threads(lambda: fail(Unusable("the engine: no")), lambda: None)
    asking(Clock(), threads, [], said)
    assert said == ["the engine: no"]


def member_of(world: EngineWorld) -> Member:
    """Member 3, as its process has it."""

    def made_elsewhere(bazaar: Bazaar, partition: int) -> Part:
        raise AssertionError

    member = Member(
        3, TIMING.tenure, world.clock.seconds, lambda: world.engine.bazaar, made_elsewhere
    )
    member.nodes = world.members[3].nodes
    member.startService()
    return member


def test_a_member_is_ready_while_it_knows_the_leaders_of_all_partitions() -> None:
    world = EngineWorld(partitions=2)
    member = member_of(world)
    world.lead(3, 0)
    member.took(*world.engine.tails())
    assert member.why_not_ready() == "it knows no leader of partition 1"
    world.lead(2, 1)
    member.took(*world.engine.tails())
    assert member.why_not_ready() is None
    world.clock.advance(TIMING.tenure + 0.01)
    assert member.why_not_ready() == "the engine does not answer"


def test_a_member_can_answer_while_it_surely_leads() -> None:
    world = EngineWorld(partitions=2)
    member = member_of(world)
    assert not member.can_answer()
    world.lead(3, 0)
    assert member.can_answer()
    world.deaf = {1, 2, 3}
    world.clock.advance(10.0)
    assert not member.can_answer(), "no write of it has succeeded for long"


def test_its_status_is_that_of_partition_0_and_of_all() -> None:
    world = EngineWorld(partitions=2)
    member = member_of(world)
    world.lead(3, 1)
    world.lead(2, 0)
    member.took(*world.engine.tails())
    status = member.status()
    assert (status.replica, status.role, status.leader) == (3, "follower", 2)
    assert status.cluster == status.partitions[0].cluster
    assert [each.role for each in status.partitions] == ["follower", "leader"]
    assert [each.leader for each in status.partitions] == [2, 3]
