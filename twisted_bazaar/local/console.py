"""The output of several processes, line by line, each with the name of its process."""

from twisted_bazaar.runtime.output import Output

__all__ = ["Console", "Lines"]

MAX_LINE_BYTES = 8192
"""A longer line is cut into several."""


class Console:
    """Writes lines to `output`, which never blocks.

    Standard output may be a pipe that is not read. If that blocked this process, it would block
    every process that writes through it.
    """

    def __init__(self, output: Output) -> None:
        self._output = output

    def write(self, name: str, line: bytes) -> None:
        """Write one line of process `name`, if there is room for it."""
        self._output.write(b"%-8s| %s\n" % (name.encode(), line))


class Lines:
    """Cuts the bytes of one output of process `name` into lines for the console."""

    def __init__(self, console: Console, name: str) -> None:
        self._console = console
        self._name = name
        self._rest = b""

    def received(self, data: bytes) -> None:
        """Take bytes that the process has written; an unfinished line waits for its end."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        while len(self._rest) > MAX_LINE_BYTES:
            lines.append(self._rest[:MAX_LINE_BYTES])
            self._rest = self._rest[MAX_LINE_BYTES:]
        for line in lines:
            for start in range(0, max(1, len(line)), MAX_LINE_BYTES):
                self._console.write(self._name, line[start : start + MAX_LINE_BYTES])

    def ended(self) -> None:
        """The process has ended: write its unfinished line."""
        if self._rest:
            self._console.write(self._name, self._rest)
            self._rest = b""
