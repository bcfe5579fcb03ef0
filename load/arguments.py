"""What the commands of `python -m load` share in reading their command lines."""

import argparse
import sys
from collections.abc import Callable
from random import SystemRandom
from typing import TYPE_CHECKING, NoReturn, TypeVar
from urllib.parse import urlsplit

from twisted_bazaar.runtime.endpoint import DEFAULT_LISTEN, Endpoint

from .exit_codes import CANNOT_RUN

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction["Parser"]
    """What a command is added to."""

__all__ = ["DEFAULT_URL", "Parser", "at_least", "bazaar_url", "refuse", "seed"]

_DEFAULT = Endpoint.parse(DEFAULT_LISTEN)
DEFAULT_URL = f"http://{_DEFAULT.host}:{_DEFAULT.port}"

N = TypeVar("N", int, float)


class Parser(argparse.ArgumentParser):
    """One that reports a wrong option in one line."""

    def error(self, message: str) -> NoReturn:
        refuse(message)


def refuse(message: str) -> NoReturn:
    """Exit with `CANNOT_RUN` and one line on standard error."""
    print(f"load: {' '.join(message.split())}", file=sys.stderr)
    raise SystemExit(CANNOT_RUN)


def seed(asked: argparse.Namespace) -> int:
    """The seed that was given, else a random one below a million."""
    given: int | None = asked.seed
    return given if given is not None else SystemRandom().randrange(10**6)


def at_least(least: float, kind: type[N]) -> Callable[[str], N]:
    """A reader of numbers of `kind` from `least` to below a billion."""

    def read_number(text: str) -> N:
        try:
            number = kind(text)
        except ValueError:
            number = None
        if number is None or not least <= number < 10**9:
            word = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"must be {word} from {least:g}, not {text!r}")
        return number

    return read_number


def bazaar_url(text: str) -> str:
    """Read the URL of a front-end: http or https, with a host, and without a path."""
    try:
        parts = urlsplit(text)
        known = parts.scheme in ("http", "https")
        plain = known and bool(parts.hostname) and parts.port != 0
    except ValueError:
        plain = False
    if not plain or not text.isascii() or parts.path.strip("/") or "@" in text or "?" in text:
        raise argparse.ArgumentTypeError(f"must be like {DEFAULT_URL}, not {text!r}")
    return f"{parts.scheme}://{parts.netloc}"
