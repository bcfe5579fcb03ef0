"""Lines of several processes on one output, each with the name of who said it."""

from twisted_bazaar.runtime.output import Output

__all__ = ["Console", "Lines"]

MAX_LINE_BYTES = 8192
"""A longer line is cut into several."""


class Console:
    """Writes lines to `output`, which never makes us wait.

    Whoever starts the bazaar may give it a pipe and not read it. If that could stop us, it
    would stop every process that speaks through us.
    """

    def __init__(self, output: Output) -> None:
        self._output = output

    def write(self, name: str, line: bytes) -> None:
        """Show one line of `name`, if there is room for it."""
        self._output.write(b"%-8s| %s\n" % (name.encode(), line))


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
