"""The engines that the promises are tried on, with what is done to each to make it fail."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import psycopg

from twisted_bazaar.engine.memory import MemoryEngine
from twisted_bazaar.engine.postgres import PostgresEngine
from twisted_bazaar.engine.shared_log import Engine, Placement, SharedLog

from .server import PostgresServer

__all__ = ["PARTITIONS", "Tried", "TriedMemory", "TriedPostgres"]

PARTITIONS = 200
"""Each test has one or two of its own."""


class Tried(Protocol):
    """An engine, and a partition of it that has never been used."""

    engine: Engine
    partition: int

    def log(self) -> SharedLog:
        """Another connection to the partition."""

    def next_partition(self) -> None:
        """Have another partition, which has never been used."""

    def placement(self, stock: str) -> Placement:
        """Of a stock that left the partition, or is in it."""

    def not_replicated(self, cancel: bool = True) -> AbstractContextManager[None]:
        """Meanwhile no write is replicated. `cancel`: the server gives up waiting for it."""

    def full(self) -> AbstractContextManager[None]:
        """Meanwhile there is no room."""


class TriedMemory:
    def __init__(self) -> None:
        self.engine = MemoryEngine("memory", PARTITIONS)
        self.partition = 1

    def log(self) -> SharedLog:
        return self.engine.log(self.partition)

    def next_partition(self) -> None:
        self.partition += 1

    def placement(self, stock: str) -> Placement:
        return placement_of(self.engine, stock)

    @contextmanager
    def not_replicated(self, cancel: bool = True) -> Iterator[None]:
        self.engine.replicates = False
        yield
        self.engine.replicates = True

    @contextmanager
    def full(self) -> Iterator[None]:
        self.engine.full = True
        yield
        self.engine.full = False


class TriedPostgres:
    """All tests of a module share one server and one database."""

    def __init__(self, server: PostgresServer, url: str) -> None:
        self.server = server
        self.url = url
        self.engine = PostgresEngine.open(url, partitions=PARTITIONS, name="postgres")
        self.partition = 0

    def log(self) -> SharedLog:
        return self.engine.log(self.partition)

    def next_partition(self) -> None:
        self.partition += 1

    def placement(self, stock: str) -> Placement:
        return placement_of(self.engine, stock)

    def not_replicated(self, cancel: bool = True) -> AbstractContextManager[None]:
        return self.server.not_replicated(cancel)

    @contextmanager
    def full(self) -> Iterator[None]:
        """As when a table cannot be extended: SQLSTATE 53100, disk_full."""
        with psycopg.connect(self.url, autocommit=True) as admin:
            admin.execute(
                """CREATE FUNCTION bazaar.no_room() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$;
                CREATE TRIGGER no_room BEFORE INSERT ON bazaar.batches
                EXECUTE FUNCTION bazaar.no_room();
                """
            )
            yield
            admin.execute("DROP FUNCTION bazaar.no_room() CASCADE")


def placement_of(engine: Engine, stock: str) -> Placement:
    _, placements = engine.tails()
    [found] = [placement for placement in placements if placement.stock == stock]
    return found
