"""Fail-over between replicas: the leader first, then the others, until the deadline."""

import pytest
from twisted.internet.task import Clock

from tests.fakes.leaks import nothing_leaks  # noqa: F401
from tests.fakes.replicas import Call, FakeReplica, follows, leads, result_of
from twisted_bazaar.errors import NotLeader, Unavailable
from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.frontend.upstream.replicas import Replicas
from twisted_bazaar.market import Order, Side, Stock
from twisted_bazaar.selection import Page, Selection
from twisted_bazaar.timing import Timing

TIMING = Timing()
ORDER = Order(7, "GameStart", Side.BUY, 5, 0)


class Reader:
    """A front-end that reads from three replicas, of which 2 leads and 1 does not answer pings."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.replicas = {replica: FakeReplica() for replica in (1, 2, 3)}
        self.leadership = Leadership(self.replicas)
        self.leadership.silent(1)
        self.leadership.heard(leads(2))
        self.leadership.heard(follows(3))
        self.orders = Replicas(
            self.clock,
            self.clock.seconds,
            self.leadership,
            self.replicas,  # type: ignore[arg-type]
            TIMING,
        )

    def get(self) -> list[object]:
        return result_of(self.orders.get(7))

    def asked(self, name: str = "get_order") -> tuple[int, Call]:
        """The replica that is asked now, and the call."""
        [(replica, call)] = [
            (replica, call) for replica, fake in self.replicas.items() for call in fake.open(name)
        ]
        return replica, call

    def round(self, *errors: Exception) -> list[int]:
        """All that are asked fail so, in turn; in which order they were asked."""
        order = []
        for error in errors:
            replica, call = self.asked()
            order.append(replica)
            call.fail(error)
        return order


@pytest.fixture
def reader() -> Reader:
    return Reader()


def no_answers() -> list[Exception]:
    return [NotLeader(), NotLeader(), Unavailable("connection refused")]


@pytest.mark.parametrize("found", [ORDER, None])
def test_the_leader_is_asked_first(reader: Reader, found: Order | None) -> None:
    result = reader.get()
    replica, call = reader.asked()
    assert (replica, call.arguments) == (2, (7, TIMING.lease))
    call.reply(found)
    assert result == [found]


def test_a_page_is_read_in_the_same_way(reader: Reader) -> None:
    wanted, page = Selection(6, 101), Page([ORDER], 7, ended=True)
    result = result_of(reader.orders.list(wanted))
    _, call = reader.asked("list_orders")
    call.fail()
    replica, call = reader.asked("list_orders")
    assert (replica, call.arguments) == (3, (wanted, TIMING.lease))
    call.reply(page)
    assert result == [page]


def test_stocks_are_the_leader_s_to_tell(reader: Reader) -> None:
    names = ["A", "B"]
    stocks = [Stock("A", 100, 5, 0, 1)]
    result = result_of(reader.orders.look_up(names))
    replica, call = reader.asked("look_up")
    assert (replica, call.arguments) == (2, (names, TIMING.lease))
    call.fail(NotLeader())
    reader.leadership.heard(leads(3, term=2))
    for _ in range(2):
        reader.asked("look_up")[1].fail(NotLeader())
    reader.clock.advance(TIMING.ping)
    replica, call = reader.asked("look_up")
    assert replica == 3, "the leader that there is by then"
    call.reply(stocks)
    assert result == [stocks]


def test_stocks_without_a_leader_are_unavailable_at_the_deadline(reader: Reader) -> None:
    result = result_of(reader.orders.look_up(["A"]))
    while not result:
        assert reader.clock.seconds() <= TIMING.deadline
        for error in no_answers():
            reader.asked("look_up")[1].fail(error)
        reader.clock.advance(TIMING.ping)
    assert isinstance(result[0], Unavailable)
    assert not reader.clock.getDelayedCalls()


def test_then_those_that_answer_pings_and_the_others_last(reader: Reader) -> None:
    result = reader.get()
    assert reader.round(*no_answers()[1:]) == [2, 3]
    replica, call = reader.asked()
    assert replica == 1
    call.reply(ORDER)
    assert result == [ORDER]


def test_when_no_replica_answers_all_are_asked_again_after_a_ping(reader: Reader) -> None:
    result = reader.get()
    reader.round(*no_answers())
    assert not any(fake.open("get_order") for fake in reader.replicas.values())
    reader.clock.advance(TIMING.ping)
    assert reader.round(*no_answers()) == [2, 3, 1]
    reader.leadership.heard(leads(3, term=2))
    reader.clock.advance(TIMING.ping)
    replica, call = reader.asked()
    assert replica == 3, "the leader that there is by then"
    call.reply(ORDER)
    assert result == [ORDER]


def test_at_the_deadline_it_is_unavailable(reader: Reader) -> None:
    result = reader.get()
    while not result:
        assert reader.clock.seconds() <= TIMING.deadline
        reader.round(*no_answers())
        reader.clock.advance(TIMING.ping)
    assert isinstance(result[0], Unavailable)
    assert reader.clock.seconds() > TIMING.deadline - 2 * TIMING.ping
    assert not reader.clock.getDelayedCalls()


def test_replicas_that_hang_do_not_hold_the_client_beyond_the_deadline(reader: Reader) -> None:
    result = reader.get()
    while not result:
        _, call = reader.asked()
        timeout = call.arguments[-1]
        assert 0 < timeout <= TIMING.lease
        reader.clock.advance(timeout)
        call.fail(Unavailable("deadline exceeded"))
        if not result and reader.clock.getDelayedCalls():
            reader.clock.advance(TIMING.ping)
    assert isinstance(result[0], Unavailable)
    assert reader.clock.seconds() <= TIMING.deadline + 0.001
    assert not reader.clock.getDelayedCalls()


def test_an_unexpected_error_reaches_the_caller(reader: Reader) -> None:
    result = reader.get()
    reader.round(KeyError("a bug"))
    assert isinstance(result[0], KeyError)
    assert not any(fake.open("get_order") for fake in reader.replicas.values())
