"""Whether a bazaar's folder holds the orders where the options say that they are.

A bazaar whose orders are elsewhere would otherwise begin a second time, empty.
"""

from pathlib import Path

from twisted_bazaar.errors import Unusable
from twisted_bazaar.storage.owner import is_of_member, is_of_replica

from .engine import EMBEDDED, server_folder

__all__ = ["check_orders_are_there"]


def check_orders_are_there(data: Path, engine: str | None) -> None:
    """Raises `Unusable` if the bazaar in folder `data` keeps its orders elsewhere than with that
    `--engine`."""
    folders = sorted(data.glob("order-*"))
    own = server_folder(data)
    if engine is not None:
        for folder in filter(is_of_replica, folders):
            raise Unusable(f"--engine: {folder} holds an order log, which would be left behind")
        if engine != EMBEDDED and own.exists():
            raise Unusable(f"--engine: the orders are in {own}: --engine={EMBEDDED} finds them")
    elif own.exists():
        raise Unusable(f"--engine: the orders are in {own}: --engine={EMBEDDED} finds them")
    else:
        for folder in filter(is_of_member, folders):
            raise Unusable(f"--engine: the orders of {folder} are in an engine, which it must name")
