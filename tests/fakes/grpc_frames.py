"""Frames of HTTP/2 as no library would write them."""

import struct

from hpack import Encoder
from hyperframe.frame import Frame, HeadersFrame

from .grpc_peer import HEAD


def head_of(**fields: str) -> bytes:
    return Encoder().encode({**HEAD, **fields})


def headers(stream: int, block: bytes, *flags: str) -> HeadersFrame:
    """With the end of the head, if there are no other `flags`."""
    return HeadersFrame(stream, block, flags=flags or ("END_HEADERS",))


def frame_of(kind: int, flags: int, stream: int, body: bytes = b"") -> bytes:
    """A frame of any kind, with any flags."""
    return struct.pack(">BHBBI", len(body) >> 16, len(body) & 0xFFFF, kind, flags, stream) + body


def settings_frame(settings: dict[int, int]) -> bytes:
    """hyperframe writes but the last byte of a code."""
    body = b"".join(struct.pack(">HI", *setting) for setting in settings.items())
    return frame_of(4, 0, 0, body)


def serialized(frame: Frame | bytes) -> bytes:
    return frame if isinstance(frame, bytes) else frame.serialize()
