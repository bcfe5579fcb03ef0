"""The log of a whole bazaar as JSON: each line is one event, whatever its processes write."""

import http.client
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from .bazaar import Bazaar
from .waiting import wait_until

Line = dict[str, Any]

TRADE = {"name": "FishCo", "quantity": 2, "type": "buy", "client_order_id": "a-key-of-a-trade"}
TRACE = "0af7651916cd43dd8448eb211c80319c"
SERVICES = {"bazaar", "frontend", "catalog", "order-1", "order-2", "order-3", "redis"}
LEVELS = {"info", "warn", "error"}


@pytest.fixture(scope="module")
def bazaar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bazaar]:
    options = "--log-format=json", "--access-log", "--trusted-proxy=127.0.0.1"
    with Bazaar(tmp_path_factory.mktemp("bazaar"), *options) as running:
        yield running


def lines_of(bazaar: Bazaar) -> list[Line]:
    """All lines that are complete. Fails if one of them is no event."""
    whole, _, _ = bazaar.log.read_text().rpartition("\n")
    lines = [json.loads(line) for line in whole.split("\n")]
    for line in lines:
        assert line["service"] in SERVICES, line
        assert line["level"] in LEVELS, line
        assert len(line["time"]) == len("2026-11-28T08:46:21.586Z"), line
        assert isinstance(line["message"], str), line
    return lines


def wait_line(bazaar: Bazaar, wanted: Callable[[Line], object], what: str) -> Line:
    """The first line that is `wanted`, once it is there."""

    def found() -> Line | None:
        return next(filter(wanted, lines_of(bazaar)), None)

    line = wait_until(found, what, why_not=bazaar.tail)
    assert line is not None
    return line


def access(bazaar: Bazaar, request_id: str) -> Line:
    """What the access log has of a request."""
    what = f"request {request_id} is logged"
    return wait_line(bazaar, lambda line: line.get("request_id") == request_id, what)


def test_who_leads_is_said_in_fields_too(bazaar: Bazaar) -> None:
    def is_it(line: Line) -> bool:
        return line["service"] == "frontend" and "leads in term" in line["message"]

    line = wait_line(bazaar, is_it, "a leader is known")
    assert line["message"] == f"replica {line['replica']} leads in term {line['term']}"


def test_each_request_is_one_line_with_the_client_that_a_trusted_proxy_names(
    bazaar: Bazaar,
) -> None:
    headers = {
        "X-Request-ID": "bot-7",
        "X-Forwarded-For": "198.51.100.1, 203.0.113.9",
        "User-Agent": "bot",
        "traceparent": f"00-{TRACE}-b7ad6b7169203331-01",
    }
    answer = bazaar.request("POST", "/orders", TRADE, headers)
    line = access(bazaar, "bot-7")
    assert 0 < line.pop("seconds") < 10
    assert line.pop("bytes") == int(answer.headers["Content-Length"])
    del line["time"], line["message"], line["logger"]
    assert line == {
        "level": "info", "service": "frontend", "request_id": "bot-7", "trace_id": TRACE,
        "method": "POST", "path": "/orders", "route": "/orders", "code": 200,
        "client": "203.0.113.9", "user_agent": "bot",
    }  # fmt: skip

    bazaar.request("GET", "/stocks/None?x=y", headers={"X-Request-ID": "bot-8"})
    line = access(bazaar, "bot-8")
    assert (line["path"], line["route"]) == ("/stocks/None", "/stocks/<name>")
    assert (line["code"], line["client"], line.get("trace_id")) == (404, "127.0.0.1", None)


def test_a_client_that_is_no_proxy_is_not_believed(bazaar: Bazaar) -> None:
    at = urlsplit(bazaar.url)
    assert at.hostname is not None
    from_elsewhere = http.client.HTTPConnection(
        at.hostname, at.port, timeout=10, source_address=("127.0.0.2", 0)
    )
    headers = {"X-Request-ID": "stranger", "X-Forwarded-For": "203.0.113.9"}
    from_elsewhere.request("GET", "/ping", headers=headers)
    assert from_elsewhere.getresponse().status == 200
    from_elsewhere.close()
    assert access(bazaar, "stranger")["client"] == "127.0.0.2"


def test_a_process_that_is_killed_and_its_next_life_are_in_the_log(bazaar: Bazaar) -> None:
    def lives() -> int:
        return sum(
            line["service"] == "order-1" and line["message"].startswith("serves the other")
            for line in lines_of(bazaar)
        )

    wait_until(lambda: lives() == 1, "order-1 serves")
    pid = bazaar.kill("order-1")
    line = wait_line(bazaar, lambda line: f"(process {pid})" in line["message"], "its end is told")
    assert (line["service"], line["level"]) == ("bazaar", "warn")
    assert line["message"].startswith(f"order-1 (process {pid}) was ended by SIGKILL")
    wait_until(lambda: lives() == 2, "order-1 serves again", why_not=bazaar.tail)


def test_what_a_process_writes_that_is_no_event_becomes_one(bazaar: Bazaar) -> None:
    # Redis and its successors write a report of some hundred lines.
    bazaar.kill("redis", signal.SIGSEGV)
    line = wait_line(bazaar, lambda line: "crashed by signal" in line["message"], "it reports that")
    assert (line["service"], line["level"]) == ("redis", "info")
    assert set(line) == {"time", "level", "service", "message"}


def test_no_key_and_no_secret_is_in_the_log(bazaar: Bazaar) -> None:
    key = TRADE["client_order_id"]
    bazaar.request("GET", f"/orders?client_order_id={key}", headers={"X-Request-ID": "asks"})
    assert access(bazaar, "asks")["path"] == "/orders"
    log = bazaar.log.read_text()
    assert str(key) not in log
    assert Path(bazaar.data / "secret").read_text().strip() not in log


def test_each_line_is_an_event_to_the_end(bazaar: Bazaar) -> None:
    bazaar.stop()
    assert bazaar.log.read_text().endswith("\n")
    messages = [line["message"] for line in lines_of(bazaar) if line["service"] == "bazaar"]
    assert messages[-2:] == ["told to stop by SIGTERM", "stopped"]
