"""The commands of docs/operations.md do what the page says, one after the other, as a new operator
would type them."""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import ROOT
from twisted_bazaar.local.ports import Ports
from twisted_bazaar.local.postgres import server_binaries

from .console_page import Shell, commands, difference, section
from .s3_server import S3Server

PAGE = ROOT / "docs" / "operations.md"
ENGINE = "With an engine"
PORT = re.compile(r"\b(?:70\d\d|80\d\d)\b")


def elsewhere(page: str, ports: Ports) -> str:
    """The page with free ports in place of those that it names."""
    free = {named: str(ports.reserve(0).port) for named in sorted(set(PORT.findall(page)))}
    return PORT.sub(lambda named: free[named[0]], page)


@pytest.fixture
def page() -> Iterator[str]:
    ports = Ports()
    yield elsewhere(PAGE.read_text(), ports)
    ports.release()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """One in an empty folder, with an S3."""
    with S3Server() as s3, running(tmp_path, s3.environment) as started:
        yield started


@pytest.fixture
def engine_shell() -> Iterator[Shell]:
    """One in no folder of pytest's: where root runs the tests, another user runs the server."""
    server = server_binaries()
    if server is None or not (server / "pg_dump").exists() or shutil.which("jq") is None:
        pytest.skip("PostgreSQL or jq is not installed: Debian has both")
    folder = Path(tempfile.mkdtemp(prefix="bazaar-operations-", dir="/tmp"))
    folder.chmod(0o711)
    # pg_dump must not be older than the server.
    with running(folder, {"PATH": f"{server}:{os.environ['PATH']}"}) as started:
        yield started
    shutil.rmtree(folder)


@contextmanager
def running(folder: Path, more: Mapping[str, str]) -> Iterator[Shell]:
    """A shell in `folder`, as an operator has. What it has left running is killed."""
    ours = {name: value for name, value in os.environ.items() if "BAZAAR_" not in name}
    ours |= more
    path = f"{Path(sys.executable).parent}:{ours['PATH']}"
    with Shell(folder, {**ours, "HOME": str(folder), "PATH": path}) as shell:
        yield shell


def type_all(shell: Shell, page: str) -> None:
    """Run all commands of the page; each ends and prints as the page says."""
    for command in commands(page):
        status, printed = shell.run(command.text)
        told = f"$ {command.text}\n{printed}exit status {status}"
        assert status == command.status, told
        wrong = difference(printed, command.printed)
        assert wrong is None, f"{told}\nnot as the page says: {wrong}"


@pytest.mark.slow
def test_the_commands_of_the_page_do_what_it_says(page: str, shell: Shell) -> None:
    before, _, after = page.partition(f"## {ENGINE}\n")
    assert "```console" not in after.partition("\n## ")[2]
    type_all(shell, before)


@pytest.mark.slow
def test_the_commands_for_an_engine_do_what_the_page_says(page: str, engine_shell: Shell) -> None:
    type_all(engine_shell, section(page, ENGINE))
