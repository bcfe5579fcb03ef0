"""Reads the answer to a trade."""

import json
import re

__all__ = ["number_in"]


def number_in(answered: bytes) -> int:
    """The number of the order in `answered`, which must begin with a whole answer that says that
    the trade was placed."""
    head, _, rest = answered.partition(b"\r\n\r\n")
    assert re.match(rb"HTTP/1\.[01] 200 OK\r\n", head), answered
    length = re.search(rb"\r\nContent-Length: ([0-9]+)(?:\r\n|$)", head)
    assert length is not None, answered
    body = rest[: int(length[1])]
    assert len(body) == int(length[1]), answered
    data = json.loads(body)["data"]
    assert data.keys() == {"transaction_number", "client_order_id", "price", "total"}
    number: int = data["transaction_number"]
    return number
