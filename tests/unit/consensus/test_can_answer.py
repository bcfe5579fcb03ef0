"""When a replica says that it leads and could answer."""

from tests.fakes.member import (
    TIMING,
    Member,
    append_reply_with,
    disk,
    entries_of,
    follower,
    hear_of_term,
)
from twisted_bazaar.consensus.messages import Append


def leading() -> Member:
    """Replica 1 leads, and no peer has answered an append. Its log ends with entry 3, its own."""
    member = Member(1, (2, 3), ("catalog",), storage=disk(1, 0, entries_of(1, 1)))
    member.clock.now += 2 * TIMING.election_timeout
    member.win(2, 3)
    return member


def can_answer(member: Member) -> bool:
    return member.replica.can_answer(member.clock.now)


def acknowledge(member: Member) -> None:
    """Peer 2 has all that it was sent."""
    for request in member.take(Append):
        if request.to == 2:
            message = request.message
            index = message.previous_index + len(message.entries)
            member.step(
                append_reply_with(
                    term=member.replica.term, follower=2, index=index, sent=message.sent
                )
            )


def led_for_a_lease() -> Member:
    """It leads, and a lease that an earlier leader granted to the catalog has run out."""
    member = leading()
    for _ in range(round(4 * TIMING.lease / TIMING.heartbeat)):
        acknowledge(member)
        member.pass_time(TIMING.heartbeat)
    acknowledge(member)
    return member


def test_not_while_it_follows() -> None:
    assert not can_answer(follower(1, 1))


def test_not_before_its_first_entry_is_released() -> None:
    member = leading()
    assert not can_answer(member)
    acknowledge(member)
    assert member.replica.commit == 3
    assert not can_answer(member), "the catalog may show less, as an earlier leader's"
    assert can_answer(led_for_a_lease())


def test_not_once_a_majority_has_been_silent_for_an_election_timeout() -> None:
    member = led_for_a_lease()
    member.clock.now += TIMING.election_timeout - 0.001
    assert can_answer(member)
    member.clock.now += 0.002
    assert member.replica.leads, "before the next tick, as after a pause of the process"
    assert not can_answer(member)


def test_not_once_it_hears_of_a_later_term() -> None:
    member = led_for_a_lease()
    hear_of_term(member, member.replica.term + 1)
    assert not can_answer(member)
