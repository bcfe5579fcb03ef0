"""Heads of requests: reads a usual one at once, and says early what cannot become one.

What is not usual is left to the channel, which takes it line by line and knows why to refuse it.
"""

import re

from .fields import canonical

__all__ = [
    "CONTROLS",
    "MAX_LENGTH_DIGITS",
    "REQUEST_LINE",
    "HeadReader",
    "WholeRequest",
    "cannot_be_request",
]

REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~]+) (HTTP/1\.[01])")
"""Its groups are the method, the target and the version."""
CONTROLS = re.compile(rb"[\0-\x08\n-\x1f\x7f]")
"""What no line has in it."""
MAX_LENGTH_DIGITS = 15
"""Of a body's length. A body whose length has more is too large."""

_METHODS = (
    *(b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"CONNECT"),
    b"\r\n",  # one empty line may precede a request
)
_VERSIONS = (b"HTTP/1.1\r", b"HTTP/1.0\r")
_FIRST_LINE = re.compile(REQUEST_LINE.pattern + rb"\r\n")
_LENGTH = re.compile(
    rb"(?:\A|\r\n)[Cc]ontent-[Ll]ength: *([0-9]{1,%d}) *(?=\r\n|\Z)" % MAX_LENGTH_DIGITS
)
"""The line of a body's length, as it is usually written."""
_CONTROL_BYTES = bytes(byte for byte in range(128) if CONTROLS.match(bytes([byte])))
_UNUSUAL = {b"Content-Length", b"Transfer-Encoding", b"Expect"}
_USUAL_BYTES = 4096
_USUAL_HEADERS = 64
"""Both are below the limits of a channel, and bound what a connection keeps."""

WholeRequest = tuple[bytes, bytes, bytes, dict[bytes, list[bytes]], bytes, bytes]
"""Method, target, version, the values of each header by its canonical name, the body, and the bytes
that follow."""


class HeadReader:
    """Reads the usual requests of one connection. It keeps the headers of the last one, as most
    clients send the same with each request, but for the length of the body."""

    __slots__ = ("_headers", "_lines")

    def __init__(self) -> None:
        self._lines = b""
        self._headers: dict[bytes, list[bytes]] = {}
        """What `_lines` say. The values are shared by requests, which do not change them."""

    def whole_request(self, data: bytes, most_body_bytes: int) -> WholeRequest | None:
        """The request that `data` begins with. None: it has not come whole, or it is not usual, as
        is all that may have to be refused."""
        matched = _FIRST_LINE.match(data)
        end = data.find(b"\r\n\r\n", 0, _USUAL_BYTES)
        if matched is None or end < 0:
            return None
        lines = data[matched.end() : end]
        found = _LENGTH.search(lines)
        if found is not None:
            lines = lines[: found.start()] + lines[found.end() :]
        if lines != self._lines and not self._read(lines):
            return None
        begin = end + 4
        method, target, version = matched.groups()
        headers = self._headers.copy()
        if found is None:
            return method, target, version, headers, b"", data[begin:]
        headers[b"Content-Length"] = [found[1]]
        length = int(found[1])
        end = begin + length
        if end > len(data) or length > most_body_bytes:
            return None
        return method, target, version, headers, data[begin:end], data[end:]

    def _read(self, lines: bytes) -> bool:
        """Read these header lines. Returns whether they are usual; else what is kept stays."""
        # Where the line of a length was the first one, the next has the line end before it.
        split = lines.removeprefix(b"\r\n").split(b"\r\n") if lines else []
        line_ends = lines.count(b"\r\n") * 2
        if len(split) > _USUAL_HEADERS or (
            len(lines.translate(None, _CONTROL_BYTES)) != len(lines) - line_ends
        ):
            return False
        headers: dict[bytes, list[bytes]] = {}
        try:
            for line in split:
                name, value = line.split(b":", 1)
                headers.setdefault(canonical(name), []).append(value.strip(b" \t"))
        except ValueError:
            return False
        # A second length, or one in another form, may have to be refused.
        if not headers.keys().isdisjoint(_UNUSUAL):
            return False
        self._lines, self._headers = lines, headers
        return True


def cannot_be_request(begun: bytes, new: int, in_headers: bool) -> bool:
    """Whether the line that has begun, with `new` bytes since the last call, cannot be one of a
    head. Other protocols may never send a line end, so their first bytes decide."""
    # A line feed alone ends no line, and a carriage return precedes one.
    if CONTROLS.search(begun[-new - 1 :].removesuffix(b"\r")):
        return True
    if in_headers:
        return False
    method, space, rest = begun.partition(b" ")
    if not space:
        return not any(known.startswith(method) for known in _METHODS)
    target, space, version = rest.partition(b" ")
    return (
        method not in _METHODS
        or not target.isascii()
        or (space != b"" and not any(known.startswith(version) for known in _VERSIONS))
    )
