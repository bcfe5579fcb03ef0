"""What is known of trades that are followed, on its way between processes. Pure.

It travels with trades, and with the entries that they become, in fields that earlier releases
ignore, and in the metadata of other calls. What is malformed there counts as absent: no call fails
for it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from twisted_bazaar.consensus.messages import Append, Apply
from twisted_bazaar.http.request_ids import ID
from twisted_bazaar.tracing.context import TraceContext, read_context
from twisted_bazaar.tracing.followed import Followed

from .bazaar.v1 import catalog_pb2, following_pb2, replication_pb2
from .bounds import MAX_ENTRIES
from .request_ids import KEY, metadata_of

__all__ = [
    "Metadata",
    "encode_followed",
    "followed_from_metadata",
    "followed_from_wire",
    "followed_to_wire",
    "traced_metadata_of",
]

Metadata = tuple[tuple[str, str], ...]

_ID = re.compile(ID)
_CARRIERS: Mapping[type, Callable[..., Any]] = {
    Append: replication_pb2.AppendRequest,
    Apply: catalog_pb2.ApplyRequest,
}


def followed_to_wire(followed: Iterable[tuple[int, Followed]]) -> list[following_pb2.Followed]:
    """The field that carries these: each with its position in the call, or the index of its
    entry."""
    return [
        following_pb2.Followed(
            at=at,
            request_id=each.request_id,
            traceparent=each.context.parent if each.context is not None else "",
            tracestate=each.context.state if each.context is not None else "",
        )
        for at, each in followed
    ]


def followed_from_wire(wire: Iterable[following_pb2.Followed]) -> dict[int, Followed]:
    """The inverse of `followed_to_wire`; at most as many as a call has trades or entries."""
    followed: dict[int, Followed] = {}
    for each in wire:
        known = _followed(each.request_id, each.traceparent, each.tracestate)
        if known is not None and len(followed) < MAX_ENTRIES:
            followed[each.at] = known
    return followed


def _followed(request_id: str, parent: str, state: str) -> Followed | None:
    request_id = request_id if _ID.fullmatch(request_id) else ""
    context = read_context(parent, state) if parent else None
    return Followed(request_id, context) if request_id or context is not None else None


def encode_followed(message: Append | Apply, followed: Iterable[tuple[int, Followed]]) -> bytes:
    """What is appended to the encoded `message` so that it carries these, each with the index of
    its entry: protobuf messages one after the other are one with the fields of all."""
    wire = followed_to_wire(followed)
    if not wire:
        return b""
    encoded: bytes = _CARRIERS[type(message)](followed=wire).SerializeToString()
    return encoded


def traced_metadata_of(request_id: str, context: TraceContext | None) -> Metadata | None:
    """The metadata of a call that is made for one request; None: there is none."""
    metadata = metadata_of(request_id)
    if context is None:
        return metadata
    state = (("tracestate", context.state),) if context.state else ()
    return (*(metadata or ()), ("traceparent", context.parent), *state)


def followed_from_metadata(metadata: Iterable[tuple[str, str | bytes]]) -> Followed:
    """The inverse of `traced_metadata_of`."""
    said = {key: value for key, value in metadata if isinstance(value, str)}
    known = _followed(said.get(KEY, ""), said.get("traceparent", ""), said.get("tracestate", ""))
    return known or Followed("")
