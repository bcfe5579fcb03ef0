"""schemathesis reads the description and looks for requests that the front-end answers otherwise:
all of its checks, on every call, of a bazaar that runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

from .bazaar import Bazaar

FOLDER = ROOT / "tests" / "integration" / "schemathesis"
RUN_SECONDS = 500.0


def run(bazaar: Bazaar, folder: Path, *options: str) -> None:
    command = [
        *(str(Path(sys.executable).with_name("st")), f"--config-file={FOLDER}/schemathesis.toml"),
        *("run", f"{bazaar.url}/openapi.json", "--checks=all", "--no-color"),
        *("--continue-on-failure", *options),
    ]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(FOLDER), "SCHEMATHESIS_HOOKS": "hooks"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Operations:" in done.stdout, done.stdout


@pytest.mark.slow
def test_no_request_is_answered_otherwise_than_described(
    bazaar: Bazaar, tmp_path: Path, fresh_seed: int
) -> None:
    run(bazaar, tmp_path, f"--seed={fresh_seed}", "--max-examples=60", "--generation-database=none")
