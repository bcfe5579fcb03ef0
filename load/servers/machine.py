"""Run a command as if on a machine of its own: nothing that it starts outlives this process.

    python machine.py USER:GROUP COMMAND [ARGUMENT ...]

The command runs as that user and group (ids, or `:` to stay who this is). A daemon that it leaves
behind becomes a child of this process, which ends all of its descendants when the command ends,
when it is told to end, or when its parent dies. Linux only.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

__all__ = ["descendants"]

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
"""Both from <sys/prctl.h>."""


def descendants(ancestor: int) -> list[int]:
    """All processes that descend from one, parents before children."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = list(children.get(ancestor, []))
    for each in found:
        found += children.get(each, [])
    return found


def run(account: str, command: list[str]) -> int:
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    user, _, group = account.partition(":")
    other = {"user": int(user), "group": int(group), "extra_groups": []} if user else {}
    started = subprocess.Popen(command, **other).pid  # type: ignore[call-overload]
    try:
        while True:
            ended, status = os.wait()
            if ended == started:
                return os.waitstatus_to_exitcode(status)
    finally:
        while left := descendants(os.getpid()):
            for each in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
            for each in left:
                # One whose parent had not yet seen it end is no child of this process.
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(each, 0)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2:]))
