"""The ordinary alternative that a bench compares trades with: FastAPI on uvicorn, and a table.

    python -m load.bench.ordinary HOST FILE [PORT DATABASE]     serve, and write the port to FILE

HOST is that of PostgreSQL, or the folder of its socket. One process, one statement a trade; on a
server with its defaults each commit is on its disk (fsync). It has keys, and refuses what would
sell more than there is; it has no replicas, and no cache that could show anything old.
"""

import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Literal

import asyncpg
import uvicorn
from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel, Field

from twisted_bazaar.market import DEFAULT_LISTING
from twisted_bazaar.storage.files import replace_file

__all__ = ["app_on"]

CONNECTIONS = 20
"""To the database: more are no faster on two cores."""

SCHEMA = """
CREATE TABLE stocks (
    name text PRIMARY KEY, price integer NOT NULL, quantity integer NOT NULL CHECK (quantity >= 0),
    volume bigint NOT NULL DEFAULT 0
);
CREATE TABLE orders (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key text UNIQUE, name text NOT NULL,
    type text NOT NULL, quantity integer NOT NULL, time timestamptz NOT NULL DEFAULT now()
);
"""
TRADE = """
WITH stock AS (
    UPDATE stocks SET quantity = quantity + $4, volume = volume + $3
    WHERE name = $1 AND quantity + $4 >= 0 RETURNING name
)
INSERT INTO orders (key, name, type, quantity) SELECT $5, name, $2, $3 FROM stock RETURNING number
"""
LOOKUP = "SELECT name, price / 100.0 AS price, quantity, volume FROM stocks WHERE name = $1"


class Trade(BaseModel):
    """The body of `POST /orders`."""

    name: str
    quantity: Annotated[int, Field(gt=0)]
    type: Literal["buy", "sell"]


def app_on(host: str, port: int = 5432, database: str = "postgres") -> FastAPI:
    """The service, on a PostgreSQL server. `host` may be the folder of its socket."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        rows: Sequence[tuple[str, int, int]]
        rows = [(stock.name, stock.price, stock.quantity) for stock in DEFAULT_LISTING]
        async with asyncpg.create_pool(
            host=host,
            port=port,
            user="postgres",
            database=database,
            min_size=CONNECTIONS,
            max_size=CONNECTIONS,
        ) as app.state.pool:
            await app.state.pool.execute(SCHEMA)
            await app.state.pool.executemany("INSERT INTO stocks VALUES ($1, $2, $3)", rows)
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/stocks/{name}")
    async def stock(name: str) -> dict[str, object]:
        row = await app.state.pool.fetchrow(LOOKUP, name)
        if row is None:
            raise HTTPException(404)
        return {"data": dict(row)}

    @app.post("/orders")
    async def order(
        trade: Trade, idempotency_key: Annotated[str | None, Header()] = None
    ) -> dict[str, object]:
        change = -trade.quantity if trade.type == "buy" else trade.quantity
        pool, key = app.state.pool, idempotency_key
        try:
            number = await pool.fetchval(TRADE, trade.name, trade.type, trade.quantity, change, key)
        except asyncpg.UniqueViolationError:
            number = await pool.fetchval("SELECT number FROM orders WHERE key = $1", key)
        if number is None:
            raise HTTPException(409)
        return {"data": {"transaction_number": number}}

    return app


def main(host: str, file: str, port: str = "5432", database: str = "postgres") -> None:
    """Serve on a port of loopback until the process is ended."""
    listening = socket.create_server(("127.0.0.1", 0))
    app = app_on(host, int(port), database)
    config = uvicorn.Config(app, log_level="warning", access_log=False)
    replace_file(Path(file), b"%d" % listening.getsockname()[1], sync=False)
    uvicorn.Server(config).run([listening])


if __name__ == "__main__":
    main(*sys.argv[1:])
