"""One request is followed through all processes: in their logs by its id, and as a trace."""

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.fakes.collector import CollectedSpan, Collector
from twisted_bazaar.local.command_lines import twistd
from twisted_bazaar.local.ports import Ports

from .bazaar import Answer, Bazaar
from .waiting import wait_until

TRADE = {"name": "FishCo", "quantity": 1, "type": "buy"}
CLIENT_SPAN = "b7ad6b7169203331"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture(scope="module")
def bazaar(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Bazaar]:
    options = "--log-level=debug", "--log-format=json", f"--otlp={collector.url}"
    with Bazaar(tmp_path_factory.mktemp("bazaar"), *options, "--trace-ratio=0") as running:
        yield running


def lines_of(bazaar: Bazaar, request_id: str) -> list[dict[str, Any]]:
    """What is found of a request by a program that reads nothing but the lines of the log."""
    whole, _, _ = bazaar.log.read_text().rpartition("\n")
    lines = [json.loads(line) for line in whole.splitlines()]
    return [line for line in lines if line.get("request_id") == request_id]


def said(lines: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Who says what: the first word or two, before details."""
    return [(line["service"], line["message"].partition(":")[0]) for line in lines]


def trace(digit: str) -> tuple[str, dict[str, str]]:
    """The id of a trace of the test's, and the headers of a request in it."""
    return digit * 32, {"traceparent": f"00-{digit * 32}-{CLIENT_SPAN}-01"}


def tree(spans: list[CollectedSpan]) -> dict[str, CollectedSpan]:
    """The spans by id, which must form one tree below the client's span."""
    by_id = {span.id: span for span in spans}
    assert len(by_id) == len(spans)
    for span in spans:
        steps = 0
        while span.parent != CLIENT_SPAN:
            span, steps = by_id[span.parent], steps + 1
            assert steps < len(spans)
    return by_id


def lines_with(bazaar: Bazaar, request_id: str, *words: str) -> list[dict[str, Any]]:
    """The lines of a request, once each of `words` has been said as often as it is given here.

    Those of one process are in order; those of another may come to the file a moment later.
    """

    def found() -> bool:
        said_so_far = Counter(what for _, what in said(lines_of(bazaar, request_id)))
        return Counter(words) <= said_so_far

    wait_until(found, str(words), why_not=lambda: str(said(lines_of(bazaar, request_id))))
    return lines_of(bazaar, request_id)


def place(bazaar: Bazaar, request_id: str, **headers: str) -> Answer:
    return bazaar.request("POST", "/orders", TRADE, {"X-Request-ID": request_id, **headers})


def test_a_request_id_is_followed_through_the_logs_of_all_processes(bazaar: Bazaar) -> None:
    number = place(bazaar, "follow/me").body["data"]["transaction_number"]
    words = "on disk", "on disk", "answered", "cleared", "trade placed"
    found = lines_with(bazaar, "follow/me", *words)
    by_service = {
        service: [what for who, what in said(found) if who == service] for service, _ in said(found)
    }
    [leader] = [service for service, words in by_service.items() if "decided" in words]
    followers = {"order-1", "order-2", "order-3"} - {leader}
    assert by_service == {
        "frontend": ["trade taken (request follow/me)", "trade placed"],
        leader: ["decided", "released", "answered"],
        "catalog": ["cleared"],
        **{follower: ["on disk"] for follower in followers},
    }
    entries = [line for line in found if "index" in line]
    assert len(entries) == 5
    assert {line["number"] for line in entries} == {number}
    assert len({(line["index"], line["term"]) for line in entries}) == 1


def test_what_is_refused_is_followed_to_its_refusal(bazaar: Bazaar) -> None:
    many = {**TRADE, "quantity": 1_000_000}
    assert bazaar.request("POST", "/orders", many, {"X-Request-ID": "many"}).status == 409
    lines = lines_with(bazaar, "many", "answered", "trade not placed")
    assert sorted(what for _, what in said(lines)) == [
        "answered",
        "trade not placed",
        "trade taken (request many)",
    ]
    assert all("number" not in line for line in lines)


def test_all_trades_of_a_batch_are_found_by_its_id(bazaar: Bazaar) -> None:
    batch = {"orders": [TRADE] * 3}
    assert bazaar.request("POST", "/orders/batch", batch, {"X-Request-ID": "three"}).status == 200
    lines = lines_with(bazaar, "three", *["decided"] * 3, *["trade placed"] * 3)
    decided = [line for line in lines if line["message"].startswith("decided")]
    assert len({line["number"] for line in decided}) == 3


def test_a_read_of_an_order_is_found_in_the_log_of_the_replica(bazaar: Bazaar) -> None:
    trace_id, headers = trace("c")
    place(bazaar, "before")
    headers = {"X-Request-ID": "read", **headers}
    assert bazaar.request("GET", "/orders/1", None, headers).status == 200
    [line] = lines_with(bazaar, "read", "Orders.GetOrder is asked (request read)")
    assert line["service"].startswith("order-")
    assert line["trace_id"] == trace_id


def test_the_spans_of_all_processes_form_one_tree(bazaar: Bazaar, collector: Collector) -> None:
    trace_id, headers = trace("a")
    assert place(bazaar, "traced", **headers).status == 200
    expected = {"frontend": 2, "catalog": 1, "order-1": 1, "order-2": 1, "order-3": 1}

    def complete() -> bool:
        spans = collector.of(trace_id)
        return {s: len([x for x in spans if x.service == s]) for s in expected} == expected

    wait_until(complete, "all spans are there", why_not=lambda: str(collector.of(trace_id)))
    spans = tree(collector.of(trace_id))
    [request] = [span for span in spans.values() if span.parent == CLIENT_SPAN]
    assert request.attributes.items() >= {
        ("http.request.method", "POST"),
        ("http.response.status_code", 200),
        ("url.path", "/orders"),
        ("bazaar.request_id", "traced"),
    }
    [sent] = children(spans, request)
    [leader] = children(spans, sent)
    assert leader.name == "Orders.Trade"
    assert leader.service.startswith("order-")
    names = sorted(span.name for span in children(spans, leader))
    assert names == ["Catalog.Apply", "Replication.Append", "Replication.Append"]
    assert {line.get("trace_id") for line in lines_of(bazaar, "traced")} == {trace_id}


def children(spans: dict[str, CollectedSpan], of: CollectedSpan) -> list[CollectedSpan]:
    return [span for span in spans.values() if span.parent == of.id]


def test_a_trace_that_its_client_does_not_record_is_passed_on_and_not_recorded(
    bazaar: Bazaar, collector: Collector
) -> None:
    trace_id, _ = trace("d")
    place(bazaar, "unrecorded", traceparent=f"00-{trace_id}-{CLIENT_SPAN}-00")
    place(bazaar, "plain")
    lines = lines_with(bazaar, "unrecorded", "trade placed", "decided", "cleared")
    assert {line.get("trace_id") for line in lines} == {trace_id}
    plain = lines_with(bazaar, "plain", "trade placed")
    assert all("trace_id" not in line for line in plain)
    later_id, headers = trace("e")
    place(bazaar, "later", **headers)
    wait_until(lambda: len(collector.of(later_id)) >= 5, "what came later is exported")
    assert not collector.of(trace_id)


def test_a_trade_is_followed_to_the_next_leader_under_the_same_id(
    bazaar: Bazaar, collector: Collector
) -> None:
    """The leader is killed when it has decided, before any follower has the entry on its disk."""
    trace_id, headers = trace("b")
    answers: list[Answer] = []
    client = Thread(target=lambda: answers.append(place(bazaar, "twice", **headers)))

    def decided() -> list[str]:
        return [who for who, what in said(lines_of(bazaar, "twice")) if what == "decided"]

    leader = bazaar.request("GET", "/status").body["data"]["leader"]
    followers = [f"order-{number}" for number in (1, 2, 3) if number != leader]
    for each in followers:
        bazaar.kill(each, signal.SIGSTOP)
    try:
        client.start()
        wait_until(decided, "the leader has decided", 5.0, bazaar.tail)
        killed = bazaar.kill(f"order-{leader}")
    finally:
        for each in followers:
            bazaar.kill(each, signal.SIGCONT)
    client.join()
    assert answers[0].status == 200, answers[0]
    bazaar.wait_restarted(f"order-{leader}", killed)
    words = [what for _, what in said(lines_with(bazaar, "twice", "trade placed"))]
    assert [words.count(each) for each in ("trade taken (request twice)", "trade placed")] == [1, 1]
    number = answers[0].body["data"]["transaction_number"]

    def answered() -> bool:
        # The first leader cannot have: it had no majority.
        lines = lines_of(bazaar, "twice")
        return any(line["message"].startswith(f"answered: order {number}") for line in lines)

    wait_until(answered, "the next leader has answered", why_not=bazaar.tail)

    def complete() -> bool:
        spans = collector.of(trace_id)
        services = {span.service for span in spans}
        whole = any(span.parent == CLIENT_SPAN for span in spans)
        return whole and len(services) >= 4 and "catalog" in services

    wait_until(complete, "the spans are there", why_not=lambda: str(collector.of(trace_id)))
    requests = [span for span in collector.of(trace_id) if span.parent == CLIENT_SPAN]
    assert len(requests) == 1, "both sendings are of one request"
    bazaar.wait_ready()


def test_without_opentelemetry_the_option_is_refused_with_one_line(tmp_path: Path) -> None:
    absent = tmp_path / "opentelemetry"
    absent.mkdir()
    (absent / "__init__.py").write_text("raise ModuleNotFoundError('no opentelemetry here')")
    ports = Ports()
    options = f"--listen={ports.reserve(0)}", "--data=data", f"--otlp=http://{ports.reserve(0)}"
    service = subprocess.run(
        twistd("bazaar-catalog", *options),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    ports.release()
    assert service.returncode == 1
    [line] = service.stderr.splitlines()
    assert line.startswith("bazaar-catalog: --otlp: ")
    assert "twisted-bazaar[tracing]" in line


@pytest.mark.slow
def test_a_collector_that_hangs_holds_up_no_trade_and_no_stop(tmp_path: Path) -> None:
    with Collector(hangs=True) as hanging:
        bazaar = Bazaar(tmp_path / "bazaar", f"--otlp={hanging.url}", "--trace-ratio=1")
        bazaar.start()
        for number in range(20):
            assert place(bazaar, f"trade-{number}").status == 200
        assert hanging.asked.wait(10)
        assert place(bazaar, "later").status == 200
        began = time.monotonic()
        bazaar.stop()
        assert time.monotonic() - began < 5
