"""`python -m twisted_bazaar`: look into the files of an order replica, or at a running service or
bazaar, and change the market."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from random import SystemRandom
from signal import SIGINT
from typing import TYPE_CHECKING, Protocol

from .errors import Unavailable, Unusable
from .runtime.exit_codes import FAILURE, SUCCESS
from .tools import (
    backup_arguments,
    certificate_arguments,
    client_arguments,
    operation_arguments,
    probe,
    status_arguments,
)

if TYPE_CHECKING:
    from .tools.engine_inspection import VerifiedPartition
    from .tools.inspection import Verified

__all__ = ["main"]


class _Run(Protocol):
    """Does what a command says, and returns its exit status; None: success."""

    __name__: str

    def __call__(self, asked: argparse.Namespace, /) -> int | None: ...


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    if sys.stdout is None:
        # It is closed: what is printed is lost, and no file may be opened in its place.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    asked = _parser().parse_args(arguments)
    try:
        status: int = asked.run(asked) or SUCCESS
        sys.stdout.flush()
    except (Unavailable, Unusable) as error:
        return _failed(asked.command, error)
    except BrokenPipeError:
        # The reader has closed the pipe.
        _end_output()
        return SUCCESS
    except KeyboardInterrupt:
        print(f"{asked.command}: interrupted", file=sys.stderr)
        return 128 + SIGINT
    except OSError as error:
        # What it prints cannot be written; or else a file failed that no tool minds.
        return _failed(asked.command, error)
    return status


def _failed(command: str, why: Exception) -> int:
    print(f"{command}: {why}", file=sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:
        _end_output()
    return FAILURE


def _end_output() -> None:
    """What is left to be printed must not fail again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m twisted_bazaar", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def add(run: _Run, purpose: str, told: str = "") -> argparse.ArgumentParser:
        """The command that is named as its function is; its description has `told`, too."""
        command = commands.add_parser(
            run.__name__.strip("_"),
            help=purpose,
            description=f"{purpose}. {told}" if told else purpose,
        )
        command.set_defaults(run=run)
        return command

    place = "the folder of a replica, such as var/order-1, or the URL of an engine, postgresql://…"
    export = add(_export, "print all orders as CSV")
    export.add_argument("place", metavar="FOLDER", help=place)
    export.add_argument("--whole", action="store_true", help="prices and keys, too")
    export.add_argument("--clients", action="store_true", help="who placed each, too")
    verify = add(_verify, "check the whole log, and print its last number and digest")
    verify.add_argument("place", metavar="FOLDER", help=f"{place}, or a backup")
    add(_health, "ask the service that BAZAAR_LISTEN and BAZAAR_ID describe whether it lives")
    backup_arguments.add_backup_arguments(
        add(_backup, "write what a replica has released to a file, while it runs or not")
    )
    backup_arguments.add_restore_arguments(
        add(_restore, "make the folders of the replicas of a new bazaar from backups")
    )
    operation_arguments.add_arguments(
        add(_market, "change the market: list stocks, change prices, halt and resume trading")
    )
    operation_arguments.add_partition_arguments(
        add(
            _partitions,
            "show the partitions of a bazaar with an engine, and move stocks and leaders",
        )
    )
    operation_arguments.add_member_arguments(
        add(_members, "show the replicas of the order log; add, remove and replace them")
    )
    status_arguments.add_arguments(
        add(
            _status,
            "show how a bazaar is",
            "Exit status 0: all is well; 1: no trade is possible, or nothing answers; 2: else.",
        )
    )
    certificate_arguments.add_arguments(
        add(
            _certificates,
            "make and issue the certificates of a bazaar, and replace its authority",
            "show ends with status 2 if something has expired, or will within 14 days.",
        )
    )
    client_arguments.add_arguments(
        add(
            _clients,
            "change the file of --clients: add a client and print its API key, remove one",
        )
    )
    return parser


# `health` runs every few seconds, and must not import what the others need.


def _export(asked: argparse.Namespace) -> None:
    if _is_engine(asked.place):
        from .tools.engine_inspection import export_engine

        export_engine(asked.place, sys.stdout, asked.whole, asked.clients)
        return
    from .tools.inspection import export

    export(Path(asked.place), sys.stdout, asked.whole, asked.clients)


def _verify(asked: argparse.Namespace) -> None:
    if _is_engine(asked.place):
        from .tools.engine_inspection import verify_engine

        for each in verify_engine(asked.place):
            _verified("partition", each.partition, each)
        return
    if asked.place.startswith("s3://") or Path(asked.place).is_file():
        from .tools.backups.checking import check

        print(f"ok: {check(asked.place)}")
        return
    from .tools.inspection import verify

    log = verify(Path(asked.place))
    _verified("replica", log.replica, log)


def _verified(what: str, which: int, log: "Verified | VerifiedPartition") -> None:
    print(
        f"ok: {what}={which} last_number={log.last_number}"
        f" last_index={log.last_index} term={log.term} digest={log.digest}"
    )


def _is_engine(place: str) -> bool:
    """Whether it is the URL of an engine. Raises `Unusable` if that needs what is not installed."""
    if not place.startswith(("postgresql://", "postgres://")):
        return False
    if find_spec("psycopg") is None:
        raise Unusable("an engine needs psycopg: pip install 'twisted-bazaar[engine]'")
    return True


def _backup(asked: argparse.Namespace) -> None:
    from .tools.backups.taking import take

    end = take(asked.folder, asked.place, asked.since, lambda: time.time_ns() // 1_000_000)
    print(f"ok: last_number={end.number} last_index={end.index} digest={end.digest}")


def _restore(asked: argparse.Namespace) -> None:
    from .tools.backups.restoring import restore

    ids = range(1, asked.replicas + 1)
    if asked.id and not asked.name:
        raise Unusable("--id needs --name, which is the same for all replicas")
    random, name = SystemRandom(), asked.name or ""
    made = restore(asked.places, asked.data, ids, asked.until, random, name, asked.id)
    print(
        f"ok: name={made.cluster} last_number={made.last_number}"
        f" last_index={made.last_index} digest={made.digest}"
    )


def _market(asked: argparse.Namespace) -> None:
    from .tools.operations import operate

    operate(asked, sys.stdout)


def _partitions(asked: argparse.Namespace) -> None:
    from .tools.partitions import operate

    operate(asked, sys.stdout, time.monotonic, time.sleep)


def _certificates(asked: argparse.Namespace) -> int:
    from .tools.certificates import run

    return run(asked, sys.stdout, time.time(), os.urandom)


def _clients(asked: argparse.Namespace) -> None:
    from .tools.clients import run

    run(asked, sys.stdout, os.urandom)


def _members(asked: argparse.Namespace) -> None:
    from .tools.members import operate

    operate(asked, sys.stdout, time.monotonic, time.sleep)


def _status(asked: argparse.Namespace) -> int:
    from .tools.status import show

    return show(asked, sys.stdout)


def _health(_: argparse.Namespace) -> None:
    print(f"ok: {probe.ask(os.environ)}")


if __name__ == "__main__":
    sys.exit(main())
