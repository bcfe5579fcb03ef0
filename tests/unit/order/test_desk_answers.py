"""The trading desk: what an answer waits for, and what becomes of it when the leader changes."""

import pytest

from tests.fakes.cluster import Cluster, Parcel, buy, sell
from tests.fakes.member import TICK, TIMING, Member, follower, hear_of_term
from twisted_bazaar.consensus.messages import Append, AppendReply, ApplyReply
from twisted_bazaar.consensus.role import Role
from twisted_bazaar.errors import KeyReused, NotLeader, OutcomeUnknown, Overloaded, Rejected
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import DEFAULT_LISTING, MAX_SHARES, Listed, Listing, Rejection, Trade
from twisted_bazaar.order.desk import Batch, Known, Placed, TradingDesk

LONG = TIMING.election_timeout + TICK


@pytest.fixture
def cluster() -> Cluster:
    """Replica 3 leads a market of ten stocks, 100 shares of each, and nothing is under way."""
    cluster = Cluster()
    cluster.open_market(3)
    cluster.pass_time(TIMING.heartbeat)
    return cluster


def acknowledgements(parcel: Parcel) -> bool:
    return isinstance(parcel.message, AppendReply)


# Rejections.


@pytest.mark.parametrize(
    ("trade", "why"),
    [
        (buy("key", 101), Rejection.NOT_ENOUGH_SHARES),
        (buy("key", 1, "Nothing"), Rejection.UNKNOWN_STOCK),
        (sell("key", MAX_SHARES), Rejection.TOO_MANY_SHARES),
    ],
)
def test_a_rejection_says_why_and_leaves_no_trace(
    cluster: Cluster, trade: Trade, why: Rejection
) -> None:
    batch = cluster.trade(3, trade)
    cluster.run()
    (outcome,) = batch.outcomes
    assert isinstance(outcome, Rejected)
    assert outcome.rejection is why
    assert cluster.members[3].replica.log.last_index == 2


def test_a_rejection_waits_for_the_log_that_it_was_judged_on(cluster: Cluster) -> None:
    """There are not enough shares only because of an order that may still be lost."""
    cluster.trade(3, buy("all", 100))
    rejected = cluster.trade(3, buy("one more"))
    cluster.run(leave=acknowledgements)
    assert rejected.outcomes == [None]
    cluster.pass_time(TIMING.heartbeat)
    assert isinstance(rejected.outcomes[0], Rejected)


def test_a_rejection_waits_until_the_catalogs_show_why() -> None:
    """The order that took the shares is committed, but the catalog still shows them: a
    client that is told that there are none must not look and find a hundred."""
    cluster = Cluster(learners=["catalog"])
    cluster.open_market(3)
    cluster.pass_time(TIMING.heartbeat)
    cluster.trade(3, buy("all", 100))
    rejected = cluster.trade(3, buy("one more"))
    cluster.cut("catalog")
    cluster.pass_time(2 * TIMING.heartbeat)
    assert cluster.members[3].replica.commit == 3
    assert rejected.outcomes == [None]
    cluster.heal()
    cluster.pass_time(2 * TIMING.heartbeat)
    assert isinstance(rejected.outcomes[0], Rejected)


def test_a_rejection_that_rests_on_a_lost_order_is_never_given(cluster: Cluster) -> None:
    """The next leader has all 100 shares: "not enough" was never true."""
    cluster.cut(3)
    first = cluster.trade(3, buy("all", 100))
    second = cluster.trade(3, buy("one more"))
    cluster.pass_time(2 * LONG)
    assert isinstance(first.outcomes[0], OutcomeUnknown)
    assert isinstance(second.outcomes[0], NotLeader)
    cluster.elect(2)
    retried = cluster.trade(2, buy("one more"))
    cluster.run()
    assert retried.outcomes == [Placed(1, replayed=False, price=1599)]


def test_a_rejection_waits_for_a_majority_that_still_follows(cluster: Cluster) -> None:
    """The log it was judged on is committed; but if another leads by now, shares may have been
    sold, and the client may know of it."""
    cluster.cut(3)
    batch = cluster.trade(3, buy("key", 101))
    cluster.pass_time(TIMING.election_timeout / 2)
    assert cluster.members[3].replica.role is Role.LEADER
    assert batch.outcomes == [None]
    cluster.pass_time(LONG)
    assert isinstance(batch.outcomes[0], NotLeader)


def test_an_answer_from_before_the_question_confirms_nothing(cluster: Cluster) -> None:
    """A replica that followed when it answered a heartbeat may have voted for another since."""
    cluster.clock.now += TIMING.heartbeat
    cluster.carry_out(cluster.members[3])
    cluster.run(leave=acknowledgements)
    earlier = cluster.under_way(AppendReply)
    assert len(earlier) == 2
    batch = cluster.trade(3, buy("key", 101))
    for parcel in earlier:
        cluster.deliver(parcel)
    assert batch.outcomes == [None]
    cluster.run()
    assert isinstance(batch.outcomes[0], Rejected)


def test_a_rejected_batch_also_waits_for_its_own_orders(cluster: Cluster) -> None:
    """The sale before it in the batch is part of what it was judged on."""
    batch = cluster.trade(3, buy("a", 60), buy("b", 60))
    cluster.run(leave=acknowledgements)
    assert batch.outcomes == [None, None]
    cluster.pass_time(TIMING.heartbeat)
    assert batch.outcomes[0] == Placed(1, replayed=False, price=1599)
    assert isinstance(batch.outcomes[1], Rejected)


# Questions.


def test_a_question_is_answered_with_the_last_number(cluster: Cluster) -> None:
    question = cluster.ask(3)
    cluster.run()
    assert question.answer == 0
    cluster.trade(3, buy("a"), buy("b"))
    cluster.run()
    question = cluster.ask(3)
    assert question.answer is None
    cluster.run()
    assert question.answer == 2
    assert question in cluster.members[3].desk.take_settled()


def test_a_question_waits_for_a_round_begun_after_it(cluster: Cluster) -> None:
    """A leader that is cut off must not say "no such order" of what the next one made."""
    cluster.cut(3)
    question = cluster.ask(3)
    cluster.pass_time(TIMING.election_timeout / 2)
    assert question.answer is None
    cluster.pass_time(LONG)
    assert isinstance(question.answer, NotLeader)


def test_questions_that_wait_together_share_rounds_in_order(cluster: Cluster) -> None:
    questions = [cluster.ask(3) for _ in range(5)]
    cluster.run(leave=lambda parcel: isinstance(parcel.message, Append))
    assert [question.answer for question in questions] == [None] * 5
    cluster.run()
    assert [question.answer for question in questions] == [0] * 5


def test_a_question_waits_for_what_the_log_held_when_it_came(cluster: Cluster) -> None:
    """An order that is under way may be known to be committed by another leader later; once
    this one says a number, what is not counted must not turn out to be older."""
    batch = cluster.trade(3, buy("key"))
    question = cluster.ask(3)
    cluster.run(leave=acknowledgements)
    assert question.answer is None
    cluster.pass_time(TIMING.heartbeat)
    assert batch.outcomes == [Placed(1, replayed=False, price=1599)]
    assert question.answer == 1


def test_a_new_leader_answers_only_once_its_first_entry_is_committed(cluster: Cluster) -> None:
    """§8: before that it does not know what is committed. Here the order is acknowledged, and
    neither follower has heard so."""
    batch = cluster.trade(3, buy("key"))
    cluster.run(leave=lambda parcel: parcel.to == 3 and parcel.source == 1)
    cluster.pool.clear()
    assert batch.outcomes == [Placed(1, replayed=False, price=1599)]
    cluster.kill(3)
    cluster.pass_time(LONG)
    assert cluster.members[2].replica.commit == 2
    cluster.nominate(2)
    cluster.pass_time(TIMING.heartbeat, leave=acknowledgements)
    assert cluster.members[2].replica.role is Role.LEADER
    assert isinstance(cluster.ask(2).answer, NotLeader)
    cluster.pass_time(TIMING.heartbeat)
    question = cluster.ask(2)
    cluster.run()
    assert question.answer == 1


def test_a_replica_that_does_not_lead_says_so(cluster: Cluster) -> None:
    question = cluster.ask(2)
    batch = cluster.trade(2, buy("key"))
    for refusal in (question.answer, batch.outcomes[0]):
        assert isinstance(refusal, NotLeader)
    assert cluster.members[2].desk.take_settled() == [question, batch]


# What a leader holds when it steps down.


def test_a_deposed_leader_says_what_it_knows(cluster: Cluster) -> None:
    """An order, or a key that belongs to one under way: the next leader may have it or not. A
    rejection or a question had no effect: ask the next leader."""
    known = cluster.trade(3, buy("known"))
    cluster.run()
    cluster.cut(3)
    batch = cluster.trade(3, buy("a"), buy("a"), buy("a", 2), buy("b", 1000), buy("known"))
    question = cluster.ask(3)
    assert batch.outcomes == [None] * 4 + [Placed(1, replayed=True, price=1599)]
    hear_of_term(cluster.members[3], 9)
    cluster.carry_out(cluster.members[3])
    order, replayed, reused, rejected, _ = batch.outcomes
    assert isinstance(order, OutcomeUnknown)
    assert isinstance(replayed, OutcomeUnknown)
    assert isinstance(reused, OutcomeUnknown)
    assert not isinstance(reused, KeyReused)
    assert isinstance(rejected, NotLeader)
    assert isinstance(question.answer, NotLeader)
    assert cluster.members[3].desk.take_settled() == [known, batch, question]


def test_the_outcome_is_unknown_whichever_way_it_goes(cluster: Cluster) -> None:
    """Two trades, the same answer; one order lives on with the next leader, one does not."""
    cluster.cut(3, outbound=False)
    lives = cluster.trade(3, buy("lives"))
    cluster.run()
    cluster.cut(3)
    dies = cluster.trade(3, buy("dies"))
    cluster.pass_time(2 * LONG)
    assert isinstance(lives.outcomes[0], OutcomeUnknown)
    assert isinstance(dies.outcomes[0], OutcomeUnknown)
    cluster.elect(2)
    retried = cluster.trade(2, buy("lives"), buy("dies"))
    cluster.run()
    assert retried.outcomes == [
        Placed(1, replayed=True, price=1599),
        Placed(2, replayed=False, price=1599),
    ]


def test_a_leader_of_two_terms_in_a_row_holds_nothing_of_the_first(cluster: Cluster) -> None:
    """It steps down and wins again: what it held is answered as by any deposed leader."""
    cluster.cut(3)
    batch = cluster.trade(3, buy("key"))
    cluster.pass_time(2 * LONG)
    cluster.heal()
    cluster.elect(3)
    assert isinstance(batch.outcomes[0], OutcomeUnknown)
    retried = cluster.trade(3, buy("key"))
    cluster.run()
    assert retried.outcomes == [Placed(1, replayed=True, price=1599)]


# Market data from the leader, for when no catalog answers.


def shown(cluster: Cluster, id: int) -> tuple[int, int]:
    """What replica `id` would show of a stock: its quantity and version."""
    stock = cluster.members[id].desk.released_stocks["GameStart"]
    return stock.quantity, stock.version


def test_the_leader_shows_what_is_released_and_no_more() -> None:
    """A catalog may still show the old quantity to others."""
    cluster = Cluster(learners=["catalog"])
    cluster.open_market(3)
    cluster.pass_time(2 * TIMING.lease)
    cluster.learners["catalog"].releases = 2
    cluster.trade(3, buy("key", 7))
    cluster.pass_time(2 * TIMING.heartbeat)
    assert cluster.members[3].desk.ledger.stocks["GameStart"].quantity == 93
    assert shown(cluster, 3) == (100, 2)
    cluster.learners["catalog"].releases = 3
    cluster.pass_time(2 * TIMING.heartbeat)
    assert shown(cluster, 3) == (93, 3)


def test_a_lookup_at_the_leader_shows_all_that_a_catalog_may_have_shown_before() -> None:
    """The catalog is a moment ahead: it has released an order, and the leader has not heard so.
    By the time that the question is answered, it has."""
    cluster = Cluster(learners=["catalog"])
    cluster.open_market(3)
    cluster.learners["catalog"].takes_proposals = False
    cluster.pass_time(2 * TIMING.lease)
    cluster.trade(3, buy("key", 7))
    cluster.run(leave=lambda parcel: parcel.to in (1, 2))
    cluster.run(leave=lambda parcel: isinstance(parcel.message, ApplyReply))
    assert cluster.learners["catalog"].ledger.stocks["GameStart"].quantity == 93
    question = cluster.ask(3)
    cluster.run(leave=lambda parcel: isinstance(parcel.message, ApplyReply))
    assert (question.answer, shown(cluster, 3)) == (None, (100, 2))
    cluster.run()
    assert (question.answer, shown(cluster, 3)) == (1, (93, 3))


def test_every_replica_knows_what_is_released(cluster: Cluster) -> None:
    """The next leader begins with that, also of stocks that were only listed."""
    cluster.trade(3, buy("a", 7))
    cluster.trade(3, buy("b", 1))
    cluster.pass_time(3 * TIMING.heartbeat)
    for member in cluster.members.values():
        assert member.desk.released_stocks == member.desk.ledger.stocks
        assert len(member.desk.released_stocks) == len(DEFAULT_LISTING)
    assert shown(cluster, 1) == (92, 4)


def test_a_desk_that_begins_in_the_middle_shows_what_was_released_before() -> None:
    """It was in the index on disk, and is none of the entries that come now."""
    ledger = Ledger()
    ledger.apply(2, Listed(DEFAULT_LISTING))
    desk = TradingDesk(follower().replica, ledger, 2)
    assert desk.released_stocks == ledger.stocks
    assert desk.released_stocks is not ledger.stocks


# Bounds.


def lone(capacity: int) -> Member:
    """A replica of one with so small a desk; it leads an open market, its disk is slow."""
    member = follower(peers=())
    member.desk = TradingDesk(member.replica, Ledger(), 0, capacity)
    member.win()
    member.desk.list_stocks(DEFAULT_LISTING)
    member.carry_out()
    member.slow_disk = True
    return member


def decide(member: Member, *trades: Trade) -> Batch:
    batch = Batch(trades)
    assert member.desk.decide(batch, Known({}, 0), member.clock.now)
    member.carry_out()
    return batch


def test_a_batch_that_does_not_fit_the_queue_is_refused_whole() -> None:
    """At once, and with nothing executed: the client may send it again later."""
    member = lone(capacity=3)
    held = decide(member, buy("a"), buy("b"))
    last = member.replica.log.last_index
    refused = decide(member, buy("c"), buy("d"))
    assert all(isinstance(outcome, Overloaded) for outcome in refused.outcomes)
    assert member.replica.log.last_index == last
    assert held.outcomes == [None, None]
    member.finish_write()
    assert held.outcomes == [
        Placed(1, replayed=False, price=1599),
        Placed(2, replayed=False, price=1599),
    ]
    retried = decide(member, buy("c"), buy("d"))
    member.finish_write()
    assert retried.outcomes == [
        Placed(3, replayed=False, price=1599),
        Placed(4, replayed=False, price=1599),
    ]


def test_a_queue_that_is_just_full_is_no_overload() -> None:
    member = lone(capacity=3)
    decide(member, buy("a"), buy("b"))
    assert decide(member, buy("c")).outcomes == [None]
    assert isinstance(decide(member, buy("d")).outcomes[0], Overloaded)


def test_what_waits_for_a_round_counts_for_the_queue(cluster: Cluster) -> None:
    leading = cluster.members[3]
    leading.desk._capacity = 2
    cluster.trade(3, buy("a", 1000))
    cluster.ask(3)
    assert isinstance(cluster.trade(3, buy("b")).outcomes[0], Overloaded)
    cluster.run()
    batch = cluster.trade(3, buy("b"))
    cluster.run()
    assert batch.outcomes == [Placed(1, replayed=False, price=1599)]


# The listing.


def test_a_first_leader_wants_a_listing_and_takes_it_once() -> None:
    cluster = Cluster()
    assert not any(member.desk.wants_listing for member in cluster.members.values())
    leading = cluster.elect(3)
    assert leading.desk.wants_listing
    assert not cluster.members[2].desk.wants_listing
    leading.desk.list_stocks([Listing("One", 100, 5)])
    leading.desk.list_stocks([Listing("Two", 100, 5)])
    cluster.carry_out(leading)
    assert not leading.desk.wants_listing
    cluster.pass_time(2 * TIMING.heartbeat)
    assert all(set(m.desk.ledger.stocks) == {"One"} for m in cluster.members.values())


def test_who_does_not_lead_lists_nothing() -> None:
    cluster = Cluster()
    cluster.elect(3)
    cluster.members[2].desk.list_stocks(DEFAULT_LISTING)
    assert cluster.members[2].replica.log.last_index == 1


def test_trades_before_the_listing_are_not_judged() -> None:
    """ "Unknown stock" would be wrong in a moment."""
    cluster = Cluster()
    cluster.elect(3)
    assert isinstance(cluster.trade(3, buy("key")).outcomes[0], NotLeader)
    assert cluster.members[3].replica.log.last_index == 1


def test_a_listing_under_way_is_not_made_again_by_the_next_leader() -> None:
    """It has it in its log; and if no replica has it, the next leader lists."""
    for spread in (True, False):
        cluster = Cluster()
        leading = cluster.elect(3)
        cluster.pass_time(TIMING.heartbeat)
        cluster.cut(3, outbound=not spread)
        leading.desk.list_stocks(DEFAULT_LISTING)
        cluster.carry_out(leading)
        cluster.run()
        cluster.kill(3)
        cluster.heal()
        cluster.pass_time(2 * LONG)
        cluster.elect(2)
        assert cluster.members[2].desk.wants_listing is not spread
        cluster.members[2].desk.list_stocks(DEFAULT_LISTING)
        batch = cluster.trade(2, buy("key"))
        cluster.run()
        assert batch.outcomes == [Placed(1, replayed=False, price=1599)]
