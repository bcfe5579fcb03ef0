"""A catalog of several partitions whose logs are in PostgreSQL: it loses what it knew."""

from pathlib import Path

import grpc
import pytest

from twisted_bazaar.partitions import home
from twisted_bazaar.rpc.bazaar.v1.catalog_pb2 import CatalogStatusRequest
from twisted_bazaar.rpc.bazaar.v1.catalog_pb2_grpc import CatalogStub

from .engine_cluster import EngineCluster
from .postgres_servers import PostgresServers
from .waiting import wait_until

PARTITIONS = 2
HERE, THERE = "DruidCo", "GameStart"
MEMBERS = "order-1", "order-2", "order-3"


def trade(bazaar: EngineCluster, name: str, quantity: int) -> None:
    order = {"name": name, "quantity": quantity, "type": "buy"}
    answer = bazaar.request("POST", "/orders", order)
    assert answer.status == 200, answer.body


def left(bazaar: EngineCluster, name: str) -> int:
    """The shares that a lookup shows."""
    answer = bazaar.request("GET", f"/stocks/{name}")
    assert answer.status == 200, answer.body
    quantity: int = answer.body["data"]["quantity"]
    return quantity


@pytest.mark.slow
def test_a_catalog_without_its_files_goes_on_from_snapshots_of_new_leaders(tmp_path: Path) -> None:
    """Their logs in memory begin with their leadership: what was before is in the engine only."""
    assert {home(name, PARTITIONS) for name in (HERE, THERE)} == {0, 1}
    with (
        PostgresServers(1) as servers,
        EngineCluster(tmp_path, servers.database("catalogs"), partitions=PARTITIONS) as bazaar,
    ):
        for name, quantity in ((HERE, 1), (THERE, 2), (HERE, 3)):
            trade(bazaar, name, quantity)
        assert (left(bazaar, HERE), left(bazaar, THERE)) == (96, 98)

        for name in ("catalog", *MEMBERS):
            bazaar.kill(name)
        files = list((tmp_path / "data" / "catalog").glob("*.csv"))
        assert len(files) == PARTITIONS
        for file in files:
            file.unlink()
        for name in ("catalog", *MEMBERS):
            bazaar.launch(name)

        with grpc.insecure_channel(bazaar.address["catalog"]) as channel:
            catalog = CatalogStub(channel)

            def serves() -> bool:
                asked = [CatalogStatusRequest(partition=number) for number in range(PARTITIONS)]
                try:
                    return all(catalog.Status(each).serving for each in asked)
                except grpc.RpcError:
                    return False

            wait_until(serves, "it shows both partitions")
        assert (left(bazaar, HERE), left(bazaar, THERE)) == (96, 98)
        trade(bazaar, THERE, 5)
        assert left(bazaar, THERE) == 93, "what front-ends kept is taken back"
        assert bazaar.log.read_text().count("going on from a snapshot") == PARTITIONS
