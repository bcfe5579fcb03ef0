"""Replicas of the order log are added, removed and replaced while clients trade."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .changing_cluster import ChangingCluster
from .replicas import verify
from .trader import Trader, check_nothing_lost
from .waiting import wait_until

STOCKS = ["GameStart", "BoarCo", "FishCo"]


@pytest.fixture
def bazaar(tmp_path: Path) -> Iterator[ChangingCluster]:
    with ChangingCluster(tmp_path) as running:
        yield running


def trading(bazaar: ChangingCluster, clients: int = 8) -> Trader:
    return Trader(bazaar.address["frontend"], STOCKS, clients)


def check(bazaar: ChangingCluster, trader: Trader, *ids: int) -> None:
    """Nothing is lost, and the replicas are these, with one log."""
    assert not trader.failed, trader.failed[:3]
    check_nothing_lost(bazaar, trader)
    bazaar.wait_replicas(*ids)
    assert len({verify(bazaar.data / f"order-{each}") for each in ids}) == 1


def test_a_dead_replica_is_replaced_by_one_elsewhere_while_clients_trade(
    bazaar: ChangingCluster,
) -> None:
    with trading(bazaar) as trader:
        wait_until(lambda: trader.last_number > 20, "they trade")
        bazaar.kill("order-1")
        bazaar.join(4, 2, 3)
        wait_until(lambda: not bazaar.replicas()[1]["reachable"], "it is known to be dead")
        said = bazaar.change("replace", "1", "4", bazaar.address["order-4"])
        assert "replica 1 is no member" in said
        assert "ok: the replicas are 2, 3, 4" in said
        seen = trader.last_number
        wait_until(lambda: trader.last_number > seen + 20, "they go on")
    del bazaar.address["order-1"]
    check(bazaar, trader, 2, 3, 4)
