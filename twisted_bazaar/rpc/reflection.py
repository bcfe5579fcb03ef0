"""Server reflection: clients such as grpcurl learn from a port what it serves."""

from collections.abc import AsyncGenerator, AsyncIterator

import grpc
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse
from grpc_reflection.v1alpha.reflection_pb2_grpc import (
    ServerReflectionServicer,
    add_ServerReflectionServicer_to_server,
)

from .descriptions import V1, Descriptions
from .serving.context import Context

__all__ = ["Reflection"]


class Reflection(ServerReflectionServicer):
    """`grpc.reflection.v1.ServerReflection`, and the same of `v1alpha`."""

    def __init__(self, descriptions: Descriptions) -> None:
        self._descriptions = descriptions

    async def ServerReflectionInfo(
        self, requests: AsyncIterator[ServerReflectionRequest], context: Context
    ) -> AsyncGenerator[ServerReflectionResponse, None]:
        async for request in requests:
            yield self._descriptions.answer(request)

    def add_to(self, server: grpc.Server) -> None:
        """Serve both versions."""
        add_ServerReflectionServicer_to_server(self, server)
        # The messages are the same on the wire.
        method = grpc.stream_stream_rpc_method_handler(
            self.ServerReflectionInfo,
            ServerReflectionRequest.FromString,
            ServerReflectionResponse.SerializeToString,
        )
        server.add_registered_method_handlers(V1, {"ServerReflectionInfo": method})
