"""An order replica at work: bad files end it, and all callers are told; lookups at the leader."""

from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.fakes.leaks import nothing_leaks  # noqa: F401
from tests.fakes.member import TIMING, append, disk, entries_of, poll_reply_with
from tests.fakes.replicas import result_of
from twisted_bazaar.consensus.log import MemoryStorage, Write
from twisted_bazaar.consensus.messages import (
    AppendReply,
    Fetch,
    FetchReply,
    Poll,
    PollReply,
    Request,
    Vote,
)
from twisted_bazaar.consensus.replica import Ready, Replica
from twisted_bazaar.errors import BazaarError, Damaged, Malformed, NotLeader, Unavailable
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import Stock
from twisted_bazaar.order.desk import Question, TradingDesk
from twisted_bazaar.order.disk import Disk
from twisted_bazaar.order.node import OrderNode
from twisted_bazaar.rpc.bounds import MAX_TERM_STEP_ANSWERED, MAX_TERM_STEP_ASKED

LOG = entries_of(1, 1)
DAMAGE = Damaged("log/0.jsonl line 3: the checksum does not fit")


class SilentPeer:
    """Another replica, which does not answer."""

    leaves_at_once = True

    def __init__(self) -> None:
        self.asked: list[tuple[Any, Deferred[Any]]] = []

    def ask(self, message: Any) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        self.asked.append((message, answer))
        return answer


class Node:
    """Replica 1 of three, which has run for a while. Nothing of it waits for a disk."""

    def __init__(self, storage: Any = None) -> None:
        self.clock = clock = Clock()
        clock.advance(100.0)
        storage = storage or disk(1, 0, LOG)
        replica = Replica(
            replica=1,
            peers=(2, 3),
            learners=(),
            storage=storage,
            applied=0,
            timing=TIMING,
            milliseconds=lambda: 0,
            now=0.0,
        )
        self.peer = SilentPeer()
        self.said: list[str] = []
        self.node = OrderNode(
            reactor=cast(Any, clock),
            seconds=clock.seconds,
            replica=replica,
            desk=TradingDesk(replica, Ledger(), 0),
            disk=Disk(cast(Any, clock), clock.seconds, storage, cast(Any, None)),
            peers=cast(Any, {2: self.peer, 3: SilentPeer()}),
            catalogs={},
            timing=TIMING,
            stop=self.said.append,
        )


@pytest.fixture
def node() -> Node:
    return Node()


def test_what_cannot_be_read_ends_it_in_one_line_and_whoever_waits_is_told(node: Node) -> None:
    waiting = result_of(node.node.campaign())
    assert waiting == []
    node.node.cannot_read(DAMAGE)
    node.node.cannot_read(Damaged("and another line"))
    assert node.said == [f"replica 1 must stop: {DAMAGE}"]
    (told,) = waiting
    assert isinstance(told, Unavailable)


def test_what_was_answered_is_not_answered_again(node: Node) -> None:
    (told,) = result_of(node.node.request(Poll(replica=2, nonce=7)))
    assert isinstance(told, PollReply)
    node.node.cannot_read(DAMAGE)
    assert node.said == [f"replica 1 must stop: {DAMAGE}"]


def test_what_a_suspect_does_not_answer_is_over_at_once_and_nothing_is_kept_of_it() -> None:
    """A leader that reaches it sends it appends all day."""
    node = Node(MemoryStorage(suspect="a line is damaged"))
    for _ in range(1000):
        (told,) = result_of(node.node.request(append(2, LOG)))
        assert isinstance(told, Unavailable)
        assert "suspect" in str(told)
    assert not node.node._requests


def test_the_state_of_its_disk_is_shown(node: Node) -> None:
    (status,) = result_of(node.node.status())
    assert status.disk_seconds == 0.0
    node.node._replica.disk.begun(100.0)
    node.clock.advance(1.5)
    (status,) = result_of(node.node.status())
    assert status.disk_seconds == 1.5


def test_nothing_is_answered_after_that(node: Node) -> None:
    node.node.cannot_read(DAMAGE)
    (told,) = result_of(node.node.request(append(2, LOG)))
    assert isinstance(told, Unavailable)


def test_what_cannot_be_read_to_be_sent_ends_it(node: Node) -> None:
    node.node.campaign().addErrback(lambda failure: failure.trap(Unavailable) and None)
    ((message, answer),) = node.peer.asked
    assert isinstance(message, Poll)
    answer.errback(DAMAGE)
    assert node.said == [f"replica 1 must stop: {DAMAGE}"]


def test_a_peer_that_cannot_be_reached_does_not(node: Node) -> None:
    result_of(node.node.campaign())
    node.peer.asked[0][1].errback(Unavailable("2: connection refused"))
    assert node.said == []


# What no replica or front-end of ours says.


def test_a_term_that_jumps_is_refused_and_nothing_comes_of_it(node: Node) -> None:
    for most, too_far in ((MAX_TERM_STEP_ASKED + 1, 1), (2**53 - 1, 0)):
        for message in (
            append(most + too_far),
            Vote(term=most + too_far, candidate=2, last_index=0, last_term=0),
        ):
            (told,) = result_of(node.node.request(message))
            assert isinstance(told, Malformed)
            assert "above term 1" in str(told)
        with pytest.raises(Malformed):
            node.node.follow(most + too_far)
    [status] = result_of(node.node.status())
    assert (status.term, node.said) == (1, [])
    result_of(node.node.request(append(MAX_TERM_STEP_ASKED + 1)))
    assert node.node._replica.term == MAX_TERM_STEP_ASKED + 1, "so far it may be behind"


def test_entries_that_do_not_follow_are_refused_and_it_goes_on(node: Node) -> None:
    forged = entries_of(1, 1, 1, maker=5)
    (told,) = result_of(node.node.request(append(1, forged, after=2)))
    assert isinstance(told, Malformed)
    assert "entry 3 does not follow entry 2" in str(told)
    result_of(node.node.request(append(1, entries_of(1, 1, 1), after=2)))
    assert (node.node._replica.log.last_index, node.said) == (3, [])


def test_an_answer_whose_term_jumps_is_as_good_as_none(node: Node) -> None:
    campaign = result_of(node.node.campaign())
    ((poll, answer),) = node.peer.asked
    answer.callback(
        poll_reply_with(replica=2, term=1 + MAX_TERM_STEP_ANSWERED + 1, nonce=poll.nonce)
    )
    assert (node.node._replica.term, node.said, campaign) == (1, [], [])


def test_a_fetched_stretch_that_does_not_follow_is_as_good_as_none(node: Node) -> None:
    result_of(node.node.campaign())
    ((poll, answer),) = node.peer.asked
    answer.callback(poll_reply_with(replica=2, term=1, last_index=4, last_term=1, nonce=poll.nonce))
    node.node._replica.tick(100.0 + TIMING.heartbeat)
    node.node._go_on()
    fetch, answer = node.peer.asked[-1]
    assert isinstance(fetch, Fetch)
    longer = entries_of(1, 1, 1, 1)
    forged = entries_of(1, 1, 1, 1, maker=5)
    answer.callback(
        FetchReply(
            replica=2,
            term=1,
            after=2,
            fits=True,
            entries=(longer[2], forged[3]),
            last_index=4,
            last_term=1,
        )
    )
    assert (node.node._replica.log.last_index, node.said) == (2, [])


# Market data, for when no catalog answers.


class Desk(TradingDesk):
    """A desk whose questions a test answers."""

    def __init__(self, replica: Replica) -> None:
        super().__init__(replica, Ledger(), 0)
        self.asked: list[Question] = []

    def ask_last_number(self, question: Question) -> None:
        self.asked.append(question)

    def answer(self, answer: int | BazaarError) -> None:
        question = self.asked.pop()
        question.answer = answer
        self._settled.append(question)


@pytest.fixture
def desk(node: Node) -> Desk:
    """The desk of `node`."""
    desk = Desk(node.node._replica)
    node.node._desk = desk
    return desk


def settle(node: Node) -> None:
    """The node comes to what its desk has settled."""
    node.node.follow(1)


GAME_START = Stock("GameStart", 1599, 95, 5, 12)


def test_a_lookup_is_answered_with_what_is_released_once_the_desk_is_sure(
    node: Node, desk: Desk
) -> None:
    asked = result_of(node.node.lookup())
    desk.released_stocks["GameStart"] = GAME_START
    assert asked == []
    desk.answer(5)
    settle(node)
    assert asked == [({"GameStart": GAME_START}, "")]
    desk.released_stocks.clear()
    assert asked == [({"GameStart": GAME_START}, "")], "another thread reads it by now"


def test_a_lookup_at_one_that_does_not_lead_is_refused(node: Node, desk: Desk) -> None:
    """Though it knows what is released, it cannot know that nothing more is."""
    desk.released_stocks["GameStart"] = GAME_START
    asked = result_of(node.node.lookup())
    desk.answer(NotLeader())
    settle(node)
    [told] = asked
    assert isinstance(told, NotLeader)


def test_a_market_without_stocks_is_not_shown(node: Node, desk: Desk) -> None:
    asked = result_of(node.node.lookup())
    desk.answer(0)
    settle(node)
    [told] = asked
    assert isinstance(told, Unavailable)
    assert node.said == []


# Writes that need no thread.


class Prompt:
    """A disk that is prompt, or is not, or fails."""

    def __init__(self, storage: Any, prompt: bool) -> None:
        self.storage = storage
        self.prompt = prompt
        self.on_threads: list[Deferred[None]] = []
        self.error: OSError | None = None

    def is_prompt(self, write: Write) -> bool:
        return self.prompt

    def write_here(self, write: Write) -> None:
        if self.error is not None:
            raise self.error
        self.storage.write(write)

    def write(self, write: Write) -> Deferred[None]:
        self.on_threads.append(Deferred())
        return self.on_threads[-1]

    def stop(self) -> None:
        pass


def with_disk(prompt: bool) -> tuple[Node, Prompt]:
    storage = disk(1, 0, LOG)
    node = Node(storage)
    node.node._disk = written = cast(Any, Prompt(storage, prompt))
    return node, written


def test_a_follower_acknowledges_at_once_what_a_prompt_disk_took() -> None:
    node, _ = with_disk(prompt=True)
    (reply,) = result_of(node.node.request(append(2, LOG)))
    assert isinstance(reply, AppendReply)
    assert reply.index == len(LOG)


def test_a_disk_that_is_not_prompt_keeps_no_turn_of_the_reactor_waiting() -> None:
    node, written = with_disk(prompt=False)
    assert result_of(node.node.request(append(2, LOG))) == []
    assert len(written.on_threads) == 1


def test_what_is_sent_leaves_before_the_disk_is_waited_for() -> None:
    """A candidate, or a leader. Sockets are written to at the end of a turn of the reactor."""
    node, written = with_disk(prompt=True)
    node.node._replica.disk.begun(node.clock.seconds())
    node.node._write(Write(2, 1, None, ()), after_messages=True)
    (first,) = node.clock.getDelayedCalls()
    first.func(*first.args)
    first.cancel()
    assert written.storage.term == 1, "delayed calls of a turn come before its sockets"
    node.clock.advance(0)
    assert written.storage.term == 2


@pytest.mark.parametrize("left", [True, False])
def test_the_disk_is_not_kept_waiting_by_what_has_left(left: bool) -> None:
    """Such as a leader's request to a peer, over a transport that sends it at once."""
    node, written = with_disk(prompt=True)
    node.peer.leaves_at_once = left
    request = Request(2, Poll(replica=1, nonce=1))
    ready = Ready(
        messages=[request],
        write=Write(2, 1, None, ()),
        committed=(),
        released=0,
        confirmed=0,
        leading_term=0,
        more=False,
    )
    replica, readies = node.node._replica, iter([ready])
    replica.disk.begun(node.clock.seconds())
    replica.ready = lambda now: next(readies, None)  # type: ignore[method-assign]
    node.node._carry_out()
    assert [message for message, _ in node.peer.asked] == [request.message]
    assert (written.storage.term == 2) == left


def test_a_prompt_disk_that_fails_ends_the_replica_in_one_line() -> None:
    node, written = with_disk(prompt=True)
    written.error = OSError("no space left")
    result_of(node.node.request(append(2, LOG)))
    assert node.said == ["the log cannot be written: no space left"]


def test_a_stop_leaves_no_write_for_later() -> None:
    node, written = with_disk(prompt=True)
    node.node._write(Write(2, 1, None, ()), after_messages=True)
    node.node.stopService()
    assert node.clock.getDelayedCalls() == []
    assert written.storage.term == 1
