"""The command lines of `python -m twisted_bazaar market`, `… partitions` and `… members`.

Imports little: every command of `__main__` declares it.
"""

import os
import re
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path

from twisted_bazaar.replica_ids import read_replica
from twisted_bazaar.runtime.address import Address

__all__ = ["add_arguments", "add_member_arguments", "add_partition_arguments"]

_PRICE = re.compile(r"[0-9]{1,13}(\.[0-9]{1,2})?", re.ASCII)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the operations and options of `market`."""
    operations = parser.add_subparsers(dest="operation", required=True)
    common = _common()
    for name, purpose in (
        ("list", "list a stock"),
        ("price", "change the price of a stock"),
        ("halt", "halt trading of stocks"),
        ("resume", "resume trading of stocks"),
        ("show", "print all stocks as CSV"),
    ):
        operation = operations.add_parser(name, help=purpose, description=purpose, parents=[common])
        if name in ("list", "price"):
            operation.add_argument("name")
            operation.add_argument("price", type=_price, help="such as 15.99")
        if name == "list":
            operation.add_argument("quantity", type=_whole, help="shares for sale at first")
        if name in ("halt", "resume"):
            which = operation.add_mutually_exclusive_group(required=True)
            which.add_argument("names", nargs="*", metavar="name", default=[])
            which.add_argument("--all", action="store_true", help="every stock listed now")


def add_partition_arguments(parser: ArgumentParser) -> None:
    """Declare the operations and options of `partitions`."""
    operations = parser.add_subparsers(dest="operation", required=True)
    common = _common()
    for name, purpose in (
        ("show", "print who leads each partition, and its stocks"),
        ("move", "move a stock to another partition, while it trades"),
        ("lead", "have an order replica lead a partition"),
    ):
        operation = operations.add_parser(name, help=purpose, description=purpose, parents=[common])
        if name == "move":
            operation.add_argument("name", help="of the stock")
        if name != "show":
            operation.add_argument("partition", type=_whole, help="its number, from 0")
        if name == "lead":
            operation.add_argument(
                "member", type=_whole, nargs="?", help="id of the replica; none: the usual one"
            )


def add_member_arguments(parser: ArgumentParser) -> None:
    """Declare the operations and options of `members`."""
    operations = parser.add_subparsers(dest="operation", required=True)
    common = _common()
    for name, purpose in (
        ("show", "print the replicas of the order log"),
        ("add", "add a replica, which was started with --join"),
        ("remove", "remove a replica"),
        ("replace", "add a replica and remove another one"),
    ):
        operation = operations.add_parser(name, help=purpose, description=purpose, parents=[common])
        if name in ("remove", "replace"):
            operation.add_argument("old", type=_member, metavar="ID", help="the one to remove")
        if name in ("add", "replace"):
            operation.add_argument("new", type=_member, metavar="ID", help="the one to add")
            operation.add_argument("address", type=_address, help="HOST:PORT of the one to add")
        if name != "show":
            operation.add_argument(
                "--timeout",
                type=_whole,
                default=600,
                metavar="SECONDS",
                help="how long to wait for a step (600); after that, ask again",
            )


def _common() -> ArgumentParser:
    """Where the front-end is."""
    common = ArgumentParser(add_help=False)
    common.add_argument("--data", type=Path, help="folder of a bazaar on this machine (var)")
    common.add_argument(
        "--frontend",
        metavar="HOST:PORT",
        help="the internal endpoint of a front-end instead; without either, BAZAAR_FRONTEND "
        "of the environment",
    )
    common.add_argument(
        "--secret-file",
        metavar="FILE",
        help="the secret of that front-end (BAZAAR_SECRET_FILE of the environment)",
    )
    common.add_argument(
        "--certificates",
        type=Path,
        default=os.environ.get("BAZAAR_CERTIFICATES") or None,
        metavar="FOLDER",
        help="with a certificate of the operator, if that front-end speaks TLS",
    )
    return common


def _price(text: str) -> str:
    """The price as a number in JSON, which begins with no further zero."""
    if not _PRICE.fullmatch(text):
        raise ArgumentTypeError(f"must be an amount such as 15.99, not {text!r:.80}")
    whole, point, cents = text.partition(".")
    return f"{int(whole)}{point}{cents}"


def _member(text: str) -> int:
    try:
        return read_replica(text)
    except ValueError as why:
        raise ArgumentTypeError(str(why)) from None


def _address(text: str) -> str:
    try:
        return str(Address.parse(text))
    except ValueError as why:
        raise ArgumentTypeError(str(why)) from None


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 16):
        raise ArgumentTypeError(f"must be a whole number, not {text!r:.80}")
    return int(text)
