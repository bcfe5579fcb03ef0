"""The logs that a bench makes."""

import sys
from pathlib import Path

import pytest

from load.bench import long_log
from twisted_bazaar.__main__ import main as tools


def test_a_log_that_was_made_is_one_that_a_replica_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["long_log", str(tmp_path), "2500"])
    monkeypatch.setattr(long_log, "BATCH", 1000)
    long_log.main()
    said = []
    for replica in long_log.REPLICAS:
        assert tools(["verify", str(tmp_path / f"order-{replica}")]) == 0
        said.append(capsys.readouterr().out.replace(f"replica={replica} ", ""))
    assert "last_number=2500 last_index=2502" in said[0]
    assert len(set(said)) == 1, "all have the same log"
