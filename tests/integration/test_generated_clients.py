"""Clients that tools generate from the description place an order and read it, without a line that
knows the bazaar beside them."""

import json
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT

from .bazaar import Bazaar

pytestmark = pytest.mark.slow

FOLDER = ROOT / "tests" / "integration" / "generated_clients"
TOOL_SECONDS = 300.0
UNREACHABLE = ("ENOTFOUND", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EAI_AGAIN", "timed out")
"""What npm or Python says where there is no registry."""


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TOOL_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def with_time(value: dict[str, Any]) -> dict[str, Any]:
    """`value` with its time read: a client that reads it may write it in another form."""
    if "time" not in value:
        return value
    return {**value, "time": datetime.fromisoformat(value["time"])}


def check(bazaar: Bazaar, printed: str, key: str) -> None:
    """`printed` is what a bot found that bought two shares with `key`."""
    said: dict[str, Any] = json.loads(printed, object_hook=with_time)
    order = with_time(bazaar.request("GET", f"/orders/{said['number']}").body["data"])
    assert order["client_order_id"] == key
    assert said == {
        "number": order["number"],
        "order": order,
        "listed": [order],
        "stock": "GameStart",
        "reason": "unknown_stock",
    }


@pytest.fixture
def description(bazaar: Bazaar, tmp_path: Path) -> str:
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(bazaar.request("GET", "/openapi.json").body))
    return str(path)


def test_a_client_in_python_places_and_reads_an_order(
    bazaar: Bazaar, description: str, tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("post_hooks: []\n")
    said = run(
        tmp_path,
        *(str(Path(sys.executable).with_name("openapi-python-client")), "generate"),
        *(f"--path={description}", "--output-path=bazaar_client", "--meta=none"),
        *("--config=config.yaml", "--fail-on-warning"),
    )
    assert "arning" not in said
    shutil.copy(FOLDER / "bot.py", tmp_path)
    check(bazaar, run(tmp_path, sys.executable, "bot.py", bazaar.url), "python-1")


def test_a_client_in_typescript_is_well_typed_and_places_and_reads_an_order(
    bazaar: Bazaar, description: str, tmp_path: Path
) -> None:
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("there is no Node.js here")
    for name in "package.json", "tsconfig.json", "bot.ts":
        shutil.copy(FOLDER / name, tmp_path)
    try:
        run(tmp_path, "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts")
    except (AssertionError, subprocess.TimeoutExpired) as why:
        if not any(error in str(why) for error in UNREACHABLE):
            raise
        pytest.skip("npm reaches no registry here")
    tools = tmp_path / "node_modules" / ".bin"
    run(tmp_path, str(tools / "openapi-ts"), "-i", description, "-o", "client")
    run(tmp_path, str(tools / "tsc"), "-p", ".")
    check(bazaar, run(tmp_path, "node", "out/bot.js", bazaar.url), "typescript-1")
