"""Clients of the replaced system work unchanged: its load script, and the answers it expects."""

import subprocess
import sys

from .bazaar import Bazaar
from .legacy_client import NAMES, PREFIX, Session

CLIENTS = 5
LOOKUPS = 8
PROBABILITY = 0.8
BAZAAR_OPTIONS = ("--replicas=1",)


def session(bazaar: Bazaar, host: str = "127.0.0.1") -> Session:
    port = bazaar.processes()["frontend"]["address"].rpartition(":")[2]
    return Session(f"{host}:{port}")


def test_five_legacy_clients_at_once_look_up_and_trade(bazaar: Bazaar) -> None:
    """The address is the one that their script has."""
    port = bazaar.processes()["frontend"]["address"].rpartition(":")[2]
    command = [sys.executable, "-m", "tests.integration.legacy_client", f"0.0.0.0:{port}"]
    running = [
        subprocess.Popen(
            [*command, str(PROBABILITY), str(LOOKUPS)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(CLIENTS)
    ]
    for client in running:
        out, err = client.communicate(timeout=60)
        assert (client.returncode, err) == (0, "")
        lines = out.splitlines()
        assert [line.partition(":")[0] for line in lines] == [
            "Average lookup latency",
            "Average trade latency",
        ]


def test_every_call_of_a_legacy_client_gets_the_same_answer_as_before(bazaar: Bazaar) -> None:
    old = session(bazaar)
    for name in NAMES:
        status, body, _ = old.call("GET", f"{PREFIX}/stocks/{name}")
        assert (status, body["success"], body["data"]["name"]) == (200, True, name)
        assert body["data"].keys() == {"name", "price", "quantity", "volume", "halted"}
    trade = {"name": "DruidCo", "quantity": 10, "type": "sell"}
    for path in f"{PREFIX}/orders", f"{PREFIX}/orders/":
        status, placed, _ = old.call("POST", path, trade)
        assert (status, placed["success"]) == (200, True)
        number = placed["data"]["transaction_number"]
        status, found, _ = old.call("GET", f"{PREFIX}/orders/{number}/")
        assert (status, found["success"]) == (200, True)
        assert {"number": number, **trade}.items() <= found["data"].items()
    status, pong, _ = old.call("GET", "/api/frontend_service/ping/")
    assert (status, pong) == (200, {"success": True, "data": {"data": "pong"}})


def test_failures_have_the_old_and_the_new_shape(bazaar: Bazaar) -> None:
    old = session(bazaar)
    refused = [
        (404, *old.call("GET", f"{PREFIX}/stocks/Nope")),
        (404, *old.call("GET", f"{PREFIX}/orders/999999")),
        (400, *old.call("POST", f"{PREFIX}/orders", {"name": "GameStart", "type": "buy"})),
        (400, *old.call("POST", f"{PREFIX}/orders", {"name": "N", "quantity": 1, "type": "buy"})),
        (
            409,
            *old.call(
                "POST", f"{PREFIX}/orders", {"name": "RomanCo", "quantity": 999, "type": "buy"}
            ),
        ),
    ]
    for expected, status, body, _ in refused:
        assert status == expected == body["error"]["code"]
        assert body["success"] is False
        assert body["errors"] == [{"code": status, "text": body["error"]["message"]}]
