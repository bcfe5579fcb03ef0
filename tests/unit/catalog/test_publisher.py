"""The publisher: what is released when, what the leader is answered, and the lease."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.catalog_life import (
    FRONTEND,
    HEARTBEAT,
    LEASE,
    LOG,
    CatalogLife,
    at_work,
    stocks_of,
)
from tests.fakes.histories import extend, sends
from twisted_bazaar.errors import Unavailable
from twisted_bazaar.leases import Stamp, kept
from twisted_bazaar.market import Moved
from twisted_bazaar.rpc.push import Subscription


@pytest.fixture
def catalog() -> CatalogLife:
    return at_work()


# What is released, and when.


def test_without_subscriptions_an_entry_is_released_at_once() -> None:
    catalog = CatalogLife()
    reply = catalog.apply(8)
    assert (reply.applied, reply.released, reply.digest) == (8, 8, LOG[7].digest)
    assert catalog.shown == stocks_of(8)


def test_nothing_is_shown_before_all_front_ends_have_answered(catalog: CatalogLife) -> None:
    """Else one would show the new quantity while another still shows the old one."""
    ticket = catalog.send(sends(LOG, 6, 8))
    assert catalog.push() == [FRONTEND]
    assert catalog.pushed[FRONTEND].upto == 8
    assert catalog.pushed[FRONTEND].history == LOG[0].digest
    assert catalog.shown == stocks_of(6)
    assert catalog.answers() == {}, "clients are told of the trade once that is answered"
    catalog.answer()
    assert catalog.shown == stocks_of(8)
    assert catalog.answers()[ticket].released == 8


def test_a_front_end_that_knows_a_part_holds_back_the_rest(catalog: CatalogLife) -> None:
    catalog.send(sends(LOG, 6, 7))
    catalog.push()
    catalog.send(sends(LOG, 7, 8))
    catalog.answer()
    assert catalog.shown == stocks_of(7)
    catalog.push()
    catalog.answer()
    assert catalog.shown == stocks_of(8)


def test_the_slowest_front_end_counts(catalog: CatalogLife) -> None:
    catalog.subscribe(72)
    catalog.send(sends(LOG, 6, 8))
    assert catalog.push() == [FRONTEND, 72]
    catalog.answer(72)
    assert catalog.shown == stocks_of(6)
    catalog.answer()
    assert catalog.shown == stocks_of(8)


def test_a_front_end_that_is_gone_holds_up_everything_for_one_lease_once(
    catalog: CatalogLife,
) -> None:
    catalog.send(sends(LOG, 6, 7))
    until = catalog.now + LEASE
    while catalog.now + HEARTBEAT < until:
        catalog.push()
        catalog.lose(FRONTEND)
        catalog.pass_time(HEARTBEAT)
        assert catalog.shown == stocks_of(6)
    catalog.pass_time(until - catalog.now)
    assert catalog.shown == stocks_of(7)
    catalog.answers()
    assert catalog.apply(8).released == 8
    assert catalog.push() == []


def test_a_front_end_that_comes_takes_nothing_back(catalog: CatalogLife) -> None:
    """What it is told first may be behind what is shown by the time that it answers."""
    catalog.publisher.subscribe(
        Subscription(address="127.0.0.1:2", life=72, token="token"), catalog.now
    )
    catalog.push()
    catalog.send(sends(LOG, 6, 8))
    catalog.answer()
    catalog.push()
    catalog.answer()
    assert catalog.shown == stocks_of(8)
    assert 72 in catalog.pushed
    catalog.answer(72)
    assert catalog.shown == stocks_of(8)
    catalog.answers()
    assert catalog.apply(8).released == 8


def test_a_view_never_changes_under_a_reader(catalog: CatalogLife) -> None:
    """Readers are other threads."""
    view, stocks = catalog.publisher.view, catalog.shown
    catalog.send(sends(LOG, 6, 8))
    catalog.push()
    catalog.answer()
    assert catalog.publisher.view is not view
    assert (view.stocks, catalog.shown) == (stocks, stocks_of(8))


# What the leader is answered.


def test_a_question_is_answered_after_a_heartbeat_with_how_far_it_is(catalog: CatalogLife) -> None:
    """The leader must hear that this catalog lives, whether a front-end is dead or not."""
    ticket = catalog.send(sends(LOG, 6, 8, sent=44.5))
    catalog.pass_time(HEARTBEAT * 0.9)
    assert catalog.answers() == {}
    catalog.pass_time(HEARTBEAT * 0.2)
    reply = catalog.answers()[ticket]
    assert (reply.applied, reply.released) == (8, 6)
    assert (reply.digest, reply.sent) == (LOG[7].digest, 44.5)
    catalog.push()
    catalog.answer()
    assert catalog.answers() == {}, "once"


def test_every_question_has_its_own_answer(catalog: CatalogLife) -> None:
    """Of a leader before, for example, or one that was repeated."""
    first = catalog.send(sends(LOG, 6, 7, sent=1.0))
    second = catalog.send(sends(LOG, 7, 8, sent=2.0))
    catalog.push()
    catalog.answer()
    catalog.push()
    catalog.answer()
    answers = catalog.answers()
    assert (answers[first].sent, answers[second].sent) == (1.0, 2.0)
    assert {reply.released for reply in answers.values()} == {8}


def test_a_stamp_says_when_the_answer_was_sent_and_not_when_the_question_came(
    catalog: CatalogLife,
) -> None:
    """What is acknowledged later is worth more."""
    ticket = catalog.send(sends(LOG, 6, 8))
    catalog.push()
    catalog.pass_time(HEARTBEAT / 2)
    catalog.answer()
    assert catalog.answers()[ticket].stamp == Stamp(1, catalog.now)


def test_an_answer_says_whether_a_lease_holds() -> None:
    catalog = CatalogLife()
    assert not catalog.apply(8).holds
    catalog.lease()
    assert catalog.apply(8).holds
    catalog.pass_time(kept(LEASE))
    assert not catalog.apply(8).holds


def test_what_does_not_fit_is_answered_with_from_where_to_go_on() -> None:
    catalog = CatalogLife()
    catalog.apply(4)
    reply = catalog.ask(sends(LOG, 5, 8))
    assert (reply.applied, reply.digest, reply.released) == (4, LOG[3].digest, 4)


def test_a_deposed_leader_is_told_so_and_grants_nothing() -> None:
    catalog = CatalogLife()
    catalog.ask(sends(LOG, 0, 6, term=5))
    reply = catalog.ask(sends(LOG, 6, 6, term=5))
    deposed = catalog.ask(sends(LOG, 6, 8, term=4, stamp=reply.stamp))
    assert (deposed.term, deposed.applied) == (5, 6)
    assert not deposed.holds
    catalog.ask(sends(LOG, 6, 6, term=5, stamp=reply.stamp))
    assert catalog.publisher.view.until > catalog.now


# The catalog's own lease.


def test_nothing_may_be_shown_without_a_lease() -> None:
    catalog = CatalogLife(index=6)
    catalog.apply(8)
    assert catalog.shown == stocks_of(8)
    assert catalog.publisher.view.until <= catalog.now


def test_a_view_ends_with_the_lease_which_is_counted_from_the_answer() -> None:
    catalog = CatalogLife()
    reply = catalog.apply(8)
    catalog.pass_time(0.5)
    catalog.apply(8, stamp=reply.stamp)
    assert catalog.publisher.view.until == reply.stamp.at_seconds + kept(LEASE)
    catalog.pass_time(0.1)
    assert catalog.publisher.view.until == reply.stamp.at_seconds + kept(LEASE)


def test_the_leader_says_how_long_a_lease_is() -> None:
    catalog = CatalogLife()
    reply = catalog.apply(8)
    catalog.ask(sends(LOG, 8, 8, stamp=reply.stamp, lease=0.5))
    assert catalog.publisher.view.until == reply.stamp.at_seconds + kept(0.5)


def test_what_an_earlier_life_acknowledged_earns_nothing() -> None:
    """This life has forgotten what it was."""
    catalog = CatalogLife()
    catalog.apply(8, stamp=Stamp(99, catalog.now))
    assert catalog.publisher.view.until <= catalog.now


def test_a_front_end_can_subscribe_only_while_there_is_a_lease() -> None:
    """One that has none cannot give any, and another catalog may have."""
    catalog = CatalogLife()
    catalog.apply(8)
    with pytest.raises(Unavailable, match="no lease"):
        catalog.subscribe()
    catalog.lease()
    catalog.subscribe()
    catalog.pass_time(kept(LEASE))
    with pytest.raises(Unavailable, match="no lease"):
        catalog.subscribe(72)


# All of it.


STEPS = ["apply", "apply", "subscribe", "push", "push", "answer", "answer", "lose", "wait"]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_however_entries_answers_and_time_come_only_what_all_know_is_released(
    data: st.DataObject,
) -> None:
    catalog = CatalogLife()
    catalog.apply(2)
    catalog.lease()
    known: dict[int, int] = {}
    waited_until: dict[int, float] = {}
    released, asked = 2, 0
    for _ in range(data.draw(st.integers(1, 40))):
        match data.draw(st.sampled_from(STEPS)):
            case "apply":
                index = catalog.projection.position.index
                upto = min(index + data.draw(st.integers(0, 2)), len(LOG))
                catalog.send(sends(LOG, index, upto, stamp=Stamp(1, catalog.now)))
                asked += 1
            case "subscribe" if catalog.now < catalog.publisher.view.until:
                life = FRONTEND + len(known)
                catalog.publisher.subscribe(
                    Subscription(address="", life=life, token=""), catalog.now
                )
                known[life], waited_until[life] = 0, catalog.now + LEASE
            case "push":
                catalog.push()
            case "answer" if catalog.pushed:
                life = data.draw(st.sampled_from(sorted(catalog.pushed)))
                if catalog.now < waited_until[life]:
                    known[life] = catalog.pushed[life].upto
                    waited_until[life] = catalog.now + LEASE
                catalog.answer(life)
            case "lose" if catalog.pushed:
                life = data.draw(st.sampled_from(sorted(catalog.pushed)))
                catalog.lose(life)
            case "wait":
                catalog.pass_time(data.draw(st.sampled_from([HEARTBEAT, 0.3, LEASE])))
        before, released = released, max(stock.version for stock in catalog.shown.values())
        assert catalog.shown == stocks_of(released), "a prefix of the log"
        assert released >= before
        for life, upto in known.items():
            if released > before and upto and catalog.now < waited_until[life]:
                assert upto >= released
        for reply in catalog.answers().values():
            asked -= 1
            assert reply.released <= released
            assert reply.applied >= reply.released
    catalog.pass_time(2 * LEASE)
    assert len(catalog.answers()) == asked
    assert catalog.shown == stocks_of(catalog.projection.position.index), (
        "no front-end is waited for"
    )


def test_a_stock_that_left_is_shown_until_every_front_end_knows(catalog: CatalogLife) -> None:
    """The other partition trades it once that is released."""
    goes = next(iter(catalog.shown))
    log = LOG[:6] + extend(LOG[:6], [Moved(goes, 1)], term=1)
    ticket = catalog.send(sends(log, 6, 7))
    catalog.push()
    assert catalog.pushed[FRONTEND].floors == {goes: 7}
    assert goes in catalog.shown
    assert catalog.answers() == {}
    assert catalog.publisher.view.whole_before < 7
    catalog.answer()
    assert goes not in catalog.shown
    assert catalog.answers()[ticket].released == 7
    assert catalog.publisher.view.whole_before == 7, "the changes since then do not tell"


def test_what_left_before_the_file_was_written_is_not_known() -> None:
    assert CatalogLife(index=6).publisher.view.whole_before == 6
