"""What is sent to a replica that lacks more than the logs of others hold: a snapshot, and for its
archive the entries before. Frozen values. Pure.

A snapshot is a copy of the index file of a replica, which is the state after an entry: the market
data, the keys of all orders, and where they are. The sender makes the copy at the first request,
and its parts are asked for one after the other.
"""

from collections.abc import Sequence

import msgspec

from .entries import Entry

__all__ = ["Earlier", "EarlierReply", "Snapshot", "SnapshotReply"]


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A replica asks for the part of a snapshot from `offset` on."""

    replica: int
    """The sender."""
    cluster: str = ""
    to: int = 0
    copy: str = ""
    """Names the snapshot, as the first answer did; empty: make one."""
    offset: int = 0
    """Bytes."""


class SnapshotReply(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `Snapshot`."""

    replica: int
    """The sender."""
    copy: str
    beginning: bytes
    """A `Beginning` as JSON: the entry that the snapshot is as of."""
    size: int
    """Bytes of the whole."""
    offset: int
    """As in the request."""
    data: bytes


class Earlier(msgspec.Struct, frozen=True, kw_only=True):
    """A replica asks for the entries `after` < index <= `upto`, or the first of them."""

    replica: int
    """The sender."""
    cluster: str = ""
    to: int = 0
    after: int
    upto: int


class EarlierReply(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `Earlier`. The asker checks the digests: it knows that of the last one."""

    replica: int
    """The sender, as is `term`."""
    term: int
    after: int
    """As in the request."""
    entries: Sequence[Entry]
    """Empty: the sender lacks them, too."""
