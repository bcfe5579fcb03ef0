"""A gRPC server that leaves, or whose client does: calls under way end in good order."""

from h2.errors import ErrorCodes
from hpack import Encoder
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    PingFrame,
    RstStreamFrame,
    WindowUpdateFrame,
)
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from tests.fakes.grpc_frames import headers
from tests.fakes.grpc_peer import HEAD, LIMITS, Peer, hold
from twisted_bazaar.rpc.serving.framing import framed

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED = 8, 4


# Leaving.


class TestLeaving:
    """A client that goes on talking after GOAWAY, which h2's own does not."""

    def setup_method(self) -> None:
        self.held: list[Deferred[bytes]] = []
        self.peer = Peer(Later=hold(self.held))
        self.encoder = Encoder()

    def frames(self) -> list[Frame]:
        """What the server has said since."""
        self.peer.clock.advance(0)
        data, found = memoryview(self.peer.transport.value()), []
        self.peer.transport.clear()
        while len(data):
            frame, length = Frame.parse_frame_header(data[:9])
            frame.parse_body(data[9 : 9 + length])
            found.append(frame)
            data = data[9 + length :]
        return found

    def ask(self, stream: int) -> None:
        block = self.encoder.encode({**HEAD, ":path": "/S/Later"})
        body = DataFrame(stream, framed(b"x"), flags=("END_STREAM",))
        self.peer.server.dataReceived(headers(stream, block).serialize() + body.serialize())

    def test_in_two_steps(self) -> None:
        self.ask(1)
        self.peer.server.drain()
        self.peer.server.drain()
        first, ping = self.frames()
        assert isinstance(first, GoAwayFrame)
        assert (first.last_stream_id, first.error_code) == (2**31 - 1, 0)
        assert isinstance(ping, PingFrame)
        self.ask(3)
        assert len(self.held) == 2
        pong = PingFrame(0, ping.opaque_data, flags=("ACK",))
        self.peer.server.dataReceived(pong.serialize())
        [second] = self.frames()
        assert isinstance(second, GoAwayFrame)
        assert second.last_stream_id == 3
        self.ask(5)
        [refused] = self.frames()
        assert isinstance(refused, RstStreamFrame)
        assert refused.error_code == ErrorCodes.REFUSED_STREAM
        assert len(self.held) == 2
        self.held[0].callback(b"first")
        assert len(self.frames()) == 3
        assert not self.peer.closed
        self.held[1].callback(b"second")
        assert len(self.frames()) == 3
        assert self.peer.closed

    def test_without_the_pong(self) -> None:
        self.peer.server.drain()
        for _ in range(9):
            self.peer.wait(0.1, answers_pings=False)
            self.peer.server.dataReceived(WindowUpdateFrame(0, window_increment=1).serialize())
        assert not self.peer.closed
        self.peer.wait(0.3, answers_pings=False)
        self.frames()
        assert self.peer.closed

    def test_when_the_client_leaves(self) -> None:
        self.ask(1)
        self.peer.server.dataReceived(GoAwayFrame(0).serialize())
        assert [type(each) for each in self.frames()] == [GoAwayFrame]
        assert not self.peer.closed
        self.peer.server.dataReceived(WindowUpdateFrame(0, window_increment=1).serialize())
        self.held[0].callback(b"words")
        assert len(self.frames()) == 3
        assert self.peer.closed

    def test_when_the_client_leaves_and_ends_its_call_in_the_same_bytes(self) -> None:
        self.ask(1)
        end = RstStreamFrame(1, error_code=ErrorCodes.CANCEL)
        with capturedLogs() as logged:
            self.peer.server.dataReceived(GoAwayFrame(0).serialize() + end.serialize())
        assert list(logged) == [], "nothing is refused"
        self.frames()
        assert self.peer.closed

    def test_when_the_client_leaves_with_nothing_under_way(self) -> None:
        self.peer.server.dataReceived(GoAwayFrame(0).serialize())
        self.frames()
        assert self.peer.closed


def test_a_connection_that_was_refused_is_aborted_if_it_does_not_close() -> None:
    peer = Peer()
    peer.server.pauseProducing()
    peer.send(b"\xff" * 9)
    assert peer.closed
    assert not peer.transport.aborted
    peer.wait(LIMITS.closing + 0.2, answers_pings=False)
    assert peer.transport.aborted
