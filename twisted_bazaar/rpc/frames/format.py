"""The format of the frames in which processes call each other, and of the greetings. Pure.

A connection carries requests from the caller to the server, and answers back. Each end sends
`MAGIC`, and then frames. Numbers are big-endian:

    length of the body (4) | id (4) | kind (1) | body

Kinds below `CONTROL` are requests; the services define them. An `ANSWER` or a `REFUSAL` has the
id of its request, and answers come in any order. The caller's first frame is a `Greeting`; the
server answers it with a `Welcome`, and the caller sends requests when it has that.

An HTTP/2 client first sends another text (RFC 9113, 3.4), and a TLS client another byte, so one
port can serve frames and gRPC (see `first_bytes`). A gRPC server sends an HTTP/2 SETTINGS frame
before it has read anything (RFC 9113, 3.4), by which a caller of frames recognises a server of an
earlier release: see `Http2`.
"""

from collections.abc import Callable
from struct import Struct
from typing import Annotated, TypeVar

import msgspec

from twisted_bazaar.errors import Malformed
from twisted_bazaar.rpc.bounds import MAX_ID, MAX_TEXT

__all__ = [
    "ANSWER",
    "CONTROL",
    "GREETING",
    "HEAD_BYTES",
    "HTTP2_PREFACE",
    "Http1",
    "Http2",
    "MAGIC",
    "MAX_GREETING_BYTES",
    "MAX_ID_OF_CALL",
    "PING",
    "PONG",
    "REFUSAL",
    "VERSIONS",
    "Decoder",
    "Greeting",
    "Welcome",
    "agree",
    "decode_greeting",
    "decode_refusal",
    "decode_welcome",
    "encode_greeting",
    "encode_refusal",
    "frame",
]

MAGIC = b"BAZAAR\r\n"
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""The first bytes of an HTTP/2 client, and so of a gRPC client."""

VERSIONS = range(1, 2)
"""The versions of the protocol after the greeting that this release speaks."""

CONTROL = 0x80
ANSWER = 0x80
REFUSAL = 0x81
"""The request failed: the body is a status code (1) and a text."""
PING = 0x82
"""The other end answers it with `PONG`."""
PONG = 0x83
GREETING = 0x84

MAX_ID_OF_CALL = 2**32 - 1
MAX_GREETING_BYTES = 4096
MAX_REFUSAL_CHARACTERS = 1024

_HEAD = Struct(">IIB")
HEAD_BYTES = _HEAD.size
_SETTINGS = b"\x04"
_HTTP1 = b"HTTP/1."

_pack = _HEAD.pack
_unpack = _HEAD.unpack_from


def frame(id_: int, kind: int, body: bytes) -> bytes:
    """One frame."""
    return _pack(len(body), id_, kind) + body


class Http2(Malformed):
    """The other end speaks HTTP/2: it is of an earlier release, which has gRPC only."""


class Http1(Malformed):
    """The other end speaks HTTP/1: it is a proxy, or of an earlier release."""


class Decoder:
    """Reads frames from a stream of bytes, cut into any pieces."""

    def __init__(self, receive: Callable[[int, int, bytes], None], most: int) -> None:
        """`receive` is called with the id, kind and body of each frame. A body may have `most`
        bytes."""
        self._receive = receive
        self.most = most
        self._begun = False
        self._closed = False
        self._partial = bytearray()
        """The received part of the next frame."""
        self._needed = 1
        """The length of `_partial` from which on something can be decoded."""

    def feed(self, data: bytes) -> None:
        """Decode more of the stream. Raises `Malformed` as soon as it turns out not to be one of
        frames, or a frame to be too long, and `Http2` or `Http1` if it is one of those."""
        if self._closed:
            return
        if self._partial:
            self._partial += data
            if len(self._partial) < self._needed:
                return
            data = bytes(self._partial)
            self._partial.clear()
        at, end, needed = 0, len(data), HEAD_BYTES
        if not self._begun:
            if not _begins(data):
                self._partial += data
                return
            self._begun, at = True, len(MAGIC)
        while end - at >= HEAD_BYTES and not self._closed:
            length, id_, kind = _unpack(data, at)
            if length > self.most:
                raise Malformed(f"a frame of {length} bytes; at most {self.most} are taken")
            after = at + HEAD_BYTES + length
            if after > end:
                needed += length
                break
            self._receive(id_, kind, data[at + HEAD_BYTES : after])
            at = after
        if at < end and not self._closed:
            self._partial += data[at:]
            self._needed = needed

    @property
    def buffered(self) -> int:
        """Bytes of an incomplete frame."""
        return len(self._partial)

    def close(self) -> None:
        """Call `receive` no more, not even with frames that have arrived, and keep nothing."""
        self._closed = True
        self._partial.clear()


def _begins(data: bytes) -> bool:
    """Whether `data` begins with `MAGIC`; False: it is too short to tell. Raises `Malformed`."""
    if data.startswith(MAGIC):
        return True
    if MAGIC.startswith(data):
        return False
    if data[:1] == b"\0":
        # The head of a frame of HTTP/2: length (3) | type (1) | flags (1) | stream (4).
        if len(data) < 4:
            return False
        if data[3:4] == _SETTINGS:
            raise Http2("it has gRPC only")
    if data.startswith(_HTTP1):
        raise Http1("what answers there speaks HTTP only")
    if _HTTP1.startswith(data):
        return False
    raise Malformed(f"what answers speaks neither frames nor gRPC: {data[:16]!r}")


Version = Annotated[int, msgspec.Meta(ge=1, le=2**16 - 1)]
Id = Annotated[int, msgspec.Meta(ge=0, le=MAX_ID)]
Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]


class Greeting(msgspec.Struct, frozen=True, kw_only=True):
    """Names the caller, and the server that it means. Unknown fields are ignored."""

    service: Text
    """The service that is meant, such as `order`."""
    sender: Id
    """The id of the calling replica; 0: it is no replica."""
    to: Id
    """The id of the replica that is meant; 0: any."""
    cluster: Text
    """The cluster of the caller; empty: it knows none yet."""
    least: Version = VERSIONS[0]
    most: Version = VERSIONS[-1]
    """The versions that the caller speaks."""


class Welcome(msgspec.Struct, frozen=True, kw_only=True):
    """Names the server. Unknown fields are ignored."""

    service: Text
    sender: Id
    """The id of the answering replica; 0: it is no replica."""
    cluster: Text
    version: Annotated[int, msgspec.Meta(ge=0, le=2**16 - 1)]
    """The version that both ends speak after this; 0: there is none."""
    refusal: Text = ""
    """Why the server is not the one that is meant, and closes the connection; empty: it is."""


def agree(greeting: Greeting, own: range = VERSIONS) -> int:
    """The highest version that both ends speak; 0: there is none."""
    version = min(own[-1], greeting.most)
    return version if version >= max(own[0], greeting.least) else 0


_Said = TypeVar("_Said", Greeting, Welcome)
_encode = msgspec.json.Encoder().encode
_greeting = msgspec.json.Decoder(Greeting)
_welcome = msgspec.json.Decoder(Welcome)


def encode_greeting(greeting: Greeting | Welcome) -> bytes:
    """The body of a greeting, or of the answer to one, whose refusal may be cut."""
    if isinstance(greeting, Welcome):
        greeting = msgspec.structs.replace(greeting, refusal=greeting.refusal[:MAX_TEXT])
    return _encode(greeting)


def decode_greeting(body: bytes) -> Greeting:
    """The inverse of `encode_greeting`. Raises `Malformed`."""
    return _decode(_greeting, body)


def decode_welcome(body: bytes) -> Welcome:
    """The inverse of `encode_greeting`. Raises `Malformed`."""
    return _decode(_welcome, body)


def _decode(decoder: msgspec.json.Decoder[_Said], body: bytes) -> _Said:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as why:
        raise Malformed(f"not a greeting: {why}") from None


def encode_refusal(code: int, text: str) -> bytes:
    """The body of a refusal: a status code, 1 to 255, and why."""
    return bytes((code,)) + text[:MAX_REFUSAL_CHARACTERS].encode("utf-8", "replace")


def decode_refusal(body: bytes) -> tuple[int, str]:
    """The inverse of `encode_refusal`; code 0 if there is none."""
    text = body[1:].decode("utf-8", "replace")[:MAX_REFUSAL_CHARACTERS]
    return (body[0] if body else 0), text
