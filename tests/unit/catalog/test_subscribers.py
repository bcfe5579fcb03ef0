"""A catalog's subscriptions: what is pushed, which front-ends are waited for, what answers earn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.histories import history, ledger_of
from twisted_bazaar.catalog.projection import Position, Projection
from twisted_bazaar.catalog.subscribers import OutgoingPush, Subscribers
from twisted_bazaar.errors import Overloaded
from twisted_bazaar.leases import MAX_DRIFT, Lease, Stamp
from twisted_bazaar.rpc.push import Push, PushReply, Subscription
from twisted_bazaar.timing import Timing

TIMING = Timing()
LEASE, HEARTBEAT = TIMING.lease, TIMING.heartbeat
LOG = history(6)
HISTORY = LOG[0].digest
FIRST, SECOND = 71, 72
"""Lives of subscriptions."""
EVERYTHING = {"GameStart": 8, "Fish, Co": 7}


def subscription(life: int) -> Subscription:
    return Subscription(address=f"127.0.0.1:{life}", life=life, token=f"token {life}")


class Catalog:
    """What a catalog does for its subscribers. It has applied `index` entries of `LOG`."""

    def __init__(self, *lives: int) -> None:
        self.subscribers = Subscribers(TIMING)
        self.lease = Lease(1)
        self.lease.until = float("inf")
        self.now = 100.0
        self.index = 8
        self.tip = 0
        """The last entry, if any is proposed."""
        self.outgoing: dict[int, OutgoingPush] = {}
        for life in lives:
            self.subscribers.add(subscription(life), self.now)

    def projection(self) -> Projection:
        """What it knows."""
        known = Projection(ledger_of(LOG[: self.index]), Position(self.index))
        known.history = HISTORY
        known.proposed.extend(LOG[self.index : self.tip])
        return known

    def pushes(self) -> dict[int, Push]:
        """What goes out now, by subscription."""
        out = self.subscribers.pushes(self.projection(), self.lease, self.now)
        sent = {}
        for pushed in out:
            life = pushed.push.life
            assert pushed.subscription == subscription(life)
            assert life not in sent
            sent[life] = pushed.push
            self.outgoing[id(pushed.push)] = pushed
        return sent

    def push(self, life: int = FIRST) -> Push:
        """The push that goes out to this one now."""
        return self.pushes()[life]

    def answer(self, push: Push, sent: float | None = None) -> Stamp:
        """`push` is answered, with a stamp of the front-end's clock when it `sent` that."""
        stamp = Stamp(push.life, self.now if sent is None else sent)
        self.reply(push, push.upto, stamp)
        return stamp

    def reply(self, push: Push, upto: int, stamp: Stamp | None) -> None:
        """`push` is answered so."""
        answer = PushReply(upto=upto, stamp=stamp)
        self.subscribers.answered(self.outgoing[id(push)], answer, self.now)

    def lose(self, push: Push) -> None:
        self.subscribers.unreachable(self.outgoing[id(push)], self.now)

    def attach(self) -> None:
        """All that are subscribed have answered the first push, and have a lease."""
        for _ in range(2):
            for push in self.pushes().values():
                self.answer(push)
        assert self.pushes() == {}

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.subscribers.tick(self.now)

    @property
    def cleared(self) -> int:
        """The highest index such that no front-end with a lease shows an older state."""
        return self.subscribers.cleared(max(self.index, self.tip), self.now)


# What they are told.


def test_a_new_subscriber_is_told_everything_at_once() -> None:
    """It knows nothing: a floor for every stock. There is no lease yet."""
    push = Catalog(FIRST).push()
    assert (push.life, push.history, push.upto) == (FIRST, HISTORY, 8)
    assert (push.floors, push.stamp) == (EVERYTHING, None)


def test_a_push_tells_what_has_changed_since_the_last_that_was_answered() -> None:
    catalog = Catalog(FIRST)
    catalog.index = 6
    catalog.attach()
    catalog.index = 7
    push = catalog.push()
    assert (push.upto, push.floors) == (7, {"Fish, Co": 7})
    catalog.answer(push)
    catalog.index = 8
    push = catalog.push()
    assert (push.upto, push.floors) == (8, {"GameStart": 8})


def test_one_push_at_a_time_is_under_way_and_the_next_carries_all_that_came_up() -> None:
    catalog = Catalog(FIRST)
    catalog.index = 5
    catalog.attach()
    catalog.index = 6
    push = catalog.push()
    for catalog.index in (7, 8):
        assert catalog.pushes() == {}
    catalog.answer(push)
    assert catalog.push().floors == EVERYTHING


def test_what_a_lost_push_said_is_said_again() -> None:
    """It may have come or not."""
    catalog = Catalog(FIRST)
    catalog.index = 6
    catalog.attach()
    catalog.index = 7
    catalog.lose(catalog.push())
    catalog.index = 8
    catalog.pass_time(HEARTBEAT)
    assert catalog.push().floors == EVERYTHING


def test_one_that_cannot_be_reached_is_tried_again_after_a_pause() -> None:
    """A process that has ended refuses at once: without a pause, pushes would spin."""
    catalog = Catalog(FIRST)
    catalog.lose(catalog.push())
    catalog.pass_time(HEARTBEAT * 0.9)
    assert catalog.pushes() == {}
    catalog.pass_time(HEARTBEAT * 0.2)
    assert catalog.push().floors == EVERYTHING


def test_where_nothing_changes_a_few_pushes_a_lease_keep_it_alive() -> None:
    catalog = Catalog(FIRST)
    catalog.attach()
    pushed = []
    until = catalog.now + 2 * LEASE
    while catalog.now < until:
        catalog.pass_time(LEASE / 100)
        for push in catalog.pushes().values():
            pushed.append(push)
            catalog.answer(push)
    assert 6 <= len(pushed) <= 10
    assert all(not push.floors and push.stamp for push in pushed)


def test_each_is_told_what_it_lacks() -> None:
    catalog = Catalog(FIRST)
    catalog.index = 7
    catalog.attach()
    catalog.index = 8
    catalog.subscribers.add(subscription(SECOND), catalog.now)
    pushes = catalog.pushes()
    assert pushes[FIRST].floors == {"GameStart": 8}
    assert pushes[SECOND].floors == EVERYTHING


# What an answer earns.


def test_the_first_answer_earns_a_lease_which_goes_out_at_once() -> None:
    """Until then all lookups of that front-end pass by its cache."""
    catalog = Catalog(FIRST)
    stamp = catalog.answer(catalog.push(), sent=3.5)
    push = catalog.push()
    assert (push.stamp, push.seconds) == (stamp, LEASE)
    assert push.upto == 8
    catalog.answer(push)
    assert catalog.pushes() == {}, "the next one can wait"


def test_a_lease_is_for_the_last_answer() -> None:
    catalog = Catalog(FIRST)
    catalog.attach()
    catalog.pass_time(LEASE / 2)
    stamp = catalog.answer(catalog.push())
    catalog.pass_time(LEASE / 2)
    assert catalog.push().stamp == stamp
    catalog.pass_time(LEASE / 2)
    assert catalog.pushes() == {}, "it owes an answer"


def test_a_lease_goes_out_only_with_all_that_is_applied() -> None:
    """While it had not answered, entries were released without it. What it missed and the lease
    come in one message, and nothing more is released before it has taken that in."""
    catalog = Catalog(FIRST)
    catalog.index = 6
    push = catalog.push()
    catalog.index = 8
    assert catalog.cleared == 8
    catalog.answer(push)
    assert catalog.cleared == 6
    push = catalog.push()
    assert push.stamp
    assert (push.upto, push.floors) == (8, EVERYTHING)


@given(
    st.floats(0, LEASE),
    st.floats(-LEASE, 2 * LEASE),
    *[st.floats(1 - MAX_DRIFT, 1 + MAX_DRIFT)] * 2,
)
def test_a_lease_ends_no_later_than_the_catalogs_own(
    passed: float, left: float, mine: float, theirs: float
) -> None:
    """What comes after that, another catalog knows. Clocks differ in their rates, and the answer
    may have been under way for no time at all. Both clocks show 0 when it was sent."""
    catalog = Catalog()
    catalog.now = 0.0
    catalog.subscribers.add(subscription(FIRST), catalog.now)
    catalog.answer(catalog.push())
    catalog.pass_time(passed * mine)
    catalog.lease.until = catalog.now + left
    frontend = Lease(FIRST)
    for push in catalog.pushes().values():
        assert push.seconds <= LEASE
        assert left > 0 or push.stamp is None
        frontend.granted(push.stamp, push.seconds)
    assert frontend.until / theirs <= max(0.0, catalog.lease.until / mine) + 1e-9


def test_a_lease_is_as_long_as_the_catalogs_own_allows() -> None:
    catalog = Catalog(FIRST)
    catalog.answer(catalog.push())
    catalog.pass_time(LEASE / 4)
    catalog.lease.until = catalog.now + LEASE / 2
    assert catalog.push().seconds == pytest.approx(LEASE * 3 / 4)


def test_a_catalog_without_a_lease_grants_none_but_goes_on_telling() -> None:
    catalog = Catalog(FIRST)
    catalog.index = 7
    catalog.answer(catalog.push())
    catalog.lease.until = catalog.now
    catalog.index = 8
    push = catalog.push()
    assert (push.stamp, push.seconds) == (None, 0.0)
    assert push.floors == {"GameStart": 8}


def test_a_catalog_without_a_lease_pushes_no_more_often() -> None:
    """There is a first lease to bring, but it has none to give."""
    catalog = Catalog(FIRST)
    catalog.answer(catalog.push())
    catalog.lease.until = catalog.now
    pushed = 0
    for _ in range(100):
        catalog.pass_time(LEASE / 100)
        for push in catalog.pushes().values():
            pushed += 1
            catalog.answer(push)
    assert pushed <= 5
    catalog.lease.until = catalog.now + LEASE
    assert catalog.push().stamp, "at once, as soon as it can"


# Who is waited for.


def test_one_that_answered_is_waited_for() -> None:
    catalog = Catalog(FIRST)
    catalog.index = 7
    catalog.attach()
    assert catalog.cleared == 7
    catalog.index = 8
    push = catalog.push()
    assert catalog.cleared == 7
    catalog.answer(push)
    assert catalog.cleared == 8


def test_one_that_never_answered_is_not_waited_for() -> None:
    """It may not exist, or be behind a firewall."""
    catalog = Catalog(FIRST)
    for _ in range(20):
        assert catalog.cleared == 8
        for push in catalog.pushes().values():
            catalog.lose(push)
        catalog.pass_time(HEARTBEAT)


def test_one_that_is_gone_is_waited_for_one_lease_and_then_no_more() -> None:
    """It may show what it has as long as its lease lasts, counted from its last answer."""
    catalog = Catalog(FIRST)
    catalog.index = 7
    catalog.attach()
    catalog.index = 8
    until = catalog.now + LEASE
    while catalog.now + HEARTBEAT < until:
        for push in catalog.pushes().values():
            catalog.lose(push)
        catalog.pass_time(HEARTBEAT)
        assert catalog.cleared == 7
    catalog.pass_time(until - catalog.now)
    assert catalog.cleared == 8
    assert catalog.pushes() == {}, "it is forgotten, and has to subscribe again"


def test_the_wait_begins_when_the_answer_came_not_when_it_was_sent() -> None:
    """The catalog cannot know when that was. The front-end counts from then."""
    catalog = Catalog(FIRST)
    catalog.index = 7
    push = catalog.push()
    catalog.pass_time(LEASE / 2)
    stamp = catalog.answer(push, sent=0.0)
    catalog.index = 8
    catalog.pass_time(LEASE * 0.9)
    assert catalog.cleared == 7
    assert catalog.push().stamp == stamp
    catalog.pass_time(LEASE * 0.2)
    assert catalog.cleared == 8


def test_the_slowest_of_those_that_are_waited_for_counts() -> None:
    catalog = Catalog(FIRST, SECOND)
    catalog.index = 6
    catalog.attach()
    catalog.index = 7
    first = catalog.pushes()[FIRST]
    catalog.answer(first)
    assert catalog.cleared == 6
    catalog.pass_time(LEASE * 0.9)
    catalog.index = 8
    catalog.answer(catalog.pushes()[FIRST])
    catalog.pass_time(LEASE * 0.2)
    assert catalog.cleared == 8


def test_an_answer_counts_for_what_the_push_said() -> None:
    """A front-end cannot claim a later index."""
    catalog = Catalog(FIRST)
    catalog.index = 7
    push = catalog.push()
    catalog.subscribers.answered(
        catalog.outgoing[id(push)], PushReply(upto=99, stamp=Stamp(FIRST, 0.0)), catalog.now
    )
    catalog.index = 8
    assert catalog.cleared == 7
    assert catalog.push().floors == {"GameStart": 8}


def test_one_that_has_taken_in_less_is_told_the_rest_and_has_earned_nothing() -> None:
    catalog = Catalog(FIRST)
    catalog.index = 6
    catalog.attach()
    catalog.pass_time(LEASE / 2)
    catalog.index = 8
    push = catalog.push()
    catalog.subscribers.answered(
        catalog.outgoing[id(push)], PushReply(upto=7, stamp=Stamp(FIRST, 0.0)), catalog.now
    )
    assert catalog.cleared == 7
    catalog.pass_time(HEARTBEAT)
    push = catalog.push()
    assert push.floors == {"GameStart": 8}
    catalog.pass_time(LEASE / 2)
    assert catalog.cleared == 8, "it is waited for one lease from its last whole answer"


# Who is there.


def test_one_that_does_not_answer_in_time_is_forgotten() -> None:
    """One lease after it subscribed. It subscribes again, under another life, if it is there."""
    catalog = Catalog(FIRST)
    push = catalog.push()
    catalog.pass_time(LEASE * 0.9)
    catalog.lose(push)
    catalog.pass_time(HEARTBEAT)
    push = catalog.push()
    catalog.pass_time(LEASE * 0.1)
    catalog.answer(push)
    assert catalog.cleared == 8
    assert catalog.pushes() == {}
    catalog.lose(push)
    assert catalog.pushes() == {}


def test_one_whose_subscription_is_over_is_forgotten_at_once() -> None:
    """It shows nothing under that subscription: no release needs to wait for it."""
    catalog = Catalog(FIRST)
    catalog.index = 7
    catalog.attach()
    catalog.index = 8
    push = catalog.push()
    assert catalog.cleared == 7
    catalog.subscribers.answered(
        catalog.outgoing[id(push)], PushReply(upto=push.upto, stamp=None), catalog.now
    )
    assert catalog.cleared == 8
    catalog.pass_time(HEARTBEAT)
    assert catalog.pushes() == {}


def test_a_front_end_that_subscribes_again_is_two_until_the_first_is_forgotten() -> None:
    """What it promised under the first is in force until then."""
    catalog = Catalog(FIRST)
    catalog.index = 7
    catalog.attach()
    catalog.subscribers.add(subscription(SECOND), catalog.now)
    catalog.index = 8
    catalog.answer(catalog.pushes()[SECOND])
    assert catalog.cleared == 7
    catalog.pass_time(LEASE)
    assert catalog.cleared == 8


def test_a_subscription_that_comes_twice_is_one() -> None:
    """The answer was lost, and the call repeated: what it has acknowledged stays so."""
    catalog = Catalog(FIRST)
    catalog.attach()
    catalog.subscribers.add(subscription(FIRST), catalog.now)
    assert catalog.pushes() == {}
    assert catalog.cleared == 8


def test_subscriptions_have_a_bound() -> None:
    """A process that can reach a catalog could fill its memory."""
    catalog = Catalog(*range(1000, 1256))
    with pytest.raises(Overloaded, match="too many front-ends"):
        catalog.subscribers.add(subscription(FIRST), catalog.now)
    assert len(catalog.pushes()) == 256
    catalog.pass_time(LEASE)
    catalog.subscribers.add(subscription(FIRST), catalog.now)
    assert list(catalog.pushes()) == [FIRST], "there is room again"


# What is truncated.


def test_a_front_end_that_answers_a_push_of_what_was_truncated_is_not_late() -> None:
    """It has nothing to take in before the next entry: releases do not wait for it."""
    catalog = Catalog(FIRST, SECOND)
    catalog.attach()
    catalog.tip = 9
    known = Projection(ledger_of(LOG), Position(8))
    known.history = HISTORY
    known.proposed.append(history(7)[8])
    first, second = list(catalog.subscribers.pushes(known, catalog.lease, catalog.now))
    catalog.subscribers.truncated(8)
    for outgoing in (first, second):
        stamp = Stamp(outgoing.push.life, catalog.now)
        catalog.subscribers.answered(outgoing, PushReply(upto=9, stamp=stamp), catalog.now)
    catalog.tip = 0
    assert catalog.cleared == 8
    behind = [
        each.behind_for(catalog.now + LEASE) for each in catalog.subscribers._by_life.values()
    ]
    assert behind == [0.0, 0.0]
