"""What something long ends with: a page, and files that are looked at before it begins."""

import sys
from io import TextIOWrapper
from pathlib import Path

from load.bazaar.fleet import CannotRun

__all__ = ["must_be_writable", "show"]


def must_be_writable(option: str, file: Path) -> None:
    """Raise `CannotRun` unless `file`, which `option` named, can be written. What it has is
    kept, and where there is none, there is none afterwards."""
    try:
        is_new = not file.exists()
        with file.open("ab"):
            pass
        if is_new:
            file.unlink()
    except OSError as why:
        raise CannotRun(f"{option} {file} cannot be written: {why.strerror}") from None


def show(page: str) -> None:
    """Print `page`. What standard output has no characters for is shown as question marks:
    nobody should lose the figures over that."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    print(page, flush=True)
