"""The exit statuses of `python -m load`, in whose commands a wrong argument is `CANNOT_RUN`.

Those of the services and of `python -m twisted_bazaar` are in `runtime/exit_codes.py`.
"""

from typing import NamedTuple

__all__ = [
    "BROKE_DOWN",
    "CANNOT_RUN",
    "INTERRUPTED",
    "MEANINGS",
    "OK",
    "ORDER_MISMATCH",
    "PROMISE_BROKEN",
    "THRESHOLD_MISSED",
    "described",
]

OK = 0
"""The command did what it was asked, and found nothing wrong."""

THRESHOLD_MISSED = 1
"""The bazaar was measured, and a `--threshold` does not hold. 1 is the verdict that a command was
asked for, where that is no; no command has two of them, so `PROMISE_BROKEN` is 1 as well."""

PROMISE_BROKEN = 1
"""The history of a trial breaks a promise, or the bazaar did not recover from a fault."""

ORDER_MISMATCH = 2
"""An acknowledged order is not there, is another, or could not be read back. Takes precedence
over a missed threshold."""

CANNOT_RUN = 3
"""There is no result: a wrong argument, no bazaar, a file that cannot be written."""

BROKE_DOWN = 70
"""There is no result, because of an error in `load` itself (EX_SOFTWARE of sysexits.h). It says
nothing about the bazaar."""

INTERRUPTED = 130
"""Ctrl-C or SIGTERM ended it: 128 and the number of SIGINT, as of shells."""


class Meaning(NamedTuple):
    status: int
    commands: tuple[str, ...]
    """Those that can end with it."""
    text: str


MEANINGS = (
    Meaning(OK, ("run", "sweep", "bench", "chaos", "check"), "success"),
    Meaning(THRESHOLD_MISSED, ("run",), "a threshold was missed"),
    Meaning(PROMISE_BROKEN, ("chaos", "check"), "a promise was broken"),
    Meaning(
        ORDER_MISMATCH,
        ("run", "sweep"),
        "an order is not as it was acknowledged, or could not be read back",
    ),
    Meaning(
        CANNOT_RUN,
        ("run", "sweep", "bench", "chaos", "check"),
        "it could not be run: one line on standard error says why",
    ),
    Meaning(
        BROKE_DOWN,
        ("run", "sweep", "bench", "chaos", "check"),
        "an error in load itself: a traceback on standard error",
    ),
    Meaning(INTERRUPTED, ("run", "sweep", "bench", "chaos"), "interrupted by Ctrl-C or SIGTERM"),
)


def described(command: str) -> str:
    """The exit statuses of `command`, in a sentence for its --help."""
    found = [f"{each.status} {each.text}" for each in MEANINGS if command in each.commands]
    return f"Exit status: {'; '.join(found)}."
