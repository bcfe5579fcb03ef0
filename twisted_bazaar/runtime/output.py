"""Output of a process that never blocks its reactor.

A write to a full pipe, a stopped terminal or a disk that hangs blocks. So the reactor puts lines
into a queue, and a thread writes them.
"""

import os
import select
import stat
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Condition, Thread

__all__ = ["CAPACITY_BYTES", "Output", "fail_rather_than_wait", "text_remark", "to_descriptor"]

CAPACITY_BYTES = 1 << 20
"""The capacity of the queue. A burst of tracebacks fits."""

_WRITE_BYTES = 1 << 16
"""What is written at a time, and lost if the write fails."""


class Output:
    """Writes lines with `sink`, on a thread of its own. The caller never waits.

    Lines that do not fit into the queue are dropped; a line that counts them is written as soon
    as there is room. The thread is made by `start`, as it would not survive twistd's fork; lines
    that come earlier are kept. May be used on any thread, and reentered by finalizers.
    """

    def __init__(
        self,
        sink: Callable[[bytes], object],
        capacity_bytes: int = CAPACITY_BYTES,
        remark: Callable[[int], bytes] | None = None,
    ) -> None:
        """`remark` makes the line that says how many were dropped."""
        self._sink = sink
        self._remark = text_remark if remark is None else remark
        self._capacity = capacity_bytes
        # A reentrant lock: a finalizer that runs while it is held may log.
        self._changed = Condition()
        self._queue: deque[tuple[int, bytes]] = deque()
        """How many lines were dropped before, and lines."""
        self._bytes = 0
        """The size of the lines in the queue and of those that are being written."""
        self._dropped = 0
        """Lines dropped since the last ones in the queue."""
        self.lost_lines = 0
        """Lines that were never written."""
        self._failing = False
        """Whether the last write failed: the next one waits for a new line."""
        self._thread: Thread | None = None

    def start(self) -> None:
        """Start the thread. Harmless the second time."""
        with self._changed:
            if self._thread is None:
                self._thread = Thread(target=self._work, name="output", daemon=True)
                self._thread.start()

    def write(self, lines: bytes) -> None:
        """Queue `lines`, each with its newline, to be written in one piece, if there is room."""
        with self._changed:
            if self._bytes + len(lines) > self._capacity:
                dropped = lines.count(b"\n")
                self._dropped += dropped
                self.lost_lines += dropped
                return
            self._queue.append((self._dropped, lines))
            self._dropped = 0
            self._bytes += len(lines)
            self._failing = False
            self._changed.notify_all()

    def flush(self, seconds: float) -> bool:
        """Wait until all is written, at most `seconds`. Returns whether it is."""
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
            text = b"".join(self._shown(*piece) for piece in batch)
            lost = dropped = 0
            try:
                self._sink(text)
            except (OSError, ValueError):
                # The reader is gone, the disk is full, or the file was closed: no reason to end
                # the process.
                lost = sum(lines.count(b"\n") for _, lines in batch)
                dropped = sum(before for before, _ in batch)
            with self._changed:
                self._bytes -= size
                self._dropped += dropped + lost
                self.lost_lines += lost
                self._failing = dropped + lost > 0
                self._changed.notify_all()

    def _shown(self, dropped: int, lines: bytes) -> bytes:
        return self._remark(dropped) + lines if dropped else lines

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


def text_remark(dropped: int) -> bytes:
    """The line that says that so many were dropped."""
    return b"(%d lines dropped: they could not be written)\n" % dropped


def to_descriptor(descriptor: int) -> Callable[[bytes], None]:
    """A sink that writes to `descriptor` and waits while it is full. It raises OSError."""

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
    """Make writes to a full pipe or a stopped terminal fail with EAGAIN.

    gRPC's core and Python itself write to standard error on any thread. The flag is set on an
    open file of this process, not on the one that other processes share. A descriptor of another
    kind, or one that cannot be opened anew, stays as it is.
    """
    try:
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode) or os.isatty(descriptor):
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY
            own = os.open(f"/proc/self/fd/{descriptor}", flags)
            os.dup2(own, descriptor)
            os.close(own)
    except OSError:
        pass
