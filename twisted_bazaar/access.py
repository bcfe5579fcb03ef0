"""Clients, and what they may do. Pure.

A client is known by its API key; the file of clients (`frontend.access.client_file`) says which
there are.
"""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import attrs

from .rate import Rate

__all__ = [
    "ANONYMOUS",
    "MAX_CLIENT_NAME_CHARACTERS",
    "CLIENT_NAME",
    "CLIENT_NAME_RULE",
    "UNKNOWN",
    "Client",
    "Permission",
    "Recognized",
]

MAX_CLIENT_NAME_CHARACTERS = 32
CLIENT_NAME = re.compile(rf"[a-z0-9][a-z0-9._-]{{0,{MAX_CLIENT_NAME_CHARACTERS - 1}}}")
"""The whole of a client's name."""
CLIENT_NAME_RULE = (
    "1 to 32 of the characters a-z, 0-9, dot, underscore and hyphen, of which the first is a "
    "letter or digit"
)


class Permission(StrEnum):
    """What a client may do."""

    READ = "read"
    """See stocks, orders, events and the state of the bazaar."""
    TRADE = "trade"
    """Place trades."""
    OPERATE = "operate"
    """See whose each order is, and what only operators may see."""


@attrs.frozen
class Client:
    """One client, as its file says."""

    name: str
    """Of the form `CLIENT_NAME`; empty: it has shown no API key."""
    permissions: frozenset[Permission]
    rate: Rate | None = None
    """None: it may make any number of requests."""
    shown: bytes = attrs.field(default=b"", eq=False, repr=False)
    """The hash of the API key that it has shown; empty: this is what its file says of it."""

    def may(self, permission: Permission) -> bool:
        """Whether it has `permission`."""
        return permission in self.permissions


class Recognized(NamedTuple):
    """Whom a connection was found to be of: the client of what it has `shown`, if `known` are the
    clients that there are. It counts only for these very objects."""

    shown: Sequence[bytes] | None
    known: Mapping[bytes, tuple[bytes, Client]]
    client: Client


ANONYMOUS = Client("", frozenset(Permission))
"""Every client where there is no file of clients."""
UNKNOWN = Client("", frozenset())
"""A client without a valid API key, where there is a file of clients."""
