"""Several partitions: one ping of each member tells of all, and leaders spread over the members."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from tests.fakes.replicas import FakeReplica, leads, won
from twisted_bazaar.consensus.messages import PartitionStatus, Status, StockPlacement
from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.frontend.election.pings import Pings
from twisted_bazaar.frontend.election.search import Search
from twisted_bazaar.frontend.election.views import seen_in
from twisted_bazaar.timing import Timing

PARTITIONS = 4
MEMBERS = 1, 2, 3
TIMING = Timing()


def says(member: int, leading: dict[int, int], preferred: dict[int, int] | None = None) -> Status:
    """The status of `member`, which leads the partitions `leading`, each in its term."""
    partitions = [
        PartitionStatus(
            partition=number,
            role="leader" if number in leading else "follower",
            term=leading.get(number, 0),
            leader=member if number in leading else 0,
            last_index=10 * number,
            last_number=number,
            digest="",
            cluster=f"bazaar/{number}",
            preferred=(preferred or {}).get(number, 0),
        )
        for number in range(PARTITIONS)
    ]
    return Status(
        replica=member,
        role=partitions[0].role,
        term=partitions[0].term,
        leader=partitions[0].leader,
        last_index=0,
        last_number=0,
        digest="",
        cluster="bazaar/0",
        partitions=partitions,
    )


class Frontend:
    """Pings of three members that lead four partitions."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.members = {member: FakeReplica() for member in MEMBERS}
        self.clients = [{m: FakeReplica() for m in MEMBERS} for _ in range(PARTITIONS)]
        """By partition: those for what is asked about it."""
        self.leaderships = [Leadership(MEMBERS, TIMING, each) for each in range(PARTITIONS)]
        self.led: list[tuple[int, int]] = []
        self.heard: list[Status] = []
        searches = [self.search(each) for each in range(PARTITIONS)]
        members: Any = self.members
        self.pings = Pings(self.clock, members, searches, TIMING, self.heard.append)
        self.pings.startService()

    def search(self, partition: int) -> Search:
        def led_by(leader: int) -> None:
            self.led.append((partition, leader))

        clients: Any = self.clients[partition]
        return Search(
            *(self.clock, self.clock.seconds, self.leaderships[partition], clients),
            *(led_by, partition, PARTITIONS),
        )

    def answer(self, *said: Status) -> None:
        for status in said:
            self.members[status.replica].only("status").reply(status)

    def nominated(self) -> dict[int, list[int]]:
        """By partition, who has a campaign to answer for."""
        return {
            partition: [member for member, fake in clients.items() if fake.open("campaign")]
            for partition, clients in enumerate(self.clients)
        }


@pytest.fixture
def frontend() -> Iterator[Frontend]:
    frontend = Frontend()
    yield frontend
    frontend.pings.stopService()


def test_leaders_spread_over_the_members(frontend: Frontend) -> None:
    frontend.answer(*(says(member, {}) for member in MEMBERS))
    assert frontend.nominated() == {0: [3], 1: [2], 2: [1], 3: [3]}


def test_one_ping_of_a_member_tells_what_it_leads(frontend: Frontend) -> None:
    frontend.answer(says(1, {}), says(2, {1: 5}), says(3, {0: 4, 3: 2}))
    assert [each.leader for each in frontend.leaderships] == [3, 2, 0, 3]
    assert [each.term for each in frontend.leaderships] == [4, 5, 0, 2]
    assert frontend.nominated() == {0: [], 1: [], 2: [1], 3: []}
    assert set(frontend.led) == {(0, 3), (1, 2), (3, 3)}
    assert [each.cluster for each in frontend.leaderships[1:3]] == ["bazaar/1", "bazaar/2"]


def test_members_that_start_have_a_moment_so_that_leaders_spread(frontend: Frontend) -> None:
    starting = msgspec.structs.replace(says(1, {}), partitions=(), cluster="")
    frontend.answer(starting, says(3, {}))
    frontend.members[2].only("status").fail()
    assert not any(frontend.nominated().values())
    frontend.clock.advance(TIMING.ping)
    frontend.answer(says(1, {}), says(2, {}), says(3, {}))
    assert frontend.nominated() == {0: [3], 1: [2], 2: [1], 3: [3]}


def test_without_a_member_the_others_lead_in_the_end(frontend: Frontend) -> None:
    for _ in range(int(2.0 / TIMING.ping) + 1):
        assert not any(frontend.nominated().values())
        frontend.answer(says(1, {}), says(3, {}))
        for call in frontend.members[2].open("status"):
            call.fail()
        frontend.clock.advance(TIMING.ping)
    frontend.answer(says(1, {}), says(3, {}))
    assert frontend.nominated() == {0: [3], 1: [1], 2: [1], 3: [3]}


def test_a_dead_member_is_replaced_in_all_that_it_led(frontend: Frontend) -> None:
    frontend.answer(says(1, {2: 1}), says(2, {1: 1}), says(3, {0: 1, 3: 1}))
    frontend.clock.advance(TIMING.ping)
    frontend.answer(says(1, {2: 1}), says(2, {1: 1}))
    frontend.members[3].only("status").fail()
    assert frontend.nominated() == {0: [2], 1: [], 2: [], 3: [2]}
    frontend.clients[3][2].only("campaign").reply(won(2, 2))
    assert [each.leader for each in frontend.leaderships] == [0, 2, 1, 2]
    assert frontend.clients[3][1].only("follow").arguments == (2,)


def test_the_member_that_an_operator_prefers_is_nominated_first(frontend: Frontend) -> None:
    frontend.answer(*(says(member, {}, {0: 1, 1: 2, 3: 9}) for member in MEMBERS))
    assert frontend.nominated() == {0: [1], 1: [2], 2: [1], 3: [3]}
    assert [each.preferred for each in frontend.leaderships] == [1, 2, 0, 9]


def test_of_a_leader_that_leaves_it_is_known_first_who_is_to_lead(frontend: Frontend) -> None:
    """The others read it later."""
    frontend.answer(says(1, {2: 1}), says(2, {1: 1}), says(3, {0: 1, 3: 1}))
    frontend.clock.advance(TIMING.ping)
    frontend.answer(says(3, {0: 1}, {3: 1}), says(1, {2: 1}, {3: 2}), says(2, {1: 1}, {3: 2}))
    assert frontend.nominated() == {0: [], 1: [], 2: [], 3: [1]}
    assert frontend.leaderships[3].preferred == 1
    frontend.clock.advance(TIMING.ping)
    frontend.members[3].only("status").fail()
    frontend.answer(says(1, {2: 1}, {3: 2}))
    assert frontend.leaderships[3].preferred == 2


def test_placements_are_heard_before_trades_are_told_of_a_leader(frontend: Frontend) -> None:
    moved = (StockPlacement(stock="A", partition=2, arrived=True),)
    frontend.answer(msgspec.structs.replace(says(3, {0: 1}), placements=moved))
    assert [each.placements for each in frontend.heard] == [moved]


def test_a_member_that_has_not_reached_its_engine_is_no_mistake() -> None:
    with capturedLogs() as events:
        frontend = Frontend()
        starting = msgspec.structs.replace(says(3, {}), partitions=(), cluster="")
        frontend.answer(starting)
        frontend.pings.stopService()
    assert events == []


@pytest.mark.parametrize("count", [0, 2])
def test_a_member_with_another_number_of_partitions_is_none_of_ours(count: int) -> None:
    with capturedLogs() as events:
        frontend = Frontend()
        said = says(3, {0: 1})
        frontend.answer(msgspec.structs.replace(said, partitions=said.partitions[:count]))
        frontend.pings.stopService()
    assert [each.leader for each in frontend.leaderships] == [0] * PARTITIONS
    assert frontend.heard == []
    assert [formatEvent(event) for event in events] == [
        "another process answers at the address of replica 3: its bazaar has partitions: "
        f"{count or 1}, and this front-end was told: 4"
    ]


def test_the_log_says_which_partition(frontend: Frontend) -> None:
    with capturedLogs() as events:
        frontend.answer(says(1, {}), says(2, {}), says(3, {0: 4, 1: 1, 3: 1}))
    assert [formatEvent(event) for event in events] == [
        "replica 3 leads partition 0 in term 4",
        "replica 3 leads partition 1 in term 1",
        "no replica leads partition 2; replica 1 is asked to campaign",
        "replica 3 leads partition 3 in term 1",
    ]


def test_a_replica_without_an_engine_has_one_partition() -> None:
    status = leads(3)
    assert seen_in(status, 0, 1) is status
    assert seen_in(says(3, {0: 1}), 0, 1) is None
    assert seen_in(status, 0, 2) is None
