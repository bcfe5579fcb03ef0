"""`python -m twisted_bazaar health`: whether the service that the environment describes is alive.

For containers, which configure services by environment variables. It calls the service, and only
what this one can answer alone: a front-end without a catalog, or a replica without a majority, is
not ready but alive, and a restart would not help.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted_bazaar.errors import Unusable
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.endpoint import DEFAULT_LISTEN, Endpoint

__all__ = ["ANSWER_SECONDS", "ask"]

ANSWER_SECONDS = 3.0
"""A service that takes longer counts as dead."""

_ENDPOINTS = {"tcp", "tcp6", "unix", "ssl", "tls", "haproxy", "systemd", "fd"}
"""Kinds of endpoints: text before the first colon that is no host."""
_ASKED = "an endpoint of kind tcp, tcp6, ssl, tls or unix with a port or path of its own"
_CHECK = "/grpc.health.v1.Health/Check"
"""An empty request is for the process as a whole."""
_SERVING = b"\x08\x01"
"""The answer `HealthCheckResponse(status=SERVING)`."""


def ask(environment: Mapping[str, str]) -> str:
    """Call the service and return what was called. Raises `Unusable` without a good answer.

    `BAZAAR_LISTEN` says where: an endpoint is that of a front-end, and HOST:PORT that of an order
    replica or a catalog.
    """
    listen = environment.get("BAZAAR_LISTEN") or DEFAULT_LISTEN
    if listen.partition(":")[0] in _ENDPOINTS:
        return _ask_frontend(listen)
    try:
        address = Address.parse(listen)
    except ValueError:
        raise Unusable(f"BAZAAR_LISTEN: {listen!r} is neither HOST:PORT nor {_ASKED}") from None
    host = "127.0.0.1" if address.host in ("0.0.0.0", "::") else address.host
    number = environment.get("BAZAAR_ID", "")
    role = f"order-{number}" if number else "catalog"
    return _ask_grpc(Address(host, address.port), role, environment.get("BAZAAR_CERTIFICATES", ""))


def _ask_frontend(listen: str) -> str:
    try:
        endpoint = Endpoint.parse(listen)
    except ValueError as why:
        raise Unusable(f"BAZAAR_LISTEN {why}") from None
    if endpoint.kind == "unix":
        _ask_http(Address("localhost", 80), endpoint.path)
        return f"/livez at {endpoint.path}"
    if not endpoint.is_tcp or endpoint.port == 0:
        raise Unusable(f"BAZAAR_LISTEN: {listen!r} cannot be asked, only {_ASKED}")
    everywhere = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
    address = Address(everywhere.get(endpoint.host, endpoint.host), endpoint.port)
    return _ask_http(address, is_tls=endpoint.is_tls)


def _ask_http(address: Address, path: str | None = None, is_tls: bool = False) -> str:
    """GET /livez at `address`, or at the socket `path`."""
    # Each check is a new process, which imports only what it needs.
    import http.client
    import socket

    class Connection(http.client.HTTPConnection):
        def connect(self) -> None:
            if path is None:
                super().connect()
                if is_tls:
                    import ssl

                    # It is asked on its own machine by an address, for which it has no certificate,
                    # and told nothing.
                    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                    context.check_hostname = False
                    context.verify_mode = ssl.CERT_NONE
                    self.sock = context.wrap_socket(self.sock)
                return
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(self.timeout)
            self.sock.connect(path)

    scheme = "https" if is_tls else "http"
    url = f"{scheme}://{address}/livez" if path is None else f"BAZAAR_LISTEN {path} /livez"
    connection = Connection(address.host, address.port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/livez")
        status = connection.getresponse().status
    except (OSError, ValueError, http.client.HTTPException) as why:
        raise Unusable(f"{url} does not answer: {why}") from None
    finally:
        connection.close()
    if status != 200:
        raise Unusable(f"{url} answers with status {status}")
    return url


def _ask_grpc(address: Address, role: str, certificates: str) -> str:
    """Check the service, whose `role` has a certificate in the folder `certificates`; empty: it
    speaks plain text."""
    import grpc

    from twisted_bazaar.rpc.keepalive import DIRECT

    if certificates:
        # The service's own: what checks it runs beside it.
        names = "ca.crt", f"{role}.key", f"{role}.crt"
        try:
            files = [Path(certificates, name).read_bytes() for name in names]
        except OSError as why:
            raise Unusable(f"{why.filename} cannot be read: {why.strerror}") from None
        options = (*DIRECT, ("grpc.ssl_target_name_override", f"{role}.bazaar"))
        made = grpc.secure_channel(str(address), grpc.ssl_channel_credentials(*files), options)
    else:
        made = grpc.insecure_channel(str(address), DIRECT)
    with made as channel:
        call: Any = channel.unary_unary(_CHECK)
        try:
            serves = call(b"", timeout=ANSWER_SECONDS) == _SERVING
        except grpc.RpcError as failure:
            # A service of an earlier release knows no health, but its reactor has answered.
            if failure.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise Unusable(f"{address}{_CHECK}: {failure.code().name.lower()}") from None
            serves = True
    if not serves:
        raise Unusable(f"{address}{_CHECK}: it is stopping")
    return f"{address}{_CHECK}"
