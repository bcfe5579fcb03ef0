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
from typing import TYPE_CHECKING

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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    asked = _parser().parse_args(arguments)
    try:
        status: int = asked.run(asked) or SUCCESS
        sys.stdout.flush()
    except (Unavailable, Unusable) as error:
        print(f"{asked.command}: {error}", file=sys.stderr)
        return FAILURE
    except BrokenPipeError:
        # The reader has closed the pipe. What is left must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SUCCESS
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m twisted_bazaar", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for run, purpose in (
        (_export, "print all orders as CSV"),
        (_verify, "check the whole log, and print its last number and digest"),
        (_health, "ask the service that BAZAAR_LISTEN and BAZAAR_ID describe whether it lives"),
    ):
        name = run.__name__.strip("_")
        command = commands.add_parser(name, help=purpose, description=purpose)
        command.set_defaults(run=run)
        if run is not _health:
            place = "the folder of a replica, such as var/order-1, or the URL of an engine"
            place += ", postgresql://…" if run is _export else ", postgresql://…, or a backup"
            command.add_argument("place", metavar="FOLDER", help=place)
        if run is _export:
            command.add_argument("--whole", action="store_true", help="prices and keys, too")
            command.add_argument("--clients", action="store_true", help="who placed each, too")
    purpose = "write what a replica has released to a file, while it runs or not"
    backup = commands.add_parser("backup", help=purpose, description=purpose)
    backup.set_defaults(run=_backup)
    backup_arguments.add_backup_arguments(backup)
    purpose = "make the folders of the replicas of a new bazaar from backups"
    restore = commands.add_parser("restore", help=purpose, description=purpose)
    restore.set_defaults(run=_restore)
    backup_arguments.add_restore_arguments(restore)
    purpose = "change the market: list stocks, change prices, halt and resume trading"
    market = commands.add_parser("market", help=purpose, description=purpose)
    market.set_defaults(run=_market)
    operation_arguments.add_arguments(market)
    purpose = "show the partitions of a bazaar with an engine, and move stocks and leaders"
    partitions = commands.add_parser("partitions", help=purpose, description=purpose)
    partitions.set_defaults(run=_partitions)
    operation_arguments.add_partition_arguments(partitions)
    purpose = "show the replicas of the order log; add, remove and replace them"
    members = commands.add_parser("members", help=purpose, description=purpose)
    members.set_defaults(run=_members)
    operation_arguments.add_member_arguments(members)
    purpose = "show how a bazaar is"
    told = "Exit status 0: all is well; 1: no trade is possible, or no front-end answers; 2: else."
    status = commands.add_parser("status", help=purpose, description=f"{purpose}. {told}")
    status.set_defaults(run=_status)
    status_arguments.add_arguments(status)
    purpose = "make and issue the certificates of a bazaar, and replace its authority"
    told = "show ends with status 2 if something has expired, or will within 14 days."
    certificates = commands.add_parser(
        "certificates", help=purpose, description=f"{purpose}. {told}"
    )
    certificates.set_defaults(run=_certificates)
    certificate_arguments.add_arguments(certificates)
    purpose = "change the file of --clients: add a client and print its API key, remove one"
    clients = commands.add_parser("clients", help=purpose, description=purpose)
    clients.set_defaults(run=_clients)
    client_arguments.add_arguments(clients)
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
