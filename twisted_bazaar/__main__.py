"""`python -m twisted_bazaar`: look into the files of an order replica, or at a running service."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .errors import Unusable
from .runtime.exit_codes import FAILURE, SUCCESS
from .tools import probe

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command and return the exit status: 0, or 1 if the files are no good."""
    parser = argparse.ArgumentParser(prog="python -m twisted_bazaar", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, purpose in (
        ("export", "print all orders as CSV"),
        ("verify", "check the whole log, and print its last number and digest"),
    ):
        command = commands.add_parser(name, help=purpose, description=purpose)
        command.add_argument("folder", type=Path, help="of a replica, such as var/order-1")
    purpose = "ask the service that BAZAAR_LISTEN and BAZAAR_ID describe whether it lives"
    commands.add_parser("health", help=purpose, description=purpose)
    asked = parser.parse_args(arguments)
    try:
        if asked.command == "health":
            print(f"ok: {probe.ask(os.environ)}")
        else:
            _inspect(asked.command, asked.folder)
        sys.stdout.flush()
    except Unusable as error:
        print(f"{asked.command}: {error}", file=sys.stderr)
        return FAILURE
    except BrokenPipeError:
        # Whoever reads us has seen enough. What is left must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return SUCCESS


def _inspect(command: str, folder: Path) -> None:
    # Who asks for health does so every few seconds, and need not import this.
    from .tools.inspection import export, verify

    if command == "export":
        export(folder, sys.stdout)
        return
    sound = verify(folder)
    print(
        f"ok: replica={sound.replica} last_number={sound.last_number}"
        f" last_index={sound.last_index} term={sound.term} digest={sound.digest}"
    )


if __name__ == "__main__":
    sys.exit(main())
