"""A connection to PostgreSQL, with an end to calls that a silent server would never answer.

libpq blocks its thread until the server has answered, or the socket is closed. So another thread
may `cut` a session: that shuts its socket down.
"""

import os
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import NoReturn

import msgspec
from psycopg import pq
from psycopg.pq.abc import PGconn, PGresult

from .servers import Connecting, Servers, one_line
from .shared_log import EngineError, Unknown
from .statement import Statement, Value

__all__ = ["Failed", "Named", "Row", "Session"]

Row = Sequence[bytes | None]
"""The columns of a row, in PostgreSQL's text form."""

_OK = pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK
_UNCERTAIN = re.compile("01000|57P01")
"""SQLSTATEs of a warning: the commit is on this server, and may be on no other."""
_COMPLETION_UNKNOWN = "40003"
_OF_THE_SESSION = "25006", "26000", "0A000"
"""SQLSTATEs that another connection may not meet: the server became read-only; a statement that was
prepared is not there; its plan does not fit a table that was migrated."""


class Failed(EngineError):
    """The server says that it has not done a statement, and the connection is as before."""

    def __init__(self, sqlstate: str, message: str, constraint: str) -> None:
        super().__init__(f"{message} (SQLSTATE {sqlstate})")
        self.sqlstate = sqlstate
        self.constraint = constraint
        """The name of the constraint that it would break, or empty."""


class Named(msgspec.Struct, frozen=True):
    """What tells a database from others."""

    sql: str
    """A statement that returns one text."""
    name: str
    """What it must return, or the database is not used: it was made anew, or one of the servers has
    another."""


class Session:
    """A connection that is opened when it is used, and again after it was lost. All calls on one
    thread at a time, but for `cut` and `close`."""

    def __init__(self, servers: Servers, begin: Sequence[str], named: Named | None = None) -> None:
        """Each connection begins with the SQL `begin`. `named`: see there."""
        self.named = named
        self._servers = servers
        self._begin = begin
        self._connection: PGconn | None = None
        self._at = 0
        self._cuts = 0
        """How often sessions had been cut from its server when this one connected."""
        self._prepared: set[bytes] = set()
        self._doubts: list[str] = []
        """Warnings that what was committed is perhaps on one server only."""
        self._lock = threading.Lock()
        """Held while the socket is closed, and while another thread shuts it down."""
        self._connecting: Connecting | None = None
        self._is_cut = False
        self._is_busy = False
        self._is_pinned = False
        self._is_closed = False

    def run(self, statement: Statement, **values: Value) -> Sequence[Row]:
        """Execute a statement in a transaction of its own, and return its rows.

        Raises `Failed` if it certainly was not executed, and `Unknown`.
        """
        with self._under_way() as connection:
            if statement.name not in self._prepared:
                self._checked(connection.prepare(statement.name, statement.sql))
                self._prepared.add(statement.name)
            return self._rows(connection.exec_prepared(statement.name, statement.arguments(values)))

    def run_once(self, statement: Statement, **values: Value) -> Sequence[Row]:
        """As `run`, for a statement that is seldom made: it is planned for its parameters."""
        with self._under_way() as connection:
            return self._rows(connection.exec_params(statement.sql, statement.arguments(values)))

    def run_script(self, sql: str) -> Sequence[Row]:
        """Execute statements, and return the rows of the last."""
        with self._under_way() as connection:
            return self._rows(connection.exec_(sql.encode()))

    @contextmanager
    def one_connection(self) -> Iterator[None]:
        """Meanwhile all is asked of one server: if the connection is lost, calls raise `Unknown`
        rather than go on with another."""
        before = self._is_pinned
        with self._under_way():
            self._is_pinned = True
        try:
            yield
        finally:
            self._is_pinned = before

    @contextmanager
    def _under_way(self) -> Iterator[PGconn]:
        with self._lock:
            self._is_busy = True
        try:
            yield self._open()
        finally:
            with self._lock:
                self._is_busy = False

    def cut(self) -> None:
        """End the call under way, or the next one. On any thread."""
        with self._lock:
            self._is_cut = True
            if self._connecting is not None:
                self._connecting.cut()
            elif self._connection is not None:
                with suppress(OSError), socket.socket(
                    fileno=os.dup(self._connection.socket)
                ) as twin:  # fmt: skip
                    twin.shutdown(socket.SHUT_RDWR)

    def drop(self) -> None:
        """Close the connection; the next call opens another. On any thread: a call under way is
        cut, and closes it."""
        with self._lock:
            if not self._is_busy:
                self._finish()
                return
        self.cut()

    def _finish(self) -> None:
        self._is_cut = False
        connection, self._connection = self._connection, None
        self._prepared.clear()
        self._doubts.clear()
        if connection is not None:
            connection.finish()

    def close(self) -> None:
        """Cut the call under way, and take no more. On any thread."""
        self._is_closed = True
        self.cut()

    def _open(self) -> PGconn:
        if self._is_closed:
            with self._lock:
                self._finish()
            raise Unknown("closed")
        if self._is_cut:
            self._broken("cut")
        is_doubted = self._connection is not None and self._cuts != self._servers.cuts(self._at)
        if is_doubted and not self._is_pinned:
            # Another session was cut from this server. It may be silent to this one as well, or
            # answer though it has lost its place.
            with self._lock:
                self._finish()
        if self._connection is None:
            if self._is_pinned:
                raise Unknown("the connection was lost")
            self._connect()
        assert self._connection is not None
        return self._connection

    def _connect(self) -> None:
        with self._lock:
            self._connecting = connecting = Connecting()
        connection: PGconn | None = None
        try:
            connection, self._at = self._servers.connect(connecting)
            self._cuts = self._servers.cuts(self._at)
        finally:
            with self._lock:
                self._connecting, self._connection = None, connection
                is_cut = self._is_cut
                self._is_cut = is_cut and connection is not None
        if is_cut or connection is None:
            self._broken("cut while it was connecting")
        # It must not hold this session: one that is not used any more is closed with its last use.
        connection.notice_handler = partial(_noticed, self._doubts)
        try:
            for sql in self._begin:
                self._rows(connection.exec_(sql.encode()))
            named = self.named
            is_other = named is not None and self._rows(connection.exec_(named.sql.encode())) != [
                [named.name.encode()]
            ]
        except Failed as failed:
            self._broken(str(failed))
        if is_other:
            self._broken("its database holds another bazaar than before")

    def _rows(self, result: PGresult) -> Sequence[Row]:
        self._checked(result)
        columns = range(result.nfields)
        get = result.get_value
        return [[get(row, column) for column in columns] for row in range(result.ntuples)]

    def _checked(self, result: PGresult) -> None:
        connection = self._connection
        assert connection is not None
        if connection.status != pq.ConnStatus.OK:
            self._broken(one_line(result.error_message or connection.error_message))
        if result.status not in _OK:
            sqlstate = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
            constraint = result.error_field(pq.DiagnosticField.CONSTRAINT_NAME) or b""
            message = one_line(result.error_message)
            if not sqlstate or sqlstate == _COMPLETION_UNKNOWN:
                self._broken(message)
            if sqlstate in _OF_THE_SESSION:
                with self._lock:
                    self._finish()
            raise Failed(sqlstate, message, constraint.decode())
        if self._doubts:
            doubt = self._doubts[-1]
            self._doubts.clear()
            raise Unknown(doubt)

    def _broken(self, why: str) -> NoReturn:
        """Raises `Unknown`."""
        if self._is_cut:
            self._servers.was_silent(self._at)
            why = f"cut: {why}" if why != "cut" else why
        with self._lock:
            self._finish()
        raise Unknown(why)


def _noticed(doubts: list[str], notice: PGresult) -> None:
    sqlstate = notice.error_field(pq.DiagnosticField.SQLSTATE) or b""
    severity = notice.error_field(pq.DiagnosticField.SEVERITY_NONLOCALIZED)
    if severity == b"WARNING" and _UNCERTAIN.fullmatch(sqlstate.decode()):
        doubts.append(one_line(notice.error_message))
