"""`export` and `verify` of a log in PostgreSQL."""

from itertools import count

import psycopg
import pytest

from twisted_bazaar.__main__ import main
from twisted_bazaar.engine.postgres import PostgresEngine
from twisted_bazaar.market import Halted, Moved, Side

from .server import PostgresServer
from .writer import LISTED, Writer, tail_of

_databases = count(1)


@pytest.fixture
def url(server: PostgresServer) -> str:
    """Of a database whose bazaar has two partitions, four orders, and a stock that was moved."""
    url = server.database(f"inspected-{next(_databases)}")
    engine = PostgresEngine.open(url, partitions=2, name="inspected")
    first, second = Writer(engine.log(0)), Writer(engine.log(1))
    for writer in (first, second):
        writer.claim(at=1000)
    first.append(first.batch(LISTED, at=1000))
    first.append(first.orders(["a", "=b"], at=2000))
    first.append(first.batch(Moved("FishCo", 1), Halted((LISTED.stocks[1].name,)), at=3000))
    second.append(second.batch(engine.tails()[1][0].adopted(), at=4000))
    second.append(second.orders(["made-1"], at=5000))
    second.append(second.orders(["c"], side=Side.SELL, at=6000))
    engine.close()
    return url


def test_all_partitions_are_exported_by_time_with_the_numbers_of_clients(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "--whole", url]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "transaction_number,name,type,quantity,price,client_order_id",
        "1000,FishCo,buy,2,20.50,a",
        "2000,FishCo,buy,2,20.50,'=b",
        "1001,FishCo,buy,2,20.50,",
        "2001,FishCo,sell,2,20.50,c",
    ]


def test_the_orders_of_one_partition_have_its_numbers(
    server: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    url = server.database("single")
    engine = PostgresEngine.open(url, partitions=1, name="single")
    writer = Writer(engine.log(0))
    writer.claim()
    writer.append(writer.batch(LISTED))
    writer.append(writer.orders(["a"]))
    engine.close()
    assert main(["export", url]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["1,FishCo,buy,2"]


def test_each_partition_is_verified(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", url]) == 0
    first, second = capsys.readouterr().out.splitlines()
    engine = PostgresEngine.existing(url)
    tail = tail_of(engine.log(0))
    engine.close()
    assert first == f"ok: partition=0 last_number=2 last_index=6 term=1 digest={tail.digest}"
    assert second.startswith("ok: partition=1 last_number=2 last_index=4 term=1 ")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("UPDATE orders SET quantity = 3 WHERE part = 1 AND number = 2", "entries 4 to 4 are not"),
        ("UPDATE orders SET key = 'x' WHERE part = 0 AND number = 1", "partition 0: entries 3 to"),
        ("DELETE FROM orders WHERE part = 1 AND number = 2", "there is no entry 4"),
        ("DELETE FROM batches WHERE part = 0 AND last_index = 2", "partition 0: entries 3 to 4 do"),
        ("DELETE FROM batches WHERE part = 0 AND last_index = 6", "ends with entry 4, its stocks"),
        ("UPDATE events SET body = '{}' WHERE part = 0 AND index = 2", "partition 0: entry 2: "),
        ("UPDATE events SET at = 1 WHERE part = 1 AND index = 2", "partition 1: entries 2 to 2"),
        ("UPDATE batches SET term = 9 WHERE part = 0 AND last_index = 4", "entries 3 to 4 are not"),
        ("UPDATE stocks SET quantity = 9 WHERE part = 1", "partition 1: FishCo is"),
        ("DELETE FROM stocks WHERE part = 0", "and by the entries"),
    ],
)  # fmt: skip
def test_what_is_not_as_it_was_written_is_named(
    url: str, damage: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(url) as admin:
        admin.execute("SET search_path = bazaar")
        assert admin.execute(damage).rowcount == 1  # type: ignore[call-overload]
    assert main(["verify", url]) == 1
    error = capsys.readouterr().err
    assert error.startswith("verify: ")
    assert said in error
    assert error.count("\n") == 1


def test_a_database_without_a_bazaar_is_left_as_it_is(
    server: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    url = server.database("without")
    assert main(["verify", url]) == 1
    assert "has no bazaar" in capsys.readouterr().err
    with psycopg.connect(url) as admin:
        assert admin.execute("SELECT to_regnamespace('bazaar')").fetchone() == (None,)
