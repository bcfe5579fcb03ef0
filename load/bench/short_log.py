"""What a long history costs replicas whose logs are short: start, memory, look-ups, resync.

python -m load.bench.long_log FOLDER/data ORDERS
python -m load.bench.short_log FOLDER ORDERS

It runs `twistd bazaar --keep` in FOLDER, changes what is there, and prints one figure a line.
"""

import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from twisted_bazaar.local.command_lines import twistd
from twisted_bazaar.order.keeping import parse_keep
from twisted_bazaar.storage.archive import Archive
from twisted_bazaar.storage.archived import parse_name
from twisted_bazaar.storage.beginning import read_beginning
from twisted_bazaar.storage.index import Index
from twisted_bazaar.storage.leaving import boundary, leave
from twisted_bazaar.storage.logfile import LogFile
from twisted_bazaar.storage.stores import FolderStore

__all__ = ["main"]

KEEP = "64MiB"
LOST = 1
"""The replica that loses its folder: not the one that is to lead."""
LIMIT_SECONDS = 1200.0
POLL_SECONDS = 0.05
LOOK_UPS = 200
BATCH = 1000
"""Entries that an index takes in at once."""


def _say(what: str, value: float, unit: str) -> None:
    print(f"{what}: {value:.4g} {unit}", flush=True)


class _Bazaar:
    """`twistd bazaar` while it runs."""

    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]") -> None:
        self.data = folder / "data"
        self._process = process

    def pid(self, name: str) -> int:
        for row in self._rows():
            if row["name"] == name and row["pid"]:
                return int(row["pid"])
        return 0

    def _rows(self) -> list[dict[str, Any]]:
        try:
            rows: list[dict[str, Any]] = json.loads((self.data / "processes.json").read_text())
        except FileNotFoundError:
            return []
        return rows

    def cpu(self, name: str) -> float:
        """The seconds of CPU that the process has used."""
        fields = Path(f"/proc/{self.pid(name)}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, name: str) -> float:
        """The resident memory of the process, in bytes."""
        pages = Path(f"/proc/{self.pid(name)}/statm").read_text().split()[1]
        return float(pages) * os.sysconf("SC_PAGE_SIZE")

    def connect(self) -> http.client.HTTPConnection:
        at = next(row["address"] for row in self._rows() if row["name"] == "frontend")
        return http.client.HTTPConnection(at, timeout=60)

    def until(self, done: Callable[[], bool], what: str) -> float:
        """The seconds until it is so."""
        began = time.monotonic()
        while not done():
            if self._process.poll() is not None:
                sys.exit("the bazaar has ended: see its log")
            if time.monotonic() > began + LIMIT_SECONDS:
                sys.exit(f"not in time: {what}")
            time.sleep(POLL_SECONDS)
        return time.monotonic() - began

    def is_ready(self) -> bool:
        try:
            return _get(self.connect(), "/readyz")[0] == 200
        except (OSError, StopIteration, http.client.HTTPException):
            return False

    def last_numbers(self) -> dict[int, int]:
        """Those of the replicas that answer."""
        rows = _get(self.connect(), "/replicas")[1]["data"]
        return {row["id"]: row["last_number"] for row in rows if row["reachable"]}


def _get(connection: http.client.HTTPConnection, path: str) -> tuple[int, Any]:
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read()
    return answer.status, json.loads(text) if text.startswith(b"{") else None


@contextmanager
def _running(folder: Path) -> Iterator[_Bazaar]:
    listen = ["--listen=tcp:0:interface=127.0.0.1", f"--data={folder / 'data'}"]
    (folder / "data" / "processes.json").unlink(missing_ok=True)
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            twistd("bazaar", *listen, f"--keep={KEEP}", "--cache=memory"), stdout=log, stderr=log
        )
    try:
        yield _Bazaar(folder, process)
    finally:
        process.terminate()
        process.wait()


def _prepare(folder: Path) -> None:
    """Replicas 2 and 3 have short logs, archives and indexes, and replica 1 has nothing."""
    data = folder / "data"
    shutil.rmtree(data / f"order-{LOST}", ignore_errors=True)
    for number in (2, 3):
        own = data / f"order-{number}"
        if number == 3:
            # Both logs hold the same entries, in segments that begin at the same ones.
            shutil.copy(data / "order-2" / "index.sqlite", own)
            shutil.copytree(data / "order-2" / "archive", own / "archive", copy_function=os.link)
        archive = Archive(FolderStore(own / "archive"))
        log = LogFile(own, number, Random(number), archive=archive)
        began = time.process_time()
        index = Index(own / "index.sqlite", log)
        _fill(index, log)
        _say(f"CPU until the index of replica {number} is whole", time.process_time() - began, "s")
        began = time.process_time()
        while (stays := boundary(log, index.sync(), parse_keep(KEEP))) is not None:
            begins = leave(log, archive, stays, "")
            log.leave(begins)
            log.segments.sweep(begins.position)
        _say(f"CPU until the log of replica {number} is short", time.process_time() - began, "s")
        index.close()
        log.close()
        _say("archive", _size(own / "archive"), "bytes")
        _say("log", _size(own / "log"), "bytes")
        _say("index", (own / "index.sqlite").stat().st_size, "bytes")


def _fill(index: Index, log: LogFile) -> None:
    """The index takes in all entries."""
    ledger = index.ledger(log.first_prices())
    while (after := index.index) < log.last_index:
        entries = log.read(after, min(after + BATCH, log.last_index))
        touched = {name for entry in entries for name in ledger.apply(entry.index, entry.event)}
        index.write(entries, [ledger.stocks[name] for name in touched], ledger.last_number)


def _size(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.iterdir())


def _start(folder: Path, orders: int) -> None:
    with _running(folder) as bazaar:
        _say("until the bazaar is ready again", bazaar.until(bazaar.is_ready, "ready"), "s")
        bazaar.until(lambda: len(bazaar.last_numbers()) == 3, "all replicas answer")
        _say("CPU of a replica until then", bazaar.cpu("order-2"), "s")
        connection = bazaar.connect()
        random = Random(1)
        numbers = [1, *(random.randint(1, orders * 9 // 10) for _ in range(LOOK_UPS))]
        took: list[float] = []
        key = ""
        for number in numbers:
            for path in (f"/orders/{number}", "/orders?client_order_id="):
                began = time.perf_counter()
                if path.endswith("="):
                    path += key
                answer = _get(connection, path)[1]["data"]
                took.append(time.perf_counter() - began)
                found = answer[0] if isinstance(answer, list) else answer
                if found["number"] != number:
                    sys.exit(f"{path}: {answer}")
                key = found["client_order_id"]
        _say("order 1, by number, the first time", took[0] * 1e3, "ms")
        _say("order 1, by its key, after that", took[1] * 1e3, "ms")
        _say("an archived order by number, median", median(took[2::2]) * 1e3, "ms")
        _say("an archived order by its key, median", median(took[3::2]) * 1e3, "ms")
        for name in ("order-1", "order-2", "order-3"):
            _say(f"memory of {name}", bazaar.memory(name) / 1e6, "MB")


def _resync(folder: Path, orders: int) -> None:
    lost = folder / "data" / f"order-{LOST}"
    with _running(folder) as bazaar:
        bazaar.until(bazaar.is_ready, "ready")
        trades, stop = [0], threading.Event()
        before = {name: bazaar.cpu(name) for name in ("order-2", "order-3")}
        trading = threading.Thread(target=_trade, args=(bazaar, trades, stop))
        trading.start()
        seconds = bazaar.until(
            lambda: bazaar.last_numbers().get(LOST, 0) >= orders, "it has a snapshot"
        )
        _say("until an empty replica has all orders", seconds, "s")
        _say("CPU of it until then", bazaar.cpu(f"order-{LOST}"), "s")
        for name, used in before.items():
            _say(f"CPU of {name} meanwhile", bazaar.cpu(name) - used, "s")
        _say("bytes of the snapshot", (lost / "index.sqlite").stat().st_size, "bytes")
        _say("trades meanwhile, one after the other", trades[0] / seconds, "a second")
        counted = trades[0]
        begins = read_beginning(lost / "log")
        assert begins is not None

        def whole() -> bool:
            paths = (lost / "archive").glob("*.zst")
            names = [name for path in paths if (name := parse_name(path.name)) is not None]
            return max((name.last for name in names), default=0) >= begins.before.index

        more = bazaar.until(whole, "it has the entries before its log")
        _say("until it has all entries before its log, too", more, "s")
        _say("trades meanwhile, one after the other", (trades[0] - counted) / more, "a second")
        _say("memory of it then", bazaar.memory(f"order-{LOST}") / 1e6, "MB")
        stop.set()
        trading.join()


def _trade(bazaar: _Bazaar, trades: list[int], stop: threading.Event) -> None:
    connection = bazaar.connect()
    while not stop.is_set():
        side = ("buy", "sell")[trades[0] % 2]
        body = json.dumps({"name": "GameStart", "type": side, "quantity": 1})
        connection.request("POST", "/orders", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        trades[0] += answer.status == 200


def main() -> None:
    folder, orders = Path(sys.argv[1]), int(sys.argv[2])
    _prepare(folder)
    _resync(folder, orders)
    _start(folder, orders)


if __name__ == "__main__":
    main()
