"""`python -m twisted_bazaar market`: market operations, at the internal endpoint of a front-end.

Where that is, and the secret to sign with, is found in the folder of a bazaar on one machine, or is
given.
"""

import csv
import http.client
import json
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import msgspec

from twisted_bazaar.errors import Unusable
from twisted_bazaar.frontend.operations.challenges import (
    CHALLENGE_HEADER,
    PATH,
    SIGNATURE_HEADER,
    sign_operation,
)
from twisted_bazaar.local.secret import secret_path
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.options import host_port, secret_file

__all__ = ["ANSWER_SECONDS", "operate"]

ANSWER_SECONDS = 60.0
"""A front-end answers sooner, unless its `--deadline` is longer."""

_COLUMNS = ("name", "price", "quantity", "volume", "halted")


def operate(asked: Namespace, out: TextIO) -> None:
    """Carry out one operation, and say on `out` what came of it. Raises `Unusable`, also if that
    is unknown."""
    operation = _operation(asked)
    address, secret = _where(asked)
    data = _send(address, secret, msgspec.json.encode(operation))
    if asked.operation == "show":
        table = csv.writer(out, lineterminator="\n")
        table.writerow(_COLUMNS)
        for stock in data:
            table.writerow((*(stock[name] for name in _COLUMNS[:-1]), int(stock["halted"])))
    elif data["index"] is None:
        print("ok: it was so already", file=out)
    else:
        print(f"ok: entry {data['index']}", file=out)


def _operation(asked: Namespace) -> Mapping[str, Any]:
    match asked.operation:
        case "list":
            stock = {
                "name": asked.name,
                "price": msgspec.Raw(asked.price.encode()),
                "quantity": asked.quantity,
            }
            return {"operation": "list", "stocks": [stock]}
        case "price":
            price = msgspec.Raw(asked.price.encode())
            return {"operation": "price", "name": asked.name, "price": price}
        case "halt" | "resume":
            chosen = {"all": True} if asked.all else {"names": asked.names}
            return {"operation": asked.operation, **chosen}
    return {"operation": "show"}


def _where(asked: Namespace) -> tuple[Address, bytes]:
    """The internal endpoint of a front-end, and the secret to sign with."""
    if (asked.frontend is None) != (asked.secret_file is None):
        raise Unusable("--frontend and --secret-file must be given together")
    path = asked.secret_file or str(secret_path(asked.data))
    try:
        address = host_port(asked.frontend) if asked.frontend else _found_in(asked.data)
    except ValueError as why:
        raise Unusable(f"--frontend {why}") from None
    try:
        return address, secret_file(path)
    except ValueError as why:
        raise Unusable(f"--secret-file {why}") from None


def _found_in(data: Path) -> Address:
    path = data / "processes.json"
    try:
        processes = json.loads(path.read_bytes())
        return next(Address.parse(each["internal"]) for each in processes if "internal" in each)
    except OSError as why:
        raise Unusable(f"{path} cannot be read: {why.strerror}; is the bazaar running?") from None
    except (ValueError, TypeError, StopIteration):
        raise Unusable(f"{path} names no internal endpoint of a front-end") from None


def _send(address: Address, secret: bytes, body: bytes) -> Any:
    """The data of the answer to the operation in `body`."""
    connection = http.client.HTTPConnection(address.host, address.port, timeout=ANSWER_SECONDS)
    unknown = ""
    try:
        connection.request("GET", PATH.decode())
        challenge = _data(connection.getresponse())["challenge"]
        headers = {
            "Content-Type": "application/json",
            CHALLENGE_HEADER.decode(): challenge,
            SIGNATURE_HEADER.decode(): sign_operation(secret, challenge, body).decode(),
        }
        unknown = "; it is unknown whether the market was changed: to repeat is safe"
        connection.request("POST", PATH.decode(), body, headers)
        return _data(connection.getresponse())
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException) as why:
        raise Unusable(f"http://{address}/market does not answer: {why!r:.120}{unknown}") from None
    finally:
        connection.close()


def _data(response: http.client.HTTPResponse) -> Any:
    """Prices are text, as they are shown. Raises `Unusable` with the message of a failure."""
    answer = json.loads(response.read(), parse_float=str)
    if response.status == 200:
        return answer["data"]
    raise Unusable(answer["error"]["message"])
