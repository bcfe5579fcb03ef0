"""A reader of `GET /events` that connects again, with the last id that it was given."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Self

SILENCE_SECONDS = 20.0
"""More than the interval of heartbeats."""
PAUSE_SECONDS = 0.1


class EventReader:
    """Reads from the first of `addresses`, and from the next one when a stream breaks. Use it in a
    `with`."""

    def __init__(self, addresses: Sequence[str], query: str = "after=0") -> None:
        self._addresses = addresses
        self._at = 0
        self._query = query
        self.numbers: list[int] = []
        """Of the orders, as they came."""
        self.events: list[dict[str, Any]] = []
        """All data, with the kind as `event`, and the number of its stream."""
        self.streams = 0
        """How many were opened."""
        self.last_id: str | None = None
        self._ended = threading.Event()
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="event reader")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    @property
    def address(self) -> str:
        """Of the front-end that it reads from, or tries to."""
        return self._addresses[self._at % len(self._addresses)]

    def _run(self) -> None:
        while not self._ended.is_set():
            with suppress(OSError, http.client.HTTPException):
                self._read()
            self._at += 1
            time.sleep(PAUSE_SECONDS)

    def _read(self) -> None:
        connection = http.client.HTTPConnection(self.address, timeout=SILENCE_SECONDS)
        connection.connect()
        self._socket = connection.sock
        headers = {} if self.last_id is None else {"Last-Event-ID": self.last_id}
        try:
            connection.request("GET", f"/events?{self._query}", headers=headers)
            answer = connection.getresponse()
            if answer.status != 200:
                return
            self.streams += 1
            block: dict[str, str] = {}
            while line := answer.readline():
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    block[name] = value
                else:
                    self._take(block)
                    block = {}
        finally:
            connection.close()

    def _take(self, block: dict[str, str]) -> None:
        self.last_id = block.get("id", self.last_id)
        if "data" in block:
            event = {
                "event": block["event"],
                "stream": self.streams,
                **json.loads(block["data"]),
            }
            self.events.append(event)
            if event["event"] == "order":
                self.numbers.append(event["number"])
