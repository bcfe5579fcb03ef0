"""Three PostgreSQL servers on loopback: a commit is on two of their disks, as after each `fsync`.

Nothing here fails over: they serve a bench, in a folder of their own. Methods block.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psycopg

from load.errors import CannotRun, NotInTime
from twisted_bazaar.local.command_lines import ending_with
from twisted_bazaar.local.ports import Ports
from twisted_bazaar.local.postgres import account_for, server_binaries

__all__ = ["Quorum", "seconds_of_tree"]

HOST = "127.0.0.1"
START_SECONDS = 60.0
POLL_SECONDS = 0.1
TICKS = os.sysconf("SC_CLK_TCK")
"""The clock ticks a second in /proc."""

CONFIGURATION = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "400",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "wal_level": "replica",
    "log_min_messages": "warning",
}


class Quorum:
    """Servers 1 … `count`, the first of which takes writes."""

    def __init__(self, count: int = 3) -> None:
        """Raises `CannotRun` if PostgreSQL is not installed."""
        binaries = server_binaries()
        if binaries is None or not (binaries / "pg_basebackup").exists():
            raise CannotRun("PostgreSQL is not installed: Debian has it as the package postgresql")
        self._binaries = binaries
        self._numbers = range(1, count + 1)
        # The folder that TMPDIR names may be closed to the servers' user.
        self._folder = Path(tempfile.mkdtemp(prefix="bazaar-postgres-", dir="/tmp"))
        self._folder.chmod(0o711)
        self._account = account_for(self._folder / "servers")
        self._ports = Ports()
        self.addresses = {n: self._ports.reserve(0) for n in self._numbers}
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start all; the standbys are in the quorum when this returns. Raises `CannotRun`."""
        self._make(self._data(1))
        self._program("initdb", "-D", str(self._data(1)), "-U", "postgres", "-A", "trust",
                      "--encoding=UTF8", "--locale=C", "--no-sync")  # fmt: skip
        with self._data(1).joinpath("pg_hba.conf").open("a") as allowed:
            allowed.write(f"host replication all {HOST}/32 trust\n")
        self._run(1)
        # No standby could confirm it yet.
        self._sql("SET LOCAL synchronous_commit = local; CREATE ROLE bazaar LOGIN CREATEROLE")
        first = self.addresses[1]
        for n in self._numbers[1:]:
            self._make(self._data(n))
            self._program("pg_basebackup", "-D", str(self._data(n)), "-h", first.host,
                          "-p", str(first.port), "-U", "postgres", "-c", "fast")  # fmt: skip
            (self._data(n) / "standby.signal").touch()
            self._run(n)
        self._wait(self._followed, "the standbys follow")

    def stop(self) -> None:
        """Kill all, and remove their files."""
        for process in self._processes.values():
            process.send_signal(signal.SIGQUIT)
            process.wait()
        self._ports.release()
        shutil.rmtree(self._folder, ignore_errors=True)

    def database(self, name: str) -> str:
        """Make an empty database, and return the URL that names all servers."""
        self._sql(f'CREATE DATABASE "{name}" OWNER bazaar')
        hosts = ",".join(map(str, self.addresses.values()))
        return f"postgresql://bazaar@{hosts}/{name}?connect_timeout=2"

    def batches(self, database: str) -> tuple[int, int]:
        """How many batches the log in `database` has, and how many orders."""
        counts = "SELECT count(*) FROM bazaar.batches", "SELECT count(*) FROM bazaar.orders"
        batches, orders = (self._sql(each, database)[0][0] for each in counts)
        return batches, orders

    def cpu_seconds(self) -> Mapping[str, float]:
        """The CPU time that each server has used, all of its processes together."""
        names = ["primary", *(f"standby-{n - 1}" for n in self._numbers[1:])]
        return {
            name: seconds_of_tree(self._processes[n].pid)
            for name, n in zip(names, self._numbers, strict=True)
        }

    def _followed(self) -> bool:
        count = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
        return bool(self._sql(count)[0][0] == len(self._numbers) - 1)

    def _sql(self, statement: str, database: str = "postgres") -> Sequence[tuple[int, ...]]:
        first = self.addresses[1]
        with psycopg.connect(
            host=first.host, port=first.port, user="postgres", dbname=database, autocommit=True
        ) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else ()

    def _run(self, number: int) -> None:
        self._configure(number)
        command = [str(self._binaries / "postgres"), "-D", str(self._data(number))]
        with self._log(number).open("ab") as log:
            self._processes[number] = subprocess.Popen(
                ending_with(os.getpid(), command, self._account),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait(lambda: self._answers(number), f"server {number} answers")

    def _configure(self, number: int) -> None:
        first, own = self.addresses[1], self.addresses[number]
        given = {**CONFIGURATION, "port": own.port, "cluster_name": f"n{number}"}
        if number == 1 and len(self._numbers) > 1:
            standbys = ", ".join(f"n{n}" for n in self._numbers[1:])
            given["synchronous_standby_names"] = f"ANY 1 ({standbys})"
        if number > 1:
            given["primary_conninfo"] = (
                f"host={first.host} port={first.port} user=postgres application_name=n{number}"
            )
            given["synchronous_standby_names"] = ""
        text = "".join(f"{name} = '{value}'\n" for name, value in given.items())
        # The last of several counts, and this file is the last.
        (self._data(number) / "postgresql.auto.conf").write_text(text)

    def _answers(self, number: int) -> bool:
        if self._processes[number].poll() is not None:
            said = self._log(number).read_text(errors="replace").strip().splitlines()
            raise CannotRun(f"server {number} has ended: {(said or ['it said nothing'])[-1]}")
        address = self.addresses[number]
        with suppress(psycopg.OperationalError):
            psycopg.connect(
                host=address.host, port=address.port, user="postgres", dbname="postgres"
            ).close()
            return True
        return False

    def _wait(self, happened: Callable[[], bool], what: str) -> None:
        give_up = time.monotonic() + START_SECONDS
        while not happened():
            if time.monotonic() > give_up:
                raise NotInTime(f"{what}: not within {START_SECONDS:g} s")
            time.sleep(POLL_SECONDS)

    def _program(self, name: str, *arguments: str) -> None:
        command = [str(self._binaries / name), *arguments]
        ran = subprocess.run(
            ending_with(os.getpid(), command, self._account),
            cwd="/",
            capture_output=True,
            text=True,
        )
        if ran.returncode:
            said = ran.stderr.strip().splitlines() or [""]
            raise CannotRun(f"{name} ended with status {ran.returncode}: {said[-1]}")

    def _make(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        user, _, group = self._account.partition(":")
        if user:
            os.chown(folder, int(user), int(group))

    def _data(self, number: int) -> Path:
        return self._folder / f"n{number}"

    def _log(self, number: int) -> Path:
        return self._folder / f"n{number}.log"


def seconds_of_tree(pid: int) -> float:
    """The CPU time of a process, of its children, and of those that have ended. Linux only."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(path.parent.name) == pid:
                # Those that ended are in the last two.
                ticks += sum(map(int, fields[11:15]))
            elif int(fields[1]) == pid:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS
