"""The file of clients: their names, the hashes of their API keys, and what they may do. Pure.

It is TOML, so that people can write it:

    [clients.alice]
    key_hash = "sha256:…"
    permissions = ["read", "trade"]
    rate = 50

The file holds hashes only. An API key has 256 random bits, so one SHA-256 is enough: a salt and a
slow hash protect secrets that people choose, which can be guessed.
"""

import re
import tomllib
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import attrs

from twisted_bazaar.access import CLIENT_NAME, CLIENT_NAME_RULE, Client, Permission
from twisted_bazaar.rate import Rate

__all__ = [
    "API_KEY_BYTES",
    "DEFAULT_PERMISSIONS",
    "ClientEntry",
    "api_key",
    "hash_of",
    "read_clients",
    "written",
]

API_KEY_BYTES = 32
"""Of chance, in each API key."""
DEFAULT_PERMISSIONS = (Permission.READ, Permission.TRADE)

_PREFIX = "bz_"
"""What an API key begins with: so that scanners for secrets know one."""
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_FIELDS = frozenset({"key_hash", "permissions", "rate", "burst"})


@attrs.frozen
class ClientEntry:
    """A client, and its API keys."""

    client: Client
    hashes: tuple[str, ...]
    """Of its API keys, each as `hash_of` makes it. While one replaces another, there are two; a
    client without any can do nothing."""


def api_key(random: bytes) -> str:
    """The API key made of `API_KEY_BYTES` random bytes."""
    assert len(random) == API_KEY_BYTES
    return _PREFIX + urlsafe_b64encode(random).rstrip(b"=").decode()


def hash_of(key: bytes) -> str:
    """What the file holds of an API key."""
    return f"sha256:{sha256(key).hexdigest()}"


def read_clients(text: str) -> Mapping[str, ClientEntry]:
    """The clients in a file, by name. Raises ValueError with what is wrong, in one line."""
    try:
        content = tomllib.loads(text)
    except ValueError as why:
        raise ValueError(f"it is no TOML: {why}") from None
    except RecursionError:
        raise ValueError("it is no file of clients: it nests too deeply") from None
    unknown = content.keys() - {"clients"}
    if unknown:
        raise ValueError(f"unknown field {_cut(min(unknown))}; it has tables [clients.NAME] only")
    tables = content.get("clients", {})
    if not isinstance(tables, dict):
        raise ValueError("clients must be tables, [clients.NAME]")
    found = {name: _entry(name, table) for name, table in tables.items()}
    owners: dict[str, str] = {}
    for name, entry in found.items():
        for each in entry.hashes:
            if owners.setdefault(each, name) != name:
                raise ValueError(f"clients {owners[each]} and {name} have the same API key")
    return found


def _entry(name: str, table: Any) -> ClientEntry:
    if CLIENT_NAME.fullmatch(name) is None:
        raise ValueError(f"the name of a client must be {CLIENT_NAME_RULE}, not {_cut(name)}")
    where = f"client {name}:"
    if not isinstance(table, dict):
        raise ValueError(f"{where} it must be a table, [clients.{name}]")
    unknown = table.keys() - _FIELDS
    if unknown:
        raise ValueError(f"{where} unknown field {_cut(min(unknown))}")
    hashes = table.get("key_hash", [])
    hashes = [hashes] if isinstance(hashes, str) else hashes
    if not _are_texts(hashes) or not all(_HASH.fullmatch(each) for each in hashes):
        raise ValueError(f'{where} key_hash must be "sha256:" and 64 hexadecimal digits, or a list')
    permissions = table.get("permissions", [*DEFAULT_PERMISSIONS])
    if not _are_texts(permissions) or not {*permissions} <= {*Permission}:
        known = ", ".join(Permission)
        raise ValueError(f"{where} permissions must be a list of some of {known}")
    client = Client(name, frozenset(map(Permission, permissions)), _rate(where, table))
    return ClientEntry(client, tuple(dict.fromkeys(hashes)))


def _cut(value: object) -> str:
    """`value` for a message of one line."""
    return f"{value!r:.80}"


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _rate(where: str, table: Mapping[str, Any]) -> Rate | None:
    rate, burst = table.get("rate"), table.get("burst")
    if rate is None:
        if burst is not None:
            raise ValueError(f"{where} burst must be given with rate")
        return None
    if type(rate) not in (int, float):
        raise ValueError(f"{where} rate must be a number, not {_cut(rate)}")
    if burst is not None and type(burst) is not int:
        raise ValueError(f"{where} burst must be a whole number, not {_cut(burst)}")
    try:
        return Rate.of(rate, burst)
    except ValueError as why:
        raise ValueError(f"{where} rate {why}") from None


def written(entries: Sequence[ClientEntry]) -> str:
    """A file that `read_clients` reads as `entries`, by name."""
    return "\n".join(map(_table, sorted(entries, key=lambda each: each.client.name)))


def _table(entry: ClientEntry) -> str:
    client = entry.client
    hashes = [f'"{each}"' for each in entry.hashes]
    keys = hashes[0] if len(hashes) == 1 else f"[{', '.join(hashes)}]"
    permissions = ", ".join(f'"{each}"' for each in Permission if client.may(each))
    lines = [f'[clients."{client.name}"]', f"key_hash = {keys}", f"permissions = [{permissions}]"]
    if client.rate is not None:
        lines.append(f"rate = {float(client.rate.per_second):.12g}")
        lines += [] if client.rate.is_usual else [f"burst = {client.rate.burst}"]
    return "\n".join([*lines, ""])
