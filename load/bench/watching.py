"""What a page does that shows a bazaar, in a process of its own.

python -m load.bench.watching HOST:PORT FILE

It reads one stream of `GET /events`, compressed, asks for `GET /status` each second and for
`GET /replicas` four times a second, over one connection, and writes FILE once all of them have been
answered. When its standard input ends it prints how much came, as a line of JSON.
"""

import http.client
import json
import select
import socket
import sys
import time
from pathlib import Path
from threading import Thread

__all__ = ["main"]

PIECE_BYTES = 1 << 16
POLL_SECONDS = 0.25
POLLS_PER_STATUS = 4


class Stream:
    """One stream of events."""

    def __init__(self, at: str) -> None:
        host, _, port = at.rpartition(":")
        request = f"GET /events HTTP/1.1\r\nHost: {at}\r\nAccept-Encoding: gzip\r\n\r\n"
        self._connection = socket.create_connection((host, int(port)))
        self._connection.sendall(request.encode())
        self.bytes = 0
        self.ended = 0
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while count := len(self._connection.recv(PIECE_BYTES)):
            self.bytes += count
        self.ended = 1


def main() -> None:
    at, file = sys.argv[1:]
    stream = Stream(at)
    connection = http.client.HTTPConnection(at)
    polls = polled = 0
    due = time.monotonic()
    while not select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
        if polls % POLLS_PER_STATUS == 0:
            polled += _get(connection, "/status")
        polled += _get(connection, "/replicas")
        polls += 1
        due += POLL_SECONDS
        if stream.bytes and polls > 1:
            Path(file).touch()
    shown = {"stream": stream.bytes, "polled": polled, "polls": polls, "ended": stream.ended}
    print(json.dumps(shown))


def _get(connection: http.client.HTTPConnection, path: str) -> int:
    """How many bytes the body of the answer has."""
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, (path, answer.status, body)
    return len(body)


if __name__ == "__main__":
    main()
