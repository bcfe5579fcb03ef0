"""Faults: all of them come, each ends, and nobody is hurt who was to be spared."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from load.cuts import SCENARIOS, Roles
from load.faults import Torment, deck
from load.history import Fault, History
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


class FakeFleet:
    """Notes what is done to it."""

    def __init__(self, clock: Clock) -> None:
        self.reactor = clock
        self.store = FakeRedis(clock)
        self.done: list[tuple[str, str]] = []
        self.warm_at = 0.0
        self.paused: set[str] = set()

    def names(self) -> Sequence[str]:
        return NAMES

    async def leader(self) -> str:
        return "order-3"

    def redis(self) -> FakeRedis:
        return self.store

    async def caching(self) -> bool:
        """As ever, a while after the last fault."""
        return bool(self.reactor.seconds() >= self.warm_at)

    def kill(self, name: str) -> None:
        self.done.append(("kill", name))

    def pause(self, name: str) -> None:
        self.done.append(("pause", name))
        self.paused.add(name)

    def resume(self, name: str) -> None:
        self.paused.discard(name)
        self.warm_at = self.reactor.seconds() + 2.5

    def heal(self) -> None:
        self.paused.clear()


def tormented(
    seconds: float, *, redis_down: bool = False, **options: Any
) -> tuple[FakeFleet, History]:
    clock = Clock()
    fleet = FakeFleet(clock)
    fleet.store.down = redis_down
    history = History()
    fleets: Any = fleet
    shares = {"kill": 1.0, "pause": 1.0, **options}
    torment = Torment(
        fleets, clock.seconds, history, Random(1), lambda _: None, clock.seconds, **shares
    )
    ended = Deferred.fromCoroutine(torment.run(seconds))
    clock.pump([0.02] * int((seconds + 10) / 0.02))
    assert ended.called
    return fleet, history


def dealt(history: History) -> set[str]:
    return {record.what for record in history.records if isinstance(record, Fault)}


def test_in_time_everything_comes_and_all_of_it_ends() -> None:
    fleet, history = tormented(300.0)
    assert dealt(history) == {card.what for card in deck(NAMES, kill=True, pause=True)}
    assert not fleet.paused
    faults = [record for record in history.records if isinstance(record, Fault)]
    assert all(fault.names and fault.began <= fault.ended <= 300.1 for fault in faults)


def test_a_share_of_nothing_leaves_a_kind_out() -> None:
    fleet, history = tormented(100.0, pause=0.0)
    assert {deed for deed, _ in fleet.done} == {"kill"}
    assert not [what for what in dealt(history) if what.startswith(("pause", "mix"))]
    fleet, history = tormented(100.0, kill=0.0)
    assert {deed for deed, _ in fleet.done} == {"pause"}


def test_who_is_to_be_spared_is() -> None:
    fleet, _ = tormented(200.0, spare=["catalog", "order-3"])
    hurt = {name for _, name in fleet.done}
    assert hurt == {"frontend", "order-1", "order-2", "redis"}
    fleet, _ = tormented(200.0, spare=["redis"])
    assert (fleet.store.flushed, fleet.store.ages) == (0, [])


def test_a_bazaar_without_redis_has_no_cards_for_it() -> None:
    assert not [card for card in deck(NAMES[:-1], kill=True, pause=True) if card.target == "redis"]


def test_what_redis_holds_is_lost_or_is_again_what_it_was_a_while_ago() -> None:
    fleet, history = tormented(300.0)
    faults = [record.what for record in history.records if isinstance(record, Fault)]
    assert fleet.store.flushed == faults.count("flush redis") > 1
    assert len(fleet.store.ages) == faults.count("old dump into redis") > 1
    assert all(age >= 0.3 for age in fleet.store.ages)


def test_a_fault_that_the_end_overtakes_is_over_at_once() -> None:
    """On a busy machine it takes a while to find out whether caches are in use."""

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
        torment = Torment(
            fleet, clock.seconds, History(), Random(seed), lambda _: None, clock.seconds,
            kill=0.0, pause=1.0,
        )  # fmt: skip
        ended = Deferred.fromCoroutine(torment.run(2.0))
        clock.pump([0.02] * 1000)
        assert ended.called
        assert ended.result is None
        assert not fleet.paused


def test_what_is_for_caches_waits_until_they_are_in_use_again() -> None:
    _, history = tormented(300.0)
    faults = [record for record in history.records if isinstance(record, Fault)]
    ends = [each.ended for each in faults if each.what.startswith(("pause", "mix"))]
    for each in faults:
        if each.what in ("flush redis", "pause front-end within its lease"):
            # It would not wait for ever, where faults come one upon another.
            since = min((each.began - end for end in ends if end <= each.began), default=9.0)
            assert since > 2.4 or any(other.began < each.began < other.ended for other in faults)


def test_what_could_not_be_done_to_a_redis_that_is_down_is_no_fault() -> None:
    _, history = tormented(300.0, redis_down=True)
    assert dealt(history)
    assert not dealt(history) & {"flush redis", "old dump into redis"}


@pytest.mark.parametrize(
    ("what", "past"),
    [
        ("pause front-end within its lease", False),
        ("pause front-end past its lease", True),
        ("pause catalog past its lease", True),
    ],
)
def test_those_with_a_lease_stand_still_for_less_and_for_more_than_it_lasts(
    what: str, past: bool
) -> None:
    _, history = tormented(300.0)
    faults = [record for record in history.records if isinstance(record, Fault)]
    # Whatever goes on in the end is cut short.
    spans = [each.ended - each.began for each in faults if each.what == what and each.ended < 300.0]
    assert spans
    assert all((span > Timing().lease + 0.2) is past for span in spans)
    assert all((span < Timing().lease - 0.1) is not past for span in spans)


def test_the_scenarios_cut_between_those_that_there_are() -> None:
    roles = Roles(
        "order-2", ["order-1", "order-3"], "catalog", ["frontend-2", "frontend"], ["redis"]
    )
    everybody = {*roles.everybody, *roles.redis}
    assert len({scenario.what for scenario in SCENARIOS}) == len(SCENARIOS)
    for scenario in SCENARIOS:
        cuts, down = scenario.cuts(roles), scenario.down(roles)
        assert cuts or down
        assert scenario.needs_redis == ("redis" in {*down, *(each for cut in cuts for each in cut)})
        assert {name for cut in cuts for name in cut} | set(down) <= everybody
        assert all(source != target for source, target in cuts)


def test_the_four_that_matter_most_come_first() -> None:
    first = [scenario.what for scenario in SCENARIOS[:4]]
    assert first == [
        "leader without a majority, which can be pinged",
        "cut from leader to catalog, one way",
        "front-end cut off from the catalog",
        "leader down for good",
    ]
    assert all(scenario.trades_flow for scenario in SCENARIOS[:4])
