"""Every process's lines come out whole, named, and never make anybody wait."""

import os
from collections.abc import Iterator

import pytest

from twisted_bazaar.console import MAX_LINE_BYTES, MAX_UNREAD_BYTES, Console, Lines


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_lines_come_out_whole_however_they_arrive(pipe: tuple[int, int]) -> None:
    read, write = pipe
    lines = Lines(Console(write), "order-3")
    for piece in (b"on", b"e\ntwo\n\nth", b"ree"):
        lines.received(piece)
    lines.ended()
    assert os.read(read, 1000) == b"order-3 | one\norder-3 | two\norder-3 | \norder-3 | three\n"


def test_a_very_long_line_is_cut(pipe: tuple[int, int]) -> None:
    read, write = pipe
    lines = Lines(Console(write), "redis")
    lines.received(b"x" * (MAX_LINE_BYTES + 5))
    lines.received(b"\n" + b"y" * (MAX_LINE_BYTES + 1) + b"\n")
    shown = os.read(read, 65536).split(b"\n")
    assert [len(line) - len(b"redis   | ") for line in shown[:-1]] == [
        MAX_LINE_BYTES,
        5,
        MAX_LINE_BYTES,
        1,
    ]


def test_a_pipe_that_nobody_reads_costs_lines_and_never_time(pipe: tuple[int, int]) -> None:
    read, write = pipe
    console = Console(write)
    for _ in range(2000):
        console.write("catalog", b"x" * 90)
    kept = os.read(read, 1 << 20)
    assert MAX_UNREAD_BYTES < len(kept) <= MAX_UNREAD_BYTES + 101
    console.write("catalog", b"read again")
    dropped = 2000 - kept.count(b"\n")
    assert os.read(read, 1000).decode() == (
        f"({dropped} lines dropped: nobody read them)\ncatalog | read again\n"
    )


def test_a_reader_that_is_gone_is_no_failure() -> None:
    read, write = os.pipe()
    os.close(read)
    Console(write).write("catalog", b"into the void")
    os.close(write)
