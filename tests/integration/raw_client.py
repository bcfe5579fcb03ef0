"""A client that sends arbitrary bytes, and reads the front-end's answers."""

import json
import socket
import struct
from contextlib import suppress
from types import TracebackType
from typing import Any, NamedTuple, Self

PATIENCE_SECONDS = 15.0
STUCK_SECONDS = 0.5

RESET = struct.pack("ii", 1, 0)
"""For SO_LINGER: closing cuts the connection off."""


class RawAnswer(NamedTuple):
    """One answer, to the last byte of its body."""

    code: int
    headers: dict[str, str]
    """By name in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class RawClient:
    """One connection to `address` (HOST:PORT). Use it in a `with`."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS)
        self._received = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up, in good order."""
        self._received.close()
        self._socket.close()

    def reset(self) -> None:
        """Hang up such that the other side gets an error."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.close()

    def end(self) -> None:
        """Say that nothing more will be sent."""
        self._socket.shutdown(socket.SHUT_WR)

    def send(self, data: bytes) -> None:
        """Send as much as the other side takes: it may have seen enough before the end."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(data)

    def send_until_stuck(self, data: bytes) -> None:
        """Send it again and again, reading nothing, until the other side takes no more."""
        self._socket.settimeout(STUCK_SECONDS)
        with suppress(TimeoutError):
            while True:
                self._socket.sendall(data)

    def answer(self) -> RawAnswer | None:
        """Wait for the next answer; None: the connection was closed instead."""
        try:
            line = self._received.readline()
        except ConnectionResetError:
            return None
        if not line:
            return None
        version, code, _ = line.split(b" ", 2)
        assert version == b"HTTP/1.1", line
        headers: dict[str, str] = {}
        while (line := self._received.readline()) != b"\r\n":
            assert line.endswith(b"\r\n"), "closed within the headers"
            name, _, value = line.decode("ascii").partition(":")
            headers[name.lower()] = value.strip()
        length = int(headers["content-length"])
        body = self._received.read(length)
        assert len(body) == length, "closed within the body"
        return RawAnswer(int(code), headers, body)

    def answers(self) -> list[RawAnswer]:
        """All answers until the front-end closes the connection."""
        found = []
        while (answer := self.answer()) is not None:
            found.append(answer)
        return found


def request(
    method: str, path: bytes | str, body: bytes | None = None, *headers: str, chunk: int = 0
) -> bytes:
    """A request; with `chunk` the body goes in chunks of that size."""
    target = path if isinstance(path, bytes) else path.encode()
    lines = [method.encode() + b" " + target + b" HTTP/1.1", b"Host: localhost"]
    lines += [header.encode("latin-1") for header in headers]
    if body is None:
        return b"\r\n".join([*lines, b"", b""])
    lines.append(b"Content-Type: application/json")
    if chunk:
        pieces = [body[start : start + chunk] for start in range(0, len(body), chunk)]
        lines.append(b"Transfer-Encoding: chunked")
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    else:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"", body])
