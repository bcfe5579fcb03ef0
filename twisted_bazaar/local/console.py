"""The output of several processes, line by line: as text each with the name of its process, as JSON
each an event.
"""

import re
from collections.abc import Callable

from twisted_bazaar.runtime.log_lines import MAX_LINE_BYTES as MAX_EVENT_BYTES
from twisted_bazaar.runtime.log_lines import is_event, named, plain_event
from twisted_bazaar.runtime.log_settings import Format, Level
from twisted_bazaar.runtime.output import Output

__all__ = ["MAX_LINE_BYTES", "Console", "Lines"]

MAX_LINE_BYTES = 8192
"""A longer line of text is cut into several."""

_TRACEBACK = b"Traceback (most recent call last)"
_MAX_TRACEBACK_BYTES = 16 * 1024

# The memory that Redis asks for is for saving, which a cache does not do; and both say that they
# end because they are told to. PostgreSQL refuses connections until it has started.
_NEEDLESS = re.compile(
    rb"[0-9]+:\S+ .*(Memory overcommit must be enabled|Received SIGTERM|is now ready to exit)"
    rb"|[-0-9]+ [:.0-9]+ \S+ \[[0-9]+\] (FATAL|DETAIL):  "
    rb"(the database system is (starting up|shutting down|not yet accepting connections)"
    rb"|Consistent recovery state has not been yet reached"
    rb"|terminating connection due to (administrator command|unexpected postmaster exit))"
)
"""What servers say at each start and stop, however little they are asked to say."""


class Console:
    """Writes lines to `output`, which never blocks.

    Standard output may be a pipe that is not read. If that blocked this process, it would block
    every process that writes through it.
    """

    def __init__(self, output: Output, form: Format, wall: Callable[[], float]) -> None:
        """`wall` shows seconds since 1970."""
        self._output = output
        self._wall = wall
        self.is_json = form is Format.JSON

    def write(self, name: str, line: bytes, level: Level = Level.INFO) -> None:
        """Write one line of process `name`, if there is room for it.

        As JSON an event of the process stays as it is; any other line, or lines, become one of this
        `level`, unless they are blank.
        """
        if _NEEDLESS.match(line):
            return
        if not self.is_json:
            self._output.write(named(name, line))
        elif is_event(line):
            self._output.write(line + b"\n")
        elif line.strip():
            text = line.decode("utf-8", "backslashreplace")
            self._output.write(plain_event(self._wall(), level, name, text))


class Lines:
    """Cuts the bytes of one output of process `name` into lines for the console.

    As JSON the lines of a traceback stay together.
    """

    def __init__(self, console: Console, name: str, level: Level = Level.INFO) -> None:
        self._console = console
        self._name = name
        self._level = level
        self._max = MAX_EVENT_BYTES if console.is_json else MAX_LINE_BYTES
        self._rest = b""
        self._traceback = b""

    def received(self, data: bytes) -> None:
        """Take bytes that the process has written; an unfinished line waits for its end."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        while len(self._rest) > self._max:
            lines.append(self._rest[: self._max])
            self._rest = self._rest[self._max :]
        for line in lines:
            for start in range(0, max(1, len(line)), self._max):
                self._take(line[start : start + self._max])

    def ended(self) -> None:
        """The process has ended: write its unfinished line."""
        if self._rest:
            self._take(self._rest)
            self._rest = b""
        self._end_traceback()

    def _take(self, line: bytes) -> None:
        if not self._traceback:
            if self._console.is_json and line.startswith(_TRACEBACK):
                self._traceback = line
            else:
                self._console.write(self._name, line, self._level)
        elif line.startswith(b'{"time":') or len(self._traceback) > _MAX_TRACEBACK_BYTES:
            self._end_traceback()
            self._take(line)
        else:
            self._traceback += b"\n" + line
            # The error is on the first line that is not indented.
            if line[:1].strip():
                self._end_traceback()

    def _end_traceback(self) -> None:
        if self._traceback:
            self._console.write(self._name, self._traceback, Level.ERROR)
            self._traceback = b""
