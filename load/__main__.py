"""`python -m load`: measure a bazaar, or inject faults into it and check every answer."""

import traceback
from collections.abc import Sequence
from typing import NoReturn

from .arguments import Parser
from .bench.arguments import add_bench
from .chaos.arguments import add_chaos, add_inside
from .exit_codes import BROKE_DOWN, MEANINGS
from .history.command import add_check, check_file
from .run.arguments import add_run
from .sweep.arguments import add_sweep

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Carry out one command and exit."""
    meanings = [f"{each.status} {each.text} ({', '.join(each.commands)})" for each in MEANINGS]
    parser = Parser(
        prog="python -m load",
        description=__doc__,
        epilog=f"Exit status: {'; '.join(meanings)}.",
    )
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    for add in (add_chaos, add_run, add_sweep, add_bench, add_check, add_inside):
        add(commands)
    asked = parser.parse_args(arguments)
    try:
        if asked.command == "check":
            raise SystemExit(check_file(asked.file))
        # Neither --help nor check waits for Twisted to be imported.
        from .reactor import carry_out

        carry_out(lambda reactor: asked.start(asked, reactor))
    except Exception:
        traceback.print_exc()
        raise SystemExit(BROKE_DOWN) from None


if __name__ == "__main__":
    main()
