"""Which replicas a replica calls, and where, as the members change."""

from collections.abc import Mapping
from typing import Any

from twisted_bazaar.order.peers import Peers
from twisted_bazaar.runtime.address import Address

TWO, THREE = Address("b", 2), Address("c", 3)
SECOND = 50
"""So many looks."""


class Called:
    def __init__(self) -> None:
        self.reached = True


class Replica:
    """Replica 1, with two peers in its options."""

    def __init__(self) -> None:
        self.neighbours: Mapping[int, str] = {2: "", 3: ""}
        self.dialled: list[tuple[int, str]] = []
        self.dropped: list[int] = []
        self.peers = Peers(
            lambda: self.neighbours, {2: TWO, 3: THREE}, self.dial, self.dropped.append
        )

    def dial(self, replica: int, at: Address) -> Any:
        self.dialled.append((replica, str(at)))
        return Called()

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.peers.look()

    def called(self, replica: int) -> Any:
        return self.peers.get(replica)


def test_the_peers_of_the_options_are_called_until_the_log_says_more() -> None:
    replica = Replica()
    replica.look(2)
    assert replica.dialled == [(2, "b:2"), (3, "c:3")]


def test_a_member_is_called_as_soon_as_there_is_something_for_it() -> None:
    replica = Replica()
    replica.look()
    assert replica.called(4) is None
    replica.neighbours = {2: "b:2", 3: "c:3", 4: "d:4"}
    assert replica.called(4) is not None
    assert replica.dialled[2:] == [(4, "d:4")]


def test_one_that_is_a_member_no_more_is_hung_up_on() -> None:
    replica = Replica()
    replica.look()
    replica.neighbours = {3: "c:3"}
    replica.look(2)
    assert replica.dropped == [2]
    assert replica.called(2) is None


def test_one_that_nothing_says_the_address_of_is_not_called() -> None:
    replica = Replica()
    replica.neighbours = {5: ""}
    replica.look()
    assert replica.called(5) is None
    assert not replica.dialled


def test_one_whose_address_the_log_changes_is_called_there() -> None:
    replica = Replica()
    replica.neighbours = {2: "b:2"}
    replica.look()
    replica.neighbours = {2: "z:2"}
    replica.look()
    assert replica.dialled == [(2, "b:2"), (2, "z:2")]
    assert replica.dropped == [2]


def test_one_that_is_not_reached_is_called_at_its_other_address() -> None:
    replica = Replica()
    replica.neighbours = {2: "z:2", 3: ""}
    replica.look(2 * SECOND)
    assert replica.dialled == [(2, "b:2"), (3, "c:3")], "the options may be newer"
    for peer in (2, 3):
        replica.called(peer).reached = False
    replica.look(SECOND - 1)
    replica.called(2).reached = True
    replica.look()
    replica.called(2).reached = False
    replica.look(SECOND - 1)
    assert len(replica.dialled) == 2
    replica.look()
    assert replica.dialled[2:] == [(2, "z:2")]
    replica.called(2).reached = False
    replica.look(SECOND)
    assert replica.dialled[3:] == [(2, "b:2")], "and back"
