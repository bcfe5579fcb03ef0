"""Operations at the internal endpoint of a front-end, signed with the cluster's secret.

Where that is, and the secret, is found in the folder of a bazaar on one machine, or is given.
"""

import http.client
import json
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
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

__all__ = ["ANSWER_SECONDS", "Operator", "Refused"]

ANSWER_SECONDS = 60.0
"""A front-end answers sooner, unless its `--deadline` is longer."""


class Refused(Unusable):
    """The front-end answered with a failure."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


@attrs.frozen
class Operator:
    """Has a front-end carry out operations."""

    address: Address
    """Of its internal endpoint."""
    secret: bytes = attrs.field(repr=False)

    @classmethod
    def find(cls, asked: Namespace) -> "Operator":
        """The one that a command line asks for. Raises `Unusable`."""
        return cls(*_where(asked))

    def operate(self, operation: Mapping[str, Any]) -> Any:
        """The data of the answer to `operation`. Raises `Unusable`, also if it is unknown whether
        it was carried out."""
        return _send(self.address, self.secret, msgspec.json.encode(operation))


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
    raise Refused(answer["error"]["message"], answer["error"]["reason"])
