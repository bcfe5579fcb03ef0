"""`python -m load run` on a real bazaar, on one that shows wrong orders, and on other servers."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.utils import getProcessOutputAndValue

from tests import ROOT

from .bazaar import Bazaar
from .terminal import Terminal
from .trader import all_orders
from .waiting import wait_until

COMMAND = [sys.executable, "-m", "load"]
BAZAAR_OPTIONS = ("--replicas=1",)
FISH = {"name": "Fish", "price": 1.5, "quantity": 100, "volume": 0, "halted": False}


def load(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


async def load_meanwhile(*arguments: str) -> tuple[str, str, int]:
    """Run `load` while this process serves; its output, errors and exit status."""
    out, err, status = await getProcessOutputAndValue(
        sys.executable, [*COMMAND[1:], *arguments], os.environ, str(ROOT)
    )
    return out.decode(), err.decode(), status


def kinds(report: Any) -> dict[str, Any]:
    return {row["kind"]: row for row in report["kinds"]}


def test_what_it_counts_is_what_the_bazaar_has(bazaar: Bazaar, tmp_path: Path) -> None:
    before = len(all_orders(bazaar))
    history = tmp_path / "history.jsonl"
    ran = load("run", "--url", bazaar.url, "--clients=4", "--iterations=25", "--quantity=1:3",
               "--seed=5", "--separate", "--json", "--history", history,
               "--threshold", "all.errors<=0", "--threshold", "order.p99<8s")  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    report = json.loads(ran.stdout)
    rows = kinds(report)
    orders = all_orders(bazaar)[before:]
    assert rows["lookup"]["count"] == 100
    assert 25 < rows["trade"]["count"] < 75
    assert rows["all"]["count"] == 100 + rows["trade"]["count"]
    assert rows["trade"]["count"] == report["placed"] + report["rejected"]
    assert rows["order"]["count"] == report["placed"] == len(orders)
    assert report["orders"] == {
        "remembered": len(orders), "confirmed": len(orders), "wrong": 0, "unread": 0,
        "examples": [],
    }  # fmt: skip
    assert {order["quantity"] for order in orders} == {1, 2, 3}
    assert {order["type"] for order in orders} == {"buy", "sell"}
    by_cache = sum(rows[each]["count"] for each in ("hit", "miss", "off") if each in rows)
    assert by_cache == 100
    for row in rows.values():
        assert row["errors"] == 0
        assert 0 < row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"] <= row["p999_ms"]
        assert row["p999_ms"] <= row["max_ms"] < 8000
    judged = load("check", history)
    records = 2 + rows["all"]["count"] + rows["order"]["count"]
    assert judged.stdout == f"section 1: {records} records, 0 violations\n"


def test_on_a_terminal_a_bar_shows_how_far_it_is_and_is_gone_at_the_end(bazaar: Bazaar) -> None:
    run = [*COMMAND, "run", "--url", bazaar.url, "--duration=2.5", "--rate=40"]
    with Terminal(run, {"PYTHONPATH": str(ROOT)}) as terminal:
        seen = terminal.read_until("errors 0", 30)
        assert "0%" in seen
        seen = terminal.read_until("errors 0", 30)
        assert re.search(r"(?:[3-9]\d|100)%\s+[12] s +lookup \d+ \(\+\d+\)", seen), seen
        page = terminal.rest()
        assert "all read back as acknowledged" in page
        assert terminal.process.wait(10) == 0


def test_a_missed_threshold_is_status_1_and_the_page_says_which(bazaar: Bazaar) -> None:
    ran = load("run", "--url", bazaar.url, "--duration=1", "--rate=40", "--side=buy",
               "--threshold", "lookup.p50<8s", "--threshold", "all.rate>1000000/s")  # fmt: skip
    assert (ran.returncode, ran.stderr) == (1, "")
    lines = ran.stdout.splitlines()
    assert lines[0].endswith(f" s, 5 clients, {bazaar.url}")
    assert lines[2].split() == [
        "calls", "count", "errors", "/s", "ms:", "mean", "p50", "p90", "p99", "p99.9", "max",
    ]  # fmt: skip
    assert lines[3].split()[:3] == ["all", "40", "0"]
    (held,) = [line for line in lines if line.startswith("held: ")]
    (missed,) = [line for line in lines if line.startswith("MISSED: ")]
    assert held.startswith("held: lookup.p50<8s (")
    assert missed.startswith("MISSED: all.rate>1000000/s (")
    assert [line for line in lines if line.endswith("all read back as acknowledged")]
    assert lines[-1].startswith(f"again: python -m load run --url {bazaar.url} --clients 5 ")


def test_the_line_that_repeats_a_run_repeats_what_it_asked_for(bazaar: Bazaar) -> None:
    first = load("run", "--url", bazaar.url, "--iterations=10", "--p=0.3", "--side=sell", "--json")
    again = json.loads(first.stdout)["again"]
    words = again.split()
    assert words[:4] == ["python", "-m", "load", "run"]
    second = load(*words[3:], "--json")
    assert json.loads(second.stdout)["again"] == again
    one, other = (kinds(json.loads(ran.stdout)) for ran in (first, second))
    assert one["trade"]["count"] == other["trade"]["count"]


def test_ctrl_c_ends_it_at_once_with_the_figures_so_far(bazaar: Bazaar) -> None:
    before = len(all_orders(bazaar))
    running = subprocess.Popen(
        [*COMMAND, "run", "--url", bazaar.url, "--duration=100", "--json"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # A process in the background of a shell ignores SIGINT, and so would this one.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        # Each of the five clients may still wait for the answer to its last trade.
        wait_until(lambda: len(all_orders(bazaar)) >= before + 10, "it trades", 60.0)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=20)
    finally:
        running.kill()
    assert (running.returncode, err) == (130, "")
    report = json.loads(out)
    assert report["interrupted"]
    assert kinds(report)["all"]["errors"] == 0
    assert report["placed"] >= 5


class Liar:
    """A bazaar that shows its orders as `lie` changes them."""

    def __init__(self, lie: Callable[[dict[str, Any]], Any]) -> None:
        from klein import Klein

        self._lie = lie
        self._orders: list[dict[str, Any]] = []
        self.app = app = Klein()
        app.route("/stocks")(self._list)
        app.route("/stocks/<name>")(self._look_up)
        app.route("/orders", methods=["POST"])(self._place)
        app.route("/orders/<int:number>")(self._show)

    def _list(self, request: Any) -> str:
        return json.dumps({"data": [FISH]})

    def _look_up(self, request: Any, name: str) -> str:
        return json.dumps({"data": FISH})

    def _place(self, request: Any) -> str:
        number = len(self._orders) + 1
        time = "2026-11-28T04:58:36.718Z"
        self._orders.append({"number": number, "time": time, **json.loads(request.content.read())})
        return json.dumps({"data": {"transaction_number": number}})

    def _show(self, request: Any, number: int) -> str:
        shown = self._lie(self._orders[number - 1])
        if isinstance(shown, int):
            request.setResponseCode(shown)
            return json.dumps({"error": {"code": shown, "message": "no"}})
        return json.dumps({"data": shown})


@pytest_twisted.async_yield_fixture
async def serve() -> AsyncIterator[Callable[[Any], str]]:
    """Serves a Klein app until the test ends, and returns its URL."""
    from twisted.internet import reactor
    from twisted.web.server import Site

    ports: list[Any] = []

    def start(app: Any) -> str:
        port = reactor.listenTCP(  # type: ignore[attr-defined]
            0, Site(app.resource()), interface="127.0.0.1"
        )
        ports.append(port)
        return f"http://127.0.0.1:{port.getHost().port}"

    yield start
    for port in ports:
        await port.stopListening()


@pytest.mark.parametrize(
    ("lie", "says"),
    [
        (lambda order: {**order, "quantity": order["quantity"] + (order["number"] == 3)}, "shown"),
        (lambda order: 404 if order["number"] == 3 else order, "is not there"),
    ],
    ids=["changed", "lost"],
)
@pytest_twisted.ensureDeferred
async def test_an_order_that_is_not_as_it_was_acknowledged_is_status_2(
    serve: Callable[[Any], str], lie: Any, says: str
) -> None:
    url = serve(Liar(lie).app)
    # A wrong order takes precedence over a missed threshold.
    options = ["--url", url, "--iterations=10", "--p=1", "--threshold", "all.rate>1000000"]
    out, err, status = await load_meanwhile("run", *options)
    assert (status, err) == (2, "")
    assert "orders: 1 of 50 ARE NOT AS ACKNOWLEDGED, such as\n  order 3 was acknowledged" in out
    assert says in out


@pytest_twisted.ensureDeferred
async def test_orders_that_all_read_back_are_status_0(
    serve: Callable[[Any], str],
) -> None:
    url = serve(Liar(lambda order: order).app)
    out, err, status = await load_meanwhile("run", "--url", url, "--iterations=10", "--p=1")
    assert (status, err) == (0, "")
    assert "orders: 50 remembered, all read back as acknowledged" in out


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (200, "<html>", "{url} is no bazaar: GET /stocks is answered with a malformed body"),
        (404, "{}", "{url} is no bazaar: GET /stocks is answered with status 404"),
        (200, '{"data": []}', "{url} has no stocks"),
        (503, '{"error": {"code": 503, "message": "no catalog"}}',
         "{url} cannot say what is listed: no catalog"),
    ],
)  # fmt: skip
@pytest_twisted.ensureDeferred
async def test_what_is_no_bazaar_is_one_line_and_status_3(
    serve: Callable[[Any], str], status: int, body: str, says: str
) -> None:
    from klein import Klein

    app = Klein()

    @app.route("/", branch=True)
    def answer(request: Any) -> str:
        request.setResponseCode(status)
        return body

    url = serve(app)
    out, err, ended = await load_meanwhile("run", "--url", url)
    assert (ended, out) == (3, "")
    assert err.startswith(f"load: {says.format(url=url)}")
    assert err.count("\n") == 1


def test_a_server_that_is_not_there_is_one_line_and_status_3() -> None:
    with socket.socket() as taken:
        # Bound and not listening: no other process gets it, and connections are refused.
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        ran = load("run", "--url", url)
    assert (ran.returncode, ran.stdout) == (3, "")
    assert ran.stderr.startswith(f"load: {url} does not answer: no connection: ")
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--url=ftp://x"], "argument --url: must be like http://127.0.0.1:8081, not 'ftp://x'"),
        (["--url=http://x/y"], "argument --url: must be like http://127.0.0.1:8081, not 'http://"),
        (["--url=http://x:0"], "argument --url: must be like http://127.0.0.1:8081, not 'http://"),
        (["--clients=0"], "argument --clients: must be a whole number from 1, not '0'"),
        (["--p=1.5"], "argument --p: must be a number from 0 to 1, not '1.5'"),
        (["--p=nan"], "argument --p: must be a number from 0, not 'nan'"),
        (["--quantity=0:3"], "argument --quantity: must be like 1:10, not '0:3'"),
        (["--quantity=4:3"], "argument --quantity: must be like 1:10, not '4:3'"),
        (["--rate=0"], "argument --rate: must be a number from 0.001, not '0'"),
        (["--threshold=p99<1"], "argument --threshold: must be like lookup.p99<20ms, not 'p99<1'"),
        (["--side=hold"], "argument --side: invalid choice: 'hold'"),
        (["--duration=1", "--iterations=1"], "argument --iterations: not allowed with argument"),
        (["--colour=red"], "unrecognized arguments: --colour=red"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_option_is_one_line_and_status_3(arguments: list[str], says: str) -> None:
    ran = load("run", *arguments)
    assert (ran.returncode, ran.stdout) == (3, "")
    assert ran.stderr.startswith(f"load: {says}")
    assert ran.stderr.count("\n") == 1


def test_a_history_that_cannot_be_written_is_status_3(bazaar: Bazaar) -> None:
    ran = load("run", "--url", bazaar.url, "--history", "load/none/file")
    assert (ran.returncode, ran.stdout) == (3, "")
    said = "load: --history load/none/file cannot be written: No such file or directory\n"
    assert ran.stderr == said
