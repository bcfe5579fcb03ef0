"""Process faults: each type comes, each fault ends, and spared processes are left alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from load.chaos.fault_types import fault_types
from load.chaos.process_faults import ProcessFaults
from load.history.records import Fault, History
from twisted_bazaar.timing import Timing

NAMES = ["frontend", "catalog", "order-1", "order-2", "order-3", "redis"]


class FakeRedis:
    """Holds one quote, which says when it was read."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.down = False
        self.flushed = 0
        self.ages: list[float] = []

    async def flush(self) -> None:
        self._answer()
        self.flushed += 1

    async def quotes(self) -> Mapping[bytes, bytes]:
        self._answer()
        return {b"bazaar:log:Fish": b"%f" % self._clock.seconds()}

    async def put_back(self, quotes: Mapping[bytes, bytes]) -> None:
        self._answer()
        (read_at,) = quotes.values()
        self.ages.append(self._clock.seconds() - float(read_at))

    def _answer(self) -> None:
        if self.down:
            raise ConnectionRefusedError


class FakeDisks:
    """Records when writes were delayed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.since: float | None = None
        self.spans: list[tuple[float, float]] = []

    def slow(self, seconds: float) -> None:
        assert 0 < seconds < Timing().election_timeout
        self.since = self._clock.seconds()

    def restore(self) -> None:
        if self.since is not None:
            self.spans.append((self.since, self._clock.seconds()))
        self.since = None


class FakeFolders:
    """The folders of replicas that need `recall` seconds after one is replaced."""

    def __init__(self, fleet: "FakeFleet") -> None:
        self._fleet = fleet
        self._begun = False
        self._trusted_at = 0.0
        self.recall = 3.0
        self.refused = 0
        self.ages: list[tuple[str, float | None]] = []
        """The replicas whose folder was replaced, with the age of the copy; None: it was empty."""

    async def reserve(self) -> bool:
        if self._begun or not await self.settled():
            self.refused += 1
            return False
        self._begun = True
        return True

    def release(self) -> None:
        assert self._begun
        self._begun = False

    async def settled(self) -> bool:
        return bool(self._fleet.reactor.seconds() >= self._trusted_at)

    async def copy(self, name: str) -> Path:
        return Path(str(self._fleet.reactor.seconds()))

    def empty(self, name: str) -> Path:
        return Path("empty")

    async def replace(self, name: str, by: Path) -> bool:
        assert self._begun
        now = self._fleet.reactor.seconds()
        assert now >= self._trusted_at, "another replica may lack entries as well"
        self.ages.append((name, None if by.name == "empty" else now - float(str(by))))
        self._trusted_at = now + self.recall
        return True


class FakeFleet:
    """Records what is done to it."""

    def __init__(self, clock: Clock) -> None:
        self.reactor = clock
        self.store = FakeRedis(clock)
        self.slow_disks = FakeDisks(clock)
        self.done: list[tuple[str, str]] = []
        self.warm_at = 0.0
        self.paused: set[str] = set()
        self.pauses: list[tuple[str, float]] = []
        self.resumed: list[float] = []
        self.folders = FakeFolders(self)

    def names(self) -> Sequence[str]:
        return NAMES

    async def leader(self) -> str:
        return "order-3"

    def redis(self) -> FakeRedis:
        return self.store

    def disks(self) -> FakeDisks:
        return self.slow_disks

    async def caching(self) -> bool:
        """Whether 2.5 s have passed since the last pause."""
        return bool(self.reactor.seconds() >= self.warm_at)

    def kill(self, name: str) -> None:
        self.done.append(("kill", name))

    def pause(self, name: str) -> None:
        self.done.append(("pause", name))
        self.paused.add(name)
        self.pauses.append((name, self.reactor.seconds()))

    def resume(self, name: str) -> None:
        self.paused.discard(name)
        self.resumed.append(self.reactor.seconds())
        self.warm_at = self.resumed[-1] + 2.5

    def heal(self) -> None:
        self.paused.clear()


def injected(
    seconds: float, *, redis_down: bool = False, recall: float = 3.0, **options: Any
) -> tuple[FakeFleet, History]:
    clock = Clock()
    fleet = FakeFleet(clock)
    fleet.store.down = redis_down
    fleet.folders.recall = recall
    history = History()
    fleets: Any = fleet
    shares = {"kill": 1.0, "pause": 1.0, **options}
    faults = ProcessFaults(
        fleets, clock.seconds, history, Random(1), lambda _: None, clock.seconds,
        folders=fleets.folders, **shares,
    )  # fmt: skip
    ended = Deferred.fromCoroutine(faults.run(seconds))
    clock.pump([0.02] * int((seconds + 10) / 0.02))
    assert ended.called
    return fleet, history


def names_of(history: History) -> set[str]:
    return {record.what for record in history.records if isinstance(record, Fault)}


def test_every_fault_type_comes_and_every_fault_ends() -> None:
    fleet, history = injected(300.0)
    found = fault_types(NAMES, kill=True, pause=True, folders=True, disks=True)
    assert names_of(history) == {each.name for each in found}
    assert not fleet.paused
    assert fleet.slow_disks.since is None
    faults = [record for record in history.records if isinstance(record, Fault)]
    assert all(fault.names and fault.began <= fault.ended <= 300.1 for fault in faults)


def test_a_weight_of_zero_leaves_an_action_out() -> None:
    fleet, history = injected(100.0, pause=0.0)
    assert fleet.folders.ages
    assert {deed for deed, _ in fleet.done} == {"kill"}
    assert not [what for what in names_of(history) if what.startswith(("pause", "mix"))]
    fleet, history = injected(100.0, kill=0.0)
    assert {deed for deed, _ in fleet.done} == {"pause"}
    assert not fleet.folders.ages


def test_only_leaves_out_faults_of_other_names() -> None:
    _, history = injected(100.0, only=["folder of", "kill front-end"])
    found = names_of(history)
    assert found == {"old folder of a replica", "empty folder of a replica", "kill front-end"}
    # Most rounds have none if its weight is a hundredth of another.
    injected(5.0, only=["kill front-end"], kill=0.01)


def test_spared_processes_are_left_alone() -> None:
    fleet, _ = injected(200.0, spare=["catalog", "order-3"])
    hurt = {name for _, name in fleet.done}
    hurt |= {name for name, _ in fleet.folders.ages}
    assert hurt == {"frontend", "order-1", "order-2", "redis"}
    # The delay would apply to the disks of all replicas.
    assert not fleet.slow_disks.spans
    fleet, _ = injected(200.0, spare=["redis"])
    assert (fleet.store.flushed, fleet.store.ages) == (0, [])


def test_the_content_of_redis_is_lost_or_replaced_by_an_older_one() -> None:
    fleet, history = injected(300.0)
    faults = [record.what for record in history.records if isinstance(record, Fault)]
    assert fleet.store.flushed == faults.count("flush redis") > 1
    assert len(fleet.store.ages) == faults.count("old dump into redis") > 1
    assert all(age >= 0.3 for age in fleet.store.ages)


def test_one_folder_is_replaced_at_a_time() -> None:
    fleet, _ = injected(600.0, recall=60.0)
    assert fleet.folders.ages
    assert fleet.folders.refused
    fleet, history = injected(600.0)
    ages = [age for _, age in fleet.folders.ages]
    assert ages.count(None) > 1
    assert len(ages) > ages.count(None) + 1
    assert all(age is None or 0.3 <= age <= 2.1 for age in ages)
    faults = [each for each in history.records if isinstance(each, Fault)]
    spans = [each.ended - each.began for each in faults if "folder" in each.what]
    assert len(spans) == len(ages)
    # The fault lasts until the replica has fetched all entries.
    assert all(span > 2.9 for span in spans[:-1])


@pytest.mark.parametrize("who", ["front-end", "catalog"])
def test_a_repeated_pause_is_longer_than_a_lease_each_time(who: str) -> None:
    fleet, history = injected(300.0)
    name = {"front-end": "frontend"}.get(who, who)
    faults = [each for each in history.records if isinstance(each, Fault)]
    found = [each for each in faults if each.what == f"pause {who} past its lease, again and again"]
    assert found
    for each in found:
        pauses = [at for paused, at in fleet.pauses if paused == name]
        assert len([at for at in pauses if each.began <= at <= each.ended]) >= 4
        assert each.ended - each.began > 4 * (Timing().lease + 0.3)


def test_the_leader_is_killed_on_slow_disks() -> None:
    fleet, history = injected(300.0)
    faults = [each for each in history.records if isinstance(each, Fault)]
    spans = [(f.began, f.ended) for f in faults if f.what.startswith("slow disks of all replicas")]
    assert sorted(fleet.slow_disks.spans) == sorted(spans)
    assert all(ended - began < 4.1 for began, ended in spans)


def test_a_fault_that_begins_after_the_end_is_over_at_once() -> None:
    """On a busy machine the wait for caching may take longer than the time that is left."""

    class Strict(Clock):
        def callLater(self, when: float, *call: Any, **options: Any) -> Any:
            assert when >= 0, "as a reactor has it"
            return super().callLater(when, *call, **options)

    class Busy(FakeFleet):
        async def caching(self) -> bool:
            await deferLater(self.reactor, 3.0)
            return True

    clock = Strict()
    for seed in range(20):
        fleet: Any = Busy(clock)
        faults = ProcessFaults(
            fleet, clock.seconds, History(), Random(seed), lambda _: None, clock.seconds,
            kill=0.0, pause=1.0,
        )  # fmt: skip
        ended = Deferred.fromCoroutine(faults.run(2.0))
        clock.pump([0.02] * 1000)
        assert ended.called
        assert ended.result is None
        assert not fleet.paused


def test_a_fault_that_needs_caching_waits_for_it() -> None:
    fleet, history = injected(300.0)
    faults = [record for record in history.records if isinstance(record, Fault)]
    for each in faults:
        if each.what in ("flush redis", "pause front-end within its lease"):
            # With overlapping faults the wait has a limit.
            ends = [end for end in fleet.resumed if end <= each.began]
            since = each.began - max(ends, default=-9.0)
            assert since > 2.4 or any(other.began < each.began < other.ended for other in faults)


def test_a_fault_of_a_redis_that_is_down_is_not_recorded() -> None:
    _, history = injected(300.0, redis_down=True)
    assert names_of(history)
    assert not names_of(history) & {"flush redis", "old dump into redis"}


@pytest.mark.parametrize(
    ("what", "past"),
    [
        ("pause front-end within its lease", False),
        ("pause front-end past its lease", True),
        ("pause catalog past its lease", True),
    ],
)
def test_holders_of_a_lease_are_paused_for_less_and_for_more_than_it_lasts(
    what: str, past: bool
) -> None:
    _, history = injected(300.0)
    faults = [record for record in history.records if isinstance(record, Fault)]
    # A fault that is active at the end is cut short.
    spans = [each.ended - each.began for each in faults if each.what == what and each.ended < 300.0]
    assert spans
    assert all((span > Timing().lease + 0.2) is past for span in spans)
    assert all((span < Timing().lease - 0.1) is not past for span in spans)
