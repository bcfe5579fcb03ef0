"""Four partitions in an engine, led side by side: what clients are promised holds over all."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from twisted_bazaar.client import Client
from twisted_bazaar.partitions import home, partition_of

from .event_reader import EventReader
from .partitioned import PartitionedCluster
from .postgres_servers import PostgresServers
from .waiting import wait_until

pytestmark = pytest.mark.slow

PARTITIONS = 4
STOCKS = ("BankCo", "BoarCo", "CityCorp", "DruidCo", "FishCo",
          "FreedomCo", "GameStart", "MenhirCo", "MindComp", "RomanCo")  # fmt: skip


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PartitionedCluster]:
    folder: Path = tmp_path_factory.mktemp("partitions")
    with (
        PostgresServers(1) as servers,
        PartitionedCluster(folder, servers.database("bazaar"), PARTITIONS) as cluster,
    ):
        yield cluster


def usual_but(cluster: PartitionedCluster, member: int) -> None:
    """Wait until all partitions are led as ever, but for the last one, which is `member`'s."""
    for partition, wanted in enumerate([None, None, None, member]):
        assert cluster.operate({"operation": "lead", "partition": partition, "member": wanted})
    cluster.wait_led(3, 2, 1, member)


def test_leaders_spread_over_the_members(cluster: PartitionedCluster) -> None:
    assert cluster.leaders() == [3, 2, 1, 3]


def test_each_stock_is_traded_in_its_partition_and_seen_at_once(
    cluster: PartitionedCluster,
) -> None:
    assert {home(stock, PARTITIONS) for stock in STOCKS} == set(range(PARTITIONS))
    for stock in STOCKS:
        before = cluster.request("GET", f"/stocks/{stock}").body["data"]["quantity"]
        placed = cluster.buy(stock, key=f"once-{stock}")
        number = placed.body["data"]["transaction_number"]
        assert partition_of(number, PARTITIONS) == home(stock, PARTITIONS)
        assert cluster.request("GET", f"/stocks/{stock}").body["data"]["quantity"] == before - 1
        again = cluster.buy(stock, key=f"once-{stock}")
        assert again.headers["Idempotent-Replayed"] == "true"
        assert again.body == placed.body
        order = cluster.request("GET", f"/orders/{number}").body["data"]
        assert (order["name"], order["partition"]) == (stock, home(stock, PARTITIONS))


def test_a_batch_of_all_partitions_has_an_outcome_in_each_place(
    cluster: PartitionedCluster,
) -> None:
    trades = [{"name": name, "quantity": 1, "type": "buy"} for name in (*STOCKS, "Nowhere")]
    answer = cluster.request("POST", "/orders/batch", {"orders": trades}).body["data"]
    assert [each["code"] for each in answer] == [*([200] * len(STOCKS)), 400]
    assert answer[-1]["error"]["reason"] == "unknown_stock"
    numbers = [each["data"]["transaction_number"] for each in answer[:-1]]
    assert [partition_of(number, PARTITIONS) for number in numbers] == [
        home(stock, PARTITIONS) for stock in STOCKS
    ]


def test_the_whole_market_is_that_of_all_partitions(cluster: PartitionedCluster) -> None:
    market = cluster.request("GET", "/stocks")
    assert [each["name"] for each in market.body["data"]] == [*STOCKS]
    tag = market.headers["ETag"]
    assert cluster.request("GET", "/stocks", headers={"If-None-Match": tag}).status == 304
    cluster.buy("FishCo")
    changed = cluster.request("GET", "/stocks", headers={"If-None-Match": tag})
    assert (changed.status, changed.headers["ETag"] != tag) == (200, True)
    assert cluster.request("GET", "/stocks/Nowhere").status == 404


def test_a_partition_is_led_by_whom_an_operator_wants(cluster: PartitionedCluster) -> None:
    told = cluster.operate({"operation": "lead", "partition": 3, "member": 2})
    assert told == {"partition": 3, "member": 2}
    cluster.wait_led(3, 2, 1, 2)
    assert cluster.buy("GameStart").status == 200
    refused = cluster.operate({"operation": "lead", "partition": 3, "member": 9})
    assert refused["reason"] == "invalid_field"


def test_a_member_that_dies_is_replaced_in_all_that_it_led(cluster: PartitionedCluster) -> None:
    """Each trade is executed once, though it was sent while the leader of two was dead."""
    usual_but(cluster, 2)
    with cluster.without("order-2"):
        for stock in STOCKS:
            placed = cluster.buy(stock, key=f"while-dead-{stock}")
            assert placed.status == 200
            again = cluster.buy(stock, key=f"while-dead-{stock}")
            assert again.body == placed.body
        # Member 3 has just left partition 3: either of the others may lead that.
        alive = wait_until(lambda: cluster.led_without(2), "others lead all", 30, cluster.tail)
        assert alive[:3] == [3, 1, 1]
    reachable = "the member is back, and leads nothing"
    wait_until(lambda: cluster.request("GET", "/replicas").body["data"][1]["reachable"], reachable)
    assert cluster.leaders() == alive
    assert cluster.operate({"operation": "lead", "partition": 1, "member": None})
    cluster.wait_led(3, 2, 1, alive[3])


def test_a_stock_moves_to_another_partition_while_it_trades(cluster: PartitionedCluster) -> None:
    at_home = home("MindComp", PARTITIONS)
    before = cluster.buy("MindComp", key="before").body
    assert cluster.operate({"operation": "move", "name": "MindComp", "partition": 1})
    # A trade waits for the stock, wherever it is.
    placed = cluster.buy("MindComp", key="after")
    assert partition_of(placed.body["data"]["transaction_number"], PARTITIONS) == 1
    assert cluster.buy("MindComp", key="before").body == before
    assert partition_of(before["data"]["transaction_number"], PARTITIONS) == at_home
    assert cluster.request("GET", "/stocks/MindComp").status == 200
    names = [each["name"] for each in cluster.request("GET", "/stocks").body["data"]]
    assert names == [*STOCKS]
    arrived = [{"stock": "MindComp", "partition": 1, "arrived": True}]
    shown = wait_until(lambda: cluster.shown(arrived), "it is shown that it has arrived")
    assert "MindComp" in shown["partitions"][1]["stocks"]
    assert "MindComp" not in shown["partitions"][at_home]["stocks"]


def test_one_list_has_the_orders_of_all_partitions_by_time(cluster: PartitionedCluster) -> None:
    with Client(cluster.url_of("frontend")) as bazaar:
        placed = [bazaar.place(stock, "buy", 1).number for stock in STOCKS]
        listed = [*bazaar.orders(limit=7)]
        assert listed == sorted(listed, key=lambda order: (order.time, order.partition))
        for partition in range(PARTITIONS):
            numbers = [order.number for order in listed if order.partition == partition]
            assert numbers == [*range(1000 + partition, 1000 * len(numbers) + 1000, 1000)]
            of_one = bazaar.orders(partition=partition, limit=3)
            assert [order.number for order in of_one] == numbers
        assert {*placed} <= {order.number for order in listed}
        assert [*bazaar.orders(direction="desc", limit=9)] == listed[::-1]
        found = bazaar.find("once-MindComp")
        assert found is not None
        assert found.partition == home("MindComp", PARTITIONS), "it was moved since"


def test_one_stream_has_every_order_once_over_a_fail_over_and_a_new_front_end(
    cluster: PartitionedCluster,
) -> None:
    address = cluster.url_of("frontend").removeprefix("http://")
    assert cluster.buy("FishCo").status == 200
    with EventReader([address], "after=0&events=order") as reader:
        wait_until(lambda: reader.numbers, "the past is shown")
        with cluster.without("order-2"):
            placed = [cluster.buy(stock) for stock in STOCKS]
        with cluster.without("frontend"):
            pass
        wait_until(cluster.is_ready, "the front-end is back")
        placed += [cluster.buy(stock) for stock in STOCKS]
        numbers = [answer.body["data"]["transaction_number"] for answer in placed]
        wait_until(lambda: {*numbers} <= {*reader.numbers}, "all orders are shown")
        assert reader.streams > 1
    for partition in range(PARTITIONS):
        shown = [number for number in reader.numbers if number % 1000 == partition]
        assert shown == [*range(1000 + partition, 1000 * len(shown) + 1000, 1000)]
