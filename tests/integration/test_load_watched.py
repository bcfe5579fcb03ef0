"""The bench of what it costs to be seen, with small parameters, on a real bazaar."""

import re
import subprocess
import sys

import pytest

from tests import ROOT

pytestmark = pytest.mark.slow

SECONDS = 120


def test_trades_and_lookups_are_compared_and_the_page_sees_both() -> None:
    command = [sys.executable, "-m", "load.bench.watched", "--rounds=1", "--seconds=2"]
    ran = subprocess.run(
        [*command, "--connections=4"], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    ratio = r"\d+\.\d{3}"
    compared = (
        rf"(trades|lookups), 4 connections, watched / without: a second {ratio}, "
        rf"CPU of the bazaar for each {ratio}, p50 {ratio}, p99 {ratio}"
    )
    assert [found[1] for line in lines if (found := re.fullmatch(compared, line))] == [
        "trades",
        "lookups",
    ]
    pages = [
        re.fullmatch(r"  the page: (\d+) kB of events, (\d+) kB in (\d+) polls", line)
        for line in lines
        if line.startswith("  the page")
    ]
    assert len(pages) == 2
    assert all(page and int(page[2]) > 0 and int(page[3]) >= 8 for page in pages)
    assert all(" 0 errors" in line for line in lines if line.startswith(("without", "watched")))
