"""The servers that tests of the engine use do what those tests assume."""

import contextlib
import threading
from collections.abc import Iterator

import psycopg
import pytest

from .postgres_servers import PostgresServers, servers

__all__ = ["servers"]

pytestmark = pytest.mark.slow

SOON = 1.0


@contextlib.contextmanager
def connected(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(f"{url}&target_session_attrs=read-write", autocommit=True) as connection:
        yield connection


def test_a_commit_waits_for_a_second_server(servers: PostgresServers) -> None:
    url = servers.database("waits")
    notices = []
    with connected(url) as connection:
        connection.execute("CREATE TABLE kept (number int)")
        connection.add_notice_handler(lambda notice: notices.append(notice.sqlstate))
        others = [n for n in servers.addresses if n != servers.primary]
        for each in others:
            servers.pause(each)
        threading.Timer(SOON, connection.cancel_safe).start()
        connection.execute("INSERT INTO kept VALUES (1)")
        assert notices == ["01000"]
        for each in others:
            servers.resume(each)
        servers.wait_followed(2)
        connection.execute("INSERT INTO kept VALUES (2)")
        assert notices == ["01000"]


def test_fail_over_keeps_what_was_committed(servers: PostgresServers) -> None:
    url = servers.database("keeps")
    with connected(url) as connection:
        connection.execute("CREATE TABLE kept (number int)")
        for number in range(100):
            connection.execute("INSERT INTO kept VALUES (%s)", [number])
        old = servers.primary
        servers.kill(old)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("INSERT INTO kept VALUES (100)")
    assert servers.fail_over() != old
    servers.join(old)
    with connected(url) as connection:
        kept = connection.execute("SELECT number FROM kept ORDER BY number").fetchall()
        assert kept == [(number,) for number in range(100)]
        connection.execute("INSERT INTO kept VALUES (100)")


def test_a_full_disk_is_refused_and_room_is_used_again() -> None:
    with PostgresServers(1, disk_megabytes=128) as servers, connected(servers.database("x")) as it:
        it.execute("CREATE TABLE kept (text text)")
        servers.fill(1)
        grow = "INSERT INTO kept SELECT repeat('x', 1000) FROM generate_series(1, 1000)"
        with pytest.raises(psycopg.errors.DiskFull):
            it.execute(grow)
        servers.empty(1)
        it.execute(grow)
