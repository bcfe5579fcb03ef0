"""The states and logs of a bazaar's order replicas."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from .bazaar import Bazaar
from .chosen_engine import chosen
from .waiting import wait_until


def leader(bazaar: Bazaar) -> str:
    """The process name of the replica that leads, once one does."""

    def led_by() -> str | None:
        rows = bazaar.request("GET", "/replicas").body["data"]
        leaders = [row["id"] for row in rows if row["role"] == "leader" and row["reachable"]]
        return f"order-{leaders[0]}" if leaders else None

    name = wait_until(led_by, "a replica leads", 15, bazaar.tail)
    assert name is not None
    return name


def wait_converged(bazaar: Bazaar, number: int, within: float = 20.0) -> None:
    """Wait until all replicas are reachable and say the same of a log with order `number`. With an
    engine, whose log they share, each has seen that order there at some time of its own."""

    def converged() -> bool:
        rows = bazaar.request("GET", "/replicas").body["data"]
        said = {(row["last_number"], row["last_index"], row["digest"]) for row in rows}
        there = all(row["reachable"] and row["last_number"] >= number for row in rows)
        return there and (bazaar.engine is not None or len(said) == 1)

    wait_until(converged, "all replicas have the same log", within, bazaar.tail)


@contextmanager
def no_commits(bazaar: Bazaar) -> Iterator[Callable[[], None]]:
    """Meanwhile the leader can commit nothing: its followers stand still, or the engine does. What
    this yields lets them go on before."""
    if bazaar.engine:
        server = chosen().server()
        server.pause(server.primary)
        resume = partial(server.resume, server.primary)
    else:
        rows = bazaar.request("GET", "/replicas").body["data"]
        names = [f"order-{row['id']}" for row in rows if row["role"] == "follower"]
        pids = [bazaar.kill(name, signal.SIGSTOP) for name in names]
        resume = partial(_signal, pids, signal.SIGCONT)
    try:
        yield resume
    finally:
        resume()


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        os.kill(pid, number)


def verify(place: Path | str) -> tuple[int, str]:
    """What `verify` says of a replica's folder, or of an engine with one partition: the number of
    the last order, and the digest."""
    ran = subprocess.run(
        [sys.executable, "-m", "twisted_bazaar", "verify", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = re.search(r"last_number=(\d+).*digest=([0-9a-f]{32})", ran.stdout)
    assert found, ran.stdout
    return int(found[1]), found[2]


def verify_all(bazaar: Bazaar) -> tuple[int, str]:
    """What `verify` says of every replica: the same, once a leader that may have come since
    has told all of its first entry. With an engine they have one log, which is verified."""
    folders = [str(bazaar.data / f"order-{n}") for n in (1, 2, 3)]
    places = [bazaar.engine.url] if bazaar.engine else folders

    def alike() -> tuple[int, str] | None:
        said = {verify(each) for each in places}
        return said.pop() if len(said) == 1 else None

    verified: tuple[int, str] = wait_until(alike, "verify says the same of all replicas")
    return verified
