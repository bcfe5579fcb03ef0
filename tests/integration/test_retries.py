"""Client libraries that send a request again by themselves make one order out of one intention."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Timer

import httpx
import pytest
import requests
from urllib3.util import Retry

from .bazaar import Bazaar
from .waiting import wait_until

pytestmark = pytest.mark.slow

DEADLINE_SECONDS = 1.5
TRADE = {"name": "GameStart", "quantity": 5, "type": "buy"}
RETRIES = 3
Client = Callable[[str], tuple[int, str]]
CURL_SECONDS = 60.0


def curl(url: str) -> tuple[int, str]:
    """Status and Location of what curl is content with."""
    sent = ["-H", "Content-Type: application/json", "-d", json.dumps(TRADE)]
    shown = ["-sS", "-w", "\\n%{http_code} %header{location}"]
    again = ["--retry", str(RETRIES), "--retry-delay", "1"]
    run = subprocess.run(
        ["curl", *shown, *again, *sent, url],
        capture_output=True,
        text=True,
        check=True,
        timeout=CURL_SECONDS,
    )
    status, _, location = run.stdout.splitlines()[-1].partition(" ")
    return int(status), location


def urllib3(url: str) -> tuple[int, str]:
    again = Retry(
        RETRIES,
        status_forcelist=[429, 500, 502, 503, 504],
        allowed_methods=None,
        raise_on_status=False,
    )
    with requests.Session() as session:
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=again))
        answer = session.post(url, json=TRADE, timeout=10)
    return answer.status_code, answer.headers.get("Location", "")


def loop(url: str) -> tuple[int, str]:
    """As programs do whose library does not: again after each failure of the server."""
    for _ in range(1 + RETRIES):
        answer = httpx.post(url, json=TRADE, timeout=10)
        if answer.status_code < 500:
            break
    return answer.status_code, answer.headers.get("Location", "")


def test_a_client_that_retries_by_itself_makes_one_order(
    start_bazaar: Callable[..., Bazaar],
) -> None:
    bazaar = start_bazaar("--cache=off", f"--deadline={DEADLINE_SECONDS}")
    calls, untold = calls_until_unknown(bazaar, [curl, urllib3, loop])
    orders = bazaar.request("GET", "/orders").body["data"]
    assert len(orders) == calls
    assert not untold, "no trade was under way at the halt"


def calls_until_unknown(bazaar: Bazaar, clients: Sequence[Client]) -> tuple[int, Sequence[Client]]:
    """Have `clients` trade at once while the leader can commit nothing, and later can, until each
    has been told that the outcome is unknown. Returns how many trades that were, and who was never
    told so."""
    calls = 0
    for _ in range(5):
        if not clients:
            break
        bazaar.wait_ready()
        replicas = bazaar.request("GET", "/replicas").body["data"]
        followers = [each["id"] for each in replicas if each["role"] == "follower"]
        pids = [bazaar.process_id(f"order-{replica}") for replica in followers]

        def send(number: int, pids: list[int] = pids) -> None:
            for pid in pids:
                os.kill(pid, number)

        resume = Timer(DEADLINE_SECONDS + 0.3, send, [signal.SIGCONT])
        send(signal.SIGSTOP)
        resume.start()
        try:
            with ThreadPoolExecutor() as pool:
                told = list(pool.map(lambda client: client(bazaar.url + "/orders"), clients))
        finally:
            resume.join()
            send(signal.SIGCONT)
        calls += len(clients)
        # Else the trade came when the leader was missed already; a later try executed it.
        assert {status for status, _ in told} <= {200, 202}
        bazaar.wait_ready()
        for location in (location for status, location in told if status == 202):
            found = wait_until(
                lambda: bazaar.request("GET", location).body.get("data"),  # noqa: B023
                "the order is found where the answer says",
            )
            assert len(found) == 1
        clients = [
            client for client, (status, _) in zip(clients, told, strict=True) if status == 200
        ]
    return calls, clients
