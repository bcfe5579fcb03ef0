"""Handlers of calls that stream, which a test leads by hand."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import grpc
from twisted.internet.defer import CancelledError, Deferred

from tests.fakes.grpc_peer import LIMITS, Answer, Peer
from twisted_bazaar.rpc.serving.limits import Limits

Answers = AsyncGenerator[bytes, None]


class Streams:
    """Behaviours that a test leads by hand."""

    def __init__(self) -> None:
        self.gates: list[Deferred[bytes | None]] = []
        """Each is what a handler says next; None: nothing more."""
        self.asked: list[bytes] = []
        self.ends: list[str] = []
        """How handlers ended."""
        self.contexts: list[Any] = []
        self.peers: list[Peer] = []

    async def down(self, request: bytes, context: Any) -> Answers:
        self.asked.append(request)
        self.contexts.append(context)
        try:
            while True:
                self.gates.append(Deferred())
                said = await self.gates[-1]
                if said is None:
                    break
                yield said
        except CancelledError:
            self.ends.append("cancelled")
            raise
        except GeneratorExit:
            self.ends.append("closed")
            raise
        self.ends.append("done")

    async def both(self, requests: AsyncIterator[bytes], context: Any) -> Answers:
        self.contexts.append(context)
        try:
            async for request in requests:
                self.asked.append(request)
                yield request.upper()
            yield b"end"
        except CancelledError:
            self.ends.append("cancelled")
            raise

    async def endless(self, request: bytes, context: Any) -> Answers:
        try:
            while True:
                self.asked.append(b"")
                yield bytes(int(request))
        finally:
            self.ends.append("over")

    def peer(self, limits: Limits = LIMITS, **more: Any) -> Peer:
        self.peers.append(
            Peer(
                limits,
                Down=grpc.unary_stream_rpc_method_handler(self.down),
                Both=grpc.stream_stream_rpc_method_handler(self.both),
                Endless=grpc.unary_stream_rpc_method_handler(self.endless),
                **more,
            )
        )
        return self.peers[-1]

    def say(self, message: bytes | None, which: int = -1) -> None:
        self.gates[which].callback(message)


def opened(peer: Peer, message: bytes = b"", method: str = "Down", **fields: str) -> Answer:
    return peer.answer(message, method, **fields)


def released(peer: Peer) -> bool:
    """Whether nothing is kept for any call."""
    state, server = peer.state, peer.server
    return not (state.kept or state.streaming_calls or server.calls or server.working)
