"""`python -m twisted_bazaar market`: market operations, at the internal endpoint of a front-end."""

import csv
from argparse import Namespace
from collections.abc import Mapping
from typing import Any, TextIO

import msgspec

from .signed_operations import Operator

__all__ = ["operate"]

ALREADY = "it was so already"

_COLUMNS = ("name", "price", "quantity", "volume", "halted")


def operate(asked: Namespace, out: TextIO) -> None:
    """Carry out one operation, and say on `out` what came of it. Raises `Unusable`, also if that
    is unknown."""
    data = Operator.find(asked).operate(_operation(asked))
    if asked.operation == "show":
        table = csv.writer(out, lineterminator="\n")
        table.writerow(_COLUMNS)
        for stock in data:
            table.writerow((*(stock[name] for name in _COLUMNS[:-1]), int(stock["halted"])))
    else:
        print(f"ok: {entries_of(data)}", file=out)


def entries_of(data: Mapping[str, Any]) -> str:
    """Where the entries of a change are, in words, by the data of its answer."""
    if "index" in data:
        return f"entry {data['index']}" if data["index"] else ALREADY
    each = [f"entry {e['index']} of partition {e['partition']}" for e in data["entries"]]
    return ", ".join(each) or ALREADY


def _operation(asked: Namespace) -> Mapping[str, Any]:
    match asked.operation:
        case "list":
            stock = {
                "name": asked.name,
                "price": msgspec.Raw(asked.price.encode()),
                "quantity": asked.quantity,
            }
            return {"operation": "list", "stocks": [stock]}
        case "price":
            price = msgspec.Raw(asked.price.encode())
            return {"operation": "price", "name": asked.name, "price": price}
        case "halt" | "resume":
            chosen = {"all": True} if asked.all else {"names": asked.names}
            return {"operation": asked.operation, **chosen}
    return {"operation": "show"}
