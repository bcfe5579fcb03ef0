"""Run a command that must not outlive the process that started it.

    python child.py PARENT COMMAND [ARGUMENT ...]

becomes COMMAND, with the same process id. It is a script, run by path and with nothing but the
standard library, because it stands before every start and restart of every process.

Why the kernel's parent-death signal: it needs no cooperation from the command, which may be a
Redis server or hang, and nothing that could itself be killed. Watching standard input for its
end would need code in each, and a process group does not end with its leader.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""From Linux's <sys/prctl.h>; kept over the exec, as the command gains no privileges."""


def become(parent: int, command: list[str]) -> None:
    """Turn into `command`, which dies at once when `parent` does. Returns only on failure.

    It is cut off from the terminal, so that Ctrl-C in a terminal reaches the parent alone, which
    then stops its children in good order.
    """
    os.setsid()
    # The parent waits for its signals in a way of its own, which is not for others to inherit.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    if sys.platform == "linux":
        # Not SIGTERM: a process that cannot be asked twice must be sure to go.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            return
    try:
        os.execvp(command[0], command)
    except OSError as why:
        print(f"{command[0]} cannot be run: {why.strerror}", file=sys.stderr)


if __name__ == "__main__":
    become(int(sys.argv[1]), sys.argv[2:])
    raise SystemExit(1)
