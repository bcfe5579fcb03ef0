"""Orders as CSV. Pure."""

import csv
from typing import TextIO

from twisted_bazaar.market import Traded

__all__ = ["OrderTable"]

_COLUMNS = ("transaction_number", "name", "type", "quantity")
_MORE_COLUMNS = ("price", "client_order_id")

_FORMULA = "=+-@\t\r\n＝＋－＠"  # noqa: RUF001 - spreadsheets run the wide ones, too
"""A spreadsheet may run a cell that begins with one of these as a formula."""
_AS_TEXT = "'"
"""Before such a cell, it makes the spreadsheet show the text."""


class OrderTable:
    """CSV with a header.

    `whole`: also the price of each, and its `client_order_id`, empty if the client chose no key.
    They are no columns otherwise, since programs read the others by their place.

    A name or key that a spreadsheet would take for a formula gets an apostrophe before it, and so
    does one that begins with an apostrophe: so the first apostrophe can always be removed.
    """

    def __init__(self, out: TextIO, whole: bool) -> None:
        self._table = csv.writer(out, lineterminator="\n")
        # `table` would not quote a carriage return.
        self._quoted = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
        self._columns = _COLUMNS + _MORE_COLUMNS if whole else _COLUMNS
        self._table.writerow(self._columns)

    def write(self, number: int, order: Traded, price: int) -> None:
        """Write an order as clients know it: by `number`, at `price` cents a share."""
        key = "" if order.has_made_key else _as_text(order.key)
        amount = f"{price // 100}.{price % 100:02}"
        row = (number, _as_text(order.stock), order.side.value, order.quantity, amount, key)
        to = self._quoted if "\r" in order.stock else self._table
        to.writerow(row[: len(self._columns)])


def _as_text(name: str) -> str:
    begins = name.lstrip(" ")[:1]
    return _AS_TEXT + name if begins and begins in _FORMULA + _AS_TEXT else name
