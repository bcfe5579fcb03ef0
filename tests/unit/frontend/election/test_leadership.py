"""Leadership: which replica leads, and which is nominated: the highest id first, each in turn."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.replicas import LOST, follows, leads, refused, won
from twisted_bazaar.consensus.messages import CampaignReply
from twisted_bazaar.frontend.election.leadership import Leadership

REPLICAS = (1, 2, 3)


def leaderless(*silent: int) -> Leadership:
    """All were pinged once; those that are not `silent` answered that they follow."""
    leadership = Leadership(REPLICAS)
    for replica in REPLICAS:
        if replica in silent:
            leadership.silent(replica)
        else:
            leadership.heard(follows(replica))
    return leadership


def led_by(leader: int, term: int = 1) -> Leadership:
    leadership = leaderless()
    leadership.heard(leads(leader, term))
    assert leadership.leader == leader
    return leadership


def test_the_highest_id_is_nominated_first() -> None:
    assert leaderless().nominee(0.0) == 3
    assert leaderless(3).nominee(0.0) == 2
    assert leaderless(3, 2).nominee(0.0) == 1
    assert leaderless(1, 2, 3).nominee(0.0) is None


def test_ids_are_compared_as_numbers_in_any_order() -> None:
    leadership = Leadership([9, 10, 2])
    for replica in (2, 9, 10):
        leadership.heard(follows(replica))
    assert leadership.nominee(0.0) == 10


def test_no_replica_is_nominated_until_every_replica_was_pinged_once() -> None:
    """The one that has not answered yet may lead."""
    leadership = Leadership(REPLICAS)
    for replica in (3, 1):
        assert leadership.nominee(0.0) is None
        leadership.heard(follows(replica))
    assert leadership.nominee(0.0) is None
    leadership.silent(2)
    assert leadership.nominee(0.0) == 3


def test_a_replica_that_returns_does_not_depose_the_leader() -> None:
    leadership = leaderless(3)
    leadership.heard(leads(2))
    leadership.heard(follows(3))
    assert leadership.leader == 2
    assert leadership.nominee(0.0) is None


def test_a_leader_that_answers_that_it_follows_is_none() -> None:
    leadership = led_by(3)
    leadership.heard(follows(3))
    assert leadership.leader == 0
    assert leadership.nominee(0.0) == 3


def test_a_leader_that_is_silent_is_none() -> None:
    leadership = led_by(3)
    leadership.silent(3)
    assert leadership.leader == 0
    assert leadership.nominee(0.0) == 2


def test_what_becomes_of_others_does_not_touch_the_leader() -> None:
    leadership = led_by(2)
    leadership.silent(3)
    leadership.doubt(1)
    leadership.heard(follows(1))
    assert leadership.leader == 2


def test_the_leader_of_the_higher_term_is_followed() -> None:
    leadership = led_by(3, term=4)
    leadership.heard(leads(2, term=5))
    assert (leadership.leader, leadership.term) == (2, 5)


def test_a_leader_of_a_lower_term_is_not_followed() -> None:
    """It does not know yet that it was deposed."""
    leadership = led_by(3, term=5)
    leadership.heard(leads(2, term=4))
    assert (leadership.leader, leadership.term) == (3, 5)
    leadership.heard(leads(3, term=5))
    assert (leadership.leader, leadership.term) == (3, 5)


def test_a_leader_of_a_lower_term_is_better_than_none() -> None:
    """It takes no trade unless a majority still follows it, and says so soon."""
    leadership = led_by(3, term=5)
    leadership.silent(3)
    leadership.heard(leads(2, term=4))
    assert (leadership.leader, leadership.term) == (2, 4)
    leadership.heard(follows(2, term=5))
    assert (leadership.leader, leadership.term) == (0, 0)


def test_a_leader_in_doubt_leads_only_if_it_says_so_anew() -> None:
    leadership = led_by(3)
    leadership.doubt(3)
    assert leadership.leader == 0
    leadership.heard(leads(3))
    assert leadership.leader == 3


def test_the_winner_of_a_campaign_leads() -> None:
    leadership = leaderless()
    assert leadership.campaigned(3, won(3, 2), 10.0) == 10.0
    assert (leadership.leader, leadership.term) == (3, 2)
    assert leadership.followers == [2, 1]


def test_only_followers_that_can_be_reached_are_to_be_told() -> None:
    leadership = leaderless(2)
    leadership.campaigned(3, won(3, 2), 10.0)
    assert leadership.followers == [1]


def test_a_victory_in_a_term_that_is_over_deposes_no_leader() -> None:
    leadership = leaderless()
    leadership.heard(leads(2, term=7))
    leadership.campaigned(3, won(3, 6), 10.0)
    assert (leadership.leader, leadership.term) == (2, 7)


def test_a_replica_that_has_to_wait_is_asked_again_when_its_wait_is_over() -> None:
    """Not the next id: it would have to wait as well, and the highest is to win."""
    leadership = leaderless()
    assert leadership.campaigned(3, refused(0.2), 10.0) == 10.2
    assert leadership.nominee(10.1) is None
    assert leadership.nominee(10.2) == 3


def test_one_that_cannot_lead_now_defers_itself_and_not_the_others() -> None:
    leadership = leaderless()
    suspect = CampaignReply(leader=0, term=0, wait=0.3, unable="it is suspect")
    assert leadership.campaigned(3, suspect, 10.0) == 10.0
    assert leadership.nominee(10.0) == 2


def test_a_candidate_is_asked_again_and_no_other_replica_before() -> None:
    """Another campaign would raise the term, and take the votes away that it has won."""
    leadership = leaderless()
    leadership.campaigned(
        3, CampaignReply(leader=0, term=1, wait=0.0, unable="it is catching up"), 10.0
    )
    going_on = CampaignReply(leader=0, term=2, wait=0.06, campaigning=True)
    for now in (10.0, 11.0, 12.0):
        assert leadership.nominee(now) == 2
        assert leadership.campaigned(2, going_on, now) == pytest.approx(now + 0.06)
        assert leadership.nominee(now + 0.05) is None
    leadership.campaigned(2, won(2, 2), 13.0)
    assert leadership.leader == 2


def test_a_replica_that_restarts_repeatedly_does_not_make_the_others_wait_for_ever() -> None:
    leadership = leaderless()
    for now in (10.0, 10.25, 10.5):
        assert leadership.nominee(now) == 3
        assert leadership.campaigned(3, refused(0.25), now) == now + 0.25
        assert leadership.nominee(now) is None
    assert leadership.campaigned(3, refused(0.25), 10.75) == 10.75
    assert leadership.nominee(10.75) == 2


def test_all_wait_as_long_as_a_leader_is_heard() -> None:
    leadership = leaderless()
    for tenth in range(100, 150, 2):
        now = tenth / 10
        assert leadership.campaigned(3, refused(0.2, leader=2), now) == pytest.approx(now + 0.2)
        assert leadership.nominee(now) is None


def test_no_wait_is_longer_than_an_election_timeout() -> None:
    leadership = leaderless()
    assert leadership.campaigned(3, refused(1e9, leader=2), 10.0) == 10.3


def test_two_that_do_not_answer_nominations_do_not_keep_the_third_from_its_turn() -> None:
    """Though both answer pings all the time."""
    leadership = leaderless()
    for nominee in (3, 2):
        assert leadership.nominee(10.0) == nominee
        leadership.campaigned(nominee, None, 10.0)
        for replica in (3, 2):
            leadership.heard(follows(replica))
    assert leadership.nominee(10.0) == 1


def test_the_next_id_is_asked_when_one_has_lost() -> None:
    leadership = leaderless()
    for nominee, after in ((3, 2), (2, 1), (1, None)):
        assert leadership.nominee(10.0) == nominee
        assert leadership.campaigned(nominee, LOST, 10.0) == 10.0
        assert leadership.nominee(10.0) == after
    assert leadership.nominee(11.0) == 3, "and from the highest again, after a while"


def test_the_next_id_is_asked_when_one_cannot_be_reached() -> None:
    leadership = leaderless()
    assert leadership.campaigned(3, None, 10.0) == 10.0
    assert leadership.nominee(10.0) == 2
    leadership.heard(follows(3))
    assert leadership.nominee(10.0) == 2, "pings may reach it though nominations do not"
    assert leadership.campaigned(2, LOST, 10.0) == 10.0
    assert leadership.nominee(10.0) == 1
    assert leadership.campaigned(1, LOST, 10.0) == 10.0
    assert leadership.nominee(11.0) == 3, "each had its turn"


def test_one_that_names_another_leader_ends_no_search_by_itself() -> None:
    """A replica that cannot be reached from here cannot be sent trades, though others hear it."""
    leadership = leaderless(2)
    leadership.campaigned(3, refused(0.2, leader=2, term=4), 10.0)
    assert leadership.leader == 0
    leadership.heard(leads(2, term=4))
    assert leadership.leader == 2


def test_a_replica_that_lost_before_is_asked_at_once_when_the_next_leader_is_gone() -> None:
    leadership = leaderless()
    leadership.campaigned(3, LOST, 10.0)
    leadership.campaigned(2, won(2, 2), 10.0)
    leadership.silent(2)
    assert leadership.nominee(10.0) == 3


def test_a_report_has_what_each_said_last_and_whether_it_answers_now() -> None:
    leadership = Leadership(REPLICAS)
    leadership.heard(leads(3, term=2))
    leadership.heard(follows(1))
    leadership.silent(1)
    assert list(leadership.statuses.items()) == [
        (1, (follows(1), False)),
        (2, (None, False)),
        (3, (leads(3, term=2), True)),
    ]


@pytest.mark.parametrize(
    ("leader", "silent", "order"),
    [(0, (), [3, 2, 1]), (2, (), [2, 3, 1]), (1, (3,), [1, 2, 3]), (0, (3, 2), [1, 3, 2])],
)
def test_the_leader_is_trusted_most_and_then_those_that_answer(
    leader: int, silent: tuple[int, ...], order: list[int]
) -> None:
    leadership = leaderless(*silent)
    if leader:
        leadership.heard(leads(leader))
    assert leadership.by_trust() == order


replicas = st.sampled_from(REPLICAS)
terms = st.integers(1, 4)
happenings = st.lists(
    st.one_of(
        st.tuples(st.just("follows"), replicas, terms),
        st.tuples(st.just("leads"), replicas, terms),
        st.tuples(st.just("silent"), replicas),
        st.tuples(st.just("doubt"), replicas),
        st.tuples(st.just("campaigned"), st.sampled_from(["won", "lost", "refused", "nothing"])),
        st.tuples(st.just("later"), st.floats(0.01, 0.5)),
    ),
    max_size=30,
)


@given(st.booleans(), happenings)
def test_a_nominee_always_answers_pings_and_there_is_none_while_one_leads(
    all_follow: bool, happened: list
) -> None:
    if all_follow:
        happened = [("follows", replica, 1) for replica in REPLICAS] + happened
    leadership, now = Leadership(REPLICAS), 0.0
    answers: dict[int, bool] = {}
    claims: set[int] = set()
    waiting_until = 0.0
    for what, *about in happened:
        nominee = leadership.nominee(now)
        if leadership.leader:
            assert nominee is None
            assert leadership.leader in claims, "only one that said so itself leads"
            assert answers[leadership.leader]
        if nominee is not None:
            assert answers[nominee]
            assert len(answers) == len(REPLICAS)
            assert now >= waiting_until
        if what == "later":
            now += about[0]
        elif what == "follows":
            leadership.heard(follows(*about))
            answers[about[0]] = True
            claims.discard(about[0])
        elif what == "leads":
            leadership.heard(leads(*about))
            answers[about[0]] = True
            claims.add(about[0])
        elif what == "silent":
            leadership.silent(about[0])
            answers[about[0]] = False
            claims.discard(about[0])
        elif what == "doubt":
            leadership.doubt(about[0])
            claims.discard(about[0])
        elif nominee is not None and about == ["won"]:
            leadership.campaigned(nominee, won(nominee, 4), now)
            claims.add(nominee)
            waiting_until = 0.0
        elif nominee is not None and about == ["lost"]:
            leadership.campaigned(nominee, LOST, now)
            assert leadership.nominee(now) != nominee
        elif nominee is not None and about == ["refused"]:
            waiting_until = leadership.campaigned(nominee, refused(0.3), now)
        elif nominee is not None:
            leadership.campaigned(nominee, None, now)
            claims.discard(nominee)
            assert leadership.nominee(now) != nominee


def test_what_a_leader_understands_is_known_for_the_term_in_which_it_said_so() -> None:
    leadership = leaderless()
    assert leadership.level is None
    leadership.heard(msgspec.structs.replace(leads(3, 1), level=1))
    assert leadership.level == 1
    leadership.doubt(3)
    assert leadership.level is None
    # Another process may have taken its place.
    leadership.campaigned(3, won(3, 2), 0.0)
    assert (leadership.leader, leadership.level) == (3, None)
    leadership.heard(leads(3, 2))
    assert leadership.level == 0


def test_a_new_member_is_nominated_only_once_it_counts() -> None:
    leadership = leaderless()
    leadership.members_are((1, 2, 3, 4), joining=(4,))
    leadership.heard(follows(4))
    assert leadership.nominee(0.0) == 3
    assert leadership.by_trust()[-1] == 4
    leadership.members_are((1, 2, 3, 4), joining=())
    assert leadership.nominee(0.0) == 4


def test_a_joining_member_that_does_not_answer_holds_up_no_election() -> None:
    leadership = leaderless()
    leadership.members_are((1, 2, 3, 4), joining=(4,))
    assert leadership.nominee(0.0) == 3


def test_a_leader_that_was_removed_is_followed_no_longer() -> None:
    leadership = led_by(3)
    leadership.members_are((1, 2), joining=())
    assert leadership.leader == 0
    assert leadership.nominee(0.0) == 2
    assert leadership.statuses.keys() == {1, 2}


def test_the_cluster_is_what_a_majority_of_those_that_count_names() -> None:
    leadership = Leadership(REPLICAS)
    leadership.members_are((1, 2, 3, 4, 5), joining=(4, 5))
    for replica, cluster in ((1, "ours"), (4, "other"), (5, "other"), (3, "ours")):
        assert not leadership.is_certain
        leadership.heard(msgspec.structs.replace(follows(replica), cluster=cluster))
    assert leadership.is_certain
    assert leadership.cluster == "ours"
