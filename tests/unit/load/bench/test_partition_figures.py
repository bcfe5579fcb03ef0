"""The page of an order log in an engine, and the stocks that are traded for it."""

from collections import Counter

import pytest

from load.bench.partition_figures import Row, Sizes, Taken, median_of, page_of
from load.bench.turns import spread_stocks
from twisted_bazaar.partitions import home

SIZES = Sizes(cores=2, generator="wrk", rounds=3, seconds=2, servers=3)


def taken(rate: float, errors: int = 0, batch: float = 8.0) -> Taken:
    return Taken(
        rate=rate, p50_ms=1.5, p99_ms=9.5, errors=errors, batch=batch, cpu_us={"primary": 20.0}
    )


@pytest.mark.parametrize("partitions", [1, 2, 4, 8])
def test_each_partition_has_as_many_of_the_stocks(partitions: int) -> None:
    homes = Counter(home(stock, partitions) for stock in spread_stocks())
    assert len(homes) == partitions
    assert len(set(homes.values())) == 1


def test_medians_of_rounds_and_all_of_their_errors() -> None:
    row = median_of([taken(300, errors=1), taken(100), taken(200, errors=2)])
    assert (row.rate, row.errors, row.cpu_us) == (200, 3, {"primary": 20.0})


def test_a_page_has_rates_batches_costs_and_errors() -> None:
    rows = [
        Row(subject="engine, 4 partitions", connections=0, taken=taken(0)),
        Row(subject="engine, 4 partitions", connections=32, taken=taken(1234)),
        Row(subject="embedded log", connections=512, taken=taken(5678, errors=7, batch=0.0)),
    ]
    lines = list(page_of(SIZES, rows))
    (engine,) = [line for line in lines if line.startswith("engine")]
    assert engine.split() == ["engine,", "4", "partitions", "1234", "8.0", "1.5", "9.5"]
    (embedded,) = [line for line in lines if line.startswith("embedded")]
    assert embedded.split() == ["embedded", "log", "5678", "1.5", "9.5"]
    assert "7 ERRORS: embedded log, 512 connections" in lines
    assert any(line.startswith("CPU a second without any trade") for line in lines)
