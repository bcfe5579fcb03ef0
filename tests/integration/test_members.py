"""Replicas of the order log are added, removed and replaced while clients trade."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .changing_cluster import ChangingCluster
from .replicas import leader, verify
from .trader import Trader, check_nothing_lost
from .waiting import wait_until

pytestmark = pytest.mark.slow

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
    check(bazaar, trader, 2, 3, 4)


def test_three_replicas_become_five_and_three_again_while_clients_trade(
    bazaar: ChangingCluster,
) -> None:
    with trading(bazaar) as trader:
        for number in (4, 5):
            bazaar.join(number, 1, 2, 3)
            bazaar.change("add", str(number), bazaar.address[f"order-{number}"])
        bazaar.wait_voters(1, 2, 3, 4, 5)
        # Any two of five may fail.
        bazaar.kill("order-1")
        bazaar.kill("order-2")
        seen = trader.last_number
        wait_until(lambda: trader.last_number > seen + 20, "three of five go on")
        for number in (1, 2):
            bazaar.launch(f"order-{number}")
        for number in (1, 2):
            said = bazaar.change("remove", str(number))
            assert f"replica {number} is no member" in said
            assert bazaar.wait_end(f"order-{number}") == 1
        seen = trader.last_number
        wait_until(lambda: trader.last_number > seen + 20, "three go on")
    check(bazaar, trader, 3, 4, 5)


def test_a_leader_that_is_removed_hands_over_and_ends_with_one_line(
    bazaar: ChangingCluster,
) -> None:
    """And so does each time that it is started again; it disturbs nobody."""
    with trading(bazaar) as trader:
        first = leader(bazaar)
        began = time.monotonic()
        bazaar.change("remove", first.removeprefix("order-"))
        assert bazaar.wait_end(first) == 1
        assert leader(bazaar) != first
        seen = trader.last_number
        wait_until(lambda: trader.last_number > seen + 20, "they go on")
        gap = trader.longest_gap(began, time.monotonic())
        print(f"\n  a leader was removed: longest gap {gap:.3f} s")
        assert gap < 3
        terms = {row["term"] for row in bazaar.replicas().values()}
        before = bazaar.log.read_text()
        bazaar.launch(first)
        assert bazaar.wait_end(first) == 1
        said = bazaar.log.read_text()[len(before) :]
        assert said.count("bazaar-order: ") == 1
        assert "is no member of the cluster since entry" in said
        assert "Traceback" not in bazaar.log.read_text()
        assert {row["term"] for row in bazaar.replicas().values()} == terms
    numbers = [each for each in (1, 2, 3) if f"order-{each}" != first]
    check(bazaar, trader, *numbers)


def test_a_service_that_is_restarted_with_old_options_finds_the_new_members(
    bazaar: ChangingCluster,
) -> None:
    """Of the replicas in its options only the last is left."""
    for old, new in ((1, 4), (2, 5)):
        bazaar.join(new, 3)
        bazaar.change("replace", str(old), str(new), bazaar.address[f"order-{new}"])
        bazaar.wait_end(f"order-{old}")
    bazaar.wait_voters(3, 4, 5)
    # Its options still name those that are gone.
    for name in ("frontend", "order-3"):
        bazaar.kill(name)
        bazaar.launch(name)
    bazaar.wait_ready()
    with trading(bazaar, 2) as trader:
        bazaar.wait_voters(3, 4, 5)
        bazaar.kill("order-5")
        seen = trader.last_number
        wait_until(lambda: trader.last_number > seen + 20, "3 and 4 are a majority")
        bazaar.launch("order-5")
    check(bazaar, trader, 3, 4, 5)
