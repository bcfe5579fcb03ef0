from collections.abc import Iterator

import psycopg
import pytest

from .engines import Tried, TriedMemory, TriedPostgres
from .server import PostgresServer


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def postgres(server: PostgresServer) -> Iterator[TriedPostgres]:
    tried = TriedPostgres(server, server.database("tried"))
    yield tried
    tried.engine.close()


@pytest.fixture
def in_postgres(postgres: TriedPostgres) -> TriedPostgres:
    """A partition that has never been used, and no placements."""
    postgres.next_partition()
    with psycopg.connect(postgres.url) as admin:
        admin.execute("TRUNCATE bazaar.placements")
    return postgres


@pytest.fixture(params=["memory", "postgres"])
def tried(request: pytest.FixtureRequest) -> Tried:
    if request.param == "memory":
        return TriedMemory()
    found: TriedPostgres = request.getfixturevalue("in_postgres")
    return found
