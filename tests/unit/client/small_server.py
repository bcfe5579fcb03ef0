"""A server for a client that blocks: it runs on a thread, and answers as a test tells it."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Serve = Callable[[socket.socket, bytes], None]
"""Answers one request, on its connection."""


def answer(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


class SmallServer:
    """Reads requests, one after the other on each connection, and has `serve` answer them."""

    def __init__(self, serve: Serve) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._serve = serve
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._answer, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while request := self._request(connection):
                self.requests.append(request)
                self._serve(connection, request)

    def _request(self, connection: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(1 << 16)
            if not more:
                return b""
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length")),
            0,
        )
        while len(body) < length:
            body += connection.recv(1 << 16)
        return head + b"\r\n\r\n" + body

    def wait_closed(self) -> None:
        """Until every connection so far has ended."""
        for thread in self._threads[1:]:
            thread.join()

    def close(self) -> None:
        # A thread that waits in accept() is only woken by a shutdown.
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()


@contextmanager
def small_server(serve: Serve) -> Iterator[SmallServer]:
    server = SmallServer(serve)
    try:
        yield server
    finally:
        server.close()
