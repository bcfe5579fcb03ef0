"""The bounds of numbers, texts and lists in messages from other processes: one table. Pure.

A value within its bounds need not be right, but is safe to work with: it can be added to, encoded
again and written to a file. A field without a row of its own has the bounds of its type.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from twisted_bazaar.errors import Malformed
from twisted_bazaar.market import MAX_PRICE, MAX_SHARES, MAX_STOCKS, MAX_TRADE_QUANTITY
from twisted_bazaar.order_keys import MAX_SCOPED_KEY_CHARACTERS
from twisted_bazaar.partitions import MAX_PARTITIONS
from twisted_bazaar.replica_ids import MAX_REPLICA

__all__ = [
    "MAX_DURATION",
    "MAX_ENTRIES",
    "MAX_ID",
    "MAX_INTEGER",
    "MAX_KEY_BYTES",
    "MAX_MEMBERS",
    "MAX_MILLISECONDS",
    "MAX_NAMES",
    "MAX_REFUSAL",
    "MAX_PRICE",
    "MAX_TERM_STEP_ANSWERED",
    "MAX_TERM_STEP_ASKED",
    "MAX_TRADES",
    "check_clock",
    "check_count",
    "check_integer",
    "check_of",
    "check_step",
    "check_text",
    "most",
]

MAX_INTEGER = 2**53 - 1
"""Of terms, indexes, order numbers, rounds, nonces and lives: exact in every JSON reader."""
MAX_ID = MAX_REPLICA
MAX_SECONDS = 2.0**40
"""The reading of a clock."""
MAX_DURATION = 86_400.0
"""Seconds of a wait or a lease."""
MAX_TEXT = 256
MAX_REFUSAL = 1024
"""Of why a change of the members is refused, which may name addresses and all members."""
MAX_KEY_BYTES = MAX_SCOPED_KEY_CHARACTERS
"""Of a scoped key, which is ASCII."""
MAX_MILLISECONDS = 253_402_300_799_999
"""The end of the year 9999, the last that `datetime` knows."""
MAX_ENTRIES = 1024
"""Log entries in one message."""
MAX_TRADES = 1024
MAX_MEMBERS = 256
MAX_NAMES = 1024

MAX_TERM_STEP_ASKED = 2**22
"""How far the term of a request may be above the receiver's: weeks of continuous elections."""
MAX_TERM_STEP_ANSWERED = 2**32
"""The same for a reply, whose sender was called at an address from the options. It is so much more
that no flood of requests raises a term beyond it between two heartbeats."""

_DIGEST = re.compile(r"[0-9a-f]{32}")
_Check = Callable[[str, Any], None]


def check_integer(name: str, value: int, most: int = MAX_INTEGER, least: int = 0) -> None:
    """Raises `Malformed` unless `value` is from `least` to `most`."""
    if not least <= value <= most:
        raise Malformed(f"{name} must be from {least} to {most}, not {value}")


def check_text(name: str, value: str, most: int = MAX_TEXT) -> None:
    """Raises `Malformed` unless `value` has at most `most` characters."""
    if len(value) > most:
        raise Malformed(f"{name} must have at most {most} characters, not {len(value)}")


def check_clock(name: str, value: float, most: float = MAX_SECONDS) -> None:
    """Raises `Malformed` unless `value` is from 0 to `most` seconds."""
    # NaN fails every comparison.
    if not 0.0 <= value <= most:
        raise Malformed(f"{name} must be from 0 to {most:.0f} seconds, not {value!r:.40}")


def check_count(name: str, count: int, most: int) -> None:
    """Raises `Malformed` if there are more than `most` of `name`."""
    if count > most:
        raise Malformed(f"there must be at most {most} {name}, not {count}")


def check_step(term: int, own: int, most: int) -> None:
    """Raises `Malformed` if `term` is more than `most` above the receiver's `own`."""
    if term - own > most:
        raise Malformed(f"term {term} is more than {most} above term {own}")


def most(name: str) -> int:
    """The largest integer that a field `name` may hold; the smallest is 0."""
    if name == "partition":
        return MAX_PARTITIONS - 1
    return MAX_ID if name in _IDS else MAX_INTEGER


def check_of(name: str, kind: type) -> _Check:
    """The check of a float or a text in a field `name`; it raises `Malformed`."""
    return _CHECKS.get(name) or (check_clock if kind is float else check_text)


def _duration(name: str, value: float) -> None:
    check_clock(name, value, MAX_DURATION)


def _digest(name: str, value: str) -> None:
    if value and not _DIGEST.fullmatch(value):
        raise Malformed(f"{name} must be 32 hexadecimal digits")


_IDS = frozenset({"replica", "leader", "follower", "candidate", "voter", "to", "preferred"})
_CHECKS: Mapping[str, _Check] = MappingProxyType(
    {
        **dict.fromkeys(("wait", "lease", "longest"), _duration),
        **dict.fromkeys(("digest", "previous_digest", "last_digest"), _digest),
    }
)

assert MAX_SHARES <= MAX_INTEGER
assert MAX_TRADE_QUANTITY <= MAX_SHARES
assert MAX_STOCKS >= MAX_NAMES
