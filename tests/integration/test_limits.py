"""One client cannot take all of a front-end: not its trades, its connections, nor its time."""

import json
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .bazaar import Bazaar
from .raw_client import RawClient, request
from .waiting import wait_until

GREEDY, OTHER = "127.0.0.2", "127.0.0.1"
"""Addresses of this machine: two clients."""
BATCHES, BATCH = 100, 100
TRADE = {"name": "GameStart", "quantity": 1, "type": "sell"}
OPTIONS = (
    "--replicas=1",
    "--request-deadline=1",
    "--max-connections-per-address=150",
    "--public-metrics",
)


@pytest.fixture(scope="module")
def bazaar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bazaar]:
    with Bazaar(tmp_path_factory.mktemp("limits"), *OPTIONS) as running:
        yield running
    assert "Traceback" not in running.log.read_text(), running.tail()


def address(bazaar: Bazaar) -> tuple[str, int]:
    host, _, port = bazaar.processes()["frontend"]["address"].rpartition(":")
    return host, int(port)


def connect(bazaar: Bazaar, source: str) -> socket.socket:
    return socket.create_connection(address(bazaar), timeout=20, source_address=(source, 0))


def counted(bazaar: Bazaar, name: str) -> float:
    """A metric of the front-end, with its labels, as it was a moment ago."""
    with RawClient(":".join(map(str, address(bazaar)))) as client:
        client.send(request("GET", "/metrics"))
        answer = client.answer()
    assert answer is not None
    [line] = [line for line in answer.body.decode().splitlines() if line.startswith(name)]
    return float(line.rpartition(" ")[2])


def test_one_client_with_ten_thousand_open_trades_does_not_delay_another(bazaar: Bazaar) -> None:
    batch = request("POST", "/orders/batch", json.dumps({"orders": [TRADE] * BATCH}).encode())
    trade = request("POST", "/orders", json.dumps(TRADE).encode())
    with ExitStack() as stack, RawClient(":".join(map(str, address(bazaar)))) as other:
        greedy = [stack.enter_context(connect(bazaar, GREEDY)) for _ in range(BATCHES)]
        for connection in greedy:
            connection.sendall(batch)
        other.send(trade)
        placed = other.answer()
        answered, _, _ = select.select(greedy, [], [], 0)
        assert placed is not None
        assert placed.code == 200, placed
        # In order of arrival it would be the last.
        assert len(answered) < BATCHES / 2
        waiting = set(greedy)
        while waiting:
            answered, _, _ = select.select(list(waiting), [], [], 20)
            assert answered, "the others get theirs"
            waiting -= set(answered)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /stocks/GameStart HTTP/1.1\r\nHost: localhost\r\n" + b"X: x\r\n" * 200,
        request("POST", "/orders", json.dumps(TRADE).encode() + b" " * 2000),
    ],
    ids=["head", "body"],
)
def test_a_request_whose_bytes_trickle_in_is_ended_in_time(bazaar: Bazaar, sent: bytes) -> None:
    began = time.monotonic()
    with connect(bazaar, GREEDY) as slow:
        slow.setblocking(False)
        for n in range(len(sent)):
            slow.send(sent[n : n + 1])
            readable, _, _ = select.select([slow], [], [], 0.05)
            if readable:
                break
        took = time.monotonic() - began
        assert b" 408 Request Timeout\r\n" in slow.recv(4096)
    # The site looks once a second.
    assert 1.0 <= took < 5.0


def test_connections_beyond_the_bound_are_refused_and_counted_and_others_are_served(
    bazaar: Bazaar,
) -> None:
    refused = 'bazaar_http_refused_connections_total{bound="address"}'
    before = counted(bazaar, refused)
    with ExitStack() as stack:
        opened = [stack.enter_context(connect(bazaar, GREEDY)) for _ in range(150)]
        for connection in opened:
            connection.sendall(request("GET", "/ping"))
        for connection in opened:
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        for _ in range(5):
            with connect(bazaar, GREEDY) as another:
                said = another.recv(4096)
            assert said.startswith(b"HTTP/1.1 429 ")
            assert b"too_many_connections" in said
        assert bazaar.request("GET", "/stocks/GameStart").status == 200
        wait_until(lambda: counted(bazaar, refused) == before + 5, "five are counted")


@pytest.mark.slow
def test_a_rate_is_told_and_kept(tmp_path: Path) -> None:
    # So slow that a busy machine gives none back meanwhile.
    options = "--rate=0.5", "--burst=3", "--replicas=1", "--cache=off", "--public-metrics"
    with Bazaar(tmp_path / "rates", *options) as bazaar:
        answers = [bazaar.request("GET", "/stocks/GameStart") for _ in range(4)]
        limited = answers[-1]
        assert [each.status for each in answers] == [200, 200, 200, 429]
        assert [each.headers["X-RateLimit-Remaining"] for each in answers] == ["2", "1", "0", "0"]
        assert limited.body["error"]["reason"] == "too_many_requests"
        time.sleep(int(limited.headers["Retry-After"]))
        assert bazaar.request("GET", "/stocks/GameStart").status == 200
        limited_requests = 'bazaar_http_limited_requests_total{of="address"}'
        wait_until(lambda: counted(bazaar, limited_requests) == 1, "it is counted")


def test_clients_reach_metrics_if_they_are_to(bazaar: Bazaar) -> None:
    assert counted(bazaar, "bazaar_info{") == 1
    described = bazaar.request("GET", "/openapi.json").body["paths"]
    assert "/metrics" not in described, "docs/reference.md says so"
