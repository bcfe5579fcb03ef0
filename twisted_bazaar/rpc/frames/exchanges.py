"""What is called in frames: kinds and bodies of requests, and how a service answers them.

A body is the protobuf message that gRPC carries, with the same checks. What would hold up the
reactor goes to a thread: decoding a long message, and encoding a snapshot, or entries that are read
from the log file. So two requests may be handled in another order than they were sent in, as by
gRPC.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from twisted_bazaar.consensus.far_behind import Earlier, EarlierReply, Snapshot, SnapshotReply
from twisted_bazaar.consensus.messages import (
    Append,
    AppendReply,
    Apply,
    ApplyReply,
    Fetch,
    FetchReply,
    Poll,
    PollReply,
    Vote,
    VoteReply,
)
from twisted_bazaar.errors import Malformed, Unavailable, Unusable
from twisted_bazaar.rpc.bazaar.v1 import catalog_pb2, replication_pb2
from twisted_bazaar.rpc.figures import CallFigures, MethodFigures
from twisted_bazaar.rpc.following import followed_from_wire
from twisted_bazaar.rpc.wire import from_wire, to_wire
from twisted_bazaar.tracing.followed import Followed

from .server import Method

__all__ = [
    "APPLYING",
    "FAR_BEHIND",
    "REPLICATION",
    "Blocking",
    "Exchange",
    "decode",
    "counted",
    "decode_followed",
    "decodes_at_once",
    "encode",
    "encodes_at_once",
    "methods",
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
    """That of gRPC's method."""
    request: type[Any]
    reply: type[Any]
    request_body: Any
    reply_body: Any
    """The protobuf messages."""

    @property
    def path(self) -> str:
        """What it is counted as, and its row in `security.roles.ALLOWED`."""
        return f"frames.{self.name}"


_PB = replication_pb2
REPLICATION: Sequence[Exchange] = (
    Exchange(1, "Append", Append, AppendReply, _PB.AppendRequest, _PB.AppendReply),
    Exchange(2, "Vote", Vote, VoteReply, _PB.VoteRequest, _PB.VoteReply),
    Exchange(3, "Poll", Poll, PollReply, _PB.PollRequest, _PB.PollReply),
    Exchange(4, "Fetch", Fetch, FetchReply, _PB.FetchRequest, _PB.FetchReply),
)
"""Between order replicas."""
FAR_BEHIND: Sequence[Exchange] = (
    Exchange(6, "Snapshot", Snapshot, SnapshotReply, _PB.SnapshotRequest, _PB.SnapshotReply),
    Exchange(7, "Earlier", Earlier, EarlierReply, _PB.EarlierRequest, _PB.EarlierReply),
)
"""Between order replicas, one of which is far behind."""
APPLYING: Sequence[Exchange] = (
    Exchange(5, "Apply", Apply, ApplyReply, catalog_pb2.ApplyRequest, catalog_pb2.ApplyReply),
)
"""From the leader to a catalog."""


def encode(message: Any) -> bytes:
    """The body that carries `message`. Raises `Unusable` or OSError if entries of it are on disk
    and cannot be read."""
    body: bytes = to_wire(message).SerializeToString()
    return body


def encodes_at_once(message: Any) -> bool:
    """Whether `encode` reads no entries from the disk, and meets no snapshot, which takes long."""
    entries, proposed = getattr(message, "entries", ()), getattr(message, "proposed", ())
    if getattr(message, "snapshot", None) is not None:
        return False
    return isinstance(entries, tuple) and isinstance(proposed, tuple)


def decodes_at_once(body: bytes) -> bool:
    """Whether `decode` is done soon enough for the reactor."""
    return len(body) <= _MAX_BYTES_AT_ONCE


def decode(body: bytes, wire: Any, kind: type[Any]) -> Any:
    """The message of type `kind` in a body with a protobuf message `wire`. Raises `Malformed`."""
    return from_wire(_parse(body, wire, kind), kind)


def decode_followed(body: bytes, wire: Any, kind: type[Any]) -> tuple[Any, Mapping[int, Followed]]:
    """As `decode`, with what the body says of entries that are followed, by index."""
    parsed = _parse(body, wire, kind)
    return from_wire(parsed, kind), followed_from_wire(getattr(parsed, "followed", ()))


def _parse(body: bytes, wire: Any, kind: type[Any]) -> Any:
    try:
        return wire.FromString(body)
    except Exception as why:  # protobuf has several errors, and no common one
        raise Malformed(f"not a {kind.__name__}: {why}") from None


def methods(
    exchanges: Sequence[Exchange],
    ask: Callable[[Any], Deferred[Any]],
    blocking: Blocking,
    cannot_read: Callable[[Exception], None] = lambda error: None,
    read: Callable[[bytes, Any, type[Any]], Any] = decode,
    figures: CallFigures | None = None,
) -> Mapping[int, Method]:
    """How a service that answers a message with `ask` answers requests, by kind.

    `blocking` runs what would hold up the reactor. `cannot_read` is told that entries of a reply
    cannot be read from this process's own files. `read` is `decode`, or `decode_followed`: then
    `ask` takes what that returns. `figures` count the requests.
    """
    edge = _Edge(ask, blocking, cannot_read, read)
    counts = {} if figures is None else counted(exchanges, figures)
    return {
        each.kind: Method(each.name, partial(edge.answer, each), counts.get(each.kind), each.path)
        for each in exchanges
    }


def counted(exchanges: Sequence[Exchange], figures: CallFigures) -> Mapping[int, MethodFigures]:
    """What counts requests of `exchanges`, by kind."""
    return {each.kind: figures.of(each.path) for each in exchanges}


class _Edge:
    def __init__(
        self,
        ask: Callable[[Any], Deferred[Any]],
        blocking: Blocking,
        cannot_read: Callable[[Exception], None],
        read: Callable[[bytes, Any, type[Any]], Any],
    ) -> None:
        self._ask = ask
        self._blocking = blocking
        self._told = cannot_read
        self._read = read

    def answer(self, exchange: Exchange, body: bytes) -> Deferred[bytes]:
        """The body of the reply to a request with `body`. Raises `Malformed`."""
        kind = exchange.request_body, exchange.request
        if decodes_at_once(body):
            reply = self._ask(self._read(body, *kind))
        else:
            reply = self._blocking(self._read, body, *kind).addCallback(self._ask)
        return reply.addCallback(self._encode)

    def _encode(self, reply: Any) -> bytes | Deferred[bytes]:
        if encodes_at_once(reply):
            return encode(reply)
        return self._blocking(encode, reply).addErrback(self._cannot_read)

    def _cannot_read(self, failure: Failure) -> NoReturn:
        error = failure.value
        if not isinstance(error, Unusable | OSError):
            failure.raiseException()
        self._told(error)
        raise Unavailable(str(error))
