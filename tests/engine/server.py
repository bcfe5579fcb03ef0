"""One server of PostgreSQL, for as long as a module's tests run. Its commits are not safe from a
crash of the machine: nothing here is about that."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import psycopg
import pytest

from load.bench.postgres import postgres_binaries

__all__ = ["PostgresServer"]

SETTINGS = {
    "listen_addresses": "", "fsync": "off", "shared_buffers": "32MB", "max_connections": "60",
    "log_min_messages": "warning", "autovacuum": "off", "wal_level": "replica",
}  # fmt: skip
NOBODY = "ANY 1 (nobody)"
"""Standbys that are not there: a commit waits for one for ever."""
START_SECONDS = 30.0


class PostgresServer:
    def __init__(self) -> None:
        binaries = postgres_binaries()
        if binaries is None:
            pytest.skip("no PostgreSQL is installed")
        # Not what TMPDIR names: another user than root must reach it.
        self._folder = Path(tempfile.mkdtemp(prefix="bazaar-postgres-", dir="/tmp"))
        self._user = None if os.geteuid() else pwd.getpwnam("nobody").pw_uid
        if self._user is not None:
            os.chown(self._folder, self._user, -1)
        data = self._folder / "data"
        self._run(binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync",
                  "--encoding=UTF8", "--locale=C")  # fmt: skip
        settings = [f"-c{name}={value}" for name, value in SETTINGS.items()]
        self._process = subprocess.Popen(
            [binaries / "postgres", "-D", data, "-k", self._folder, *settings],
            user=self._user,
            stderr=(self._folder / "log").open("wb"),
        )
        self._wait()
        self._admin = psycopg.connect(self.url(), autocommit=True)
        self._admin.execute("CREATE TABLE probe (n int)")

    def _run(self, *command: str | Path) -> None:
        subprocess.run(command, check=True, user=self._user, capture_output=True)

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.url()).close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, (self._folder / "log").read_text()
                time.sleep(0.02)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={self._folder}"

    def execute(self, sql: str) -> list[tuple[object, ...]]:
        cursor = self._admin.execute(sql)  # type: ignore[call-overload]
        return cursor.fetchall() if cursor.description else []

    def database(self, name: str) -> str:
        """Make a database, and return its URL."""
        self.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    @contextmanager
    def not_replicated(self, cancel: bool) -> Iterator[None]:
        """Meanwhile commits wait for a standby that is not there. `cancel`: not for long."""
        with self._canceller():
            self._require(f"'{NOBODY}'")
            self._until(is_certain=False)
            if cancel:
                yield
        if not cancel:
            yield
        self._require("DEFAULT")
        self._until(is_certain=True)

    @contextmanager
    def set(self, name: str, value: str) -> Iterator[None]:
        """Meanwhile all sessions have this setting."""
        self.execute(f"ALTER SYSTEM SET {name} = {value}")
        self._reload(name, value)
        yield
        with psycopg.connect(self.url(), autocommit=True) as session:
            session.execute(f"SET {name} = DEFAULT")
            session.execute("SET default_transaction_read_only = off")
            session.execute(f"ALTER SYSTEM RESET {name}")
        self._reload(name, "off")

    def _reload(self, name: str, value: str) -> None:
        self.execute("SELECT pg_reload_conf()")
        while self.execute(f"SHOW {name}") != [(value,)]:
            time.sleep(0.005)

    def _require(self, standbys: str) -> None:
        self.execute(f"ALTER SYSTEM SET synchronous_standby_names = {standbys}")
        self.execute("SELECT pg_reload_conf()")

    def _until(self, is_certain: bool) -> None:
        """Commit until commits wait, or do not."""
        with psycopg.connect(self.url(), autocommit=True) as probe:
            while True:
                notices: list[str | None] = []
                probe.add_notice_handler(lambda notice, to=notices: to.append(notice.sqlstate))
                probe.execute("INSERT INTO probe VALUES (1)")
                if is_certain is not ("01000" in notices):
                    return

    @contextmanager
    def _canceller(self) -> Iterator[None]:
        """Meanwhile the server gives up each wait for replication."""
        done = Event()

        def cancel() -> None:
            with psycopg.connect(self.url(), autocommit=True) as session:
                while not done.wait(0.005):
                    session.execute(
                        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
                        " WHERE wait_event = 'SyncRep'"
                    )

        thread = Thread(target=cancel)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def stop(self) -> None:
        self._admin.close()
        self._process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
