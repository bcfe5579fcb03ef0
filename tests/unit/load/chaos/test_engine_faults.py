"""Faults of the engine's servers: each type comes, each is undone, and one at a time."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from load.chaos import engine_faults
from load.chaos.engine_faults import EngineFaults
from load.chaos.fault_types import Action, FaultType, Target, Variant, engine_fault_types
from load.chaos.process_faults import ProcessFaults
from load.errors import CannotRun, NotInTime
from load.history.records import Fault, History

from .test_process_faults import FakeFleet

OPPOSITES = {
    "kill": "run", "pause": "resume", "pause_postgres": "resume", "fill": "empty",
    "kill_etcd": "run_etcd",
}  # fmt: skip


class FakeServers:
    """Three servers, of which the second becomes the primary when the first is killed."""

    def __init__(self) -> None:
        self.done: list[tuple[str, int]] = []
        self.down: dict[tuple[str, int], float] = {}
        self.spans: list[tuple[str, float]] = []
        self.lead = 1
        self.recovers = True
        self.seconds: Callable[[], float] = float

    def wait_primary(self, but: int | None = None) -> int:
        if but is not None:
            self.lead = but % 3 + 1
        return self.lead

    def wait_followed(self, count: int, within: float) -> None:
        assert count == 2
        assert not self.down, "a fault begins while another lasts"
        if not self.recovers:
            raise NotInTime("2 standbys follow")

    def kill_postgres(self, server: int) -> None:
        self.done.append(("kill_postgres", server))

    def hand_over(self, server: int) -> None:
        assert server != self.lead
        self.done.append(("hand_over", server))
        self.lead = server

    def __getattr__(self, name: str) -> Callable[[int], None]:
        return lambda server: self._do(name, server)

    def _do(self, name: str, server: int) -> None:
        self.done.append((name, server))
        for begun in [(begun, server) for begun, end in OPPOSITES.items() if end == name]:
            if begun in self.down:
                self.spans.append((begun[0], self.seconds() - self.down.pop(begun)))
        if name in OPPOSITES:
            self.down[name, server] = self.seconds()


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> FakeServers:
    def at_once(call: Any, *args: Any) -> Deferred[Any]:
        return succeed(None).addCallback(lambda _: call(*args))

    monkeypatch.setattr(engine_faults, "deferToThread", at_once)
    return FakeServers()


def injected(servers: FakeServers, seconds: float, *, can_fill: bool = True) -> History:
    clock, history = Clock(), History()
    servers.seconds = clock.seconds
    fleet: Any = FakeFleet(clock)
    given: Any = servers
    reactor: Any = clock
    engine = EngineFaults(reactor, given, Random(2), can_fill=can_fill)
    faults = ProcessFaults(
        fleet, clock.seconds, history, Random(1), lambda _: None, clock.seconds,
        kill=1.0, pause=1.0, engine=engine, only=["primary", "standby", "etcd"],
    )  # fmt: skip
    ended = Deferred.fromCoroutine(faults.run(seconds))
    clock.pump([0.05] * int((seconds + 40) / 0.05))
    assert ended.called
    ended.addErrback(lambda failure: failure.raiseException())
    return history


def names_of(history: History) -> set[str]:
    return {each.what for each in history.records if isinstance(each, Fault)}


def test_every_type_comes_and_is_undone_before_the_next(servers: FakeServers) -> None:
    history = injected(servers, 900.0)
    assert names_of(history) == {each.name for each in engine_fault_types(kill=True, pause=True)}
    assert not servers.down
    assert {name for name, _ in servers.spans} == {*OPPOSITES}
    faults = [each for each in history.records if isinstance(each, Fault)]
    assert all(each.names and each.ended <= 900.0 for each in faults)
    assert not [
        (one, other) for one in faults for other in faults if one.began < other.began < one.ended
    ]


def test_a_pause_is_as_long_as_its_name_says(servers: FakeServers) -> None:
    history = injected(servers, 900.0)
    lasted: dict[str, list[float]] = {}
    for each in history.records:
        if isinstance(each, Fault) and each.what.startswith("pause"):
            lasted.setdefault(each.what.partition("machine")[2], []).append(each.ended - each.began)
    assert max(lasted[Variant.TENURE]) < 1.1 < min(lasted[Variant.SECONDS])
    assert max(lasted[Variant.SECONDS]) < 20 < min(lasted[Variant.PAST_TTL])


def test_no_disk_is_filled_that_is_not_the_servers_own(servers: FakeServers) -> None:
    assert not [
        name for name in names_of(injected(servers, 300.0, can_fill=False)) if "fill" in name
    ]


def test_nothing_more_is_done_to_servers_that_have_not_recovered(servers: FakeServers) -> None:
    servers.recovers = False
    assert not injected(servers, 100.0).records
    assert not servers.done


def test_a_long_fault_is_not_begun_shortly_before_the_end(servers: FakeServers) -> None:
    names = names_of(injected(servers, 25.0))
    assert names
    assert not [name for name in names if name.startswith("kill primary's machine")]
    assert "pause primary's machine past its ttl" not in names


def test_a_server_that_is_down_already_costs_only_that_fault(servers: FakeServers) -> None:
    def down(server: int) -> None:
        raise CannotRun("the PostgreSQL of machine 1 does not run")

    servers.kill_postgres = down  # type: ignore[method-assign]
    assert "kill primary" in names_of(injected(servers, 300.0))


def test_a_primary_dies_after_its_standbys_which_go_on_without_it(servers: FakeServers) -> None:
    clock: Any = Clock()
    untyped: Any = servers
    faults = EngineFaults(clock, untyped, Random(2), can_fill=True)

    async def inject() -> None:
        fault = FaultType(Action.KILL, Target.PRIMARY_MACHINE, Variant.ALONE)
        async with faults.chosen(fault, 100.0):
            await faults.inject(fault)

    ended = Deferred.fromCoroutine(inject())
    clock.pump([0.1] * 200)
    assert ("run", 1) not in servers.done, "others may be promoted first"
    clock.pump([0.1] * 120)
    assert ended.called
    assert servers.done == [
        ("kill", 2), ("kill", 3), ("kill", 1), ("run", 2), ("run", 3), ("run", 1)
    ]  # fmt: skip


def test_a_machine_that_no_other_replaces_is_started_again(servers: FakeServers) -> None:
    def none(but: int | None = None) -> int:
        if but is not None:
            raise NotInTime("a server has the lead")
        return 1

    servers.wait_primary = none  # type: ignore[method-assign]
    clock: Any = Clock()
    untyped: Any = servers
    faults = EngineFaults(clock, untyped, Random(2), can_fill=True)

    async def inject() -> None:
        fault = FaultType(Action.KILL, Target.PRIMARY_MACHINE)
        async with faults.chosen(fault, 100.0) as names:
            assert names == ("server-1",)
            await faults.inject(fault)

    ended = Deferred.fromCoroutine(inject())
    failures: list[Any] = []
    ended.addErrback(failures.append)
    assert failures[0].check(NotInTime)
    assert servers.done == [("kill", 1), ("run", 1)]
