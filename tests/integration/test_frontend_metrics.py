"""The metrics of a front-end of a real bazaar agree exactly with what its clients did."""

import socket
from contextlib import closing
from http.client import HTTPConnection

from prometheus_client.parser import text_string_to_metric_families

from .bazaar import Bazaar
from .inside import connection_to
from .waiting import wait_until

SCRAPE_SECONDS = 10.0
SOON_SECONDS = 10.0
BAZAAR_OPTIONS = ("--replicas=1",)

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(bazaar: Bazaar) -> Samples:
    return samples(connection_to(bazaar, "frontend"))


def samples(connected: HTTPConnection) -> Samples:
    with closing(connected) as connection:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    found = (each for family in text_string_to_metric_families(text) for each in family.samples)
    return {(each.name, frozenset(each.labels.items())): each.value for each in found}


class Differences:
    """What has been counted since this was made."""

    def __init__(self, bazaar: Bazaar) -> None:
        self._bazaar = bazaar
        self._before = scrape(bazaar)

    def of(self, name: str, **labels: str) -> float:
        """Of all that have these labels."""
        wanted = frozenset(labels.items())
        now = scrape(self._bazaar)
        return sum(
            value - self._before.get(key, 0.0)
            for key, value in now.items()
            if key[0] == name and wanted <= key[1]
        )


def test_lookups_and_trades_are_counted_exactly(bazaar: Bazaar) -> None:
    counted = Differences(bazaar)
    for _ in range(7):
        assert bazaar.request("GET", "/stocks/GameStart").status == 200
    assert bazaar.request("GET", "/stocks/NoCo").status == 404
    trade = {"name": "GameStart", "quantity": 1, "type": "buy", "client_order_id": "once"}
    for _ in range(2):  # the second is a replay
        assert bazaar.request("POST", "/orders", trade).status == 200
    for number in range(2):
        body = {**trade, "client_order_id": f"another-{number}"}
        assert bazaar.request("POST", "/orders", body).status == 200
    refused = {**trade, "name": "NoCo", "client_order_id": "refused"}
    assert bazaar.request("POST", "/orders", refused).status == 400
    assert bazaar.request("GET", "/nope").status == 404

    def requests(**labels: str) -> float:
        return counted.of("bazaar_http_requests_total", **labels)

    assert requests(route="/stocks/<name>", method="GET", code="200") == 7
    assert requests(route="/stocks/<name>") == 8
    assert requests(route="/orders", method="POST", code="200") == 4
    assert requests(route="/orders", method="POST", code="400") == 1
    assert requests(route="other", code="404") == 1
    timed = "bazaar_http_request_duration_seconds_count"
    assert counted.of(timed, route="/stocks/<name>") == 8
    assert counted.of(timed, route="/orders") == 5
    assert counted.of("bazaar_cache_lookups_total") == 8
    assert counted.of("bazaar_trades_total", outcome="placed") == 3
    assert counted.of("bazaar_trades_total", outcome="replayed") == 1
    assert counted.of("bazaar_trades_total", outcome="refused") == 1
    assert counted.of("bazaar_trades_total") == 5
    assert counted.of("bazaar_trade_batch_size_sum") == 5
    for stage in ("queue", "send"):
        assert counted.of("bazaar_trade_stage_seconds_count", stage=stage) == 5


def test_the_state_of_the_front_end_shows(bazaar: Bazaar) -> None:
    samples = {name: value for (name, _), value in scrape(bazaar).items()}
    assert samples["bazaar_ready"] == 1
    assert samples["bazaar_leader_id"] == bazaar.request("GET", "/status").body["data"]["leader"]
    assert samples["bazaar_cache_breaker_open"] == 0
    assert samples["bazaar_uptime_seconds"] > 0
    assert samples["process_resident_memory_bytes"] > 0

    def lease_is_held() -> bool:
        return scrape(bazaar)["bazaar_frontend_lease_held", frozenset()] == 1

    wait_until(lease_is_held, "the front-end holds a lease", SOON_SECONDS)


def test_a_stream_is_open_while_its_client_reads(bazaar: Bazaar) -> None:
    counted = Differences(bazaar)
    host, _, port = bazaar.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=SCRAPE_SECONDS) as client:
        client.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert counted.of("bazaar_streams_open") == 1
        assert counted.of("bazaar_http_requests_total", route="/events", code="200") == 1
        body = {"name": "FishCo", "quantity": 1, "type": "buy"}
        assert bazaar.request("POST", "/orders", body).status == 200
        wait_until(
            lambda: counted.of("bazaar_stream_orders_total") == 1,
            "the order has come to the feed",
            SOON_SECONDS,
        )
    wait_until(lambda: counted.of("bazaar_streams_open") == 0, "the stream has ended", SOON_SECONDS)
    assert counted.of("bazaar_http_request_duration_seconds_count", route="/events") == 0


def test_clients_reach_no_metrics_unless_they_are_to(bazaar: Bazaar) -> None:
    assert bazaar.request("GET", "/metrics").status == 404
