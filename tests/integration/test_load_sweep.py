"""`python -m load sweep` on real bazaars, on one that loses orders, and on other servers."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests import ROOT

from .waiting import wait_until

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "load", "sweep"]


def sweep(
    folder: Path, *arguments: str, environment: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Its files go to `folder`, unless `arguments` say otherwise."""
    files = [f"--html={folder / 'sweep.html'}", f"--csv={folder / 'sweep.csv'}"]
    return subprocess.run(
        [*COMMAND, *files, *arguments], cwd=ROOT, env={**os.environ, **(environment or {})},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def rows(folder: Path) -> dict[tuple[str, str], dict[str, str]]:
    with (folder / "sweep.csv").open() as file:
        return {(row["cache"], row["kind"]): row for row in csv.DictReader(file)}


def processes_that_name(text: str) -> list[int]:
    """The ids of processes with `text` in their command lines."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text.encode() in file.read_bytes():
                found.append(int(file.parent.name))
        except OSError:
            continue
    return found


def test_a_sweep_measures_a_fresh_bazaar_in_each_setting_and_leaves_nothing_behind(
    tmp_path: Path,
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    options = ["--p=0.5", "--caches=memory,off", "--iterations=6", "--clients=2", "--seed=4"]
    ran = sweep(tmp_path, *options, environment={"TMPDIR": str(theirs)})
    assert ran.returncode == 0, ran.stderr
    found = rows(tmp_path)
    with_cache, without = found["memory", "trade"], found["off", "trade"]
    assert int(found["memory", "lookup"]["count"]) == int(found["off", "lookup"]["count"]) == 12
    # The seed decides what is asked for, whatever the cache.
    assert with_cache["count"] == without["count"] == with_cache["remembered"]
    assert 0 < int(with_cache["count"]) < 12
    assert ("memory", "off") not in found
    assert ("off", "hit") not in found
    assert found["off", "off"]["count"] == "12"
    lines = ran.stdout.splitlines()
    assert lines[0].split() == ["lookups,", "ms", "cache", "memory", "cache", "off"]
    assert lines[2].split()[2] == f"{float(found['memory', 'lookup']['mean_ms']):.2f}"
    orders = 2 * int(with_cache["remembered"])
    assert f"orders: {orders} remembered in 2 runs, all read back as acknowledged" in lines
    assert lines[-1] == f"plots: {tmp_path}/sweep.html; all figures: {tmp_path}/sweep.csv"
    assert (tmp_path / "sweep.html").read_text().count("<svg") == 6
    assert [line.split(":")[0] for line in ran.stderr.splitlines()] == [
        "  p 50 %, cache memory", "  p 50 %, cache off",
    ]  # fmt: skip
    assert not list(theirs.iterdir())
    assert not processes_that_name(str(theirs))


def test_ctrl_c_ends_it_with_status_130_and_leaves_nothing_behind(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    running = subprocess.Popen(
        [*COMMAND, "--p=0.5", "--duration=100", f"--html={tmp_path}/h", f"--csv={tmp_path}/c"],
        cwd=ROOT, env={**os.environ, "TMPDIR": str(theirs)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # Whatever runs in the background of a shell ignores it, and so would this.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        # As soon as orders come to the disk, clients are at work.
        wait_until(lambda: _logged(theirs) > 2000, "it trades", 60.0)
        assert processes_that_name(str(theirs))
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=30)
    finally:
        running.kill()
    assert (running.returncode, out, err) == (130, "", "")
    assert not list(theirs.iterdir())
    assert not processes_that_name(str(theirs))
    assert not (tmp_path / "h").exists()


def _logged(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("bazaar-*/data/order-1/log/*"))


class _Forgetful(BaseHTTPRequestHandler):
    """A bazaar that acknowledges every trade, and has no orders."""

    protocol_version = "HTTP/1.1"
    orders = 0

    def do_GET(self) -> None:
        fish = {"name": "Fish", "price": 1.5, "quantity": 100, "volume": 0, "halted": False}
        if self.path.startswith("/orders"):
            self._answer(404, {"error": {"code": 404, "message": "no such order"}})
        else:
            self._answer(200, {"data": [fish] if self.path == "/stocks" else fish})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        _Forgetful.orders += 1
        self._answer(200, {"data": {"transaction_number": _Forgetful.orders}})

    def _answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def forgetful() -> Iterator[str]:
    """The URL of a bazaar that loses every order."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Forgetful) as server:
        serving = Thread(target=server.serve_forever, daemon=True)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


def test_an_order_that_was_lost_in_any_setting_is_status_2(tmp_path: Path, forgetful: str) -> None:
    ran = sweep(tmp_path, "--url", forgetful, "--p=0,1", "--iterations=3", "--clients=1")
    assert ran.returncode == 2, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[0].endswith(" cache as it runs")
    (lost,) = [line for line in lines if line.startswith("orders: ")]
    assert lost.startswith("orders: 3 of 3 ARE NOT AS ACKNOWLEDGED (p 100 %, cache as it runs)")
    assert rows(tmp_path)["", "trade"]["wrong"] == "3"
    assert 'class="wrong">orders: 3 of 3' in (tmp_path / "sweep.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--html=none/x.html"], "--html none/x.html cannot be written: No such file or directory"),
        (["--csv=load"], "--csv load cannot be written: Is a directory"),
        (["--caches=gold"], "bazaar: --cache must be "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_swept_is_one_line_and_status_3(
    tmp_path: Path, arguments: list[str], says: str
) -> None:
    _is_refused(sweep(tmp_path, *arguments), says)
    assert not list(tmp_path.iterdir())


def test_a_server_that_is_not_there_is_one_line_and_status_3(tmp_path: Path) -> None:
    with socket.socket() as taken:
        # Bound and not listening: nobody else gets it, and nobody answers there.
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        _is_refused(sweep(tmp_path, "--url", url), f"{url} does not answer: no connection: ")


def test_a_server_that_is_no_bazaar_is_one_line_and_status_3(
    tmp_path: Path, forgetful: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Forgetful, "do_GET", lambda self: self._answer(200, {"hello": "world"}))
    says = f"{forgetful} is no bazaar: GET /stocks is answered with "
    _is_refused(sweep(tmp_path, "--url", forgetful), says)


def _is_refused(ran: "subprocess.CompletedProcess[str]", says: str) -> None:
    assert (ran.returncode, ran.stdout) == (3, "")
    assert ran.stderr.startswith(f"load: {says}")
    assert ran.stderr.count("\n") == 1
