"""docs/client.md: its code runs as it stands there, against a bazaar."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

from .bazaar import Bazaar

pytestmark = pytest.mark.slow

BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
URL = "http://127.0.0.1:8081"
BAZAAR_OPTIONS = ("--replicas=1",)


def test_the_code_of_the_page_runs(bazaar: Bazaar, tmp_path: Path) -> None:
    blocks = BLOCK.findall((ROOT / "docs" / "client.md").read_text())
    assert len(blocks) == 6
    assert all("..." not in block for block in blocks)
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks).replace(URL, bazaar.url))
    ran = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    said = ran.stdout.splitlines()
    assert said[:2] == ["1 15.99 79.95", "price_out_of_bounds 409 False"]
    assert said[2:5] == ["FishCo 2 20.50", "BankCo 3 27.15", "NoCo unknown_stock"]
    assert [line.split()[0] for line in said[5:8]] == ["3", "2", "1"]
    assert "order 1 of GameStart" in said[8:]
    assert "None 1 None" in said[8:]
    assert said[-3:] == ["True"] * 3
