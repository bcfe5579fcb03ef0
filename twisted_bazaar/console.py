"""Lines of several processes on one standard output, each with the name of who said it."""

import fcntl
import os
import stat
import sys
import termios

__all__ = ["Console", "Lines"]

MAX_LINE_BYTES = 8192
"""A longer line is cut into several. Together with what may be unread it fits in a pipe."""

MAX_UNREAD_BYTES = 32 * 1024
"""Lines are dropped while a pipe holds more than this: half of what Linux gives one."""


class Console:
    """Writes lines to `descriptor` and never waits for whoever reads them.

    Whoever starts the bazaar may give it a pipe and not read it. If that could stop us, it
    would stop every process that speaks through us. So lines are dropped, and counted, while
    the pipe is half full; the other half is left to what twistd itself has to say.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._dropped = 0

    def write(self, name: str, line: bytes) -> None:
        """Show one line of `name`, if there is room for it."""
        if self._unread() > MAX_UNREAD_BYTES:
            self._dropped += 1
            return
        text = b"%-8s| %s\n" % (name.encode(), line)
        if self._dropped:
            text = b"(%d lines dropped: nobody read them)\n%s" % (self._dropped, text)
        try:
            os.write(self._descriptor, text)
        except OSError:
            # The reader is gone. The processes have better things to do than to die of it.
            self._dropped += 1
        else:
            self._dropped = 0

    def _unread(self) -> int:
        try:
            if not stat.S_ISFIFO(os.fstat(self._descriptor).st_mode):
                return 0
            count = fcntl.ioctl(self._descriptor, termios.FIONREAD, bytes(4))
        except OSError:
            return 0
        return int.from_bytes(count, sys.byteorder)


class Lines:
    """Cuts the bytes of one output of process `name` into lines for the console."""

    def __init__(self, console: Console, name: str) -> None:
        self._console = console
        self._name = name
        self._rest = b""

    def received(self, data: bytes) -> None:
        """Take what the process has written; an unfinished line waits for its end."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        while len(self._rest) > MAX_LINE_BYTES:
            lines.append(self._rest[:MAX_LINE_BYTES])
            self._rest = self._rest[MAX_LINE_BYTES:]
        for line in lines:
            for start in range(0, max(1, len(line)), MAX_LINE_BYTES):
                self._console.write(self._name, line[start : start + MAX_LINE_BYTES])

    def ended(self) -> None:
        """The process is gone: show what it did not finish."""
        if self._rest:
            self._console.write(self._name, self._rest)
            self._rest = b""
