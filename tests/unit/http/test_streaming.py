# ruff: noqa: N802 - what Twisted calls has a style of its own
"""Large answers: sent piece by piece, as fast as the client takes them, and no slower than that."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from tests.fakes.frontend_world import FrontEnd
from twisted_bazaar.errors import Unavailable
from twisted_bazaar.frontend.api.routes import MAX_SENDING_BYTES
from twisted_bazaar.frontend.lookups.whole_market import MarketSnapshot
from twisted_bazaar.http.streaming import PIECE_BYTES, BodyProducer

BODY = bytes(range(256)) * (5 * PIECE_BYTES // 256) + b"the end"


class Request:
    """As much of a request as a sending needs; its client takes one piece, and then waits."""

    def __init__(self) -> None:
        self.channel = self.transport = self
        self.sent: list[bytes] = []
        self.finished = self.aborted = False
        self.producer: Any = None

    def notifyFinish(self) -> Deferred[None]:
        return Deferred()

    def registerProducer(self, producer: BodyProducer, streaming: bool) -> None:
        assert streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def write(self, piece: bytes) -> None:
        self.sent.append(piece)
        self.producer.pauseProducing()

    def finish(self) -> None:
        assert self.producer is None
        self.finished = True

    def abortConnection(self) -> None:
        self.aborted = True


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_it_is_sent_piece_by_piece_when_the_client_has_taken_the_last(clock: Clock) -> None:
    request = Request()
    sending = BodyProducer(clock, request, BODY)
    assert request.sent == [BODY[:PIECE_BYTES]]
    while not request.finished:
        before = len(request.sent)
        sending.resumeProducing()
        assert len(request.sent) == before + 1
    assert b"".join(request.sent) == BODY
    assert max(map(len, request.sent)) == PIECE_BYTES
    assert clock.getDelayedCalls() == []


def test_one_that_takes_it_too_slowly_is_given_up(clock: Clock) -> None:
    request = Request()
    BodyProducer(clock, request, BODY)
    clock.advance(10 + len(BODY) / 32768 - 0.1)
    assert not request.aborted
    clock.advance(0.2)
    assert request.aborted


def test_nothing_is_sent_to_one_that_has_hung_up(clock: Clock) -> None:
    request = Request()
    sending = BodyProducer(clock, request, BODY)
    sending.stopProducing()
    sending.resumeProducing()
    assert len(request.sent) == 1
    assert clock.getDelayedCalls() == []
    assert not request.finished


def test_a_client_gets_a_large_list_of_all_stocks_whole() -> None:
    frontend = FrontEnd()
    large = b'{"data":[%b]}' % b",".join([b'{"name":"GameStart"}'] * 20_000)
    assert len(large) > 3 * PIECE_BYTES
    frontend.bazaar.answer = succeed(MarketSnapshot("log", 1, {}, large, 0))
    answer = frontend.get("/stocks")
    assert (answer.code, answer.body, answer.length) == (200, large, len(large))


def test_the_lists_that_are_being_sent_have_a_bound_together() -> None:
    frontend = FrontEnd()
    large = b" " * (MAX_SENDING_BYTES // 2)
    clients = []
    for _ in range(3):
        frontend.bazaar.answer = succeed(MarketSnapshot("log", 1, {}, large, 0))
        channel, transport = frontend.site.buildProtocol(None), Transport()
        channel.makeConnection(transport)
        channel.dataReceived(b"GET /stocks HTTP/1.1\r\nHost: x\r\n\r\n")
        clients.append((channel, transport))
    codes = [transport.value()[9:12] for _, transport in clients]
    assert codes == [b"200", b"200", b"503"]
    clients[0][0].connectionLost(Failure(ConnectionDone()))
    clients[2][1].clear()
    frontend.bazaar.answer = succeed(MarketSnapshot("log", 1, {}, large, 0))
    clients[2][0].dataReceived(b"GET /stocks HTTP/1.1\r\nHost: x\r\n\r\n")
    assert clients[2][1].value()[9:12] == b"200"
    for channel, _ in clients[1:]:
        channel.connectionLost(Failure(ConnectionDone()))
    assert frontend.clock.getDelayedCalls() == []


def test_a_client_that_hangs_up_cancels_its_wait_for_all_stocks() -> None:
    frontend = FrontEnd()
    given_up: list[object] = []
    asked = frontend.bazaar.answer = Deferred(lambda asked: asked.errback(Unavailable("gone")))

    def note(failure: Failure) -> Failure:
        given_up.append(failure)
        return failure

    asked.addErrback(note)
    channel = frontend.site.buildProtocol(None)
    channel.makeConnection(StringTransport())
    channel.dataReceived(b"GET /stocks HTTP/1.1\r\nHost: x\r\n\r\n")
    assert given_up == []
    channel.connectionLost(Failure(ConnectionDone()))
    assert len(given_up) == 1


class Transport(StringTransport):
    """A connection whose client takes nothing."""

    def write(self, data: bytes) -> None:
        super().write(data)
        if len(self.value()) > PIECE_BYTES:
            self.producer.pauseProducing()
