"""Runs the bot of `examples/bot.py` until it is at a place, and kills it there with SIGKILL.

python -m tests.integration.killed_bot PLACE COUNT URL BOOKS TRADES

It is killed when it comes to PLACE for the COUNT-th time.
"""

import http.client
import io
import itertools
import os
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests import ROOT

BOT = ROOT / "examples" / "bot.py"


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def replaced(owner: Any, name: str, replacement: Callable[..., Any]) -> None:
    original = getattr(owner, name)
    setattr(owner, name, lambda *args, **options: replacement(original, *args, **options))


def kill_at(place: str, count: int) -> None:
    """Have this process die when it comes to `place` for the `count`-th time."""
    times = itertools.count(1)

    def over() -> bool:
        return next(times) == count

    def before(original: Any, *args: Any, **options: Any) -> Any:
        if over():
            die()
        return original(*args, **options)

    def after(original: Any, *args: Any, **options: Any) -> Any:
        result = original(*args, **options)
        if over():
            die()
        return result

    class Torn(io.FileIO):
        def write(self, data: Any) -> int:
            if over():
                super().write(bytes(data)[: len(data) // 2])
                die()
            return super().write(data)

    def torn(original: Any, path: Path, mode: str, buffering: int = -1) -> Any:
        return Torn(path, mode) if mode == "ab" else original(path, mode, buffering)

    connection = http.client.HTTPConnection
    match place:
        case "asking":
            replaced(connection, "request", before)
        case "asked":
            replaced(connection, "request", after)
        case "answered":
            replaced(connection, "getresponse", after)
        case "half written":
            replaced(Path, "open", torn)
        case "written":
            replaced(os, "fsync", before)
        case "on disk":
            replaced(os, "fsync", after)
        case _:
            raise ValueError(place)


if __name__ == "__main__":
    place, count, *arguments = sys.argv[1:]
    kill_at(place, int(count))
    sys.argv[1:] = arguments
    runpy.run_path(str(BOT), run_name="__main__")
