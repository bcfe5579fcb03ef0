"""Pings: which replica is pinged when, and how a leader comes to be elected."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure

from tests.fakes.leaks import nothing_leaks  # noqa: F401
from tests.fakes.replicas import LOST, FakeReplica, follows, leads, refused, won
from twisted_bazaar.consensus.messages import Status
from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.frontend.election.pings import Pings
from twisted_bazaar.frontend.election.search import Search
from twisted_bazaar.timing import Timing

TIMING = Timing()
PING = TIMING.ping


class Frontend:
    """Pings of three replicas that answer when the test says so."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.replicas = {replica: FakeReplica() for replica in (1, 2, 3)}
        self.leadership = Leadership(self.replicas)
        self.heard: list[int] = []
        """The leaders that trading was told of."""
        replicas: Any = self.replicas
        self.search = Search(
            self.clock, self.clock.seconds, self.leadership, replicas, self.heard.append
        )
        self.pings = Pings(self.clock, replicas, [self.search], TIMING)
        self.pings.startService()

    def answer(self, *said: Status) -> None:
        """These answer the ping that they got."""
        for status in said:
            self.replicas[status.replica].only("status").reply(status)

    def silent(self, *replicas: int) -> None:
        for replica in replicas:
            self.replicas[replica].only("status").fail()

    def beat(self, *said: Status) -> None:
        """Time for the next pings, which these answer."""
        self.clock.advance(PING)
        self.answer(*said)

    def pinged(self) -> list[int]:
        """Those that have a ping to answer."""
        return [replica for replica, fake in self.replicas.items() if fake.open("status")]

    def nominated(self) -> list[int]:
        """Those that have a campaign to answer for."""
        return [replica for replica, fake in self.replicas.items() if fake.open("campaign")]

    def told(self) -> dict[int, tuple[object, ...]]:
        """The replicas that were told that another one leads, with the term; answers all calls."""
        calls = {
            replica: call for replica, fake in self.replicas.items() for call in fake.open("follow")
        }
        for call in calls.values():
            call.reply()
        return {replica: call.arguments for replica, call in calls.items()}


@pytest.fixture
def frontend() -> Iterator[Frontend]:
    frontend = Frontend()
    yield frontend
    frontend.pings.stopService()


ALL_FOLLOW = tuple(follows(replica) for replica in (1, 2, 3))


def test_every_replica_is_pinged_at_once_and_then_at_every_beat(frontend: Frontend) -> None:
    assert frontend.pinged() == [1, 2, 3]
    frontend.answer(follows(1), follows(2), leads(3))
    assert frontend.pinged() == []
    frontend.clock.advance(PING * 0.9)
    assert frontend.pinged() == []
    frontend.clock.advance(PING * 0.1)
    assert frontend.pinged() == [1, 2, 3]


def test_a_silent_replica_delays_no_ping_of_the_others(frontend: Frontend) -> None:
    frontend.answer(follows(1), leads(3))
    for _ in range(3):
        frontend.clock.advance(PING)
        assert len(frontend.replicas[2].open("status")) == 1, "one ping of it at a time"
        frontend.answer(follows(1), leads(3))
    assert frontend.heard == [3] * 7
    frontend.silent(2)
    frontend.clock.advance(PING)
    assert frontend.pinged() == [1, 2, 3]


def test_the_clocks_of_the_replicas_are_known(frontend: Frontend) -> None:
    frontend.answer(msgspec.structs.replace(leads(3), clock=700.0), follows(1), follows(2))
    heard = frontend.clock.seconds()
    frontend.clock.advance(PING)
    assert frontend.leadership.clock_of(3)(heard) == 700.0


def test_trading_is_told_whenever_the_leader_is_heard(frontend: Frontend) -> None:
    frontend.answer(follows(1), follows(2))
    assert frontend.heard == []
    frontend.answer(leads(3))
    assert frontend.heard == [3]


def test_a_leader_is_elected_and_the_others_are_told(frontend: Frontend) -> None:
    frontend.answer(*ALL_FOLLOW[:2])
    assert frontend.nominated() == []
    frontend.answer(ALL_FOLLOW[2])
    assert frontend.nominated() == [3]
    frontend.replicas[3].only("campaign").reply(won(3, 2))
    assert frontend.told() == {1: (2,), 2: (2,)}
    assert frontend.heard == [3], "trades need not wait for the next ping"
    assert frontend.leadership.leader == 3


def test_an_unreachable_replica_is_not_told(frontend: Frontend) -> None:
    frontend.silent(1)
    frontend.answer(*ALL_FOLLOW[1:])
    frontend.replicas[3].only("campaign").reply(won(3, 2))
    assert list(frontend.told()) == [2]


def test_one_that_does_not_hear_what_it_is_told_changes_nothing(frontend: Frontend) -> None:
    frontend.answer(*ALL_FOLLOW)
    frontend.replicas[3].only("campaign").reply(won(3, 2))
    frontend.replicas[1].only("follow").fail()
    assert frontend.leadership.leader == 3


def test_there_is_one_search_at_a_time(frontend: Frontend) -> None:
    frontend.answer(*ALL_FOLLOW)
    for _ in range(5):
        frontend.beat(*ALL_FOLLOW)
        assert frontend.nominated() == [3]
    assert len(frontend.replicas[3].open("campaign")) == 1


def test_the_next_id_is_asked_at_once_when_one_has_lost(frontend: Frontend) -> None:
    frontend.answer(*ALL_FOLLOW)
    frontend.replicas[3].only("campaign").reply(LOST)
    frontend.clock.advance(0)
    assert frontend.nominated() == [2]
    frontend.replicas[2].only("campaign").fail()
    frontend.clock.advance(0)
    assert frontend.nominated() == [1]
    frontend.replicas[1].only("campaign").reply(won(1, 2))
    assert frontend.told() == {2: (2,), 3: (2,)}, "both answer pings"


def test_after_all_have_lost_campaigns_follow_the_pace_of_pings(frontend: Frontend) -> None:
    """They are asked again, from the highest id, at the pace of the pings."""
    frontend.answer(*ALL_FOLLOW)
    for replica in (3, 2, 1):
        frontend.replicas[replica].only("campaign").reply(LOST)
        frontend.clock.advance(0)
    assert frontend.nominated() == []
    assert len(frontend.clock.getDelayedCalls()) == 3, "the beats, and nothing else"
    frontend.beat(*ALL_FOLLOW)
    frontend.beat(*ALL_FOLLOW)
    assert frontend.nominated() == [3]


def test_one_that_was_refused_is_asked_again_when_its_wait_is_over(frontend: Frontend) -> None:
    frontend.answer(*ALL_FOLLOW)
    frontend.replicas[3].only("campaign").reply(refused(2.5 * PING))
    for _ in range(2):
        frontend.beat(*ALL_FOLLOW)
        assert frontend.nominated() == []
    frontend.clock.advance(PING / 2 + 0.001)
    assert frontend.nominated() == [3], "without waiting for a ping"


def test_a_leader_that_shows_up_ends_the_search(frontend: Frontend) -> None:
    frontend.answer(*ALL_FOLLOW)
    frontend.beat(follows(1), leads(2, term=4))
    assert frontend.heard == [2]
    frontend.replicas[3].only("campaign").reply(refused(PING, leader=2, term=4))
    frontend.clock.advance(10 * PING)
    assert frontend.nominated() == []


def test_a_dead_leader_is_replaced_by_the_highest_that_answers(frontend: Frontend) -> None:
    frontend.answer(follows(1), follows(2), leads(3))
    frontend.beat(follows(1), follows(2))
    assert frontend.nominated() == []
    frontend.silent(3)
    assert frontend.nominated() == [2]
    frontend.replicas[2].only("campaign").reply(won(2, 2))
    assert frontend.told() == {1: (2,)}
    frontend.beat(follows(3, term=2))
    assert frontend.leadership.leader == 2, "the one that returns deposes no leader"
    assert frontend.nominated() == []


def test_after_a_stop_no_replica_is_called(frontend: Frontend) -> None:
    frontend.answer(*ALL_FOLLOW[:2])
    frontend.pings.stopService()
    frontend.answer(ALL_FOLLOW[2])
    frontend.clock.advance(1.0)
    assert frontend.nominated() == []
    assert frontend.pinged() == []
    frontend.pings.startService()


@pytest.mark.parametrize("what", ["status", "campaign", "follow"])
def test_an_unexpected_error_does_not_end_the_search_for_a_leader(
    frontend: Frontend, logged_failures: list[Failure], what: str
) -> None:
    """A bug is logged. It must not leave the bazaar without a leader for ever."""
    frontend.answer(*ALL_FOLLOW)
    if what == "status":
        frontend.clock.advance(PING)
        frontend.replicas[1].only("status").fail(KeyError("a bug"))
        frontend.answer(*ALL_FOLLOW[1:])
    elif what == "campaign":
        frontend.replicas[3].only("campaign").fail(KeyError("a bug"))
        frontend.clock.advance(0)
    else:
        frontend.replicas[3].only("campaign").reply(won(3, 2))
        frontend.replicas[1].only("follow").fail(KeyError("a bug"))
    assert [failure.type for failure in logged_failures] == [KeyError]
    logged_failures.clear()
    frontend.clock.advance(PING)
    assert frontend.replicas[1].open("status"), "it is still pinged"
    if what == "campaign":
        assert frontend.nominated() == [2]


def test_trading_that_fails_does_not_stop_the_pings(logged_failures: list[Failure]) -> None:
    def fail(leader: int) -> None:
        raise ZeroDivisionError

    frontend = Frontend()
    frontend.search._led_by = fail
    frontend.answer(*ALL_FOLLOW[:2], leads(3))
    assert {failure.type for failure in logged_failures} == {ZeroDivisionError}
    frontend.clock.advance(PING)
    assert frontend.pinged() == [1, 2, 3]
    logged_failures.clear()
    frontend.pings.stopService()


def test_a_replica_that_is_another_than_its_address_says_is_named_once() -> None:
    """Two addresses mixed up by an operator must not leave a front-end without a leader."""
    with capturedLogs() as events:
        frontend = Frontend()
        for _ in range(3):
            frontend.replicas[2].only("status").reply(leads(3))
            frontend.replicas[3].only("status").reply(follows(2))
            frontend.clock.advance(PING)
        frontend.answer(follows(1))
    said = [formatEvent(event) for event in events if event["log_level"].name == "error"]
    assert said == [
        "another process answers at the address of replica 2: it is replica 3",
        "another process answers at the address of replica 3: it is replica 2",
    ]
    assert frontend.leadership.leader == 0
    assert frontend.nominated() == [1], "the one that is itself may lead, if the others vote"
    frontend.pings.stopService()


def lines(act: Callable[[], None]) -> list[str]:
    with capturedLogs() as events:
        act()
    return [formatEvent(event) or "" for event in events]


def test_the_log_says_who_leads_once(frontend: Frontend) -> None:
    def lead() -> None:
        frontend.answer(follows(1), follows(2), leads(3, term=4))
        for _ in range(3):
            frontend.beat(follows(1), follows(2), leads(3, term=4))

    assert lines(lead) == ["replica 3 leads in term 4"]


def test_nominations_count_and_so_does_each_leadership_after_the_first(frontend: Frontend) -> None:
    search = frontend.search
    frontend.answer(*ALL_FOLLOW)
    frontend.replicas[3].only("campaign").reply(won(3, 2))
    frontend.told()
    assert (search.nominations, search.leader_changes) == (1, 0)
    frontend.beat(follows(1), follows(2), leads(3, 2))
    assert search.leader_changes == 0
    frontend.beat(follows(1), follows(2), leads(3, 4))
    assert search.leader_changes == 1
    frontend.beat(follows(1), leads(2, 5), follows(3))
    assert (search.nominations, search.leader_changes) == (1, 2)


def test_replicas_are_pinged_as_long_as_they_are_members(frontend: Frontend) -> None:
    frontend.answer(*ALL_FOLLOW)
    frontend.replicas[4] = FakeReplica()
    frontend.leadership.members_are(frontend.replicas, ())
    frontend.pings.follow_members()
    assert frontend.pinged() == [4], "at once"
    frontend.answer(follows(4))
    frontend.clock.advance(PING)
    gone = frontend.replicas.pop(3)
    frontend.leadership.members_are(frontend.replicas, ())
    frontend.pings.follow_members()
    gone.only("status").reply(leads(3))
    assert frontend.leadership.leader == 0, "what it says is of no interest"
    frontend.answer(follows(1), follows(2), follows(4))
    frontend.clock.advance(PING)
    assert frontend.pinged() == [1, 2, 4]
    assert not gone.open("status")
