"""Faults: all of them come, each ends, and nobody is hurt who was to be spared."""

from collections.abc import Sequence
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from load.cuts import SCENARIOS, Roles
from load.faults import Torment, deck
from load.history import Fault, History

NAMES = ["frontend", "catalog", "order-1", "order-2", "order-3", "redis"]


class FakeFleet:
    """Notes what is done to it."""

    def __init__(self, clock: Clock) -> None:
        self.reactor = clock
        self.done: list[tuple[str, str]] = []
        self.paused: set[str] = set()

    def names(self) -> Sequence[str]:
        return NAMES

    async def leader(self) -> str:
        return "order-3"

    def kill(self, name: str) -> None:
        self.done.append(("kill", name))

    def pause(self, name: str) -> None:
        self.done.append(("pause", name))
        self.paused.add(name)

    def resume(self, name: str) -> None:
        self.paused.discard(name)

    def heal(self) -> None:
        self.paused.clear()


def tormented(seconds: float, **options: Any) -> tuple[FakeFleet, History]:
    clock = Clock()
    fleet = FakeFleet(clock)
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
    assert all(what.startswith("kill") for what in dealt(history))
    fleet, history = tormented(100.0, kill=0.0)
    assert {deed for deed, _ in fleet.done} == {"pause"}


def test_who_is_to_be_spared_is() -> None:
    fleet, _ = tormented(200.0, spare=["catalog", "order-3"])
    hurt = {name for _, name in fleet.done}
    assert hurt == {"frontend", "order-1", "order-2", "redis"}


def test_a_bazaar_without_redis_has_no_cards_for_it() -> None:
    assert not [card for card in deck(NAMES[:-1], kill=True, pause=True) if card.target == "redis"]


def test_the_scenarios_cut_between_those_that_there_are() -> None:
    roles = Roles("order-2", ["order-1", "order-3"], "catalog", ["frontend-2", "frontend"])
    everybody = set(roles.everybody)
    assert len({scenario.what for scenario in SCENARIOS}) == len(SCENARIOS)
    for scenario in SCENARIOS:
        cuts, down = scenario.cuts(roles), scenario.down(roles)
        assert cuts or down
        assert {name for cut in cuts for name in cut} | set(down) <= everybody
        assert all(source != target for source, target in cuts)


def test_the_three_that_matter_most_come_first() -> None:
    first = [scenario.what for scenario in SCENARIOS[:3]]
    assert first == [
        "leader without a majority, which can be pinged",
        "cut from leader to catalog, one way",
        "leader down for good",
    ]
    assert all(scenario.trades_flow for scenario in SCENARIOS[:3])
