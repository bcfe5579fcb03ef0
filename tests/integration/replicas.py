"""The states and logs of a bazaar's order replicas."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.commands import run
from twisted_bazaar.partitions import partition_of

from .bazaar import Bazaar
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

    partitions = bazaar.partitions
    partition = partition_of(number, partitions)

    def last(row: Mapping[str, Any]) -> int:
        of = row["partitions"][partition] if partitions > 1 else row
        seen: int = of["last_number"]
        return seen

    def converged() -> bool:
        rows = bazaar.request("GET", "/replicas").body["data"]
        said = {(row["last_number"], row["last_index"], row["digest"]) for row in rows}
        there = all(row["reachable"] and last(row) >= number for row in rows)
        return there and (bazaar.engine is not None or len(said) == 1)

    wait_until(converged, "all replicas have the same log", within, bazaar.tail)


def verify(place: Path | str) -> tuple[int, str]:
    """What `verify` says of a replica's folder, or of an engine: the number of orders, and the
    digest, or those of all partitions."""
    ran = run("verify", place)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = re.findall(r"last_number=(\d+).*digest=([0-9a-f]{32})", ran.stdout)
    assert found, ran.stdout
    return sum(int(number) for number, _ in found), " ".join(digest for _, digest in found)


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
