"""`python -m twisted_bazaar certificates`: what it writes, says, and how it ends."""

import time
from pathlib import Path

import pytest

from twisted_bazaar.__main__ import main
from twisted_bazaar.security.authority import SOON_SECONDS
from twisted_bazaar.security.folder import CertificateFolder
from twisted_bazaar.security.roles import Role


def said(capsys: pytest.CaptureFixture[str], *words: str | Path, status: int = 0) -> str:
    assert main(["certificates", *map(str, words)]) == status
    captured = capsys.readouterr()
    assert captured.err.count("\n") == (status == 1)
    return captured.out + captured.err


def test_an_authority_is_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "certificates"
    assert said(capsys, "init", folder).startswith("ok: the authority of bazaar ")
    before = (folder / "ca.crt").read_bytes()
    line = said(capsys, "init", folder, status=1)
    assert line == f"certificates: {folder} has an authority\n"
    assert (folder / "ca.crt").read_bytes() == before


def test_roles_are_issued_for_another_machine_without_the_key_of_the_authority(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    said(capsys, "init", here)
    assert said(capsys, "issue", here, "order-2", "--to", there) == f"ok: order-2 in {there}\n"
    assert sorted(path.name for path in there.iterdir()) == ["ca.crt", "order-2.crt", "order-2.key"]
    assert CertificateFolder(there).read(Role.order(2))
    line = said(capsys, "issue", there, "order-2", status=1)
    assert line == f"certificates: {there} has no ca.key: certificates are issued elsewhere\n"


def test_keep_does_nothing_the_second_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("keep", tmp_path / "ca", "frontend", "order-1", "--to-each", tmp_path)
    assert said(capsys, *words) == "ok: issued frontend, order-1\n"

    def files() -> dict[Path, tuple[int, int]]:
        found = {path: path.stat() for path in tmp_path.rglob("*.*")}
        return {path: (stat.st_ino, stat.st_mtime_ns) for path, stat in found.items()}

    before = files()
    assert said(capsys, *words) == "ok: nothing was needed\n"
    assert files() == before
    assert (tmp_path / "order-1" / "order-1.key").exists()


def test_show_lists_what_is_there_and_its_status_says_what_expires(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, "init", tmp_path)
    said(capsys, "issue", tmp_path, "frontend", "catalog", "--days", "20")
    lines = said(capsys, "show", tmp_path).splitlines()
    assert [line.partition(":")[0] for line in lines[1:]] == [
        "catalog by authority 1",
        "frontend by authority 1",
    ]
    assert lines[0].endswith(", 3653 days left")
    assert lines[1].endswith(", 20 days left")
    said(capsys, "issue", tmp_path, "frontend", "--days", str(SOON_SECONDS / 86_400 - 1))
    assert "13 days left" in said(capsys, "show", tmp_path, status=2)
    said(capsys, "issue", tmp_path, "frontend")
    (tmp_path / "catalog.key").unlink()
    shown = said(capsys, "show", tmp_path, status=2)
    assert f"catalog: {tmp_path / 'catalog.key'} cannot be read: No such file" in shown


def test_show_says_what_is_not_valid_yet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said(capsys, "init", tmp_path)
    said(capsys, "issue", tmp_path, "frontend")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 86_400)
    lines = said(capsys, "show", tmp_path, status=2).splitlines()
    assert [line.rpartition(", ")[2] for line in lines] == ["not valid for another 1.0 days"] * 2


def test_the_three_steps_of_a_rotation_each_name_the_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said(capsys, "init", tmp_path)
    said(capsys, "issue", tmp_path, "frontend", "monitor")
    steps = ["begin"]
    while len(steps) < 4:
        told = said(capsys, "rotate", tmp_path, steps[-1])
        commands = [line.split() for line in told.splitlines() if line.startswith("  python")]
        if not commands:
            break
        assert commands[0][2:-1] == ["twisted_bazaar", "certificates", "rotate", str(tmp_path)]
        steps.append(commands[0][-1])
    assert steps == ["begin", "issue", "end"]
    shown = said(capsys, "show", tmp_path)
    assert "authority 1" not in shown
    assert "frontend by authority 2" in shown


def test_names_and_serial_numbers_of_two_bazaars_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends = []
    for name in ("one", "two"):
        said(capsys, "init", tmp_path / name)
        (certificate,) = CertificateFolder(tmp_path / name).authorities()
        ends.append((certificate.subject, certificate.serial_number))
    assert ends[0][0] != ends[1][0]
    assert ends[0][1] != ends[1][1]
