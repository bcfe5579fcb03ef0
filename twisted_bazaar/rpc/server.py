"""The server of a process: gRPC, frames, and HTTP for probes, on one port."""

from collections.abc import Callable
from random import Random

import grpc
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from twisted.application.service import MultiService, Service
from twisted.internet.interfaces import IProtocolFactory

from twisted_bazaar.http.probes import METHODS, Probes
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.services import Layers
from twisted_bazaar.runtime.tcp import server_endpoint
from twisted_bazaar.security.contexts import Certificates

from .descriptions import Descriptions
from .figures import CallFigures
from .first_bytes import SharedPort
from .frames.format import HTTP2_PREFACE, MAGIC
from .frames.server import FrameServer
from .health import HEALTH, Health, HealthEnd
from .reflection import Reflection
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
    health: Health | None = None,
    certificates: Certificates | None = None,
) -> Service:
    """Serves gRPC, `frames` and `probes` on `address`. For the others see `GrpcServer`. To the
    servicers `health` is added, and reflection of them all. With `certificates`, all is served to
    their holders, by what their roles may call.

    When it stops, `health` says so first; then all finish what is under way at the same time.
    """

    def add_all(to: grpc.Server) -> None:
        add_servicers(to)
        if health is not None:
            add_HealthServicer_to_server(health, to)
            Reflection(Descriptions([*health.services, HEALTH])).add_to(to)

    others: dict[bytes, IProtocolFactory] = {MAGIC: frames.connections}
    if probes is not None:
        others |= dict.fromkeys(METHODS, probes.site)
    listens = server_endpoint(reactor, address)
    if certificates is not None:
        listens = certificates.server(listens)
    endpoint = SharedPort(reactor, listens, HTTP2_PREFACE, others)
    server = MultiService()
    frames.setServiceParent(server)
    if probes is not None:
        probes.setServiceParent(server)
    grpc_server = GrpcServer(
        *(reactor, address, threads, add_all, random, endpoint), figures=figures
    )
    grpc_server.setServiceParent(server)
    return server if health is None else Layers(server, HealthEnd(health))
