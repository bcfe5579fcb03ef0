"""What may be said at once, and what only after the disk holds the reason."""

from twisted_bazaar.replication.log import Log, MemoryStorage, Write
from twisted_bazaar.replication.messages import (
    Append,
    AppendReply,
    Fetch,
    Reply,
    Request,
    Vote,
    VoteReply,
)
from twisted_bazaar.replication.outbox import Outbox

from .member import entries_of


def acknowledgement(index: int, term: int = 1) -> Reply:
    return Reply(f"append {index}", AppendReply(term, 1, True, index, 7, 3.5))


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
    fetch = Request(2, Fetch(1, 0, ""))
    owner.outbox.say([fetch])
    assert owner.said() == [fetch]
    assert owner.said() == []


def test_what_rests_on_the_log_waits_for_the_write_begun_after_it() -> None:
    owner = Owner()
    owner.log.append(entries_of(1, 1))
    owner.outbox.say_after_write([acknowledgement(2)])
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
    owner.outbox.say_after_write([acknowledgement(0)])
    assert owner.start() is None
    assert owner.said() == [acknowledgement(0)]


def test_what_needs_no_write_still_waits_for_the_one_under_way() -> None:
    """It may rest on what is in it."""
    owner = Owner()
    owner.outbox.say_after_write([acknowledgement(0)])
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
    """It names the term, so that whoever led in the earlier one steps down; and if that is the
    leader of this term, too, it is no answer to one of its rounds."""
    owner = Owner()
    owner.outbox.written()
    owner.log.append(entries_of(1, 1))
    owner.outbox.say_after_write([acknowledgement(2)])
    owner.log.truncate(1)
    owner.term = 4
    assert owner.start() is not None
    owner.outbox.written()
    assert owner.said() == [Reply("append 2", AppendReply(4, 1, False, 1, 0, 3.5))]


def test_an_acknowledgement_that_is_being_written_stays_one() -> None:
    """The write that it waits for holds the entries, whatever comes after."""
    owner = Owner()
    owner.outbox.written()
    owner.log.append(entries_of(1, 1))
    owner.outbox.say_after_write([acknowledgement(2)])
    assert owner.start() is not None
    owner.log.truncate(1)
    owner.term = 4
    assert owner.start() is None
    owner.outbox.written()
    assert owner.said() == [acknowledgement(2)]


def test_votes_and_requests_of_an_earlier_term_stay_as_they_are() -> None:
    """A vote of term 1 that is given in term 4 binds nobody falsely: no other can be given in
    term 1 any more. Nor does a request for one."""
    owner = Owner()
    owner.outbox.written()
    vote = Reply("vote", VoteReply(1, 1, True))
    requests = [Request(2, Vote(1, 1, 0, 0)), Request(2, Append(1, 1, 0, 0, (), 0, 0, 0, 0.0))]
    owner.outbox.say_after_write([vote, *requests])
    owner.term = 4
    assert owner.start() == Write(4, 0, None, ())
    owner.outbox.written()
    assert owner.said() == [vote, *requests]
