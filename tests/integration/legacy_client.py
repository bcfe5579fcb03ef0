"""A client of the replaced system: a script that sends, reads and fails as its load client does.

    python -m tests.integration.legacy_client HOST:PORT PROBABILITY LOOKUPS

PROBABILITY is that of a trade after a lookup, LOOKUPS the number of lookups.

One connection is kept, with the headers that Python's requests sends. There is no pause between
calls, so that a test need not wait; nothing of what is sent or read depends on it.
"""

import json
import random
import sys
import time
from http.client import HTTPConnection
from typing import Any

PREFIX = "/api/frontend_service/trade"
NAMES = ["GameStart", "FishCo", "BoarCo", "MenhirCo", "FreedomCo", "CityCorp", "MindComp", "BankCo"]
QUANTITY = 10
HEADERS = {
    "User-Agent": "python-requests/2.28.2",
    "Accept-Encoding": "gzip, deflate",
    "Accept": "*/*",
    "Connection": "keep-alive",
}


class Session:
    """A connection that is kept, and the seconds that each call on it took."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._connection = HTTPConnection(host, int(port), timeout=30)

    def call(self, method: str, path: str, sent: object = None) -> tuple[int, Any, float]:
        """Status, the JSON in the body, and how long it took."""
        body = None if sent is None else json.dumps(sent)
        more = {} if body is None else {"Content-Type": "application/json"}
        began = time.monotonic()
        self._connection.request(method, path, body=body, headers=HEADERS | more)
        answer = self._connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text), time.monotonic() - began


def perform(address: str, probability: float, lookups: int) -> None:
    """Look stocks up, and trade in some of those that have shares left."""
    session = Session(address)
    looking: list[float] = []
    trading: list[float] = []
    for _ in range(lookups):
        name = random.choice(NAMES)
        status, shown, seconds = session.call("GET", f"{PREFIX}/stocks/{name}")
        looking.append(seconds)
        if status == 404:
            print(f"Error: {shown['error']['message']}")
            continue
        if shown["data"]["quantity"] > 0 and random.random() < probability:
            side = random.choice(["buy", "sell"])
            trade = {"name": name, "quantity": QUANTITY, "type": side}
            _, _, seconds = session.call("POST", f"{PREFIX}/orders", trade)
            trading.append(seconds)
    # A run in which nothing could be traded fails here, as theirs does.
    print(f"Average lookup latency: {sum(looking) / len(looking)}")
    print(f"Average trade latency: {sum(trading) / len(trading)}")


if __name__ == "__main__":
    perform(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
