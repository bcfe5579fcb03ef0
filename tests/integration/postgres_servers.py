"""Three real PostgreSQL servers with a quorum: a commit is on two disks of three.

    with PostgresServers() as servers:
        url = servers.database("bazaar")
        servers.kill(servers.primary)
        servers.fail_over()

A test that cannot have them is skipped with a line that says why. What a test does to a server it
does to all of its processes, as if to the machine.
"""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest

from load.errors import CannotRun
from load.servers.patroni import standby_binaries
from twisted_bazaar.local.ports import Ports

from .server_files import ServerFiles
from .waiting import is_alive, wait_until

__all__ = ["PostgresServers", "processes_of"]

START_SECONDS = 30.0
CONNECT_SECONDS = 5
HOST = "127.0.0.1"

CONFIGURATION = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "shared_buffers": "64MB",
    "max_connections": "200",
    "wal_level": "replica",
    "max_wal_size": "1GB",
    "wal_compression": "on",
    "synchronous_commit": "on",
    "hot_standby": "on",
    "wal_log_hints": "on",
    "wal_receiver_timeout": "2s",
    "wal_sender_timeout": "2s",
    "wal_retrieve_retry_interval": "200ms",
    "tcp_user_timeout": "2s",
    "restart_after_crash": "off",
    "recovery_init_sync_method": "syncfs",
    "log_min_messages": "warning",
}


class PostgresServers:
    """Servers 1, 2 … `count`; the first is the primary at the start.

    Their files are in a folder of their own, which goes with them. With `disk_megabytes` each has a
    disk of that size, which `fill` fills; it is memory, so it needs root, and measures nothing.
    """

    def __init__(self, count: int = 3, *, disk_megabytes: int | None = None) -> None:
        self._binaries = binaries_or_skip()
        self._numbers = range(1, count + 1)
        self._files = ServerFiles(self._numbers, disk_megabytes)
        self._ports = Ports()
        self.addresses = {n: self._ports.reserve(0) for n in self._numbers}
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self.primary = 1
        """The server that takes writes, as far as these tests had to do with it."""

    def start(self) -> Self:
        """Start all; the standbys are in the quorum when this returns."""
        try:
            self._run("initdb", "-D", self._files.of(1), "-U", "postgres", "-A", "trust",
                      "--encoding=UTF8", "--locale=C", "--no-sync", "-k")  # fmt: skip
            with self._files.of(1).joinpath("pg_hba.conf").open("a") as allowed:
                allowed.write(f"host replication all {HOST}/32 trust\n")
            self._configure(1)
            self.run(1)
            # No standby could confirm it yet.
            role = "CREATE ROLE bazaar LOGIN CREATEROLE CREATEDB"
            self.sql(f"SET LOCAL synchronous_commit = local; {role}")
            for n in self._numbers[1:]:
                self.join(n)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End all, whatever they are doing, and remove their files."""
        for n in list(self._processes):
            self.kill(n)
        self._ports.release()
        self._files.remove()

    def database(self, name: str) -> str:
        """Make an empty database; the URL that names all servers."""
        self.sql(f'CREATE DATABASE "{name}" OWNER bazaar')
        return self.url(name)

    def url(self, database: str = "postgres", user: str = "bazaar") -> str:
        """Of a database, at whichever server is the primary."""
        hosts = ",".join(map(str, self.addresses.values()))
        # A server that hangs is to hold up no more than this.
        return f"postgresql://{user}@{hosts}/{database}?connect_timeout=2"

    def sql(self, statement: str, server: int | None = None, database: str = "postgres") -> Any:
        """The rows that a server, else the primary, answers as superuser; None: it has no rows."""
        address = self.addresses[server or self.primary]
        with psycopg.connect(
            host=address.host,
            port=address.port,
            user="postgres",
            dbname=database,
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
        ) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else None

    # What a machine may do.

    def run(self, server: int) -> None:
        """Start a server that does not run, with the files that it has."""
        log = (self._files.folder / f"{server}.log").open("ab")
        with log:
            self._processes[server] = subprocess.Popen(
                self._files.as_its_user(
                    [self._binaries / "postgres", "-D", self._files.of(server)]
                ),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait(lambda: self._answers(server), f"server {server} answers", server)

    def kill(self, server: int) -> None:
        """SIGKILL. It keeps its files, and `run` starts it again."""
        process = self._processes.pop(server, None)
        if process is None:
            return
        # The first makes the others, and is not to make more.
        process.send_signal(signal.SIGSTOP)
        for pid in [process.pid, *processes_of(process.pid)]:
            signal_if_alive(pid, signal.SIGKILL)
        process.wait()

    def pause(self, server: int) -> None:
        """SIGSTOP: connections stay open and are silent."""
        process = self._processes[server]
        process.send_signal(signal.SIGSTOP)
        for pid in processes_of(process.pid):
            signal_if_alive(pid, signal.SIGSTOP)

    def resume(self, server: int) -> None:
        """SIGCONT, after `pause`."""
        process = self._processes[server]
        for pid in [*processes_of(process.pid), process.pid]:
            signal_if_alive(pid, signal.SIGCONT)

    def is_running(self, server: int) -> bool:
        process = self._processes.get(server)
        return process is not None and process.poll() is None

    def fill(self, server: int) -> None:
        """Leave no room on its disk."""
        self._files.fill(server)

    def empty(self, server: int) -> None:
        """Make room again. A server that has ended meanwhile stays down until `run`."""
        self._files.empty(server)

    # What an operator, or Patroni, may do.

    def promote(self, server: int) -> None:
        """Make a standby a primary, whatever the others do. The other standbys follow it."""
        self.sql("SELECT pg_promote(true, 20)", server)
        self.primary = server

    def fail_over(self) -> int:
        """End the primary for good, promote a standby that has all that was acknowledged, and wait
        until it has a quorum. Returns the new primary."""
        old = self.primary
        self.kill(old)
        standbys = [n for n in self._numbers if n != old and self.is_running(n)]
        # Each alone may lack what the other acknowledged.
        assert len(standbys) == len(self._numbers) - 1, f"only {standbys} are left of the standbys"
        received = {n: self._received(n) for n in standbys}
        self.promote(max(standbys, key=received.__getitem__))
        if len(standbys) > 1:
            self.wait_followed(1)
        return self.primary

    def join(self, server: int) -> None:
        """Make a server that does not run a standby, with a fresh copy of the primary's files."""
        shutil.rmtree(self._files.of(server), ignore_errors=True)
        self._files.make(self._files.of(server))
        primary = self.addresses[self.primary]
        self._run("pg_basebackup", "-D", self._files.of(server), "-h", primary.host, "-p",
                  str(primary.port), "-U", "postgres", "-c", "fast", "-X", "stream")  # fmt: skip
        self._configure(server)
        (self._files.of(server) / "standby.signal").touch()
        self.run(server)
        followers = sum(self.is_running(n) for n in self._numbers if n != self.primary)
        self.wait_followed(followers)

    def wait_followed(self, count: int) -> None:
        """Wait until `count` standbys stream from the primary and are in its quorum."""

        def followed() -> bool:
            sync = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'quorum'"
            return bool(self.sql(sync)[0][0] >= count)

        self._wait(followed, f"{count} standbys follow server {self.primary}", self.primary)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _received(self, server: int) -> int:
        """How much of the primary's log it has: bytes."""
        position = "SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')"
        return int(self.sql(position, server)[0][0] or 0)

    def _configure(self, server: int) -> None:
        hosts = ",".join(each.host for each in self.addresses.values())
        ports = ",".join(str(each.port) for each in self.addresses.values())
        given = {**CONFIGURATION, "port": self.addresses[server].port, "cluster_name": f"n{server}"}
        if len(self._numbers) > 1:
            names = ", ".join(f"n{n}" for n in self._numbers)
            given["synchronous_standby_names"] = f"ANY 1 ({names})"
            # So a standby finds the next primary by itself.
            given["primary_conninfo"] = (
                f"host={hosts} port={ports} user=postgres application_name=n{server} "
                "connect_timeout=2 target_session_attrs=read-write"
            )
        text = "".join(f"{name} = '{value}'\n" for name, value in given.items())
        # The last of several counts, and this file is the last.
        (self._files.of(server) / "postgresql.auto.conf").write_text(text)

    def _run(self, program: str, *arguments: str | Path) -> None:
        ran = subprocess.run(
            self._files.as_its_user([self._binaries / program, *arguments]),
            cwd="/",
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, f"{program}: {ran.stderr}"

    def _answers(self, server: int) -> bool:
        assert self.is_running(server), f"server {server} has ended\n{self._tail(server)}"
        try:
            self.sql("SELECT 1", server)
        except psycopg.OperationalError:
            return False
        return True

    def _wait(self, happened: Any, what: str, server: int) -> None:
        wait_until(happened, what, START_SECONDS, lambda: self._tail(server))

    def _tail(self, server: int) -> str:
        log = self._files.folder / f"{server}.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-20:]) if log.exists() else ""


def binaries_or_skip() -> Path:
    """The folder of the servers' programs; skips the test where there are none."""
    try:
        return standby_binaries()
    except CannotRun as why:
        pytest.skip(str(why))


def processes_of(parent: int) -> list[int]:
    """The children of a process, by Linux's /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(stat.parent.name))
    return found


def signal_if_alive(pid: int, number: signal.Signals) -> None:
    if is_alive(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


@pytest.fixture(scope="module")
def servers() -> Iterator[PostgresServers]:
    """Three servers for all tests of a module."""
    with PostgresServers() as running:
        yield running


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServers]:
    """One server for all tests of a module, for what needs no quorum."""
    with PostgresServers(1) as running:
        yield running
