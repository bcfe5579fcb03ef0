"""The command line of `python -m twisted_bazaar clients`.

Imports little: every command of `__main__` declares it.
"""

from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path

from twisted_bazaar.access import CLIENT_NAME, CLIENT_NAME_RULE, Permission

__all__ = ["add_arguments"]

_OPERATIONS = (
    ("add", "add a client, and print its API key"),
    ("change", "change what a client may do"),
    ("rotate", "print a new API key of a client, beside those that it has"),
    ("retire", "let a client have its newest API key only"),
    ("remove", "remove a client, so that its API keys are refused"),
    ("list", "print the clients and what they may do"),
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the operations and options of `clients`."""
    operations = parser.add_subparsers(dest="operation", required=True)
    for name, purpose in _OPERATIONS:
        operation = operations.add_parser(name, help=purpose, description=purpose)
        operation.add_argument("file", type=Path, metavar="FILE", help="that of --clients")
        if name != "list":
            operation.add_argument("name", type=_name, metavar="NAME", help="of the client")
        if name in ("add", "change"):
            told = f"some of {','.join(Permission)}, with commas between"
            operation.add_argument("--permissions", type=_permissions, metavar="LIST", help=told)
            operation.add_argument("--rate", type=float, help="requests a second; 0: no limit")
            operation.add_argument("--burst", type=int, help="requests at once; 0: as --rate says")


def _name(text: str) -> str:
    if CLIENT_NAME.fullmatch(text) is None:
        raise ArgumentTypeError(f"must be {CLIENT_NAME_RULE}, not {text!r:.80}")
    return text


def _permissions(text: str) -> frozenset[Permission]:
    try:
        return frozenset(Permission(each.strip()) for each in text.split(",") if each.strip())
    except ValueError:
        known = ",".join(Permission)
        raise ArgumentTypeError(f"must be some of {known}, not {text!r:.80}") from None
