"""A command in a terminal of its own, as a person sees it."""

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_END_SECONDS = 10.0


class Terminal:
    """Runs `command` until the block is left."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        size: tuple[int, int] = (50, 120),
    ) -> None:
        """`size` is that of the terminal, in lines and columns."""
        self._own, other = os.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        self._written = ""
        self.process = subprocess.Popen(
            command,
            stdin=other,
            stdout=other,
            stderr=other,
            env={**os.environ, "TERM": "xterm", **(environment or {})},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(other)

    def read_until(self, text: str, within: float) -> str:
        """What was written until `text`, that included, without colours and moves."""
        deadline = time.monotonic() + within
        while text not in (shown := _CONTROL.sub("", self._written)):
            left = deadline - time.monotonic()
            assert left > 0, f"not within {within} s: {text!r}\n{shown[-3000:]}"
            self._read(left)
        _, _, self._written = self._written.rpartition(text.split()[-1])
        return shown

    def press_ctrl_c(self) -> int:
        """Returns the exit status."""
        os.write(self._own, b"\x03")
        deadline = time.monotonic() + _END_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            self._read(0.1)
        return self.process.wait(0)

    def rest(self) -> str:
        """All that is written until the command ends, without colours and moves."""
        deadline = time.monotonic() + _END_SECONDS
        while self._read(deadline - time.monotonic()):
            pass
        return _CONTROL.sub("", self._written)

    def _read(self, within: float) -> bool:
        """Take what is written next. Returns whether there may be more."""
        if not select.select([self._own], [], [], max(0.0, within))[0]:
            return False
        try:
            read = os.read(self._own, 65536)
        except OSError:  # The other side is closed.
            return False
        self._written += read.decode(errors="replace")
        return bool(read)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self._own)
