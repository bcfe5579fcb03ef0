"""A bot that trades by a simple rule, and keeps books that are right however it ends.

A trade is in the books, with its key, before it is sent, and is sent again after any crash.

    python examples/bot.py http://127.0.0.1:8081 books.jsonl 10

By HTTPS it knows the bazaar by the certificates in the file that SSL_CERT_FILE names.
"""

import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import msgspec

from twisted_bazaar.client import CallFailed, Client, Placed, Refused, Side, Trade


class Entry(msgspec.Struct):
    trade: Trade
    outcome: Placed | str | None = None  # A string is why it was refused; None: not known yet.


class Books:
    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        whole, end, _ = path.read_bytes().rpartition(b"\n")
        self._file.truncate(len(whole + end))  # A line that was cut off was never acted upon.
        entries = [msgspec.json.decode(line, type=Entry) for line in whole.splitlines()]
        self.entries = {each.trade.client_order_id: each for each in entries}

    def write(self, entry: Entry) -> None:
        self._file.write(msgspec.json.encode(entry) + b"\n")
        os.fsync(self._file.fileno())
        self.entries[entry.trade.client_order_id] = entry


def settle(bazaar: Client, books: Books) -> None:
    """Send what has no outcome until it is an order or can never be one: in the end it expires."""
    while trades := [each.trade for each in books.entries.values() if each.outcome is None]:
        try:
            books.write(Entry(trades[0], bazaar.place(**msgspec.structs.asdict(trades[0]))))
        except CallFailed as why:
            if isinstance(why, Refused) and why.for_good:
                books.write(Entry(trades[0], why.reason))
            time.sleep(0.1)


URL, BOOKS, TRADES = sys.argv[1:] if len(sys.argv) == 4 else sys.exit(__doc__)
books = Books(Path(BOOKS))
with Client(URL, api_key=os.environ.get("BAZAAR_API_KEY")) as bazaar:
    settle(bazaar, books)
    while len(books.entries) < int(TRADES):
        # A share of what most are left of, for no more than it costs now, within ten seconds.
        quote = max(bazaar.stocks(), key=lambda each: (not each.halted, each.quantity))
        until = datetime.now(UTC) + timedelta(seconds=10)
        books.write(Entry(Trade(quote.name, Side.BUY, 1, uuid4().hex, quote.price, until)))
        settle(bazaar, books)
