"""Market operations on their way to the leader: sent again until the deadline, and one by one."""

from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.fakes.leaks import nothing_leaks  # noqa: F401
from tests.fakes.replicas import Call, FakeReplica, follows, leads, result_of
from twisted_bazaar.consensus.membership import AddMember
from twisted_bazaar.errors import (
    ChangeRefused,
    MembersRefused,
    NotExecuted,
    NotLeader,
    OutcomeUnknown,
    Unavailable,
)
from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.frontend.operations.service import OperationService
from twisted_bazaar.market import Change, ChangeRefusal, Listed, Listing, Repriced
from twisted_bazaar.sending import Sending
from twisted_bazaar.timing import Timing

TIMING = Timing()
CHEAPER = Repriced("GameStart", 5)
NEW = Listed((Listing("New", 5, 9),))


class Operator:
    """A front-end of three replicas, of which 3 leads."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.replicas = {replica: FakeReplica() for replica in (1, 2, 3)}
        self.leadership = Leadership(self.replicas)
        self.hear(leads(3), follows(2), follows(1))
        self.service = OperationService(
            self.clock,  # type: ignore[arg-type]
            self.clock.seconds,
            self.leadership,
            self.replicas,  # type: ignore[arg-type]
            TIMING,
            7,
        )

    def hear(self, *statuses: Any) -> None:
        for status in statuses:
            self.leadership.heard(msgspec.structs.replace(status, level=1))
            self.leadership.heard_clock(status.replica, 100.0, self.clock.seconds())

    def change(self, change: Change = CHEAPER) -> "list[object]":
        answer: Deferred[int] = self.service.change(change)
        return result_of(answer)

    def asked(self, replica: int = 3) -> Call:
        [call] = self.replicas[replica].open("change")
        return call

    def sent(self, replica: int = 3) -> Sending:
        sending: Sending = self.asked(replica).arguments[1]
        return sending


@pytest.fixture
def operator() -> Operator:
    return Operator()


def test_the_leader_is_asked_and_its_answer_passed_on(operator: Operator) -> None:
    answer = operator.change()
    assert operator.asked().arguments[0] == CHEAPER
    operator.asked().reply(830)
    assert answer == [830]


def test_a_sending_ends_with_its_call_and_those_before_it(operator: Operator) -> None:
    answer = operator.change()
    first = operator.sent()
    assert (first.term, first.life, first.expected) == (operator.leadership.term, 7, ())
    assert 100.0 < first.expires[0] <= 100.0 + TIMING.deadline
    operator.asked().reply(830)
    operator.change()
    assert operator.sent().number > first.number
    operator.asked().reply(0)
    assert answer == [830]


def test_one_waits_for_the_one_before(operator: Operator) -> None:
    first, second = operator.change(), operator.change(NEW)
    operator.asked().reply(830)
    assert (first, second) == ([830], [])
    assert operator.asked().arguments[0] == NEW
    operator.asked().reply(831)
    assert second == [831]


def test_the_next_leader_is_asked_if_one_leads_no_more(operator: Operator) -> None:
    answer = operator.change()
    operator.asked().fail(NotLeader())
    operator.hear(follows(3), leads(2, term=9))
    operator.clock.advance(TIMING.ping)
    assert operator.sent(2).term == 9
    operator.asked(2).reply(12)
    assert answer == [12]


def test_what_was_not_answered_is_sent_again_and_a_price_is_the_same_twice(
    operator: Operator,
) -> None:
    answer = operator.change()
    operator.asked().fail(Unavailable("lost"))
    operator.hear(leads(3))
    operator.clock.advance(TIMING.ping)
    operator.asked().reply(0)
    assert answer == [0]


def test_a_refusal_is_passed_on(operator: Operator) -> None:
    answer = operator.change()
    operator.asked().fail(ChangeRefused(ChangeRefusal.UNKNOWN_STOCK, "none"))
    [why] = answer
    assert isinstance(why, ChangeRefused)


def test_a_stock_that_may_have_been_listed_by_an_earlier_attempt_is_not_refused(
    operator: Operator,
) -> None:
    answer = operator.change(NEW)
    operator.asked().fail(Unavailable("lost"))
    operator.hear(leads(3))
    operator.clock.advance(TIMING.ping)
    operator.asked().fail(ChangeRefused(ChangeRefusal.LISTED_ALREADY, "it is listed"))
    [why] = answer
    assert isinstance(why, OutcomeUnknown)


@pytest.mark.parametrize(
    ("error", "kind"), [(NotLeader(), NotExecuted), (Unavailable("lost"), OutcomeUnknown)]
)
def test_after_the_deadline_it_says_what_is_known(
    operator: Operator, error: Exception, kind: type[Exception]
) -> None:
    answer = operator.change()
    operator.asked().fail(error)
    operator.clock.pump([TIMING.ping] * int(TIMING.deadline / TIMING.ping + 2))
    [why] = answer
    assert isinstance(why, kind)


def test_no_attempt_takes_all_the_time(operator: Operator) -> None:
    operator.change()
    assert operator.asked().arguments[2] <= TIMING.deadline / 3
    operator.asked().reply(0)


def test_nothing_is_changed_while_a_replica_is_of_an_earlier_release(operator: Operator) -> None:
    operator.leadership.heard(msgspec.structs.replace(follows(1), level=0))
    [why] = operator.change()
    assert isinstance(why, NotExecuted)
    assert "order replica 1 is of an earlier release" in str(why)
    assert not operator.replicas[3].open("change")


# Another leader.


def hand_over(operator: Operator, partition: int = 0, member: int = 1) -> list[Any]:
    return result_of(operator.service.hand_over(partition, member))


def test_the_leader_is_told_who_is_to_lead(operator: Operator) -> None:
    done = hand_over(operator)
    call = operator.replicas[3].only("hand_over")
    assert call.arguments[0] == 1
    assert done == []
    call.reply()
    assert done == [None]


def test_whoever_leads_next_is_told_if_the_leader_was_deposed(operator: Operator) -> None:
    done = hand_over(operator)
    operator.replicas[3].only("hand_over").fail(NotLeader())
    operator.hear(leads(2, term=2))
    operator.clock.advance(TIMING.ping)
    operator.replicas[2].only("hand_over").reply()
    assert done == [None]


@pytest.mark.parametrize(("met", "kind"), [(None, OutcomeUnknown), (NotLeader(), NotExecuted)])
def test_what_is_not_known_in_the_end_is_said(
    operator: Operator, met: Exception | None, kind: type[Exception]
) -> None:
    done = hand_over(operator)
    for _ in range(int(TIMING.deadline / TIMING.ping) + 2):
        for call in operator.replicas[3].open("hand_over"):
            call.fail(met)
        operator.hear(leads(3))
        operator.clock.advance(TIMING.ping)
    [why] = done
    assert type(why) is kind


@pytest.mark.parametrize(("partition", "member"), [(1, 1), (0, 4)])
def test_no_leader_is_asked_for_what_is_not_there(
    operator: Operator, partition: int, member: int
) -> None:
    [why] = hand_over(operator, partition, member)
    assert isinstance(why, ChangeRefused)
    assert not operator.replicas[3].open("hand_over")


def test_a_change_of_the_members_is_begun_by_whichever_leads(operator: Operator) -> None:
    change = AddMember(4, "d:4")
    answer = result_of(operator.service.change_members(change, 7))
    operator.replicas[3].only("change_members").fail(NotLeader())
    operator.hear(follows(3), leads(2, term=2))
    operator.clock.advance(TIMING.ping)
    call = operator.replicas[2].only("change_members")
    assert call.arguments[:2] == (change, 7)
    call.fail(Unavailable("lost"))
    operator.clock.advance(TIMING.ping)
    operator.replicas[2].only("change_members").reply(0)
    assert answer == [0], "it was so already"


def test_a_change_of_the_members_that_is_refused_is_not_asked_again(operator: Operator) -> None:
    answer = result_of(operator.service.change_members(AddMember(4, "d:4"), None))
    refusal = MembersRefused("another change of the members is under way")
    operator.replicas[3].only("change_members").fail(refusal)
    assert answer == [refusal]


def test_whether_a_change_of_the_members_was_begun_may_be_unknown(operator: Operator) -> None:
    answer = result_of(operator.service.change_members(AddMember(4, "d:4"), None))
    while not answer:
        for call in operator.replicas[3].open("change_members"):
            call.fail(Unavailable("lost"))
        operator.clock.advance(TIMING.ping)
    (told,) = answer
    assert isinstance(told, OutcomeUnknown)
