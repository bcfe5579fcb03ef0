"""The bar of a command that takes long."""

import subprocess
import sys
from io import StringIO

from load.report.bar import bar_on


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_where_there_is_no_terminal_nothing_is_written() -> None:
    file = StringIO()
    with bar_on(file) as shown:
        assert shown is None
    assert file.getvalue() == ""


def test_on_a_terminal_it_shows_the_share_and_the_text_as_they_are() -> None:
    terminal = Terminal()
    with bar_on(terminal) as shown:
        assert shown is not None
        shown(0.25, "lookup [7]")
        assert "25%" in terminal.getvalue()
        assert "lookup [7]" in terminal.getvalue()
        shown(None, "waits")
        assert "waits" in terminal.getvalue()


def test_what_draws_it_is_not_imported_without_a_terminal() -> None:
    code = "import sys, load.run.command, load.sweep.command; print('rich' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout == "False\n"
