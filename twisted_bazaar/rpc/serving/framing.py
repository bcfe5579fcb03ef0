"""Encodes and decodes headers, messages, statuses and metadata of gRPC over HTTP/2. Pure.

The sources are gRPC's PROTOCOL-HTTP2.md, compression.md and statuscodes.md. Where they leave a
choice, it is that of grpcio.
"""

import binascii
import re
import struct
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from types import MappingProxyType
from urllib.parse import quote

from hpack.struct import NeverIndexedHeaderTuple

__all__ = [
    "ANSWER_HEAD",
    "Field",
    "Head",
    "Metadata",
    "NotGrpc",
    "NotHttp",
    "PREFIX_BYTES",
    "Refused",
    "RequestBody",
    "RequestMessages",
    "Status",
    "encode_metadata",
    "framed",
    "http_error",
    "plain_metadata",
    "read_head",
    "trailers",
    "whole_message",
]

Field = tuple[bytes, bytes]
"""Name and value of an HTTP field."""
Metadata = Sequence[tuple[str, str | bytes]]
"""Keys and values; a value is bytes if its key ends with `-bin`."""

MAX_DETAILS_BYTES = 4096
"""Of an encoded grpc-message. A grpcio client takes 8 KiB of trailers in all."""


class Status(IntEnum):
    """The statuses that the server itself gives; a handler may give any `grpc.StatusCode`."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    DEADLINE_EXCEEDED = 4
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14


class NotHttp(Exception):
    """A malformed request (RFC 9113, 8.1.1): its stream must be reset."""


class NotGrpc(Exception):
    """A request that is HTTP but not gRPC: it must get the HTTP status `status`."""

    def __init__(self, status: bytes) -> None:
        super().__init__(status)
        self.status = status


class Refused(Exception):
    """A call that must end with `status` and `details`, and does not get to its handler."""

    def __init__(self, status: int, details: str, *fields: Field) -> None:
        """`fields` are added to the trailers."""
        super().__init__(status, details)
        self.status = status
        self.details = details
        self.fields = fields


class Head:
    """The headers of a call. `timeout` is in seconds; None: there is none."""

    __slots__ = ("encoding", "metadata", "path", "timeout")

    def __init__(
        self, path: str, timeout: float | None, encoding: bytes, metadata: Metadata
    ) -> None:
        self.path = path
        self.timeout = timeout
        self.encoding = encoding
        self.metadata = metadata


_NEEDED = frozenset({b":method", b":scheme", b":path"})
_PSEUDO = _NEEDED | {b":authority"}
_OF_HTTP_1 = frozenset(
    {b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"}
)
_SPECIAL = frozenset({b"te", b"content-type", b"content-length"})
"""With names that begin with `grpc-`, the fields that are not metadata."""

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_BAD_VALUE = re.compile(rb"[\0\r\n]")
_CONTENT_TYPE = re.compile(rb"application/grpc(?:[+;].*)?", re.DOTALL)
_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
_UNITS: Mapping[bytes, float] = MappingProxyType(
    {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
)


def read_head(fields: Iterable[Field]) -> Head:
    """Raises `NotHttp`, `NotGrpc` or `Refused`."""
    pseudo: dict[bytes, bytes] = {}
    special: dict[bytes, bytes] = {}
    metadata: list[tuple[str, str | bytes]] = []
    for name, value in fields:
        if _BAD_VALUE.search(value):
            raise NotHttp(f"invalid value of {name!r:.100}")
        if name in _PSEUDO:
            if name in pseudo or special or metadata:
                raise NotHttp(f"{name!r} is given twice, or after other fields")
            pseudo[name] = value
        elif name in _SPECIAL or name.startswith(b"grpc-"):
            special[name] = value
        elif name in _OF_HTTP_1 or not _NAME.fullmatch(name):
            raise NotHttp(f"invalid field {name!r:.100}")
        else:
            metadata += _read_metadata(name, value)
    if not pseudo.keys() >= _NEEDED or not pseudo[b":path"]:
        raise NotHttp("the method, scheme or path is missing")
    if special.get(b"te", b"trailers") != b"trailers":
        raise NotHttp("te must be trailers")
    if pseudo[b":method"] != b"POST":
        raise NotGrpc(b"405")
    if not _CONTENT_TYPE.fullmatch(special.get(b"content-type", b"")):
        raise NotGrpc(b"415")
    return Head(
        pseudo[b":path"].decode("utf-8", "replace"),
        _read_timeout(special.get(b"grpc-timeout")),
        special.get(b"grpc-encoding", b"identity"),
        metadata,
    )


def _read_timeout(value: bytes | None) -> float | None:
    if value is None:
        return None
    if not (match := _TIMEOUT.fullmatch(value)):
        raise Refused(Status.INTERNAL, f"grpc-timeout must not be {value!r:.40}")
    number, unit = match.groups()
    return int(number) * _UNITS[unit]


def _read_metadata(name: bytes, value: bytes) -> Metadata:
    key = name.decode("ascii")
    if not name.endswith(b"-bin"):
        return [(key, value.decode("utf-8", "replace"))]
    # Values of the same key may be joined by commas, and need no padding.
    parts = value.split(b",")
    try:
        return [(key, b64decode(part + b"=" * (-len(part) % 4), validate=True)) for part in parts]
    except binascii.Error:
        raise Refused(Status.INTERNAL, f"{key:.100} must be base64") from None


def plain_metadata(name: bytes, value: bytes) -> tuple[str, str] | None:
    """What `read_head` makes of this field, if it is text, and metadata; None: it is not."""
    if (
        _BAD_VALUE.search(value)
        or not _NAME.fullmatch(name)
        or name in _SPECIAL
        or name in _OF_HTTP_1
        or name.startswith(b"grpc-")
        or name.endswith(b"-bin")
    ):
        return None
    return name.decode("ascii"), value.decode("utf-8", "replace")


_PREFIX = struct.Struct(">BI")
PREFIX_BYTES = _PREFIX.size
"""Of a message."""


def framed(message: bytes) -> bytes:
    """`message` with its prefix: not compressed, and its length."""
    return _PREFIX.pack(0, len(message)) + message


def whole_message(body: bytes) -> bytes | None:
    """The message in `body`, with its prefix; None: it is compressed, or not whole, or not all."""
    if len(body) < PREFIX_BYTES or _PREFIX.unpack_from(body) != (0, len(body) - PREFIX_BYTES):
        return None
    return body[PREFIX_BYTES:]


def _length(head: bytes | bytearray, compressed: bool, most: int) -> int:
    """The length of the message whose prefix `head` begins with. Raises `Refused`."""
    flag, length = _PREFIX.unpack_from(head)
    if flag > 1 or (flag and not compressed):
        raise Refused(Status.INTERNAL, f"invalid flag {flag} of a message")
    if flag:
        raise Refused(
            Status.UNIMPLEMENTED,
            "compression is not supported",
            (b"grpc-accept-encoding", b"identity"),
        )
    if length > most:
        raise Refused(
            Status.RESOURCE_EXHAUSTED,
            f"SERVER: Received message larger than max ({length} vs. {most})",
        )
    return int(length)


class RequestBody:
    """Collects the message of a unary request."""

    __slots__ = ("_bytes", "_compressed", "_length", "_most")

    def __init__(self, encoding: bytes, most: int) -> None:
        """`most` is the bound of the message in bytes."""
        self._bytes = bytearray()
        self._most = most
        self._length = -1
        self._compressed = encoding != b"identity"

    def take(self, data: bytes) -> None:
        """Raises `Refused`."""
        self._bytes += data
        if self._length < 0 and len(self._bytes) >= PREFIX_BYTES:
            self._length = _length(self._bytes, self._compressed, self._most)
        if len(self._bytes) > PREFIX_BYTES + self._length >= PREFIX_BYTES:
            raise Refused(Status.UNIMPLEMENTED, "a unary request must have one message")

    def message(self) -> bytes:
        """The message, at the end of the stream. Raises `Refused` if it is incomplete."""
        if not self._bytes:
            raise Refused(Status.UNIMPLEMENTED, "a unary request must have one message")
        if len(self._bytes) - PREFIX_BYTES != self._length:
            raise Refused(Status.INTERNAL, "the message is incomplete")
        message = bytes(memoryview(self._bytes)[PREFIX_BYTES:])
        self._bytes = bytearray()
        return message


class RequestMessages:
    """Collects the messages of a request that streams. It keeps the bytes until they are read, so
    that flow control bounds it."""

    __slots__ = ("_bytes", "_compressed", "_most")

    def __init__(self, encoding: bytes, most: int) -> None:
        """`most` is the bound of one message in bytes."""
        self._bytes = bytearray()
        self._most = most
        self._compressed = encoding != b"identity"

    def take(self, data: bytes) -> None:
        """Keep `data`, which has come."""
        self._bytes += data

    def next(self) -> bytes | None:
        """The first message that was not read; None: it is not complete. Raises `Refused`."""
        kept = self._bytes
        if len(kept) < PREFIX_BYTES:
            return None
        end = PREFIX_BYTES + _length(kept, self._compressed, self._most)
        if len(kept) < end:
            return None
        message = bytes(memoryview(kept)[PREFIX_BYTES:end])
        del kept[:end]
        return message

    def check_ended(self) -> None:
        """The stream has ended, and `next` returns None. Raises `Refused` if bytes are left."""
        if self._bytes:
            raise Refused(Status.INTERNAL, "the message is incomplete")


ANSWER_HEAD: Sequence[Field] = ((b":status", b"200"), (b"content-type", b"application/grpc"))
"""The response headers; also the first fields of Trailers-Only."""


def http_error(status: bytes) -> Sequence[Field]:
    """The response to a request that is not gRPC."""
    return ((b":status", status), (b"content-length", b"0"))


_UNESCAPED = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
_CUT_ESCAPE = re.compile(rb"%[0-9A-F]?\Z")


def trailers(status: int, details: str, fields: Iterable[Field] = ()) -> Sequence[Field]:
    """The fields that end a call."""
    ended: list[Field] = [(b"grpc-status", b"%d" % status)]
    if details:
        text = quote(details[:MAX_DETAILS_BYTES], _UNESCAPED, errors="replace").encode()
        if len(text) > MAX_DETAILS_BYTES:
            text = _CUT_ESCAPE.sub(b"", text[:MAX_DETAILS_BYTES])
        # Never indexed: details differ from call to call, and would evict the other fields.
        ended.append(NeverIndexedHeaderTuple(b"grpc-message", text))
    return [*ended, *fields]


_KEY = re.compile(r"(?!grpc-)[0-9a-z_.-]+")
_TEXT = re.compile(r"[\x20-\x7e]*")


def encode_metadata(metadata: Iterable[tuple[str, str | bytes]]) -> Sequence[Field]:
    """Raises ValueError for keys and values that gRPC does not allow."""
    fields: list[Field] = []
    for key, value in metadata:
        if not _KEY.fullmatch(key) or isinstance(value, bytes) != key.endswith("-bin"):
            raise ValueError(f"metadata cannot have {key!r}: {type(value).__name__}")
        if isinstance(value, bytes):
            encoded = b64encode(value).rstrip(b"=")
        elif _TEXT.fullmatch(value):
            encoded = value.strip(" ").encode("ascii")
        else:
            raise ValueError(f"metadata {key!r} must be printable ASCII")
        fields.append(NeverIndexedHeaderTuple(key.encode("ascii"), encoded))
    return fields
