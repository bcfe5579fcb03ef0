"""The books of a bazaar that is sent bad requests: whatever comes, they must be in order.

Every order is a bystander's, who trades all the time, or one that the test expects; the numbers
have no gap, and each stock holds what its orders say.
"""

from collections import Counter
from statistics import median
from typing import Any

from .bazaar import Bazaar
from .bystander import Bystander
from .raw_client import RawAnswer, RawClient, request
from .waiting import wait_until

LISTED = 100
"""Shares of each stock, to begin with."""
BYSTANDERS_STOCK = "RomanCo"
SLOWEST_SECONDS = 3.0
"""Twenty bad requests a second, on a machine busy with other things, must not cost more."""
USUAL_SECONDS = 0.5
Orders = Counter[tuple[str, str, int]]
"""How many there are of each name, side and quantity."""


class Market:
    """The bazaar, its bystander, and the books that are kept from what the bazaar shows."""

    def __init__(self, bazaar: Bazaar, bystander: Bystander) -> None:
        self.bazaar = bazaar
        self.address: str = bazaar.processes()["frontend"]["address"]
        self.expected: Orders = Counter()
        """What the test that runs has traded."""
        self._bystander = bystander
        self._last = 0
        self._bought: Counter[str] = Counter()
        self._sold: Counter[str] = Counter()

    def connect(self) -> RawClient:
        return RawClient(self.address)

    def ask(self, sent: bytes) -> RawAnswer:
        """What one request gets, on a connection of its own."""
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
        """The bystander trades on, and the books are in order."""
        expected, self.expected = self.expected, Counter()
        seen = len(self._bystander.seconds)
        wait_until(lambda: len(self._bystander.seconds) >= seen + 2, "the bystander trades on")
        with self._bystander.halted():
            seconds, troubles = self._bystander.report()
            before, new = self._last, self.orders(self._last)
            his = [number for number in self._bystander.placed if number > before]
            stocks = self.read("/stocks")["data"]
        self._enter(new)
        assert not troubles
        assert max(seconds) < SLOWEST_SECONDS
        assert median(seconds) < USUAL_SECONDS
        numbers = [order["number"] for order in new]
        assert numbers == list(range(before + 1, before + len(new) + 1))
        assert his == [order["number"] for order in new if order["name"] == BYSTANDERS_STOCK]
        others = [order for order in new if order["name"] != BYSTANDERS_STOCK]
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
