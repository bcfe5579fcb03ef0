"""The exit statuses of `python -m load`."""

from typing import NamedTuple

__all__ = [
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
THRESHOLD_MISSED = 1
PROMISE_BROKEN = 1
ORDER_MISMATCH = 2
CANNOT_RUN = 3
INTERRUPTED = 130


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
    Meaning(INTERRUPTED, ("run", "sweep", "bench", "chaos"), "interrupted by Ctrl-C or SIGTERM"),
)


def described(command: str) -> str:
    """The exit statuses of `command`, in a sentence for its --help."""
    found = [f"{each.status} {each.text}" for each in MEANINGS if command in each.commands]
    return f"Exit status: {'; '.join(found)}."
