"""A bazaar that is sent bad requests, with a check that its orders and quantities are right.

Every order is one of the background trader's or one that the test expects, the numbers have no
gap, and each stock has the quantity and volume that follow from its orders.
"""

from collections import Counter
from statistics import median
from typing import Any

from .background_trader import BackgroundTrader
from .bazaar import Bazaar
from .raw_client import RawAnswer, RawClient, request
from .waiting import wait_until

LISTED = 100
"""Shares of each stock at first."""
BACKGROUND_STOCK = "RomanCo"
SLOWEST_SECONDS = 3.0
"""The slowest trade beside twenty bad requests a second, on a busy machine."""
USUAL_SECONDS = 0.5
Orders = Counter[tuple[str, str, int]]
"""How many there are of each name, side and quantity."""


class CheckedMarket:
    """The bazaar, its background trader, and a count of all orders that it shows."""

    def __init__(self, bazaar: Bazaar, trader: BackgroundTrader) -> None:
        self.bazaar = bazaar
        self.address: str = bazaar.processes()["frontend"]["address"]
        self.expected: Orders = Counter()
        """The orders of the running test."""
        self._background = trader
        self._last = 0
        self._bought: Counter[str] = Counter()
        self._sold: Counter[str] = Counter()

    def connect(self) -> RawClient:
        return RawClient(self.address)

    def ask(self, sent: bytes) -> RawAnswer:
        """The answer to one request, on a connection of its own."""
        with self.connect() as client:
            client.send(sent)
            answer = client.answer()
        assert answer is not None, "closed without an answer"
        return answer

    def read(self, path: str) -> Any:
        answer = self.ask(request("GET", path))
        assert answer.code == 200, answer
        return answer.json

    def orders(self, after: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        following: int | None = after
        while following is not None:
            page = self.read(f"/orders?after={following}&limit=500")
            found += page["data"]
            following = page["next"]
        return found

    def check(self) -> None:
        """The background trader trades on, and all orders and quantities are right."""
        expected, self.expected = self.expected, Counter()
        seen = len(self._background.seconds)
        wait_until(
            lambda: len(self._background.seconds) >= seen + 2, "the background trader trades on"
        )
        with self._background.paused():
            seconds, failures = self._background.report()
            before, new = self._last, self.orders(self._last)
            its = [number for number in self._background.placed if number > before]
            stocks = self.read("/stocks")["data"]
        self._enter(new)
        assert not failures
        assert max(seconds) < SLOWEST_SECONDS
        assert median(seconds) < USUAL_SECONDS
        numbers = [order["number"] for order in new]
        assert numbers == list(range(before + 1, before + len(new) + 1))
        assert its == [order["number"] for order in new if order["name"] == BACKGROUND_STOCK]
        others = [order for order in new if order["name"] != BACKGROUND_STOCK]
        shown = Counter((order["name"], order["type"], order["quantity"]) for order in others)
        assert shown == expected
        for stock in stocks:
            bought, sold = self._bought[stock["name"]], self._sold[stock["name"]]
            assert stock["quantity"] == LISTED - bought + sold >= 0
            assert stock["volume"] == bought + sold
        assert "Traceback" not in self.bazaar.log.read_text(), self.bazaar.tail()

    def _enter(self, orders: list[dict[str, Any]]) -> None:
        for order in orders:
            side = self._bought if order["type"] == "buy" else self._sold
            side[order["name"]] += order["quantity"]
            self._last = order["number"]
