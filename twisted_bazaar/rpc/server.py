"""The server of a process: gRPC and frames, on one port."""

from collections.abc import Callable
from random import Random

import grpc
from twisted.application.service import MultiService, Service

from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.tcp import server_endpoint

from .first_bytes import SharedPort
from .frames.format import HTTP2_PREFACE, MAGIC
from .frames.server import FrameServer
from .serving.server import GrpcServer

__all__ = ["serve"]


def serve(
    reactor: Reactor,
    address: Address,
    threads: int,
    add_servicers: Callable[[grpc.Server], None],
    frames: FrameServer,
    random: Random,
) -> Service:
    """Serves gRPC and `frames` on `address`. For the others see `GrpcServer`.

    When it stops, both finish what is under way at the same time.
    """
    endpoint = SharedPort(
        reactor, server_endpoint(reactor, address), HTTP2_PREFACE, {MAGIC: frames.connections}
    )
    both = MultiService()
    frames.setServiceParent(both)
    GrpcServer(reactor, address, threads, add_servicers, random, endpoint).setServiceParent(both)
    return both
