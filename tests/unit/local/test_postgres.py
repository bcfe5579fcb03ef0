"""Which PostgreSQL runs beside a bazaar, and as which user."""

import os
import subprocess
from pathlib import Path

import pytest

from twisted_bazaar.errors import Unusable
from twisted_bazaar.local import postgres
from twisted_bazaar.local.command_lines import ending_with

NOBODY = 65534


@pytest.fixture
def binaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on PATH with what a server has; there is no other."""
    monkeypatch.setattr(postgres, "PACKAGE", "not-installed")
    monkeypatch.setattr(postgres, "DEBIAN", tmp_path / "debian")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    folder = tmp_path / "bin"
    make_binaries(folder)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def make_binaries(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in ("initdb", "postgres"):
        (folder / name).touch(0o755)


def test_a_server_on_path_is_found(binaries: Path) -> None:
    assert postgres.server_binaries() == binaries


def test_a_wrapper_on_path_is_no_server(binaries: Path) -> None:
    (binaries / "postgres").unlink()
    assert postgres.server_binaries() is None


def test_the_newest_of_debians_is_taken(binaries: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    for version in ("9", "15", "14"):
        make_binaries(postgres.DEBIAN / version / "bin")
    assert postgres.server_binaries() == postgres.DEBIAN / "15" / "bin"


def test_root_takes_no_server_that_others_cannot_reach(
    binaries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    binaries.parent.chmod(0o700)
    assert postgres.server_binaries() is None


def test_the_server_runs_as_who_starts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert postgres.account_for(tmp_path / "engine") == ":"


def test_root_does_not_run_it_where_no_other_user_can_reach_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    tmp_path.chmod(0o700)
    with pytest.raises(Unusable, match=f"no other user can reach {tmp_path}$"):
        postgres.account_for(tmp_path / "engine")


@pytest.mark.skipif(os.geteuid() != 0, reason="Only root can become another user.")
def test_a_child_is_the_user_that_is_asked_for_and_no_longer_root() -> None:
    command = ending_with(os.getpid(), ["sh", "-c", "id -ru; id -u; id -G"], f"{NOBODY}:{NOBODY}")
    shown = subprocess.run(command, capture_output=True, text=True, cwd="/", extra_groups=[0, 1])
    assert shown.stdout.split() == [str(NOBODY)] * 3, shown.stderr
