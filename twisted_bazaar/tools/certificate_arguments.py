"""The command line of `python -m twisted_bazaar certificates`.

Imports little: every command of `__main__` declares it.
"""

from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path

from twisted_bazaar.security.roles import Role

__all__ = ["add_arguments"]

MAX_DAYS = 3653


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the operations and options of `certificates`."""
    operations = parser.add_subparsers(dest="operation", required=True)
    for name, purpose in (
        ("init", "make the authority of a new bazaar"),
        ("issue", "issue certificates for roles: frontend, catalog, order-ID, operator, monitor"),
        ("keep", "make and issue what is missing, and issue again what expires within 30 days"),
        ("rotate", "replace the authority, in three steps: begin, issue, end"),
        ("show", "print what is there, and how long it is valid"),
    ):
        operation = operations.add_parser(name, help=purpose, description=purpose)
        operation.add_argument("folder", type=Path, help="of the authority, var/certificates")
        if name in ("issue", "keep"):
            operation.add_argument("roles", type=_role, nargs="+", metavar="role")
        if name == "issue":
            operation.add_argument(
                "--to", type=Path, metavar="FOLDER", help="put them there, with ca.crt"
            )
        if name == "keep":
            operation.add_argument(
                "--to-each",
                type=Path,
                metavar="FOLDER",
                help="give each role a folder in there, with ca.crt",
            )
        if name in ("issue", "keep", "rotate"):
            operation.add_argument("--days", type=_days, default=397.0, help="of validity (397)")
        if name == "rotate":
            operation.add_argument("step", choices=("begin", "issue", "end"))


def _role(text: str) -> Role:
    try:
        return Role.parse(text)
    except ValueError as why:
        raise ArgumentTypeError(str(why)) from None


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = 0.0
    if not 0 < days <= MAX_DAYS:
        raise ArgumentTypeError(f"must be a number of days up to {MAX_DAYS}, not {text!r:.80}")
    return days
