"""Text on its way out of a process, to whatever may be slow to take it, or never does.

A pipe that is full, a terminal that is held and a disk that hangs block whoever writes to them.
A reactor must not be that: it hands lines to a queue, and a thread writes them.
"""

import os
import select
import stat
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Condition, Thread

__all__ = ["CAPACITY_BYTES", "Output", "fail_rather_than_wait", "to_descriptor"]

CAPACITY_BYTES = 1 << 20
"""What waits to be written, at most. A burst of tracebacks fits."""

_WRITE_BYTES = 1 << 16
"""How much is written at a time: no more than that is taken from the queue and may be lost."""


class Output:
    """Writes lines with `sink`, on a thread of its own, and never makes the caller wait.

    Lines that do not fit in the queue are dropped; how many is said as soon as there is room.
    The thread is made by `start`: it would not survive that twistd forks. What comes before is
    kept. May be used on any thread, and by finalizers that run in the midst of it.
    """

    def __init__(
        self, sink: Callable[[bytes], object], capacity_bytes: int = CAPACITY_BYTES
    ) -> None:
        self._sink = sink
        self._capacity = capacity_bytes
        # Its lock may be taken again by the thread that has it, as a finalizer may log.
        self._changed = Condition()
        self._queue: deque[tuple[int, bytes]] = deque()
        """Lines, and how many were dropped before them."""
        self._bytes = 0
        """Of the lines in the queue, and of those that are being written."""
        self._dropped = 0
        """Lines dropped since the last that are in the queue."""
        self._failing = False
        """Whether the last write failed: the next is tried when there is something new."""
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin to write. Harmless when that was done already."""
        with self._changed:
            if self._thread is None:
                self._thread = Thread(target=self._work, name="output", daemon=True)
                self._thread.start()

    def write(self, lines: bytes) -> None:
        """Have `lines`, each with its end, written in one piece if there is room for them."""
        with self._changed:
            if self._bytes + len(lines) > self._capacity:
                self._dropped += lines.count(b"\n")
                return
            self._queue.append((self._dropped, lines))
            self._dropped = 0
            self._bytes += len(lines)
            self._failing = False
            self._changed.notify_all()

    def flush(self, seconds: float) -> bool:
        """Wait until all is written, or `seconds` are over; whether it is."""
        with self._changed:
            if self._bytes:
                with suppress(RuntimeError):  # The interpreter makes no more threads at its end.
                    self.start()
            return self._changed.wait_for(lambda: not self._bytes, seconds)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._queue and (self._failing or not self._dropped):
                    self._changed.wait()
                batch = self._take_batch()
            size = sum(len(lines) for _, lines in batch)
            text = b"".join(_remark(dropped) + lines for dropped, lines in batch)
            lost = 0
            try:
                self._sink(text)
            except (OSError, ValueError):
                # The reader is gone, the disk is full, or the file was closed. The process has
                # better things to do than to die of it.
                lost = sum(dropped + lines.count(b"\n") for dropped, lines in batch)
            with self._changed:
                self._bytes -= size
                self._dropped += lost
                self._failing = lost > 0
                self._changed.notify_all()

    def _take_batch(self) -> list[tuple[int, bytes]]:
        batch = [self._queue.popleft()] if self._queue else []
        size = sum(len(lines) for _, lines in batch)
        while self._queue and size + len(self._queue[0][1]) <= _WRITE_BYTES:
            batch.append(self._queue.popleft())
            size += len(batch[-1][1])
        if not self._queue and self._dropped:
            batch.append((self._dropped, b""))
            self._dropped = 0
        return batch


def _remark(dropped: int) -> bytes:
    return b"(%d lines dropped: they could not be written)\n" % dropped if dropped else b""


def to_descriptor(descriptor: int) -> Callable[[bytes], None]:
    """A sink that writes to `descriptor`, however slowly that takes it. It raises OSError."""

    def write(lines: bytes) -> None:
        left = memoryview(lines)
        while left:
            try:
                left = left[os.write(descriptor, left) :]
            except BlockingIOError:
                room = select.poll()
                room.register(descriptor, select.POLLOUT)
                room.poll()

    return write


def fail_rather_than_wait(descriptor: int) -> None:
    """Make writes to a full pipe or a held terminal fail, for those who write by themselves.

    gRPC's core and Python itself write to standard error on whichever thread they are. The
    flag is set for a description of our own, not for what others have inherited as well. A
    descriptor of another kind, or one that may not be opened anew, stays as it is.
    """
    try:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode) or os.isatty(descriptor):
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY
            own = os.open(f"/proc/self/fd/{descriptor}", flags)
            os.dup2(own, descriptor)
            os.close(own)
    except OSError:
        pass
