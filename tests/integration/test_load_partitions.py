"""The bench of partitions with small parameters, on real bazaars and servers."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from load.bench.on_paper import costs_of
from load.bench.partition_figures import Row, Sizes
from tests import ROOT
from twisted_bazaar.local.postgres import server_binaries

pytestmark = pytest.mark.slow

SECONDS = 180


def test_all_is_measured_and_machines_on_paper_follow(tmp_path: Path) -> None:
    binaries = server_binaries()
    if binaries is None or not (binaries / "pg_basebackup").exists():
        pytest.skip("PostgreSQL is not installed: Debian has it as the package postgresql")
    figures = tmp_path / "figures.json"
    asked = ["--partitions=2", "--second-front-end=2", "--connections=32,96", "--rounds=1"]
    command = [sys.executable, "-m", "load.bench.partitions", *asked, "--seconds=1"]
    ran = subprocess.run(
        [*command, f"--json={figures}"], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS
    )
    assert ran.returncode == 0, ran.stderr
    sizes, rows = msgspec.json.decode(figures.read_bytes(), type=tuple[Sizes, list[Row]])
    assert sizes.servers == 3
    traded = {row.subject: row.taken for row in rows if row.connections == 96}
    both = {"engine, 2 partitions", "engine, 2 partitions, 2 front-ends"}
    assert set(traded) >= {"embedded log", *both}
    assert all(taken.rate > 0 and not taken.errors for taken in traded.values())
    assert {"primary", "standby-1", "order-3"} <= set(traded["engine, 2 partitions"].cpu_us)
    assert traded["engine, 2 partitions"].batch > 1
    assert costs_of(rows).primary.trade >= 0
