"""Output files are checked before a command begins, and pages can be printed anywhere."""

import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from load.chaos.command import Trial, TrialOptions
from load.errors import CannotRun
from load.report.outputs import must_be_writable, show


def test_the_check_of_a_file_changes_nothing(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("kept")
    must_be_writable("--csv", old)
    must_be_writable("--csv", new)
    assert old.read_text() == "kept"
    assert not new.exists()


@pytest.mark.parametrize(
    ("name", "why"), [("none/file", "No such file or directory"), ("", "Is a directory")]
)
def test_a_file_that_cannot_be_written_is_reported_with_its_option(
    tmp_path: Path, name: str, why: str
) -> None:
    file = tmp_path / name
    with pytest.raises(CannotRun) as told:
        must_be_writable("--html", file)
    assert str(told.value) == f"--html {file} cannot be written: {why}"


def test_a_trial_that_could_not_write_its_report_is_not_begun(tmp_path: Path) -> None:
    asked = TrialOptions(
        seconds=60.0, clients=1, frontends=1, seed=1, kill=1.0, pause=1.0, cut=1.0,
        html=tmp_path / "none" / "x.html", folder=tmp_path / "folder",
    )  # fmt: skip
    with pytest.raises(CannotRun, match="^--html .*x.html cannot be written: No such file"):
        Trial(None, asked, print).run().send(None)
    assert not (tmp_path / "folder").exists()


def test_a_page_is_shown_even_if_its_characters_cannot_be_encoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(written, encoding="latin-1"))
    show("| \u2581\u2588| up to 8")
    assert written.getvalue() == b"| ??| up to 8\n"
