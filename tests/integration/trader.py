"""Clients that trade all the time, and remember what was acknowledged."""

import http.client
import json
import random
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from twisted_bazaar.partitions import local_number, partition_of

from .bazaar import Bazaar
from .waiting import wait_until

FEW_STOCKS = ["GameStart", "FishCo", "BoarCo", "MenhirCo"]
RETRY_SECONDS = 0.05
THINK_SECONDS = 0.01
"""Between two trades of a client: what is started meanwhile needs the processors, too."""


class Acknowledged(NamedTuple):
    """An order that a client was told of."""

    number: int
    name: str
    type: str
    quantity: int
    sent: float
    answered: float


class Failed(NamedTuple):
    """A trade that got another answer than success or "not enough shares"."""

    sent: float
    answered: float
    what: str


class Trader:
    """`clients` threads that buy and sell at random, each one trade after the other.

    A connection that breaks leaves a trade's outcome unknown: it is sent again with the same
    key, as often as it takes, as any careful client does. Use it as a context manager.
    """

    def __init__(
        self,
        address: str,
        stocks: list[str],
        clients: int = 5,
        seed: int = 1,
        promised: list["Acknowledged"] | None = None,
    ) -> None:
        """`promised`: what was acknowledged to earlier ones of other seeds, to be added to."""
        host, _, port = address.rpartition(":")
        self._address = host, int(port)
        self._stocks = stocks
        self.acknowledged = [] if promised is None else promised
        self.failed: list[Failed] = []
        self.broken: list[float] = []
        """When connections broke."""
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._trade, args=(random.Random(seed * 1000 + n), n))
            for n in range(clients)
        ]

    def __enter__(self) -> "Trader":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def last_number(self) -> int:
        """Of the last order that was acknowledged."""
        return max((each.number for each in self.acknowledged), default=0)

    def longest_gap(self, since: float, until: float) -> float:
        """The longest time in [`since`, `until`] without an acknowledgement, in seconds."""
        times = sorted(each.answered for each in self.acknowledged)
        inside = [since, *(each for each in times if since <= each <= until), until]
        return max(later - earlier for earlier, later in pairwise(inside))

    def _trade(self, choose: random.Random, client: int) -> None:
        count = 0
        connection = http.client.HTTPConnection(*self._address, timeout=10)
        while not self._stop.wait(THINK_SECONDS):
            count += 1
            key = f"trader-{client}-{count}-{choose.getrandbits(32):x}"
            order = {
                "name": choose.choice(self._stocks),
                "quantity": choose.randint(1, 3),
                "type": choose.choice(("buy", "sell")),
            }
            sent = time.monotonic()
            status, body = self._place(connection, order, key)
            answered = time.monotonic()
            if status == 200:
                number = body["data"]["transaction_number"]
                self.acknowledged.append(
                    Acknowledged(number, **order, sent=sent, answered=answered)
                )
            elif status != 409:
                self.failed.append(Failed(sent, answered, f"{status} {body}"))
        connection.close()

    def _place(
        self, connection: http.client.HTTPConnection, order: dict[str, Any], key: str
    ) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        while True:
            try:
                connection.request("POST", "/orders", json.dumps(order), headers)
                answer = connection.getresponse()
                return answer.status, json.loads(answer.read())
            except (OSError, http.client.HTTPException):
                connection.close()
                self.broken.append(time.monotonic())
                if self._stop.wait(RETRY_SECONDS):
                    return 409, None


PROMISED: defaultdict[Path, list[Acknowledged]] = defaultdict(list)
"""What was acknowledged so far, by the folder of the bazaar: each test checks all of it."""


def trader_of(bazaar: Bazaar) -> Trader:
    """Clients of a bazaar that tests share, which none but these trade with."""
    promised = PROMISED[bazaar.folder]
    address = bazaar.processes()["frontend"]["address"]
    return Trader(address, FEW_STOCKS, seed=1 + len(promised), promised=promised)


def wait_trading(trader: Trader, orders: int = 20) -> None:
    """Wait until so many more orders of `trader` are acknowledged."""
    wanted = len(trader.acknowledged) + orders
    wait_until(lambda: len(trader.acknowledged) >= wanted, f"{orders} more orders", 15)


def all_orders(bazaar: Bazaar) -> list[dict[str, Any]]:
    """Every order, page by page, those of each partition by number."""
    orders: list[dict[str, Any]] = []
    query: str | None = "after=0&limit=500"
    while query is not None:
        answer = bazaar.request("GET", f"/orders?{query}")
        assert answer.status == 200, answer
        orders += answer.body["data"]
        more, cursor = answer.body.get("more"), answer.body["cursor"]
        after = answer.body["next"]
        query = f"after={after}&limit=500" if after else f"cursor={cursor}" if more else None
    return orders


def check_each_once(numbers: Sequence[int], partitions: int) -> None:
    """Those of each partition are 1, 2, 3 … in this order."""
    locals_: dict[int, list[int]] = {}
    for number in numbers:
        of_partition = locals_.setdefault(partition_of(number, partitions), [])
        of_partition.append(local_number(number, partitions))
    assert locals_.keys() <= set(range(partitions))
    for partition, shown in locals_.items():
        assert shown == list(range(1, len(shown) + 1)), f"partition {partition}"


def check_nothing_lost(bazaar: Bazaar, trader: Trader, listed: int = 100) -> None:
    """Every promise made to `trader`, who was the only one to trade, is kept."""
    orders = all_orders(bazaar)
    check_each_once([order["number"] for order in orders], bazaar.partitions)
    by_number = {order["number"]: order for order in orders}
    numbers = [promise.number for promise in trader.acknowledged]
    assert len(set(numbers)) == len(numbers), "one order acknowledged for two trades"
    for promise in trader.acknowledged:
        order = by_number[promise.number]
        kept = (order["name"], order["type"], order["quantity"])
        assert kept == (promise.name, promise.type, promise.quantity)
    answer = bazaar.request("GET", "/stocks")
    assert answer.status == 200, answer
    for stock in answer.body["data"]:
        of_stock = [order for order in orders if order["name"] == stock["name"]]
        bought = sum(order["quantity"] for order in of_stock if order["type"] == "buy")
        sold = sum(order["quantity"] for order in of_stock if order["type"] == "sell")
        assert stock["quantity"] == listed - bought + sold >= 0
        assert stock["volume"] == bought + sold
