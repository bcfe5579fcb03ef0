"""Operations at the internal endpoint of a front-end, signed with the cluster's secret.

Where that is, and the secret, is found in the folder of a bazaar on one machine, or is given.
"""

import http.client
import json
import os
import ssl
from argparse import Namespace
from collections.abc import Mapping, Sequence
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
from twisted_bazaar.security.roles import Kind, Role
from twisted_bazaar.security.transport import in_words

from .tls_connection import connect_inside

__all__ = ["ANSWER_SECONDS", "Operator", "Refused"]

ANSWER_SECONDS = 60.0
"""A front-end answers sooner, unless its `--deadline` is longer."""
FRONTEND = "BAZAAR_FRONTEND"
"""The environment variable of `--frontend`, for who gives many commands."""
SECRET_FILE = "BAZAAR_SECRET_FILE"


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
    certificates: Path | None = None
    """The folder of the operator's certificate; None: in plain text."""

    @classmethod
    def find(cls, asked: Namespace) -> "Operator":
        """The one that a command line asks for. Raises `Unusable`."""
        return cls(*_where(asked))

    def operate(self, operation: Mapping[str, Any]) -> Any:
        """The data of the answer to `operation`. Raises `Unusable`, also if it is unknown whether
        it was carried out."""
        return _send(self, msgspec.json.encode(operation))


def _where(asked: Namespace) -> tuple[Address, bytes, Path | None]:
    """The internal endpoint of a front-end, the secret to sign with, and certificates."""
    frontend, secret = asked.frontend, asked.secret_file
    if frontend is None and asked.data is None:
        frontend = os.environ.get(FRONTEND)
    if frontend and secret is None:
        secret = os.environ.get(SECRET_FILE)
    if bool(frontend) != bool(secret):
        raise Unusable("--frontend and --secret-file must be given together")
    data = asked.data or Path("var")
    path = secret or str(secret_path(data))
    try:
        if frontend:
            address, certificates = host_port(frontend), asked.certificates
        else:
            address, found = _found_in(data)
            certificates = asked.certificates or found
    except ValueError as why:
        raise Unusable(f"--frontend {why}") from None
    try:
        return address, secret_file(path), certificates
    except ValueError as why:
        raise Unusable(f"--secret-file {why}") from None


def _found_in(data: Path) -> tuple[Address, Path | None]:
    path = data / "processes.json"
    try:
        processes = json.loads(path.read_bytes())
        frontend = next(each for each in processes if "internal" in each)
        return Address.parse(frontend["internal"]), _certificates_in(frontend["command"])
    except OSError as why:
        raise Unusable(f"{path} cannot be read: {why.strerror}; is the bazaar running?") from None
    except (ValueError, TypeError, KeyError, StopIteration):
        raise Unusable(f"{path} names no internal endpoint of a front-end") from None


def _certificates_in(command: Sequence[str]) -> Path | None:
    """The folder that a front-end was given on its command line."""
    option = "--certificates="
    given = [word.removeprefix(option) for word in command if word.startswith(option)]
    return Path(given[-1]) if given else None


def _send(operator: Operator, body: bytes) -> Any:
    """The data of the answer to the operation in `body`."""
    address, secret = operator.address, operator.secret
    connection = connect_inside(
        *(address.host, address.port, operator.certificates),
        *(Role(Kind.OPERATOR), Role(Kind.FRONTEND), ANSWER_SECONDS),
    )
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
        raise Unusable(f"{address}/market does not answer: {_said(why)}{unknown}") from None
    finally:
        connection.close()


def _said(why: Exception) -> str:
    if isinstance(why, ssl.SSLError):
        return in_words(why)
    if isinstance(why, OSError) and why.strerror:
        return why.strerror
    return f"{why!r:.120}"


def _data(response: http.client.HTTPResponse) -> Any:
    """Prices are text, as they are shown. Raises `Unusable` with the message of a failure."""
    answer = json.loads(response.read(), parse_float=str)
    if response.status == 200:
        return answer["data"]
    raise Refused(answer["error"]["message"], answer["error"]["reason"])
