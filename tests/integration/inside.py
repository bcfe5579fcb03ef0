"""Calls to the ports inside a bazaar, as its services speak there: by TLS, or in plain text."""

import http.client
from typing import Any

import grpc

from tests.fakes.certificates import MONITOR
from twisted_bazaar.security.folder import CertificateFolder
from twisted_bazaar.security.roles import Kind, Role
from twisted_bazaar.tools.tls_connection import connect_inside

from .bazaar import Bazaar

__all__ = ["channel_to", "connection_to", "role_of"]

TIMEOUT = 10.0


def role_of(name: str) -> Role:
    """That of a process by its name: front-ends and catalogs may be numbered."""
    if name.startswith("order-"):
        return Role.parse(name)
    return Role(Kind.FRONTEND if name.startswith("frontend") else Kind.CATALOG)


def channel_to(bazaar: Bazaar, name: str, own: Role = MONITOR, *options: Any) -> grpc.Channel:
    """To the gRPC port of the process `name`, from one with the role `own`."""
    address = bazaar.processes()[name]["address"]
    if bazaar.certificates is None:
        return grpc.insecure_channel(address, options)
    folder = CertificateFolder(bazaar.certificates)
    files = folder.authority_file, folder.key(own), folder.certificate(own)
    return grpc.secure_channel(
        address,
        grpc.ssl_channel_credentials(*(path.read_bytes() for path in files)),
        (*options, ("grpc.ssl_target_name_override", role_of(name).host_name)),
    )


def connection_to(bazaar: Bazaar, name: str, own: Role = MONITOR) -> http.client.HTTPConnection:
    """To the port of the process `name` that serves metrics: of a front-end, the internal one."""
    process = bazaar.processes()[name]
    host, _, port = (process.get("internal") or process["address"]).rpartition(":")
    return connect_inside(host, int(port), bazaar.certificates, own, role_of(name), TIMEOUT)
