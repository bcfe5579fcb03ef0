"""Patroni fails over as tests of the engine assume: nothing that was committed is lost."""

import contextlib
from collections.abc import Iterator

import psycopg
import pytest

from .patroni_servers import PatroniServers, patroni
from .waiting import wait_until

__all__ = ["patroni"]

pytestmark = pytest.mark.slow

SECONDS = 60.0


@contextlib.contextmanager
def connected(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(f"{url}&target_session_attrs=read-write", autocommit=True) as connection:
        yield connection


def insert(url: str, number: int) -> bool:
    """Whether it was committed on two servers for certain."""
    try:
        with connected(url) as connection:
            notices: list[str | None] = []
            connection.add_notice_handler(lambda notice: notices.append(notice.sqlstate))
            connection.execute("INSERT INTO kept VALUES (%s)", [number])
            return not notices
    except psycopg.OperationalError:
        return False


@pytest.mark.parametrize("fault", ["hand_over", "kill_postgres", "kill"])
def test_what_was_committed_is_there_after_a_fail_over(patroni: PatroniServers, fault: str) -> None:
    url = patroni.database(fault)
    with connected(url) as connection:
        connection.execute("CREATE TABLE kept (number int)")
        for number in range(100):
            connection.execute("INSERT INTO kept VALUES (%s)", [number])
    old = patroni.wait_primary()
    if fault == "hand_over":
        patroni.hand_over(old % 3 + 1)
    elif fault == "kill_postgres":
        patroni.kill_postgres(old)
    else:
        patroni.kill(old)
    patroni.wait_primary(but=old)
    wait_until(lambda: insert(url, 100), "a commit succeeds", SECONDS)
    with connected(url) as connection:
        kept = connection.execute("SELECT DISTINCT number FROM kept ORDER BY number").fetchall()
        assert kept == [(number,) for number in range(101)]
    if fault == "kill":
        patroni.run(old)
    patroni.wait_followed(2)
