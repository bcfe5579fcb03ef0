"""What reports in SQL are made of."""

import psycopg
import pytest

from twisted_bazaar.engine.postgres import PostgresEngine
from twisted_bazaar.engine.shared_log import Released
from twisted_bazaar.market import Side

from .server import PostgresServer
from .writer import LISTED, Writer


def test_reports_are_of_released_orders(server: PostgresServer) -> None:
    url = server.database("reports")
    engine = PostgresEngine.open(url, partitions=2, name="reports")
    writer = Writer(engine.log(1))
    writer.claim()
    writer.append(writer.batch(LISTED))
    day = 86_400_000
    writer.append(writer.orders(["ann:1", "ann:2", "made-1"], at=day))
    writer.append(writer.orders(["ann:3"], side=Side.SELL, at=2 * day))
    writer.beats(released=Released(index=6, number=4))
    writer.append(writer.orders(["ann:4"], at=3 * day))
    with psycopg.connect(url) as reader:
        reader.execute("SET ROLE bazaar_reports")
        volume = reader.execute(
            "SELECT day::text, stock, orders, shares, amount FROM bazaar.daily_volume ORDER BY 1"
        ).fetchall()
        assert volume == [
            ("1970-01-02", "FishCo", 3, 6, 6 * 2050), ("1970-01-03", "FishCo", 1, 2, 2 * 2050),
        ]  # fmt: skip
        assert reader.execute("SELECT * FROM bazaar.turnover").fetchall() == [
            ("FishCo", 4, 6, 2, 8 * 2050)
        ]
        assert reader.execute("SELECT * FROM bazaar.client_positions").fetchall() == [
            ("ann", "FishCo", 3, 2, 2 * 2050)
        ]
        numbers = reader.execute("SELECT number, client_order_id FROM bazaar.report_orders")
        assert sorted(numbers.fetchall())[2:] == [(3001, None), (4001, "ann:3")]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("SELECT * FROM bazaar.orders")
    engine.close()
