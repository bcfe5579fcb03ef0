"""A client that trades all the time, and reports how long each trade took and which failed."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

PAUSE_SECONDS = 0.02
REQUEST_SECONDS = 15.0


class BackgroundTrader:
    """Buys a share of `stock` and sells it again, on one connection. Use it in a `with`."""

    def __init__(self, address: str, stock: str) -> None:
        self.stock = stock
        self.placed: list[int] = []
        """The numbers of its orders, in turn a buy and a sell."""
        self.seconds: list[float] = []
        """How long each trade took."""
        self.failures: list[str] = []
        """Every trade that did not succeed."""
        self._reported = 0
        self._connection = http.client.HTTPConnection(address, timeout=REQUEST_SECONDS)
        self._trading = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="background trader")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._connection.close()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within, it has no trade under way."""
        with self._trading:
            yield

    def report(self) -> tuple[list[float], list[str]]:
        """How long its trades took, and which failed, since the last call."""
        report = self.seconds[self._reported :], self.failures[:]
        self._reported = len(self.seconds)
        self.failures.clear()
        return report

    def _run(self) -> None:
        while not self._ended.wait(PAUSE_SECONDS):
            with self._trading:
                side = "sell" if len(self.placed) % 2 else "buy"
                begun = time.monotonic()
                try:
                    self.placed.append(self._trade(side))
                except (OSError, http.client.HTTPException, ValueError, KeyError) as failure:
                    self.failures.append(f"{side}: {failure!r}")
                    self._connection.close()
                self.seconds.append(time.monotonic() - begun)

    def _trade(self, side: str) -> int:
        order = {"name": self.stock, "quantity": 1, "type": side}
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", "/orders", json.dumps(order), headers)
        answer = self._connection.getresponse()
        body: Any = json.loads(answer.read())
        if answer.status != 200:
            raise ValueError(answer.status, body)
        number: int = body["data"]["transaction_number"]
        return number
