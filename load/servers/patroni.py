"""Three real PostgreSQL servers, each with Patroni 4 beside it, over three members of etcd.

    with PatroniServers() as servers:
        url = servers.database("bazaar")
        old = servers.primary()
        servers.kill(old)
        servers.wait_primary(but=old)

Patroni is started and configured as deploy/engine does it: it fails over by itself, with
`synchronous_mode: quorum`, strictly. What is done to a machine is done to Patroni and PostgreSQL
together; members of etcd are machines of their own.

All methods block. A machine ends with the thread that has started it.
"""

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from load.errors import CannotRun, NotInTime
from twisted_bazaar.errors import Unusable
from twisted_bazaar.local.ports import Ports
from twisted_bazaar.local.postgres import server_binaries

from . import machine
from .files import ServerFiles
from .machine import descendants

__all__ = ["NUMBERS", "TTL_SECONDS", "PatroniServers", "standby_binaries"]

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
CONNECT_SECONDS = 5
POLL_SECONDS = 0.05

START_SECONDS = 60.0
TTL_SECONDS = 20
"""Patroni takes no less: how long a primary that has died with its machine keeps the lead."""
FAIL_OVER_SECONDS = TTL_SECONDS + 25.0
REQUEST_SECONDS = 3.0
NUMBERS = 1, 2, 3


class PatroniServers:
    """Machines 1, 2, 3 with a server each, and members 1, 2, 3 of etcd.

    With `disk_megabytes` each server has a disk of that size, as `ServerFiles` says. Raises
    `CannotRun` if they cannot be had here.
    """

    def __init__(self, *, disk_megabytes: int | None = None) -> None:
        self._binaries = standby_binaries()
        self._patroni = patroni_program()
        self._etcd = etcd_program()
        try:
            self._files = ServerFiles(NUMBERS, disk_megabytes)
        except Unusable as why:
            raise CannotRun(str(why)) from None
        self._ports = Ports()
        self.addresses = {n: self._ports.reserve(0) for n in NUMBERS}
        self._reports = {n: self._ports.reserve(0) for n in NUMBERS}
        """Where each Patroni says how it is."""
        self._clients = {n: self._ports.reserve(0) for n in NUMBERS}
        self._peers = {n: self._ports.reserve(0) for n in NUMBERS}
        self._machines: dict[int, subprocess.Popen[bytes]] = {}
        self._members: dict[int, subprocess.Popen[bytes]] = {}

    def start(self) -> Self:
        """Start all; each standby is in the quorum when this returns."""
        try:
            self._prepare()
            for n in NUMBERS:
                self._files.make(self._member(n))
                self.run_etcd(n)
            for n in NUMBERS:
                self.run(n)
            self.wait_primary()
            self.wait_followed(len(NUMBERS) - 1)
            # `database` makes others.
            self.sql("DROP DATABASE bazaar")
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End all, whatever they are doing, and remove their files."""
        for n in list(self._machines):
            self.kill(n)
        for n in list(self._members):
            self.kill_etcd(n)
        self._ports.release()
        self._files.remove()

    def database(self, name: str) -> str:
        """Make an empty database; the URL that names all servers."""
        self.sql(f'CREATE DATABASE "{name}" OWNER bazaar')
        return self.url(name)

    def url(self, database: str = "postgres", user: str = "bazaar") -> str:
        """Of a database, at whichever server is the primary."""
        hosts = ",".join(map(str, self.addresses.values()))
        return f"postgresql://{user}@{hosts}/{database}?connect_timeout=2"

    def sql(self, statement: str, server: int | None = None, database: str = "postgres") -> Any:
        """The rows that a server, else the primary, answers as superuser; None: it has no rows.
        Raises `psycopg.OperationalError`."""
        import psycopg

        address = self.addresses[server or self.wait_primary()]
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

    def primary(self) -> int | None:
        """The machine whose Patroni says that it has the lead; None: no one does."""
        leading = (n for n in NUMBERS if n in self._machines and self._leads(n))
        return next(leading, None)

    def wait_primary(self, but: int | None = None) -> int:
        """Wait until a machine, another than `but`, has the lead; which."""

        def other() -> int | None:
            primary = self.primary()
            return primary if primary != but else None

        return self._wait(other, "a server has the lead", FAIL_OVER_SECONDS) or 0

    def wait_followed(self, count: int, within: float = START_SECONDS) -> None:
        """Wait until `count` standbys are in the primary's quorum."""
        import psycopg

        def followed() -> bool:
            sync = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'quorum'"
            with contextlib.suppress(psycopg.OperationalError):
                return bool(self.sql(sync)[0][0] >= count)
            return False

        self._wait(followed, f"{count} standbys follow", within)

    def run(self, server: int) -> None:
        """Start a machine's Patroni, which starts PostgreSQL, or makes it anew, and follows."""
        start = self._files.folder / "start"
        ran = self._run(f"patroni-{server}", ["/bin/sh", start], self._environment(server))
        self._machines[server] = ran

    def kill(self, server: int) -> None:
        """SIGKILL for Patroni and PostgreSQL, as if the machine had lost its power."""
        end(self._machines.pop(server))

    def kill_postgres(self, server: int) -> None:
        """SIGKILL for PostgreSQL alone: its Patroni sees it, and gives the lead up."""
        pid = self._postmaster(server)
        # The first makes the others, and is not to make more.
        send([pid], signal.SIGSTOP)
        send([*descendants(pid), pid], signal.SIGKILL)

    def pause_postgres(self, server: int) -> None:
        """SIGSTOP for PostgreSQL alone, until `resume`."""
        pid = self._postmaster(server)
        send([pid, *descendants(pid)], signal.SIGSTOP)

    def pause(self, server: int) -> None:
        """SIGSTOP for Patroni and PostgreSQL: connections stay open and are silent."""
        signal_all(self._machines[server], signal.SIGSTOP)

    def resume(self, server: int) -> None:
        """SIGCONT, after `pause`. A Patroni that has lost the lead meanwhile ends PostgreSQL."""
        signal_all(self._machines[server], signal.SIGCONT)

    def hand_over(self, server: int) -> None:
        """Ask Patroni to make a standby the primary, in order, and wait until it is."""

        def handed_over() -> bool:
            primary = self.primary()
            if primary not in (None, server):
                # Patroni refuses, and says no, until it has seen that the standby has everything.
                body = {"leader": f"n{primary}", "candidate": f"n{server}"}
                self._request(primary, "POST", "/switchover", body)
            return self.primary() == server

        self._wait(handed_over, f"server {server} leads", FAIL_OVER_SECONDS)

    def fill(self, server: int) -> None:
        """Leave no room on its disk."""
        self._files.fill(server)

    def empty(self, server: int) -> None:
        """Make room again; Patroni starts a server that has ended meanwhile."""
        self._files.empty(server)

    def run_etcd(self, member: int) -> None:
        """Start a member of etcd with the files that it has, if any."""
        client, peer = self._clients[member], self._peers[member]
        cluster = ",".join(f"e{n}=http://{each}" for n, each in self._peers.items())
        command: list[str | Path] = [
            self._etcd, f"--name=e{member}", f"--data-dir={self._member(member)}",
            f"--listen-client-urls=http://{client}", f"--advertise-client-urls=http://{client}",
            f"--listen-peer-urls=http://{peer}", f"--initial-advertise-peer-urls=http://{peer}",
            f"--initial-cluster={cluster}", "--log-level=error",
        ]  # fmt: skip
        self._members[member] = self._run(f"etcd-{member}", command)

    def kill_etcd(self, member: int) -> None:
        """SIGKILL. It keeps its files, and `run_etcd` starts it again."""
        end(self._members.pop(member))

    def pause_etcd(self, member: int) -> None:
        signal_all(self._members[member], signal.SIGSTOP)

    def resume_etcd(self, member: int) -> None:
        signal_all(self._members[member], signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(
        self, name: str, command: list[str | Path], environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        with (self._files.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                # It ends with its machine, which ends with this process.
                [sys.executable, "-IS", machine.__file__, self._files.account, *command],
                cwd="/",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _member(self, member: int) -> Path:
        return self._files.folder / f"e{member}"

    def _postmaster(self, server: int) -> int:
        """Its process id. Raises `CannotRun` if it does not run."""
        try:
            lines = (self._files.of(server) / "server" / "postmaster.pid").read_text()
        except OSError:
            raise CannotRun(f"the PostgreSQL of machine {server} does not run") from None
        return int(lines.split()[0])

    def _leads(self, server: int) -> bool:
        try:
            return self._request(server, "GET", "/primary")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def _request(self, server: int, method: str, path: str, body: object = None) -> tuple[int, str]:
        at = self._reports[server]
        connection = http.client.HTTPConnection(at.host, at.port, timeout=REQUEST_SECONDS)
        if method == "POST":
            connection.timeout = FAIL_OVER_SECONDS
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def _prepare(self) -> None:
        """The files of deploy/engine, where the servers' user can read them; no password."""
        for each in ("patroni.yml", "start", "create"):
            text = (ROOT / "deploy" / "engine" / each).read_text()
            path = self._files.folder / each
            path.write_text(text.replace("all scram-sha-256", "all trust"))
            path.chmod(0o755)
        password = self._files.folder / "password"
        password.write_text("*:*:*:bazaar:not asked for\n")
        password.chmod(0o644)

    def _environment(self, server: int) -> dict[str, str]:
        """What deploy/engine/start wants to know."""
        path = f"{self._patroni.parent}:{self._binaries}:{os.environ['PATH']}"
        return {
            "PATH": path,
            "NAME": f"n{server}",
            "HOST": HOST,
            "LISTEN": HOST,
            "PORT": str(self.addresses[server].port),
            "REPORT_PORT": str(self._reports[server].port),
            "ETCD": ",".join(map(str, self._clients.values())),
            "DATA": str(self._files.of(server)),
            "RUN": str(self._files.of(server)),
            "HERE": str(self._files.folder),
            "BIN": str(self._binaries),
            "PGPASSFILE": str(self._files.folder / "password"),
        }

    def _wait(self, happened: Callable[[], T], what: str, within: float) -> T:
        """Poll until `happened()` is true, and return that. Raises `NotInTime`."""
        give_up = time.monotonic() + within
        while not (result := happened()):
            if time.monotonic() > give_up:
                raise NotInTime(f"{what}: not within {within:g} s\n{self._tails()}")
            time.sleep(POLL_SECONDS)
        return result

    def _tails(self) -> str:
        logs = sorted(self._files.folder.glob("*.log"))
        return "\n".join(
            f"{log.name}: {line}"
            for log in logs
            for line in log.read_text(errors="replace").splitlines()[-3:]
        )


def end(process: subprocess.Popen[bytes]) -> None:
    """End a machine, and all that runs on it, at once."""
    # What is stopped first cannot answer the death of another.
    signal_all(process, signal.SIGSTOP)
    signal_all(process, signal.SIGKILL)
    process.terminate()
    process.wait()


def signal_all(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    send(descendants(process.pid), number)


def send(pids: Sequence[int], number: signal.Signals) -> None:
    """Send a signal to those that still run."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def standby_binaries() -> Path:
    """The folder of PostgreSQL's programs. Raises `CannotRun` if those are missing that make a
    standby."""
    binaries = server_binaries()
    if binaries is None:
        raise CannotRun("PostgreSQL is not installed: Debian has it as the package postgresql")
    if not (binaries / "pg_basebackup").exists():
        raise CannotRun(f"{binaries} lacks pg_basebackup, which makes standbys")
    return binaries


def patroni_program() -> Path:
    """The program. Raises `CannotRun` if it is not there."""
    beside = Path(sys.executable).with_name("patroni")
    for found in (ROOT / ".patroni" / "bin" / "patroni", beside, shutil.which("patroni")):
        if found and Path(found).exists():
            return Path(found)
    raise CannotRun("Patroni is not installed: `make test-tools` does it")


def etcd_program() -> Path:
    """The program. Raises `CannotRun` if it is not there."""
    found = shutil.which("etcd")
    if found is None:
        raise CannotRun("etcd is not installed: Debian has it as the package etcd-server")
    return Path(found)
