"""The gRPC server on a real reactor and socket, and channels of grpcio to it."""

import socket
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from random import Random
from typing import Any

import attrs
import grpc
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from twisted_bazaar.errors import NotLeader
from twisted_bazaar.rpc.serving.methods import blocking
from twisted_bazaar.rpc.serving.server import LIMITS, GrpcServer
from twisted_bazaar.runtime.address import Address

SOON = 5.0

Options = list[tuple[str, Any]]
UNBOUNDED: Options = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # Else channels of one process share a connection.
    ("grpc.use_local_subchannel_pool", 1),
]


class Service:
    """What a test calls."""

    def __init__(self) -> None:
        self.held: list[Deferred[bytes]] = []
        self.contexts: list[Any] = []
        self.error: Exception = NotLeader()
        self.threads: set[str] = set()
        self.open = threading.Event()
        self.counted = 0
        """Messages that `count` was asked for by its last call."""
        self.closed = 0
        """Calls of `count` that have ended."""

    def echo(self, request: bytes, context: Any) -> bytes:
        self.contexts.append(context)
        return request

    async def fail(self, request: bytes, context: Any) -> bytes:
        raise self.error

    def hold(self, request: bytes, context: Any) -> Deferred[bytes]:
        self.contexts.append(context)
        self.held.append(Deferred())
        return self.held[-1]

    def fill(self, request: bytes, context: Any) -> bytes:
        return bytes(int(request))

    def metadata(self, request: bytes, context: Any) -> bytes:
        said = [(k, v) for k, v in context.invocation_metadata() if k != "user-agent"]
        context.send_initial_metadata([(f"first-{k}", v) for k, v in said])
        context.set_trailing_metadata([(f"last-{k}", v) for k, v in said])
        return request

    @blocking
    def wait(self, request: bytes, context: Any) -> bytes:
        self.threads.add(threading.current_thread().name)
        assert self.open.wait(SOON)
        return request

    async def count(self, request: bytes, context: Any) -> AsyncGenerator[bytes, None]:
        """So many messages of so many bytes, then what `open` waits for, if it is not set."""
        self.contexts.append(context)
        number, size = map(int, request.split())
        try:
            for self.counted in range(1, number + 1):
                yield bytes(size)
            while not self.open.is_set():
                await self.hold(b"", context)
        finally:
            self.closed += 1

    async def chat(
        self, requests: AsyncIterator[bytes], context: Any
    ) -> AsyncGenerator[bytes, None]:
        self.contexts.append(context)
        async for request in requests:
            yield request.upper()
        yield b"end"

    def add_to(self, server: Any) -> None:
        names = ("echo", "fail", "hold", "fill", "metadata", "wait")
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(getattr(self, name)) for name in names
        }
        handlers["count"] = grpc.unary_stream_rpc_method_handler(self.count)
        handlers["chat"] = grpc.stream_stream_rpc_method_handler(self.chat)
        server.add_registered_method_handlers("S", handlers)


class World:
    """A server, and channels to it. Calls are made on threads, so that the reactor goes on."""

    def __init__(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.address = Address(*found.getsockname())
        self.service = Service()
        self.channels: list[grpc.Channel] = []
        self.server = self.serve()
        self.channel = self.connect()

    def serve(self, endpoint: IStreamServerEndpoint | None = None, **limits: Any) -> GrpcServer:
        server = GrpcServer(
            self.reactor,
            self.address,
            2,
            self.service.add_to,
            Random(1),
            endpoint,
            attrs.evolve(LIMITS, **limits),
        )
        server.startService()
        return server

    async def serve_again(self, **limits: Any) -> None:
        await self.server.stopService()
        self.server = self.serve(**limits)

    def connect(self, *options: tuple[str, Any], at: str = "") -> grpc.Channel:
        self.channels.append(grpc.insecure_channel(at or str(self.address), [*UNBOUNDED, *options]))
        return self.channels[-1]

    def call(
        self,
        method: str,
        request: bytes = b"",
        timeout: float | None = SOON,
        channel: grpc.Channel | None = None,
        **more: Any,
    ) -> Deferred[bytes]:
        rpc = (channel or self.channel).unary_unary(f"/S/{method}")
        return deferToThread(rpc, request, timeout=timeout, wait_for_ready=True, **more)

    async def fails(self, call: Deferred[bytes]) -> Any:
        with pytest.raises(grpc.RpcError) as failed:
            await call
        return failed.value

    async def until(self, happened: Callable[[], object], within: float = SOON) -> None:
        deadline = time.monotonic() + within
        while not happened():
            assert time.monotonic() < deadline
            await deferLater(self.reactor, 0.005)

    async def stop(self) -> None:
        self.service.open.set()
        for answer in self.service.held:
            if not answer.called:
                answer.callback(b"")
        await self.server.stopService()
        for channel in self.channels:
            channel.close()
