"""The phases of a connection: a channel makes each change that the table has, and no other."""

from collections.abc import Callable
from itertools import pairwise, permutations

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from tests.fakes.frontend_world import Connection, FrontEnd
from twisted_bazaar.errors import InvariantBroken
from twisted_bazaar.http import site
from twisted_bazaar.http.connections import (
    REQUEST_SECONDS,
    SECONDS,
    TRANSITIONS,
    Connections,
    Phase,
)
from twisted_bazaar.http.site import BazaarRequest
from twisted_bazaar.market import Placed

PING = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"
NO_HOST = b"GET /ping HTTP/1.1\r\n\r\n"
BODY = b'{"name": "GameStart", "quantity": 5, "type": "buy"}'
TRADE = (
    b"POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)
IDLE, HEAD, BODY_PHASE, WORKING = Phase.IDLE, Phase.HEAD, Phase.BODY, Phase.WORKING
SENDING, STREAMING, EVENTS = Phase.SENDING, Phase.STREAMING, Phase.EVENTS
REFUSED, EVICTED = Phase.REFUSED, Phase.EVICTED


class Life:
    """One connection, and the phases that it enters."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, resource: Resource | None = None) -> None:
        self.frontend = FrontEnd(resource=resource, max_connections=1)
        self.connection = self.frontend.connect()
        self.channel = self.connection.channel
        self.phases = [Phase.IDLE]
        move = self.frontend.site.connections.move

        def moved(channel: object, phase: Phase, now: float) -> None:
            move(self.channel, phase, now)
            if channel is self.channel and phase is not self.phases[-1]:
                self.phases.append(phase)

        monkeypatch.setattr(self.frontend.site.connections, "move", moved)

    def send(self, *pieces: bytes) -> "Life":
        for piece in pieces:
            self.channel.dataReceived(piece)
        return self

    def half_close(self) -> None:
        self.channel.readConnectionLost()


class Large(Resource):
    """Answers with a body that is sent piece by piece."""

    isLeaf = True

    def render(self, request: BazaarRequest) -> int:
        request.respond(b"x" * (site.PIECE_BYTES * 2))
        return NOT_DONE_YET


class Unending(Resource):
    """Answers without end."""

    isLeaf = True
    stream: "Stream"

    def render(self, request: BazaarRequest) -> int:
        self.stream = Stream(request)
        request.begin_stream(self.stream)
        return NOT_DONE_YET


class Stream:
    def __init__(self, request: BazaarRequest) -> None:
        self.request = request
        self.lost = False

    def end(self) -> None:
        self.request.end_stream()

    def pauseProducing(self) -> None: ...

    def resumeProducing(self) -> None: ...

    def stopProducing(self) -> None:
        self.lost = True


def takes_nothing(life: Life, sent: bytes = PING) -> None:
    life.channel.pauseProducing()
    life.send(sent)


def takes_late(life: Life) -> None:
    takes_nothing(life)
    life.channel.resumeProducing()


LIVES: list[tuple[Callable[[Life], object], list[Phase]]] = [
    (lambda life: life.send(PING[:9], PING[9:]), [IDLE, HEAD, WORKING, IDLE]),
    (lambda life: life.send(PING[:9]).half_close(), [IDLE, HEAD, SENDING]),
    (lambda life: life.send(PING[:9], b"\0"), [IDLE, HEAD, REFUSED]),
    (
        lambda life: life.send(TRADE[:9], TRADE[9:-9], TRADE[-9:]),
        [IDLE, HEAD, BODY_PHASE, WORKING, IDLE],
    ),
    (lambda life: life.send(TRADE[:-9]).half_close(), [IDLE, BODY_PHASE, SENDING]),
    (
        lambda life: life.send(TRADE[:-9]).frontend.clock.advance(REQUEST_SECONDS),
        [IDLE, BODY_PHASE, REFUSED],
    ),
    (lambda life: life.half_close(), [IDLE, SENDING]),
    (lambda life: life.send(b"junk"), [IDLE, REFUSED]),
    (lambda life: life.frontend.connect(), [IDLE, EVICTED]),
    (lambda life: life.send(NO_HOST), [IDLE, WORKING, REFUSED]),
    (takes_late, [IDLE, WORKING, SENDING, IDLE]),
]
STREAMS: list[tuple[Callable[[Life], object], list[Phase]]] = [
    (lambda life: life.send(PING), [IDLE, WORKING, STREAMING, IDLE]),
    (
        lambda life: life.send(PING.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")),
        [IDLE, WORKING, STREAMING, SENDING],
    ),
]


ENDLESS: list[tuple[Callable[[Life], object], list[Phase]]] = [
    (lambda life: life.send(PING).frontend.clock.advance(3600), [IDLE, WORKING, EVENTS]),
    (lambda life: life.send(PING).half_close(), [IDLE, WORKING, EVENTS]),
    (lambda life: life.send(PING).frontend.site.drain(), [IDLE, WORKING, EVENTS, SENDING]),
]


@pytest.mark.parametrize(("lives", "phases"), LIVES)
def test_a_channel_makes_changes_of_the_table(
    monkeypatch: pytest.MonkeyPatch, lives: Callable[[Life], object], phases: list[Phase]
) -> None:
    life = Life(monkeypatch)
    lives(life)
    assert life.phases == phases


@pytest.mark.parametrize(("lives", "phases"), STREAMS)
def test_a_large_answer_makes_changes_of_the_table(
    monkeypatch: pytest.MonkeyPatch, lives: Callable[[Life], object], phases: list[Phase]
) -> None:
    life = Life(monkeypatch, Large())
    lives(life)
    assert life.phases == phases


@pytest.mark.parametrize(("lives", "phases"), ENDLESS)
def test_an_answer_without_end_makes_changes_of_the_table(
    monkeypatch: pytest.MonkeyPatch, lives: Callable[[Life], object], phases: list[Phase]
) -> None:
    life = Life(monkeypatch, Unending())
    lives(life)
    assert life.phases == phases


def test_an_answer_without_end_is_cut_off_for_a_new_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unending = Unending()
    life = Life(monkeypatch, unending)
    life.send(PING)
    life.frontend.connect()
    assert life.connection.transport.aborting
    life.connection.hang_up()
    assert unending.stream.lost


def test_the_table_has_the_changes_that_are_made_and_no_other() -> None:
    made = {change for _, phases in LIVES + STREAMS + ENDLESS for change in pairwise(phases)}
    assert made == set(TRANSITIONS)


@pytest.mark.parametrize(("before", "after"), [*permutations(Phase, 2)])
def test_a_change_that_the_table_lacks_breaks_an_invariant(before: Phase, after: Phase) -> None:
    connections: Connections[str] = Connections(1)
    connections.add("a", 0.0)
    connections._since[before]["a"] = connections._since[Phase.IDLE].pop("a")
    connections._phases["a"] = before
    if (before, after) in TRANSITIONS:
        connections.move("a", after, 0.0)
        assert connections.phase("a") is after
        return
    with pytest.raises(InvariantBroken, match=f"in {before.name} cannot enter {after.name}"):
        connections.move("a", after, 0.0)
    assert connections.phase("a") is before


# A change that the table lacks ends one connection


def lacking(monkeypatch: pytest.MonkeyPatch, *change: Phase) -> None:
    monkeypatch.delitem(TRANSITIONS, change)  # type: ignore[arg-type]


def assert_logged(logged: list[Failure], *messages: str) -> None:
    assert [failure.getErrorMessage() for failure in logged] == [*messages]
    logged.clear()


def assert_served(frontend: FrontEnd) -> None:
    assert (
        Connection(frontend.site).send(b"GET /nope HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 404 ")
    )


def test_one_that_breaks_while_bytes_come_is_logged_and_aborted(
    monkeypatch: pytest.MonkeyPatch, logged_failures: list[Failure]
) -> None:
    lacking(monkeypatch, IDLE, HEAD)
    frontend = FrontEnd()
    broken = frontend.connect()
    broken.send(b"GET")
    assert broken.transport.aborting
    assert broken.channel not in frontend.site.connections
    assert_logged(logged_failures, "a connection in IDLE cannot enter HEAD")
    assert_served(frontend)


def test_one_that_breaks_when_it_is_answered_is_logged_and_aborted(
    monkeypatch: pytest.MonkeyPatch, logged_failures: list[Failure]
) -> None:
    lacking(monkeypatch, WORKING, IDLE)
    frontend = FrontEnd()
    broken = frontend.connect()
    frontend.bazaar.answer = answer = Deferred[Placed]()
    broken.send(TRADE)
    answer.callback(Placed(7, False))
    assert broken.transport.aborting
    assert broken.channel not in frontend.site.connections
    assert_logged(logged_failures, "a connection in WORKING cannot enter IDLE")
    assert_served(frontend)


def test_one_that_breaks_when_its_time_is_up_does_not_keep_others(
    monkeypatch: pytest.MonkeyPatch, logged_failures: list[Failure]
) -> None:
    lacking(monkeypatch, HEAD, REFUSED)
    frontend = FrontEnd()
    late = [frontend.connect() for _ in range(2)]
    for each in late:
        each.send(b"GET")
    frontend.clock.advance(SECONDS[Phase.HEAD])
    assert [each.transport.aborting for each in late] == [True, True]
    assert_logged(logged_failures, *["a connection in HEAD cannot enter REFUSED"] * 2)


# How long a phase lasts


@pytest.mark.parametrize("leave", ["half-closes", "is drained"])
def test_a_connection_that_is_refused_and_then_closing_keeps_its_limit(leave: str) -> None:
    frontend = FrontEnd()
    connection = frontend.connect()
    connection.send(b"junk")
    frontend.clock.advance(1.0)
    if leave == "half-closes":
        connection.channel.readConnectionLost()
    else:
        frontend.site.drain()
    assert connection.transport.disconnecting
    assert not connection.transport.aborting
    frontend.clock.advance(SECONDS[Phase.REFUSED] - 1.0)
    assert connection.transport.aborting


def test_a_connection_that_is_evicted_and_then_drained_keeps_its_limit() -> None:
    frontend = FrontEnd(max_connections=1)
    connection = frontend.connect()
    frontend.connect()
    frontend.clock.advance(1.0)
    frontend.site.drain()
    frontend.clock.advance(SECONDS[Phase.EVICTED] - 1.0)
    assert connection.transport.aborting


def test_a_client_that_takes_nothing_has_no_more_time_when_the_site_drains(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    life = Life(monkeypatch)
    takes_nothing(life)
    life.frontend.clock.advance(SECONDS[Phase.SENDING] - 1.0)
    life.frontend.site.drain()
    assert not life.connection.transport.aborting
    life.frontend.clock.advance(1.0)
    assert life.connection.transport.aborting


@pytest.mark.parametrize("closes", ["evicted", "drained"])
def test_what_comes_while_a_connection_closes_is_not_answered(closes: str) -> None:
    frontend = FrontEnd(max_connections=1)
    connection = frontend.connect()
    if closes == "evicted":
        frontend.connect()
    else:
        frontend.site.drain()
    assert connection.send(PING + TRADE) == b""
    assert frontend.bazaar.asked == []
    assert not connection.transport.aborting
