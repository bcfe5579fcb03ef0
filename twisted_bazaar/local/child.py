"""Run a command that must not outlive the process that starts it.

    python child.py PARENT USER:GROUP COMMAND [ARGUMENT ...]

becomes COMMAND, with the same process id, as that user and group (ids, or `:` to stay who it is).
It is a script of the standard library only, run by
path, because every start and restart of every process runs it.

It uses the kernel's parent-death signal, which needs neither cooperation from the command (it may
be a Redis server, or hang) nor another process that could be killed. To watch standard input for
its end would need code in each command, and a process group does not end with its leader.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""From <sys/prctl.h> of Linux; it survives the exec, as the command gains no privileges."""


def become(parent: int, account: str, command: list[str]) -> None:
    """Become `command`, which is killed when `parent` dies. Returns only on failure.

    It gets a session of its own, so that Ctrl-C in a terminal reaches only the parent, which
    then stops its children in order.
    """
    os.setsid()
    # The parent blocks the signals that it waits for, which must not be inherited.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    user, _, group = account.partition(":")
    if user:
        # Another user may not be able to read what Python imports there.
        os.get_exec_path()
        os.setgroups([])
        os.setgid(int(group))
        os.setuid(int(user))
    # After the change of user, which would take it back.
    if sys.platform == "linux":
        # Not SIGTERM, which a process can ignore: there is no second signal.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            return
    try:
        os.execvp(command[0], command)
    except OSError as why:
        print(f"{command[0]} cannot be run: {why.strerror}", file=sys.stderr)


if __name__ == "__main__":
    become(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
    raise SystemExit(1)
