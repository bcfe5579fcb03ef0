"""The server of a process: gRPC, frames, and HTTP for probes, on one port."""

from collections.abc import Callable
from random import Random

import grpc
from twisted.application.service import MultiService, Service
from twisted.internet.interfaces import IProtocolFactory

from twisted_bazaar.http.probes import METHODS, Probes
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.tcp import server_endpoint

from .figures import CallFigures
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
    probes: Probes | None = None,
    figures: CallFigures | None = None,
) -> Service:
    """Serves gRPC, `frames` and `probes` on `address`. For the others see `GrpcServer`.

    When it stops, all finish what is under way at the same time.
    """
    others: dict[bytes, IProtocolFactory] = {MAGIC: frames.connections}
    if probes is not None:
        others |= dict.fromkeys(METHODS, probes.site)
    endpoint = SharedPort(reactor, server_endpoint(reactor, address), HTTP2_PREFACE, others)
    server = MultiService()
    frames.setServiceParent(server)
    if probes is not None:
        probes.setServiceParent(server)
    grpc_server = GrpcServer(
        *(reactor, address, threads, add_servicers, random, endpoint), figures=figures
    )
    grpc_server.setServiceParent(server)
    return server
