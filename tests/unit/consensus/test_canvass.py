"""What the answers to polls amount to: wait, fetch, go ahead, or give up."""

from tests.fakes.member import disk, entries_of
from twisted_bazaar.consensus.canvass import Canvass, FetchFrom, GoAhead, Purpose
from twisted_bazaar.consensus.log import Log
from twisted_bazaar.consensus.membership import first_membership
from twisted_bazaar.consensus.messages import FetchReply, PollReply
from twisted_bazaar.consensus.nomination import AnotherLeads, Refused

MINE = (2, 7)
"""Last term and last index of the log of the replica that asks."""


def log(last: tuple[int, int] = MINE) -> Log:
    """A log that ends there."""
    term, index = last
    return Log(disk(term, 0, entries_of(*[1] * (index - 1), term)))


def reply(
    replica: int, last: tuple[int, int] = MINE, term: int = 2, leader: int = 0, wait: float = 0.0
) -> PollReply:
    return PollReply(
        replica=replica, term=term, last_index=last[1], last_term=last[0], leader=leader, wait=wait
    )


def canvass(*replies: PollReply, size: int = 3, purpose: Purpose = Purpose.CAMPAIGN) -> Canvass:
    """Replica 1 polls the others, waits for answers until 1.0, and got these."""
    made = Canvass(
        replica=1,
        membership=first_membership(1, range(2, size + 1), join=False),
        purpose=purpose,
        nonce=0,
        now=0.9,
        poll_seconds=0.1,
        catch_up_seconds=2.0,
    )
    for each in replies:
        made.answered(each, 0.9)
    return made


def verdict(asking: Canvass, now: float, last: tuple[int, int] = MINE) -> object:
    """Of a replica in term 2, whose log ends so."""
    return asking.verdict(log(last), 2, False, False, now)


def test_all_are_waited_for_but_not_for_ever() -> None:
    """The one that is silent may be the furthest."""
    asking = canvass(reply(2))
    assert verdict(asking, 0.95) is None
    assert verdict(asking, 1.0) == GoAhead(2)
    asking.answered(reply(3, last=(2, 8)), 0.9)
    assert verdict(asking, 0.95) == FetchFrom(3)


def test_who_is_gone_is_not_waited_for() -> None:
    asking = canvass(reply(2))
    asking.lost(3, 0.9)
    assert verdict(asking, 0.9) == GoAhead(2)


def test_the_furthest_is_fetched_from() -> None:
    """By the last term, then by the last index (§5.4.1), among all that answered."""
    longer, newer = reply(2, last=(1, 99)), reply(3, last=(3, 1))
    assert verdict(canvass(longer, newer), 1.0) == FetchFrom(3)
    assert verdict(canvass(reply(2, last=(2, 8)), reply(3, last=(2, 9))), 1.0) == FetchFrom(3)
    assert verdict(canvass(longer, reply(3)), 1.0) == GoAhead(2)


def test_nothing_is_decided_while_something_is_fetched() -> None:
    asking = canvass(reply(2, last=(3, 9)), reply(3))
    asking.source = 2
    assert verdict(asking, 2.0) is None


def test_a_source_counts_for_what_it_said_last() -> None:
    """It may have got further since it was polled, or fallen back."""
    asking = canvass(reply(2, last=(3, 9)), reply(3, last=(3, 5)))
    asking.source = 2
    asking.fetched(
        FetchReply(replica=2, term=4, after=7, fits=True, entries=(), last_index=7, last_term=2),
        log(),
        0,
    )
    assert verdict(asking, 1.0) == FetchFrom(3)
    assert verdict(asking, 1.0, (3, 5)) == GoAhead(4)


def test_a_source_that_is_lost_is_left_for_the_next() -> None:
    asking = canvass(reply(2, last=(3, 9)), reply(3, last=(3, 5)), size=4)
    asking.source = 2
    asking.lost(2, 0.9)
    assert asking.source is None
    asking.answered(reply(4), 0.9)
    assert verdict(asking, 1.0) == FetchFrom(3)


def test_another_that_is_lost_does_not_end_a_fetch() -> None:
    asking = canvass(reply(2, last=(3, 9)), reply(3))
    asking.source = 2
    asking.lost(3, 0.9)
    assert asking.source == 2


def test_a_campaign_needs_a_majority_that_would_vote() -> None:
    """PreVote: the candidate's own vote, and those who hear no leader."""
    hears = reply(2, leader=3, wait=0.2)
    assert verdict(canvass(hears, reply(3, leader=3, wait=0.3)), 1.0) == AnotherLeads(3, 0.3)
    assert verdict(canvass(hears, reply(3)), 1.0) == GoAhead(2)
    assert verdict(canvass(hears, reply(3), size=5), 1.0) == AnotherLeads(3, 0.2)


def test_a_campaign_without_answers_is_refused_at_once() -> None:
    asking = canvass()
    asking.lost(2, 0.9)
    asking.lost(3, 0.9)
    assert verdict(asking, 0.9) == Refused()


def test_nothing_is_fetched_for_a_campaign_without_a_chance() -> None:
    further = reply(2, last=(9, 9), leader=2, wait=0.2)
    assert verdict(canvass(further), 1.0) == AnotherLeads(2, 0.2)


def test_a_resync_asks_nobody_for_votes() -> None:
    hears = reply(2, last=(3, 9), leader=3, wait=0.2)
    assert verdict(canvass(hears, purpose=Purpose.RESYNC), 1.0) == FetchFrom(2)
    assert verdict(canvass(purpose=Purpose.RESYNC), 1.0) == GoAhead(0)


def test_the_highest_term_that_anybody_named_is_told() -> None:
    """So that the next is higher than all, and no vote is asked for in vain."""
    assert verdict(canvass(reply(2, term=6), reply(3, term=9)), 1.0) == GoAhead(9)


def test_a_cluster_of_one_goes_ahead() -> None:
    assert verdict(canvass(size=1), 0.9) == GoAhead(0)
