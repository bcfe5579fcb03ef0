"""One connection of the gRPC server on a fake transport and clock, and a client that talks h2."""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import attrs
import grpc
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    PingAckReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from hyperframe.frame import Frame
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from twisted_bazaar.rpc.failures import Failures
from twisted_bazaar.rpc.serving.call import ServerState
from twisted_bazaar.rpc.serving.connection import GrpcConnection
from twisted_bazaar.rpc.serving.framing import framed
from twisted_bazaar.rpc.serving.limits import Limits
from twisted_bazaar.rpc.serving.liveness import TICK_SECONDS
from twisted_bazaar.rpc.serving.methods import Methods

LIMITS = Limits(message_bytes=8 * 1024 * 1024, kept_bytes=16 * 1024 * 1024, streams=8)

HEAD = {
    ":method": "POST",
    ":scheme": "http",
    ":authority": "there",
    ":path": "/S/Echo",
    "te": "trailers",
    "content-type": "application/grpc",
}


@attrs.define
class Answer:
    """All that came on a stream."""

    head: dict[str, str] = attrs.Factory(dict)
    message: bytes = b""
    trailers: dict[str, str] = attrs.Factory(dict)
    ended: bool = False
    reset: int | None = None

    @property
    def status(self) -> int | None:
        """Of gRPC; None: none was said."""
        said = self.trailers.get("grpc-status", self.head.get("grpc-status"))
        return None if said is None else int(said)

    @property
    def details(self) -> str:
        return self.trailers.get("grpc-message", self.head.get("grpc-message", ""))


class Transport(StringTransport):
    """Keeps the sizes of what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[int] = []
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.writes.append(len(data))
        super().write(data)

    def abortConnection(self) -> None:  # noqa: N802
        self.aborted = True
        self.disconnecting = True

    @property
    def reads(self) -> bool:
        return bool(self.producerState == "producing")


class ThreadsByHand:
    """Runs what blocks when a test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Deferred[Any], Callable[[], Any]]] = []

    def defer(self, reactor: object, function: Callable[[], Any]) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        self.waiting.append((answer, function))
        return answer

    def run(self) -> None:
        waiting, self.waiting = self.waiting, []
        for answer, function in waiting:
            try:
                answer.callback(function())
            except Exception as error:
                answer.errback(error)


class Peer:
    """`behaviours` are the methods of a service `S`, unary ones, or what one of grpcio's
    `…_rpc_method_handler` returns; `Echo` is among them."""

    def __init__(self, limits: Limits = LIMITS, begins: bool = True, **behaviours: Any) -> None:
        self.clock = Clock()
        self.transport = Transport()
        self.threads = ThreadsByHand()
        methods = Methods()
        methods.add_registered_method_handlers(
            "S",
            {
                name: behaviour
                if isinstance(behaviour, grpc.RpcMethodHandler)
                else grpc.unary_unary_rpc_method_handler(behaviour)
                for name, behaviour in {"Echo": lambda request, _: request, **behaviours}.items()
            },
        )
        reactor: Any = self.clock
        threads: Any = self.threads
        failures = Failures(self.clock.seconds, Random(1))
        self.state = ServerState(reactor, threads, methods, limits, failures)
        self.lost = False
        self.gives_credit = True
        self.server = GrpcConnection(
            self.state, lambda flush: self.clock.callLater(0, flush) and None, self._lost
        )
        self.h2 = H2Connection(
            H2Configuration(
                client_side=True,
                header_encoding="utf-8",
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self.answers: dict[int, Answer] = {}
        self.goaways: list[ConnectionTerminated] = []
        self.events: list[Event] = []
        self.server.makeConnection(self.transport)
        if begins:
            self.h2.initiate_connection()
            self.pump()

    def _lost(self, _: object) -> None:
        self.lost = True

    @property
    def closed(self) -> bool:
        """Whether the server has closed the connection, or is about to."""
        return bool(self.transport.disconnecting)

    # Both ways.

    def pump(self) -> None:
        """Carry what either end has said to the other, until neither says more."""
        while True:
            said = self.h2.data_to_send()
            if said and not self.closed:
                self.server.dataReceived(said)
            self.clock.advance(0)
            answered = self.transport.value()
            self.transport.clear()
            if answered:
                self._received(answered)
            elif not said or self.closed:
                return

    def _received(self, data: bytes) -> None:
        for event in self.h2.receive_data(data):
            self.events.append(event)
            stream = getattr(event, "stream_id", 0) or 0
            if not stream or isinstance(event, WindowUpdated):
                if isinstance(event, ConnectionTerminated):
                    self.goaways.append(event)
                continue
            answer = self.answers.setdefault(stream, Answer())
            if isinstance(event, ResponseReceived):
                answer.head = dict(event.headers)  # type: ignore[arg-type]
            elif isinstance(event, DataReceived):
                answer.message += event.data
                if self.gives_credit:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
            elif isinstance(event, TrailersReceived):
                answer.trailers = dict(event.headers)  # type: ignore[arg-type]
            elif isinstance(event, StreamEnded):
                answer.ended = True
            elif isinstance(event, StreamReset):
                answer.reset = int(event.error_code)

    def send(self, *said: bytes | Frame) -> None:
        """Say `said` as it is, at once."""
        data = b"".join(each if isinstance(each, bytes) else each.serialize() for each in said)
        self.server.dataReceived(self.h2.data_to_send() + data)
        self.pump()

    # Calls.

    def open(self, method: str = "Echo", end: bool = False, **fields: str | None) -> int:
        """Send the head of a call; underscores in names stand for hyphens. Nothing is pumped."""
        named: Mapping[str, str | None] = {
            **HEAD,
            ":path": f"/S/{method}",
            **{name.replace("_", "-"): value for name, value in fields.items()},
        }
        return self.open_with([(n, v) for n, v in named.items() if v is not None], end)

    def open_with(self, head: Sequence[tuple[str, str]], end: bool = False) -> int:
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, head, end_stream=end)
        return stream

    def call(self, message: bytes = b"", method: str = "Echo", **fields: str | None) -> int:
        """Make a call; nothing is pumped. `message` must fit into a frame."""
        stream = self.open(method, **fields)
        self.h2.send_data(stream, framed(message), end_stream=True)
        return stream

    def answer(self, message: bytes = b"", method: str = "Echo", **fields: str | None) -> Answer:
        """What a call is answered with at once."""
        stream = self.call(message, method, **fields)
        self.pump()
        return self.answers.setdefault(stream, Answer())

    def lives(self) -> bool:
        """Whether the connection still serves."""
        return not self.closed and self.answer(b"alive").message == framed(b"alive")

    # Time.

    def wait(self, seconds: float, answers_pings: bool = True) -> None:
        """Let time go by, and the server look at the connection each tick."""
        for _ in range(round(seconds / TICK_SECONDS)):
            self.clock.advance(TICK_SECONDS)
            self.server.sweep(self.clock.seconds())
            if answers_pings:
                self.pump()

    def acknowledged(self) -> int:
        """How many pings were answered."""
        return sum(isinstance(event, PingAckReceived) for event in self.events)


def hold(held: list[Deferred[bytes]]) -> Any:
    """A behaviour that leaves its calls unanswered, in `held`."""

    def behaviour(request: bytes, context: Any) -> Deferred[bytes]:
        held.append(Deferred())
        return held[-1]

    return behaviour


def ended(peer: Peer) -> tuple[ErrorCodes | int, bytes]:
    """How the server ended the connection, which it must have."""
    assert peer.closed
    [said] = peer.goaways
    return said.error_code or 0, said.additional_data or b""
