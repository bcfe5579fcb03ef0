"""How PostgreSQL carries out what is asked for each batch."""

import psycopg

from twisted_bazaar.engine import sql
from twisted_bazaar.engine.postgres import PostgresEngine
from twisted_bazaar.selection import Selection

from .server import PostgresServer


def test_orders_of_a_client_are_found_by_their_index(server: PostgresServer) -> None:
    url = server.database("clients")
    PostgresEngine.open(url, partitions=1, name="bazaar").close()
    statement = sql.orders(Selection(limit=2, client="alice"))
    values = {"part": 0, "low": 0, "high": 9, "client": "alice", "limit": 3}
    text = statement.sql.decode()
    for number, argument in enumerate(statement.arguments(values), 1):
        text = text.replace(f"${number}", f"'{argument.decode()}'")
    with psycopg.connect(url, autocommit=True) as connection:
        for each in sql.BEGIN:
            connection.execute(each.encode())
        plan = connection.execute(f"EXPLAIN {text}".encode()).fetchall()
    lines = "\n".join(line for (line,) in plan)
    assert "orders_client" in lines
    assert "Sort" not in lines


def test_keys_are_found_by_their_index_though_planned_on_an_empty_table(
    server: PostgresServer,
) -> None:
    """A plan is kept: one that reads a whole partition would do so for each batch."""
    url = server.database("planned")
    PostgresEngine.open(url, partitions=1, name="bazaar").close()
    values = {"part": 0, "parts": b"{0}", "keys": b"{one,two}"}
    arguments = [each.decode() for each in sql.FIND.arguments(values)]
    with psycopg.connect(url, autocommit=True) as connection:
        for each in sql.BEGIN:
            connection.execute(each.encode())
        connection.execute(b"PREPARE find AS " + sql.FIND.sql)
        shown = ", ".join(f"'{each}'" for each in arguments)
        plan = connection.execute(f"EXPLAIN EXECUTE find ({shown})".encode()).fetchall()
    lines = [line.strip() for (line,) in plan]
    assert "Index Cond: ((part = searched.part) AND (key = wanted.key))" in lines
    assert not any("Filter" in line for line in lines)
