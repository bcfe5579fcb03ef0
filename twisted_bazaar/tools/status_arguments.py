"""The command line of `python -m twisted_bazaar status`.

Imports little: every command of `__main__` declares it.
"""

from argparse import ArgumentParser
from pathlib import Path

__all__ = ["add_arguments"]


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of `status`."""
    parser.add_argument("--url", help="of a front-end, such as http://127.0.0.1:8081")
    parser.add_argument(
        "--data",
        type=Path,
        help="folder of a bazaar on this machine, where the front-end and process ids are found "
        "(var, if it is there)",
    )
    parser.add_argument(
        "--cacert",
        metavar="FILE",
        help="certificates to trust if the front-end is reached by HTTPS (those of this system)",
    )
    parser.add_argument("--watch", action="store_true", help="again each second, until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="print what the front-end answers")
