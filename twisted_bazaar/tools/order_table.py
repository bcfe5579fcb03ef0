"""Orders as CSV. Pure."""

import csv
from typing import TextIO

from twisted_bazaar.market import Traded
from twisted_bazaar.order_keys import client_of, own_key

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
    `clients`: also the name of the client that placed it, empty if none did. They are no columns
    otherwise, since programs read the others by their place.

    A name or key that a spreadsheet would take for a formula gets an apostrophe before it, and so
    does one that begins with an apostrophe: so the first apostrophe can always be removed.
    """

    def __init__(self, out: TextIO, whole: bool, clients: bool = False) -> None:
        self._table = csv.writer(out, lineterminator="\n")
        # `table` would not quote a carriage return.
        self._quoted = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
        names = (*_COLUMNS, *_MORE_COLUMNS, "client")
        last = len(_COLUMNS) + (len(_MORE_COLUMNS) if whole else 0)
        self._columns = [*range(last), *([len(names) - 1] if clients else [])]
        self._table.writerow(names[each] for each in self._columns)

    def write(self, number: int, order: Traded, price: int) -> None:
        """Write an order as clients know it: by `number`, at `price` cents a share."""
        key = "" if order.has_made_key else _as_text(own_key(order.key))
        amount = f"{price // 100}.{price % 100:02}"
        stock, client = _as_text(order.stock), _as_text(client_of(order.key))
        row = (number, stock, order.side.value, order.quantity, amount, key, client)
        to = self._quoted if "\r" in order.stock else self._table
        to.writerow(row[each] for each in self._columns)


def _as_text(name: str) -> str:
    begins = name.lstrip(" ")[:1]
    return _AS_TEXT + name if begins and begins in _FORMULA + _AS_TEXT else name
