"""The requests of order replicas to each other, in frames: their kinds and bodies.

A body is the protobuf message that gRPC carries, with the same checks.
"""

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from twisted_bazaar.consensus.messages import (
    Append,
    AppendReply,
    Fetch,
    FetchReply,
    Poll,
    PollReply,
    Vote,
    VoteReply,
)
from twisted_bazaar.errors import Malformed
from twisted_bazaar.rpc.bazaar.v1 import replication_pb2
from twisted_bazaar.rpc.wire import from_wire, to_wire

__all__ = [
    "Blocking",
    "EXCHANGES",
    "Exchange",
    "decode",
    "decodes_at_once",
    "encode",
    "encodes_at_once",
]

_MAX_BYTES_AT_ONCE = 256 * 1024
"""A larger body is decoded on a thread: this much takes some 10 ms."""

Blocking = Callable[..., Deferred[Any]]
"""Calls a function with arguments on a thread, and fires with what it returns."""


@attrs.frozen
class Exchange:
    """One kind of request and its reply."""

    kind: int
    """On the wire: never to be given to another."""
    name: str
    request: type[Any]
    reply: type[Any]
    request_body: Any
    reply_body: Any
    """The protobuf messages."""


_PB = replication_pb2
EXCHANGES: Sequence[Exchange] = (
    Exchange(1, "Append", Append, AppendReply, _PB.AppendRequest, _PB.AppendReply),
    Exchange(2, "Vote", Vote, VoteReply, _PB.VoteRequest, _PB.VoteReply),
    Exchange(3, "Poll", Poll, PollReply, _PB.PollRequest, _PB.PollReply),
    Exchange(4, "Fetch", Fetch, FetchReply, _PB.FetchRequest, _PB.FetchReply),
)


def encode(message: Any) -> bytes:
    """The body that carries `message`. Raises `Unusable` or OSError if entries of it are on disk
    and cannot be read."""
    body: bytes = to_wire(message).SerializeToString()
    return body


def encodes_at_once(message: Any) -> bool:
    """Whether `encode` reads no entries from the disk."""
    return isinstance(getattr(message, "entries", ()), tuple)


def decodes_at_once(body: bytes) -> bool:
    """Whether `decode` is done soon enough for the reactor."""
    return len(body) <= _MAX_BYTES_AT_ONCE


def decode(body: bytes, wire: Any, kind: type[Any]) -> Any:
    """The message of type `kind` in a body with a protobuf message `wire`. Raises `Malformed`."""
    try:
        message = wire.FromString(body)
    except Exception as why:  # protobuf has several errors, and no common one
        raise Malformed(f"not a {kind.__name__}: {why}") from None
    return from_wire(message, kind)
