"""One end of a connection that carries frames: what the caller's end and the server's share.

The owner of a connection calls `tick` every `TICK_SECONDS`. An end that has heard nothing for a
second sends a ping, and closes the connection when it has heard nothing for two (see `keepalive`
for why). Ticks are counted, not seconds: a process that stood still reads what has arrived
meanwhile before it decides that nothing has.
"""

from typing import Any

from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from twisted_bazaar.errors import Malformed
from twisted_bazaar.rpc.keepalive import MAX_MESSAGE_BYTES
from twisted_bazaar.runtime.writing import write_now, writes_now

from .format import MAGIC, MAX_GREETING_BYTES, PING, PONG, Decoder, frame

__all__ = ["TICK_SECONDS", "FrameProtocol"]

TICK_SECONDS = 0.5
_PING_TICKS = 2
_DEAD_TICKS = 4
_GREETING_TICKS = 4
"""Both greetings must have arrived by then, counted from when the connection was made."""


class FrameProtocol(Protocol):
    """Sends and receives frames. An error of the other end closes the connection."""

    def __init__(self, most: int = MAX_MESSAGE_BYTES) -> None:
        """The body of a frame may have `most` bytes, once the other end is greeted."""
        self._most = most
        self._decoder = Decoder(self._received, MAX_GREETING_BYTES)
        self._out: Any = None
        """The transport; its interface lacks `abortConnection`."""
        self._quiet = 0
        """Ticks since anything was received."""
        self._ticks = 0
        self._ponged_at = -1
        self._lost = False
        self.leaves_at_once = False
        """Whether a frame is with the kernel when `send` returns, if the other end reads."""
        self.greeted = False
        self.lost_because = ""
        """Why the connection was closed, or is being closed."""

    def connectionMade(self) -> None:
        self._out = self.transport
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        self.leaves_at_once = writes_now(self._out)
        self._out.write(MAGIC)

    def begin(self) -> None:
        """The greetings fit: requests and answers may follow."""
        self.greeted = True
        self._decoder.most = self._most

    def send(self, id_: int, kind: int, body: bytes) -> None:
        """Send a frame."""
        write_now(self._out, frame(id_, kind, body))

    def tick(self) -> None:
        """`TICK_SECONDS` have passed."""
        self._quiet += 1
        self._ticks += 1
        if not self.greeted:
            if self._ticks >= _GREETING_TICKS:
                self.give_up("no greeting in time")
        elif self._quiet >= _DEAD_TICKS:
            self.give_up("it went silent")
        elif self._quiet == _PING_TICKS:
            self.send(0, PING, b"")

    def give_up(self, why: str) -> None:
        """Close the connection at once; what is in the buffer is not sent."""
        self._decoder.close()
        if not self._lost:
            self.lost_because = self.lost_because or why
            self._out.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        self._quiet = 0
        try:
            self._decoder.feed(data)
        except Malformed as why:
            self.malformed(why)

    def _received(self, id_: int, kind: int, body: bytes) -> None:
        if kind == PING:
            # One answer a tick is enough, and bounds the buffer if the other end does not read.
            if self._ponged_at != self._ticks:
                self._ponged_at = self._ticks
                self.send(0, PONG, b"")
        elif kind != PONG:
            self.received(id_, kind, body)

    def received(self, id_: int, kind: int, body: bytes) -> None:
        """Handle a frame. May raise `Malformed`."""
        raise NotImplementedError

    def malformed(self, why: Malformed) -> None:
        """What arrived is not what the other end must send."""
        self.give_up(str(why))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost = True
        self._decoder.close()
        self.lost_because = self.lost_because or reason.getErrorMessage()
