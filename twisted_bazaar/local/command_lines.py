"""The command lines by which one process starts the others."""

import sys
from collections.abc import Sequence

from . import child

__all__ = ["ending_with", "twistd"]


def twistd(service: str, *options: str) -> list[str]:
    """Run `service` in the foreground, under the Python that runs this process."""
    # This Python has the same twistd; the script on PATH may be of another installation.
    run = "from twisted.scripts.twistd import run; run()"
    return [sys.executable, "-Pc", run, "-n", "--pidfile=", service, *options]


def ending_with(parent: int, command: Sequence[str], account: str = ":") -> list[str]:
    """Run `command`, with the same process id, and end it when process `parent` ends.

    `account` is `USER:GROUP`, as ids, where root starts what must not run as root; `:`: the user
    of this process.
    """
    return [sys.executable, "-IS", child.__file__, str(parent), account, *command]
