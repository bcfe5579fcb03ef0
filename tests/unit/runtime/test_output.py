"""Output that is not read loses lines, which are counted, and never blocks."""

import os
import re
import threading
import time
from collections.abc import Iterator

import pytest

from twisted_bazaar.runtime.output import Output, fail_rather_than_wait, to_descriptor

SOON = 10.0
"""Seconds that a thread may need on a machine that is busy."""


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


class Disk:
    """A sink that holds every write until the test lets it go on, and may fail."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.free = threading.Event()
        self.entered = threading.Event()
        self.failure: Exception | None = None

    def write(self, lines: bytes) -> None:
        self.entered.set()
        assert self.free.wait(SOON)
        if self.failure is not None:
            raise self.failure
        self.written.append(lines)


def line(number: int) -> bytes:
    return b"%09d\n" % number


def test_lines_before_the_start_are_kept_and_written_in_order() -> None:
    written: list[bytes] = []
    output = Output(written.append)
    for number in range(5):
        output.write(line(number))
    time.sleep(0.05)
    assert written == []
    output.start()
    output.start()
    assert output.flush(SOON)
    assert b"".join(written) == b"".join(map(line, range(5)))


def test_lines_that_do_not_fit_are_dropped_and_counted_in_their_place() -> None:
    disk = Disk()
    output = Output(disk.write, capacity_bytes=100)
    output.start()
    output.write(line(0))
    assert disk.entered.wait(SOON)
    began = time.monotonic()
    for number in range(1, 1000):
        output.write(line(number))
    assert time.monotonic() - began < SOON, "a write waited"
    disk.free.set()
    assert output.flush(SOON)
    output.write(b"later\n")
    assert output.flush(SOON)
    kept = b"".join(map(line, range(10)))
    remark = b"(990 lines dropped: they could not be written)\n"
    assert output.lost_lines == 990
    assert b"".join(disk.written) == kept + remark + b"later\n"


def test_dropped_lines_are_counted_though_no_other_line_follows() -> None:
    disk = Disk()
    output = Output(disk.write, capacity_bytes=20)
    output.start()
    output.write(line(1))
    assert disk.entered.wait(SOON)
    for number in range(2, 6):
        output.write(line(number))
    disk.free.set()
    assert output.flush(SOON)
    give_up = time.monotonic() + SOON
    while b"(3 lines dropped" not in b"".join(disk.written):
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_a_write_makes_room_in_the_queue() -> None:
    disk = Disk()
    output = Output(disk.write, capacity_bytes=20)
    disk.free.set()
    output.start()
    for number in range(200):
        output.write(line(number))
        assert output.flush(SOON)
    assert b"".join(disk.written) == b"".join(map(line, range(200)))


@pytest.mark.parametrize("failure", [OSError("the disk is full"), ValueError("closed")])
def test_a_failed_write_loses_its_lines_and_the_next_lines_are_tried(
    failure: Exception,
) -> None:
    disk = Disk()
    disk.free.set()
    disk.failure = failure
    output = Output(disk.write)
    output.start()
    for number in range(3):
        output.write(line(number))
        assert output.flush(SOON)
    disk.failure = None
    output.write(line(3))
    assert output.flush(SOON)
    assert b"".join(disk.written) == b"(3 lines dropped: they could not be written)\n" + line(3)
    assert output.lost_lines == 3, "each counts once, however often it is tried to say so"


def test_a_flush_waits_no_longer_than_its_limit() -> None:
    disk = Disk()
    output = Output(disk.write)
    output.write(line(1))
    began = time.monotonic()
    assert not output.flush(0.1)
    assert time.monotonic() - began < SOON
    disk.free.set()
    assert output.flush(SOON)


def test_a_finalizer_may_log_while_a_line_is_being_logged() -> None:
    output = Output([].append)

    class Logs(bytes):
        def __len__(self) -> int:
            output.write(b"from within\n")
            return 5

    writing = threading.Thread(target=output.write, args=(Logs(b"line\n"),), daemon=True)
    writing.start()
    writing.join(SOON)
    assert not writing.is_alive()


def fill(descriptor: int) -> None:
    os.set_blocking(descriptor, False)
    try:
        while True:
            os.write(descriptor, b"x" * 4096)
    except BlockingIOError:
        pass
    try:
        while True:
            os.write(descriptor, b"x")
    except BlockingIOError:
        os.set_blocking(descriptor, True)


@pytest.mark.parametrize("blocking", [True, False])
def test_a_pipe_that_is_read_late_gets_everything(pipe: tuple[int, int], blocking: bool) -> None:
    read, write = pipe
    fill(write)
    os.set_blocking(write, blocking)
    output = Output(to_descriptor(write))
    output.start()
    sent = b"".join(map(line, range(20_000)))
    for start in range(0, len(sent), 1000):
        output.write(sent[start : start + 1000])
    assert not output.flush(0.05)
    got = b""
    while not got.endswith(line(19_999)):
        got += os.read(read, 1 << 16)
    assert re.sub(rb"^x*", b"", got) == sent
    assert output.flush(SOON)


def test_a_reader_that_has_gone_is_no_failure() -> None:
    read, write = os.pipe()
    os.close(read)
    output = Output(to_descriptor(write))
    output.write(b"into the void\n")
    assert output.flush(SOON)
    os.close(write)


def test_a_direct_write_to_a_full_pipe_fails_and_other_processes_are_not_affected(
    pipe: tuple[int, int],
) -> None:
    _, write = pipe
    fill(write)
    ours = os.dup(write)
    try:
        fail_rather_than_wait(ours)
        with pytest.raises(BlockingIOError):
            os.write(ours, b"gRPC says")
        assert os.get_blocking(write)
    finally:
        os.close(ours)


def test_a_descriptor_of_another_kind_stays_as_it_is(tmp_path: object) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    fail_rather_than_wait(null)
    assert os.get_blocking(null)
    os.close(null)
    fail_rather_than_wait(null)
