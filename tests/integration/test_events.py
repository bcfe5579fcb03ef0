"""Streams of events of real processes: every order once, in order, whatever is killed."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .cluster import Cluster
from .event_reader import EventReader
from .replicas import leader, wait_converged
from .trader import Trader, check_each_once
from .waiting import wait_until

STOCKS = ["GameStart", "FishCo", "BoarCo", "MenhirCo"]
READERS_FRONTENDS = ("frontend-2", "frontend-3")
SHOWN_SECONDS = 15.0
STOP_SECONDS = 2.0
MEMORY = ("--cache=memory",)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    frontends = dict.fromkeys(("frontend", "frontend-2"), MEMORY)
    with Cluster(tmp_path / "cluster", frontends=frontends) as running:
        yield running


def wait_trading(trader: Trader, orders: int = 20) -> None:
    wanted = len(trader.acknowledged) + orders
    wait_until(lambda: len(trader.acknowledged) >= wanted, f"{orders} more orders", 15)


def wait_shown(reader: EventReader, number: int) -> None:
    wait_until(lambda: number in reader.numbers, f"order {number} is shown", SHOWN_SECONDS)


def check(reader: EventReader, last: int, partitions: int) -> None:
    """Every order once, in order; and no quote older than one before, within one stream."""
    wait_shown(reader, last)
    check_each_once(reader.numbers, partitions)
    shown: dict[tuple[int, str], int] = {}
    for event in reader.events:
        if event["event"] == "quote":
            key = event["stream"], event["name"]
            assert event["version"] > shown.get(key, 0), event
            shown[key] = event["version"]


def kill_leader(cluster: Cluster) -> None:
    name = leader(cluster)
    cluster.kill(name)
    wait_until(lambda: leader(cluster) != name, "another replica leads", 10)
    cluster.launch(name)


def test_a_stream_goes_on_after_the_leader_was_killed_and_ends_at_once_with_its_front_end(
    cluster: Cluster,
) -> None:
    address = cluster.address["frontend-2"]
    with (
        Trader(cluster.address["frontend"], STOCKS) as trader,
        EventReader([address], "after=0&events=order,leader") as reader,
    ):
        wait_trading(trader)
        kill_leader(cluster)
        wait_trading(trader)
        check(reader, trader.last_number, cluster.partitions)
        leaders = [event["id"] for event in reader.events if event["event"] == "leader"]
        assert len(leaders) >= 2
        assert reader.streams == 1
        begun = time.monotonic()
        cluster.kill("frontend-2", signal.SIGTERM)
        assert time.monotonic() - begun < STOP_SECONDS
    wait_converged(cluster, trader.last_number)


@pytest.mark.slow
def test_every_order_is_shown_once_over_five_leaders_and_two_front_ends_that_are_killed(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.add_frontend("frontend-3", *MEMORY)
    cluster.wait_ready()
    addresses = [cluster.address[name] for name in READERS_FRONTENDS]
    with (
        Trader(cluster.address["frontend"], STOCKS) as trader,
        EventReader(addresses) as reader,
        EventReader(addresses[::-1]) as other,
    ):
        for kills in range(5):
            wait_trading(trader)
            kill_leader(cluster)
            if kills in (1, 3):
                name = READERS_FRONTENDS[addresses.index(reader.address)]
                cluster.kill(name)
                wait_trading(trader)
                cluster.launch(name)
            wait_trading(trader)
        wait_shown(reader, trader.last_number)
        wait_shown(other, trader.last_number)
    last = trader.last_number
    wait_converged(cluster, last)
    with EventReader(addresses) as late:
        check(late, last, cluster.partitions)
    for each in (reader, other):
        check_each_once(each.numbers, cluster.partitions)
        assert each.streams >= 2
    with capsys.disabled():
        print(
            f"\n  {reader.streams} streams over 5 leaders: {reader.numbers[-1]} orders, each once"
        )
