"""The log of a bazaar that has it in an engine: its orders, and what `verify` says of it."""

import re
import sys
from collections.abc import Mapping, Sequence

from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutputAndValue

from load.history.records import Order
from twisted_bazaar.engine.postgres import PostgresEngine
from twisted_bazaar.engine.shared_log import EngineError
from twisted_bazaar.market import Traded
from twisted_bazaar.partitions import order_number

from .processes import environment
from .state import CHUNK_ENTRIES, Log

__all__ = ["orders_in_engine", "verify_engine"]

VERIFIED = re.compile(r"ok: partition=(\d+) last_number=(\d+).* digest=([0-9a-f]+)")


async def verify_engine(url: str) -> Sequence[Log]:
    """Have `twisted_bazaar verify` make each entry of each partition anew from rows. A log of each
    partition; if one is damaged, the last one says so."""
    command = ["-Pm", "twisted_bazaar", "verify", url]
    out, err, status = await getProcessOutputAndValue(sys.executable, command, environment())
    logs = [
        Log(f"partition {found[1]}", True, found[0], int(found[2]), found[3])
        for found in VERIFIED.finditer(out.decode("utf-8", "replace"))
    ]
    if status != 0 or not logs:
        said = " ".join(err.decode("utf-8", "replace").split())
        logs.append(Log("engine", False, said or f"status {status}"))
    return logs


async def orders_in_engine(url: str) -> Mapping[int, Order]:
    """All orders with their keys, by the numbers that clients know; empty: the log is damaged."""
    try:
        orders: Mapping[int, Order] = await deferToThread(_read_orders, url)
    except EngineError:
        return {}
    return orders


def _read_orders(url: str) -> Mapping[int, Order]:
    engine = PostgresEngine.existing(url)
    orders = {}
    try:
        tails, _ = engine.tails()
        for tail in tails:
            log = engine.log(tail.partition)
            for after in range(0, tail.index, CHUNK_ENTRIES):
                for entry in log.read(after, min(after + CHUNK_ENTRIES, tail.index)):
                    if isinstance(event := entry.event, Traded):
                        local, partition = event.number, tail.partition
                        number = order_number(local, partition, engine.bazaar.partitions)
                        orders[number] = Order(
                            number, event.stock, event.side, event.quantity, event.key
                        )
            log.close()
    finally:
        engine.close()
    return orders
