"""Where a command writes its results: standard output, and files that are checked beforehand."""

import sys
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path

import msgspec

from load.errors import CannotRun

__all__ = ["Tell", "must_be_writable", "show", "show_json", "tell"]

Tell = Callable[[str], None]
"""Reports progress to the user, in one line."""


def must_be_writable(option: str, file: Path) -> None:
    """Raise `CannotRun` unless `file`, the value of `option`, can be written. Its content is
    kept; a file that does not exist is not created."""
    try:
        is_new = not file.exists()
        with file.open("ab"):
            pass
        if is_new:
            file.unlink()
    except OSError as why:
        raise CannotRun(f"{option} {file} cannot be written: {why.strerror}") from None


def tell(line: str) -> None:
    """Report progress on standard error."""
    print(f"  {line}", file=sys.stderr, flush=True)


def show(page: str) -> None:
    """Print `page`. A character that the encoding of standard output lacks becomes a question
    mark, so that an encoding does not cost the figures."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    print(page, flush=True)


def show_json(report: object) -> None:
    """Print `report` as indented JSON; what msgspec cannot encode, as text."""
    print(msgspec.json.format(msgspec.json.encode(report, enc_hook=str)).decode(), flush=True)
