"""What may be said at once, and what only after the disk holds the reason."""

from tests.fakes.member import append_reply_with, append_with, entries_of
from twisted_bazaar.consensus.log import Log, MemoryStorage, Write
from twisted_bazaar.consensus.messages import (
    AppendReply,
    Declined,
    Fetch,
    Reply,
    Request,
    Vote,
    VoteReply,
)
from twisted_bazaar.consensus.outbox import Outbox

NOW = 5.0


def acknowledgement(index: int, term: int = 1) -> Reply:
    return Reply(
        f"append {index}",
        AppendReply(term=term, follower=1, fits=True, index=index, round=7, sent=3.5),
    )


class Owner:
    """An outbox and the log beside it."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.log = Log(MemoryStorage())
        self.term = 1
        self.vote = 0
        self.start()

    def start(self) -> Write | None:
        """Start a write, if there is one to start."""
        return self.outbox.take_write(self.log, self.term, self.vote)

    def said(self) -> list[Request | Reply]:
        return self.outbox.take_messages()


def test_what_rests_on_nothing_is_said_at_once_even_during_a_write() -> None:
    owner = Owner()
    fetch = Request(2, Fetch(replica=1, after=0, digest=""))
    owner.outbox.say([fetch])
    assert owner.said() == [fetch]
    assert owner.said() == []


def test_what_rests_on_the_log_waits_for_the_write_begun_after_it() -> None:
    owner = Owner()
    owner.log.append(entries_of(1, 1))
    owner.outbox.say_after_write([acknowledgement(2)], NOW)
    assert owner.start() is None  # the first is still under way
    assert owner.said() == []
    owner.outbox.written()
    assert owner.said() == []
    assert owner.start() is not None
    assert owner.said() == []
    owner.outbox.written()
    assert owner.said() == [acknowledgement(2)]


def test_what_rests_on_what_is_on_disk_already_is_said_at_once() -> None:
    """There is nothing to write, and nothing under way."""
    owner = Owner()
    owner.outbox.written()
    owner.outbox.say_after_write([acknowledgement(0)], NOW)
    assert owner.start() is None
    assert owner.said() == [acknowledgement(0)]


def test_what_needs_no_write_still_waits_for_the_one_under_way() -> None:
    """It may rest on what is in it."""
    owner = Owner()
    owner.outbox.say_after_write([acknowledgement(0)], NOW)
    assert owner.start() is None
    assert owner.said() == []
    owner.outbox.written()
    assert owner.start() is None
    assert owner.said() == [acknowledgement(0)]


def test_one_write_at_a_time_is_under_way() -> None:
    owner = Owner()
    owner.log.append(entries_of(1))
    assert owner.start() is None
    owner.outbox.written()
    write = owner.start()
    assert write == Write(1, 0, None, tuple(entries_of(1)))
    owner.outbox.written()
    assert owner.start() is None


def test_an_acknowledgement_of_an_earlier_term_becomes_a_refusal() -> None:
    """It names the term, so that the leader of the earlier one steps down; and if that is the
    leader of this term, too, it is no answer to one of its rounds."""
    owner = Owner()
    owner.outbox.written()
    owner.log.append(entries_of(1, 1))
    owner.outbox.say_after_write([acknowledgement(2)], NOW)
    owner.log.truncate(1)
    owner.term = 4
    assert owner.start() is not None
    owner.outbox.written()
    assert owner.said() == [
        Reply("append 2", AppendReply(term=4, follower=1, fits=False, index=1, round=0, sent=3.5))
    ]


def test_an_acknowledgement_that_is_being_written_stays_one() -> None:
    """The write that it waits for holds the entries, though the term has changed since."""
    owner = Owner()
    owner.outbox.written()
    owner.log.append(entries_of(1, 1))
    owner.outbox.say_after_write([acknowledgement(2)], NOW)
    assert owner.start() is not None
    owner.log.truncate(1)
    owner.term = 4
    assert owner.start() is None
    owner.outbox.written()
    assert owner.said() == [acknowledgement(2)]


def test_votes_and_requests_of_an_earlier_term_stay_as_they_are() -> None:
    """A vote of term 1 that is given in term 4 misleads no candidate: no other can be given in
    term 1 by then. Nor does a request for one."""
    owner = Owner()
    owner.outbox.written()
    vote = Reply("vote", VoteReply(term=1, voter=1, granted=True))
    requests = [
        Request(2, Vote(term=1, candidate=1, last_index=0, last_term=0)),
        Request(
            2,
            append_with(term=1, leader=1),
        ),
    ]
    owner.outbox.say_after_write([vote, *requests], NOW)
    owner.term = 4
    assert owner.start() == Write(4, 0, None, ())
    owner.outbox.written()
    assert owner.said() == [vote, *requests]


# What waits for long.


def held(owner: Owner, *replies: Reply) -> None:
    """`replies` came at `NOW`, while a write with entries 1 and 2 is under way."""
    owner.outbox.written()
    owner.log.append(entries_of(1, 1))
    assert owner.start() is not None
    owner.outbox.say_after_write(replies, NOW)
    assert owner.start() is None


def tick(owner: Owner, now: float) -> None:
    owner.outbox.tick(now - 1.0, now - 2.0, owner.log, owner.term)


def test_an_acknowledgement_that_waits_for_long_is_given_for_what_is_on_disk() -> None:
    owner = Owner()
    held(owner, acknowledgement(2))
    tick(owner, NOW + 0.9)
    assert owner.said() == []
    tick(owner, NOW + 1.0)
    early = Reply("append 2", append_reply_with(term=1, follower=1, round=7, sent=3.5, taken=2))
    assert owner.said() == [early]
    owner.outbox.written()
    assert owner.said() == []


def test_one_that_waits_for_long_in_an_earlier_term_becomes_a_refusal() -> None:
    owner = Owner()
    held(owner, acknowledgement(2))
    owner.term = 4
    tick(owner, NOW + 1.0)
    assert owner.said() == [
        Reply("append 2", AppendReply(term=4, follower=1, fits=False, index=2, round=0, sent=3.5))
    ]


def test_a_refusal_that_waits_for_long_is_given_as_it_is() -> None:
    owner = Owner()
    refusal = Reply(
        "append", AppendReply(term=1, follower=1, fits=False, index=9, round=7, sent=3.5)
    )
    held(owner, refusal)
    tick(owner, NOW + 1.0)
    assert owner.said() == [refusal]


def test_a_vote_is_never_given_before_it_is_on_disk() -> None:
    owner = Owner()
    held(owner, Reply("vote", VoteReply(term=1, voter=1, granted=True)))
    tick(owner, NOW + 1.9)
    assert owner.said() == []
    tick(owner, NOW + 2.0)
    (said,) = owner.said()
    assert isinstance(said, Reply)
    assert isinstance(said.message, Declined)
    assert said.ticket == "vote"
