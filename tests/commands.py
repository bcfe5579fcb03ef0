"""`python -m twisted_bazaar` without a process of its own, which would take half a second to start.

That it is a process like any other is shown by tests/unit/tools/test_export_verify.py.
"""

import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

from twisted_bazaar.__main__ import main

__all__ = ["Ran", "run"]


class Ran(NamedTuple):
    """What a command ended with. The names are those of `subprocess.CompletedProcess`."""

    returncode: int
    stdout: str
    stderr: str


def run(*words: str | Path) -> Ran:
    """Run the command of these words, in the environment of the tests."""
    out, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(errors):
        try:
            status = main([str(each) for each in words])
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 1
    return Ran(status, out.getvalue(), errors.getvalue())
