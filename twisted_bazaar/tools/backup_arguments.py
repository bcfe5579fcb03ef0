"""The command lines of `backup` and `restore`."""

import argparse
from pathlib import Path

from twisted_bazaar.frontend.api.times import TIME_RULE, milliseconds_of
from twisted_bazaar.replica_ids import read_replica

from .backups.until import Until

__all__ = ["add_backup_arguments", "add_restore_arguments"]

_DIGITS = 16
"""Of the largest number of an order."""
_PLACE = "a file, or s3://BUCKET/KEY"


def add_backup_arguments(command: argparse.ArgumentParser) -> None:
    """The arguments of `backup`."""
    command.add_argument(
        "folder", metavar="FOLDER", type=Path, help="the folder of a replica, such as var/order-1"
    )
    command.add_argument("place", metavar="FILE", help=f"where the backup goes: {_PLACE}")
    command.add_argument(
        "--since", metavar="FILE", help="an earlier backup: only what came after it is kept"
    )


def add_restore_arguments(command: argparse.ArgumentParser) -> None:
    """The arguments of `restore`."""
    command.add_argument(
        "places",
        metavar="FILE",
        nargs="+",
        help=f"a backup, and those that were taken since it, in their order: each is {_PLACE}",
    )
    command.add_argument(
        "data", metavar="DATA", type=Path, help="where the folders of replicas are made"
    )
    command.add_argument(
        "--replicas",
        metavar="N",
        type=_count,
        default=3,
        help="how many there are, with ids from 1 on; 3",
    )
    command.add_argument(
        "--until",
        metavar="NUMBER|TIME",
        type=_limit,
        default=Until(),
        help="the last order that is restored, or the time after which nothing is",
    )
    command.add_argument(
        "--name",
        metavar="NAME",
        type=_name,
        help="names the new bazaar, 16 hexadecimal digits; the same on each machine where folders "
        "are made. At random",
    )
    command.add_argument(
        "--id",
        metavar="N",
        type=_id,
        help="make the folder of this replica only, which is DATA itself; with --name",
    )


def _id(text: str) -> int:
    try:
        return read_replica(text)
    except ValueError as why:
        raise argparse.ArgumentTypeError(str(why)) from None


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 3 or int(text) % 2 == 0:
        raise argparse.ArgumentTypeError(f"must be odd, not {text!r}")
    return int(text)


def _limit(text: str) -> Until:
    if text.isascii() and text.isdecimal() and len(text) <= _DIGITS:
        if int(text) == 0:
            raise argparse.ArgumentTypeError("the first order is number 1")
        return Until(number=int(text))
    at = milliseconds_of(text, round_up=False)
    if at is None:
        raise argparse.ArgumentTypeError(f"must be the number of an order, or {TIME_RULE}")
    return Until(at=at)


def _name(text: str) -> str:
    if len(text) != 16 or not set(text) <= set("0123456789abcdef"):
        raise argparse.ArgumentTypeError(f"must be 16 hexadecimal digits, not {text!r}")
    return text
