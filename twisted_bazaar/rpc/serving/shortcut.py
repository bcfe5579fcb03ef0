"""The short way of an ordinary call: it is read without h2. Pure.

For nearly every call, grpcio sends a HEADERS frame whose block is indexes into the compression
table, and perhaps metadata that is not to be indexed; a DATA frame with the message, which ends the
stream; and one or two of WINDOW_UPDATE. They come together. For these and the answer h2 takes some
700 function calls, a third of all that the leader does for a trade.

All or nothing of what was received is read here. If there is anything else in it, h2 reads it all.
h2 does not know the streams of calls read here, until it has to: see `Http2.adopt`.
"""

import re
from collections.abc import Mapping, Sequence
from struct import Struct

import attrs
from h2.connection import ConnectionState
from hpack.exceptions import HPACKError
from hyperframe.frame import DataFrame, HeadersFrame, WindowUpdateFrame

from .framing import Head, NotGrpc, NotHttp, Refused, plain_metadata, read_head, whole_message
from .http2 import ANY_STREAM, Http2

__all__ = ["Ordinary", "OrdinaryCall", "Shortcut"]

_HEAD = Struct(">HBBBI")
"""Of a frame: the length in two parts, the type, flags and the stream."""
_HEAD_BYTES = _HEAD.size
_HEADERS, _DATA, _WINDOW_UPDATE = HeadersFrame.type, DataFrame.type, WindowUpdateFrame.type
_END_STREAM, _END_HEADERS = 0x1, 0x4
_WINDOW_UPDATE_BYTES = 4
_CONNECTION = 0
"""For a stream: all of them."""

_INDEXES = re.compile(rb"[\x81-\xfe]*")
"""Fields that are indexes of one byte (RFC 7541, 6.1). To read them leaves the table as it is."""
_NOT_INDEXED = 0
"""The first byte of a field whose name and value follow, and which leaves the table as it is
(6.2.2)."""
_LONGEST_TEXT = 126
"""Of a name or value whose length has one byte, without a Huffman code (5.1, 5.2)."""
_MAX_BLOCK_BYTES = 1024
_MAX_HEADS = 64


@attrs.frozen
class OrdinaryCall:
    """A call that has come whole."""

    stream: int
    head: Head
    message: bytes


@attrs.frozen
class Ordinary:
    """What was received, if it is ordinary calls, and credit for answers."""

    calls: Sequence[OrdinaryCall]
    received: int
    """Bytes that count for flow control."""
    credits: Mapping[int, int]
    """Bytes by which the client has enlarged the windows for answers: by stream, of each call; and
    of the connection, by 0."""


class Shortcut:
    """Reads the ordinary calls of one connection."""

    def __init__(self, h2: Http2) -> None:
        self._h2 = h2
        self._heads: dict[bytes, Head] = {}
        """What blocks of indexes mean, as the compression table is now."""

    def table_changed(self) -> None:
        """h2 has read something, and perhaps changed the compression table."""
        self._heads.clear()

    def read(self, data: bytes) -> Ordinary | None:
        """What `data` has, which begins with a frame; None: something that h2 is to read. Changes
        nothing: see `Http2.took`."""
        h2 = self._h2
        if h2.state_machine.state is not ConnectionState.SERVER_OPEN:
            return None
        calls: list[OrdinaryCall] = []
        credits = {_CONNECTION: 0}
        highest, head = h2.highest_inbound_stream_id, None
        at, end, received = 0, len(data), 0
        while at < end:
            if end - at < _HEAD_BYTES:
                return None
            high, low, kind, flags, stream = _HEAD.unpack_from(data, at)
            body, at = at + _HEAD_BYTES, at + _HEAD_BYTES + (high << 8 | low)
            if at > end:
                return None
            if kind == _HEADERS and flags == _END_HEADERS and highest < stream <= ANY_STREAM:
                if head is not None or not stream & 1:
                    return None
                head, highest, credits[stream] = self._head(data[body:at]), stream, 0
                if head is None:
                    return None
            elif kind == _DATA and flags == _END_STREAM and stream == highest and head is not None:
                message = whole_message(data[body:at])
                if message is None:
                    return None
                calls.append(OrdinaryCall(stream, head, message))
                head = None
                received += at - body
            elif kind == _WINDOW_UPDATE and at - body == _WINDOW_UPDATE_BYTES:
                increment = int.from_bytes(data[body:at], "big")
                if not increment:
                    return None
                if stream in credits:
                    credits[stream] += increment
                elif stream > highest or stream in h2.streams or stream in h2.unknown:
                    return None
            else:
                return None
        if head is not None or not h2.can_take(received, credits):
            return None
        return Ordinary(calls, received, credits)

    def _head(self, block: bytes) -> Head | None:
        """The headers in `block`; None: h2 is to read it."""
        if (head := self._heads.get(block)) is not None:
            return head
        matched = _INDEXES.match(block)
        assert matched is not None
        at, end = matched.end(), len(block)
        if not at or end > _MAX_BLOCK_BYTES:
            return None
        if at < end:
            head = self._head(block[:at])
            return head and _with_metadata(head, block[at:])
        try:
            head = read_head(self._h2.decoder.decode(block, raw=True))
        except (HPACKError, NotHttp, NotGrpc, Refused):
            return None
        if len(self._heads) >= _MAX_HEADS:
            self._heads.clear()
        self._heads[block] = head
        return head


def _with_metadata(head: Head, block: bytes) -> Head | None:
    """`head` with the metadata in `block`; None: there is something else in it."""
    metadata = list(head.metadata)
    at, end = 0, len(block)
    while at < end:
        texts: list[bytes] = []
        if block[at] != _NOT_INDEXED:
            return None
        at += 1
        for _ in range(2):
            if at >= end or block[at] > _LONGEST_TEXT:
                return None
            start, at = at + 1, at + 1 + block[at]
            texts.append(block[start:at])
        if at > end or (field := plain_metadata(*texts)) is None:
            return None
        metadata.append(field)
    return Head(head.path, head.timeout, head.encoding, metadata)
