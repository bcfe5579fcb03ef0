"""`python -m load check`: judge a history that was kept."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from load import exit_codes
from load.arguments import refuse

from .checker import check, sections
from .records import Unreadable, read

if TYPE_CHECKING:
    from load.arguments import Commands

__all__ = ["add_check", "check_file"]


def add_check(commands: "Commands") -> None:
    """Add the command to those of a parser."""
    checks = commands.add_parser(
        "check", help="judge a history that was kept", epilog=exit_codes.described("check")
    )
    checks.add_argument("file", type=Path)


def check_file(file: Path) -> int:
    """Judge each section of a history file, print what is wrong, and return the exit status."""
    status = exit_codes.OK
    try:
        for number, section in enumerate(sections(read(file)), 1):
            found = check(section)
            print(f"section {number}: {len(section)} records, {len(found)} violations")
            for violation in found:
                print(f"  {violation}")
            status = exit_codes.PROMISE_BROKEN if found else status
        sys.stdout.flush()
    except (Unreadable, ValueError) as why:
        refuse(str(why))
    except BrokenPipeError:
        # The reader of our output has closed it. A flush at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as why:
        refuse(f"{file} cannot be read: {why.strerror}")
    return status
