"""`python -m load bench` with small parameters, on real bazaars."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from load.bench.postgres import postgres_binaries

pytestmark = pytest.mark.slow

SECONDS = 120
SUBJECTS = {
    "bare Klein GET",
    "bare Klein POST",
    "bare gRPC call",
    "lookups, cache on",
    "lookups, cache off",
    "trades",
}


def bench(tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    # Without `wrk`, which is not installed everywhere.
    environment = {**os.environ, "PATH": str(tmp_path), "TMPDIR": str(tmp_path)}
    return subprocess.run(
        [sys.executable, "-m", "load", "bench", *options],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env=environment,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The temporary folder of a bench."""
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def figures(folder: Path) -> dict[str, Any]:
    done = bench(
        folder,
        *("--rounds=1", "--seconds=1", "--connections=3", "--orders=2000", "--json"),
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_everything_is_measured_and_answered(figures: dict[str, Any]) -> None:
    ordinary = {"FastAPI, PostgreSQL"} if postgres_binaries() is not None else set()
    assert {row["subject"] for row in figures["rows"]} == SUBJECTS | ordinary
    for row in figures["rows"]:
        assert row["rate"] > 0
        assert row["errors"] == 0
        assert 0 < row["p50_ms"] <= row["p99_ms"]
    assert figures["generator"] == "the load client, as there is no wrk"


def test_the_cost_of_a_trade_is_shown_for_every_process(figures: dict[str, Any]) -> None:
    (trades,) = [row for row in figures["rows"] if row["subject"] == "trades"]
    assert set(trades["cpu_us"]) >= {"frontend", "catalog", "order-1", "order-2", "order-3"}


def test_a_long_log_is_judged(figures: dict[str, Any]) -> None:
    names = [each["name"] for each in figures["judged"]]
    assert [name.split(" with")[0].split(" of")[0] for name in names] == [
        "trades",
        "start",
        "memory",
        "resync",
    ]
    resync = figures["judged"][-1]
    assert resync["value"] > 0


def test_nothing_is_left_behind(figures: dict[str, Any], folder: Path) -> None:
    assert figures["rows"]
    assert not list(folder.iterdir())


def test_a_wrong_option_is_one_line_and_status_3(tmp_path: Path) -> None:
    done = bench(tmp_path, "--rounds=0")
    assert done.returncode == 3
    assert done.stderr.startswith("load: argument --rounds: must be a whole number from 1")
    assert not list(tmp_path.iterdir())
