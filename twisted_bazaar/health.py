"""`python -m twisted_bazaar health`: whether the service that the environment describes lives.

For a container, whose services are given their options as environment variables. It asks the
service itself, and only for what this one can answer alone: a front-end without a catalog, or a
replica without a majority, is not ready and lives all the same, and starting it again would help
nobody.
"""

import re
from collections.abc import Mapping
from typing import Any

from .address import Address
from .errors import Unusable

__all__ = ["ANSWER_SECONDS", "ask"]

ANSWER_SECONDS = 3.0
"""A service that takes longer does not live."""

_DEFAULT_LISTEN = "tcp:8081:interface=127.0.0.1"
_ORDER = "/bazaar.v1.Orders/Status"
_CATALOG = "/bazaar.v1.Catalog/Listing"
"""Calls that take an empty message and are answered by the service's reactor."""


def ask(environment: Mapping[str, str]) -> str:
    """Ask the service and return what was asked. Raises `Unusable` if there is no good answer.

    `BAZAAR_LISTEN` says where: an endpoint `tcp:PORT…` is a front-end's, HOST:PORT an order
    replica's if `BAZAAR_ID` is set, and else a catalog's.
    """
    listen = environment.get("BAZAAR_LISTEN") or _DEFAULT_LISTEN
    if endpoint := re.fullmatch(r"tcp6?:(\d+)(?::.*?\binterface=([^:]+).*|:.*)?", listen):
        return _ask_http(Address(_local(endpoint[2] or ""), int(endpoint[1])))
    try:
        address = Address.parse(listen)
    except ValueError:
        raise Unusable(f"BAZAAR_LISTEN: {listen!r} cannot be asked over TCP") from None
    method = _ORDER if environment.get("BAZAAR_ID") else _CATALOG
    return _ask_grpc(Address(_local(address.host), address.port), method)


def _local(host: str) -> str:
    return "127.0.0.1" if host in ("", "0.0.0.0", "::") else host


def _ask_http(address: Address) -> str:
    # Each check is a process of its own: it imports only what it needs.
    import http.client

    url = f"http://{address}/livez"
    connection = http.client.HTTPConnection(address.host, address.port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/livez")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as why:
        raise Unusable(f"{url} does not answer: {why}") from None
    finally:
        connection.close()
    if status != 200:
        raise Unusable(f"{url} answers with status {status}")
    return url


def _ask_grpc(address: Address, method: str) -> str:
    import grpc

    with grpc.insecure_channel(str(address)) as channel:
        call: Any = channel.unary_unary(method)
        try:
            call(b"", timeout=ANSWER_SECONDS)
        except grpc.RpcError as failure:
            raise Unusable(f"{address}{method}: {failure.code().name.lower()}") from None
    return f"{address}{method}"
