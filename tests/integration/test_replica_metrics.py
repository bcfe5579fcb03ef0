"""What order replicas and catalogs of a real bazaar show of themselves on their ports."""

import os
import signal
from collections.abc import Mapping
from contextlib import closing

from prometheus_client.parser import text_string_to_metric_families

from .bazaar import Bazaar
from .inside import connection_to
from .waiting import wait_until

REPLICAS = ("order-1", "order-2", "order-3")
CALLS = "bazaar_rpc_server_calls_total"
LAG = "bazaar_raft_follower_lag_{}"
SECONDS = 10.0

Samples = Mapping[str, float]
"""By name and labels, as Prometheus writes them: `up{peer="1"}`."""


def page(bazaar: Bazaar, name: str, path: str) -> bytes:
    with closing(connection_to(bazaar, name)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.read()


def samples(bazaar: Bazaar, name: str) -> Samples:
    """What the process `name` shows now."""
    families = list(text_string_to_metric_families(page(bazaar, name, "/metrics").decode()))
    return {
        f"{sample.name}{_labels(sample.labels)}": sample.value
        for family in families
        for sample in family.samples
    }


def _labels(labels: Mapping[str, str]) -> str:
    shown = ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
    return f"{{{shown}}}" if shown else ""


def buy(bazaar: Bazaar, count: int) -> None:
    trade = {"name": "GameStart", "quantity": 1, "type": "buy"}
    for _ in range(count):
        assert bazaar.request("POST", "/orders", trade).status == 200


def leader_of(bazaar: Bazaar) -> str:
    """The one that shows itself as the leader."""
    leading = [
        name for name in REPLICAS if samples(bazaar, name)['bazaar_raft_role{role="leader"}']
    ]
    (leader,) = leading
    return leader


def grown(before: Samples, after: Samples, name: str) -> float:
    return after.get(name, 0.0) - before.get(name, 0.0)


def test_one_replica_shows_that_it_leads_and_all_show_what_trades_do(bazaar: Bazaar) -> None:
    buy(bazaar, 1)
    leader = leader_of(bazaar)
    before = {name: samples(bazaar, name) for name in (*REPLICAS, "catalog")}
    buy(bazaar, 5)

    last = before[leader]["bazaar_orders_last_number"] + 5

    def all_know() -> dict[str, Samples]:
        now = {name: samples(bazaar, name) for name in (*REPLICAS, "catalog")}
        known = {now[name]["bazaar_orders_last_number"] for name in REPLICAS}
        shown = now["catalog"]["bazaar_catalog_released_index"]
        return now if known == {last} and shown == now[leader]["bazaar_raft_last_index"] else {}

    after = wait_until(all_know, "all have the last order", SECONDS)
    led, leads = before[leader], after[leader]
    for stage in ("decide", "fsync", "replicate", "apply", "answer"):
        assert grown(led, leads, f'bazaar_trade_stage_seconds_count{{stage="{stage}"}}') >= 5
    assert grown(led, leads, "bazaar_order_batch_trades_sum") == 5
    assert grown(led, leads, f'{CALLS}{{code="OK",method="Orders.Trade"}}') == 5
    assert leads['bazaar_raft_elections_total{result="won"}'] >= 1
    for name in REPLICAS:
        assert grown(before[name], after[name], "bazaar_orders_last_number") >= 5
        assert grown(before[name], after[name], "bazaar_disk_write_seconds_count") >= 1
        assert after[name]["bazaar_raft_term"] == leads["bazaar_raft_term"]
        if name != leader:
            counter = f'{CALLS}{{code="OK",method="frames.Append"}}'
            assert grown(before[name], after[name], counter) >= 1
            assert not [each for each in after[name] if "follower_lag" in each]
    was, catalog = before["catalog"], after["catalog"]
    assert grown(was, catalog, 'bazaar_trade_stage_seconds_count{stage="push"}') >= 5
    assert grown(was, catalog, 'bazaar_catalog_pushes_total{result="acknowledged"}') >= 5
    assert grown(was, catalog, "bazaar_catalog_released_index") >= 5
    assert grown(was, catalog, f'{CALLS}{{code="OK",method="frames.Apply"}}') >= 5
    assert catalog["bazaar_catalog_lease_held"] == catalog["bazaar_catalog_subscribers"] == 1


def test_a_follower_that_stands_still_falls_behind_and_catches_up(bazaar: Bazaar) -> None:
    leader = leader_of(bazaar)
    follower = next(name for name in REPLICAS if name != leader)
    peer = f'{{peer="{follower[-1]}"}}'
    entries, seconds = (LAG.format(unit) + peer for unit in ("entries", "seconds"))

    def lag() -> tuple[float, float]:
        shown = samples(bazaar, leader)
        return shown[entries], shown[seconds]

    stopped = bazaar.process_id(follower)
    os.kill(stopped, signal.SIGSTOP)
    try:
        buy(bazaar, 3)
        wait_until(lambda: lag()[0] == 3 and lag()[1] > 0.3, "it is seen to be behind", SECONDS)
    finally:
        os.kill(stopped, signal.SIGCONT)
    wait_until(lambda: lag() == (0, 0), "it has caught up", SECONDS)


def test_a_replica_and_a_catalog_say_that_they_are_ready(bazaar: Bazaar) -> None:
    for name in (*REPLICAS, "catalog"):
        assert page(bazaar, name, "/readyz") == b'{"data":"ready"}'
