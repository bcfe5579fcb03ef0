"""Every process's lines come out whole and named."""

import pytest

from twisted_bazaar.local.console import MAX_LINE_BYTES, Console, Lines
from twisted_bazaar.runtime.log_settings import Format
from twisted_bazaar.runtime.output import Output


class Shown:
    """What a console has written."""

    def __init__(self, form: Format = Format.TEXT) -> None:
        self._written: list[bytes] = []
        self._output = Output(self._written.append)
        self.console = Console(self._output, form, lambda: 1.5)

    def read(self) -> bytes:
        assert self._output.flush(10)
        return b"".join(self._written)


@pytest.fixture
def shown() -> Shown:
    return Shown()


def test_lines_are_written_whole_though_they_arrive_in_pieces(shown: Shown) -> None:
    lines = Lines(shown.console, "order-3")
    for piece in (b"on", b"e\ntwo\n\nth", b"ree"):
        lines.received(piece)
    lines.ended()
    assert shown.read() == b"order-3 | one\norder-3 | two\norder-3 | \norder-3 | three\n"


def test_a_very_long_line_is_cut(shown: Shown) -> None:
    lines = Lines(shown.console, "redis")
    lines.received(b"x" * (MAX_LINE_BYTES + 5))
    lines.received(b"\n" + b"y" * (MAX_LINE_BYTES + 1) + b"\n")
    rows = shown.read().split(b"\n")
    assert [len(line) - len(b"redis   | ") for line in rows[:-1]] == [
        MAX_LINE_BYTES,
        5,
        MAX_LINE_BYTES,
        1,
    ]
