"""Connections to PostgreSQL: to the one of several servers that takes writes, with an end to calls
that a silent server would never answer.

libpq blocks its thread until the server has answered, or the socket is closed. So another thread
may `cut` a session: that shuts its socket down. To connect at one go would block all threads, so
that is done step by step.
"""

import os
import re
import select
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic
from typing import NoReturn

from psycopg import Error as PsycopgError
from psycopg import ProgrammingError, pq
from psycopg.abc import ConnParam
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq.abc import PGconn, PGresult

from twisted_bazaar.errors import Unusable

from .shared_log import EngineError, Unknown
from .statement import Statement, Value

__all__ = ["Failed", "Misconfigured", "Row", "Servers", "Session"]

Row = Sequence[bytes | None]
"""The columns of a row, in PostgreSQL's text form."""

CONNECT_SECONDS = 2
"""Unless the URL says otherwise."""
STEP_SECONDS = 0.1
HEAD_START_SECONDS = 0.25
"""How long the server that is likely to be right is asked alone."""

_OF_A_PERSON = re.compile(
    r"password authentication failed|no password supplied|no pg_hba\.conf entry|does not exist|"
    r"permission denied for database|SSL is not enabled|could not convert string|"
    r"invalid (connection option|integer value|[a-z_]+ value)"
)
"""Why a connection fails until a person has changed something."""
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


class Misconfigured(Unknown):
    """No server can be connected to before a person has changed something."""


class Servers:
    """The servers that a URL names, one of which takes writes. On any thread."""

    def __init__(self, url: str) -> None:
        """Raises `Unusable`, without the URL, which may hold a password."""
        try:
            given: dict[str, ConnParam] = dict(conninfo_to_dict(url))
        except ProgrammingError:
            raise Unusable("the engine: libpq does not understand this URL") from None
        given.setdefault("target_session_attrs", "read-write")
        given.setdefault("connect_timeout", CONNECT_SECONDS)
        given.setdefault("application_name", "twisted_bazaar")
        given["client_encoding"] = "UTF8"
        places = {
            name: str(given.pop(name)).split(",")
            for name in ("host", "hostaddr", "port")
            if given.get(name)
        }
        count = max((len(values) for values in places.values()), default=1)
        self._each = [{**given, **_nth(places, at)} for at in range(count)]
        self._likely: int | None = None
        """The server that served last."""
        self._silent: int | None = None
        """The server that a session was cut from last."""

    def connect(self, attempt: "Attempt") -> tuple[PGconn, int]:
        """A connection to a server that takes writes, and which of the servers it is.

        Raises `Unknown` if there is none now, or the attempt is cut.
        """
        errors: list[str] = []
        for group in self._groups():
            attempt.start({at: self._each[at] for at in group})
            # The next are asked once all of these have failed, or have been silent for a while.
            is_last = attempt.started == len(self._each)
            while attempt.answered < attempt.started:
                try:
                    at, connection = attempt.answer(None if is_last else HEAD_START_SECONDS)
                except Empty:
                    break
                if isinstance(connection, str):
                    errors.append(connection)
                    continue
                attempt.end()
                self._likely = at
                return connection, at
        attempt.end()
        for error in errors:
            if _OF_A_PERSON.search(error):
                raise Misconfigured(error)
        raise Unknown("; ".join(dict.fromkeys(errors)) or "no server answers")

    def was_silent(self, at: int) -> None:
        """A session with server `at` was cut: others are tried before it."""
        self._silent = at
        if self._likely == at:
            self._likely = None

    def _groups(self) -> Sequence[Sequence[int]]:
        each = range(len(self._each))
        if self._likely is not None:
            first = [self._likely]
        else:
            first = [at for at in each if at != self._silent] or list(each)
        return [group for group in (first, [at for at in each if at not in first]) if group]


class Attempt:
    """To connect to servers side by side, each on a thread of its own."""

    def __init__(self) -> None:
        self._answers: SimpleQueue[tuple[int, PGconn | str] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._ended = False
        self.started = 0
        self.answered = 0

    def start(self, servers: Mapping[int, Mapping[str, ConnParam]]) -> None:
        self.started += len(servers)
        for at, server in servers.items():
            threading.Thread(target=self._try, args=(at, server), daemon=True).start()

    def _try(self, at: int, server: Mapping[str, ConnParam]) -> None:
        answer: PGconn | str
        try:
            answer = self._connected(server)
        except (OSError, ValueError, PsycopgError) as error:
            answer = str(error)
        with self._lock:
            if not self._ended:
                self._answers.put((at, answer))
            elif not isinstance(answer, str):
                answer.finish()

    def _connected(self, server: Mapping[str, ConnParam]) -> PGconn:
        seconds = float(str(server["connect_timeout"]))
        end = monotonic() + (seconds if seconds > 0 else CONNECT_SECONDS)
        connection = pq.PGconn.connect_start(make_conninfo("", **_resolved(server)).encode())
        while connection.status != pq.ConnStatus.BAD:
            state = connection.connect_poll()
            if state == pq.PollingStatus.OK:
                return connection
            if state == pq.PollingStatus.FAILED:
                break
            waits = select.poll()
            is_reading = state == pq.PollingStatus.READING
            waits.register(connection.socket, select.POLLIN if is_reading else select.POLLOUT)
            # It may be another socket at the next step, so this one is not waited for too long.
            waits.poll(STEP_SECONDS * 1000)
            if self._ended or monotonic() > end:
                connection.finish()
                raise TimeoutError("a server is silent")
        message = _one_line(connection.error_message)
        connection.finish()
        raise ConnectionError(message)

    def answer(self, seconds: float | None) -> tuple[int, PGconn | str]:
        """The next that has connected, or why it has not. Raises `Empty` after `seconds`, and
        `Unknown` once it is cut."""
        answer = self._answers.get(timeout=seconds)
        if answer is None:
            self.end()
            raise Unknown("cut while it was connecting")
        self.answered += 1
        return answer

    def cut(self) -> None:
        self._answers.put(None)

    def end(self) -> None:
        """Take no more answers."""
        with self._lock:
            self._ended = True
            while not self._answers.empty():
                answer = self._answers.get()
                if answer is not None and not isinstance(answer[1], str):
                    answer[1].finish()


class Session:
    """A connection that is opened when it is used, and again after it was lost. All calls on one
    thread at a time, but for `cut` and `close`."""

    def __init__(self, servers: Servers, begin: Sequence[str]) -> None:
        """Each connection begins with the SQL `begin`."""
        self._servers = servers
        self._begin = begin
        self._connection: PGconn | None = None
        self._at = 0
        self._prepared: set[bytes] = set()
        self._doubts: list[str] = []
        """Warnings that what was committed is perhaps on one server only."""
        self._lock = threading.Lock()
        """Held while the socket is closed, and while another thread shuts it down."""
        self._attempt: Attempt | None = None
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
            if self._attempt is not None:
                self._attempt.cut()
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
        if self._connection is None:
            if self._is_pinned:
                raise Unknown("the connection was lost")
            self._connect()
        assert self._connection is not None
        return self._connection

    def _connect(self) -> None:
        with self._lock:
            self._attempt = attempt = Attempt()
        connection: PGconn | None = None
        try:
            connection, self._at = self._servers.connect(attempt)
        finally:
            with self._lock:
                self._attempt, self._connection = None, connection
                is_cut = self._is_cut
                self._is_cut = is_cut and connection is not None
        if is_cut or connection is None:
            self._broken("cut while it was connecting")
        # It must not hold this session: one that is not used any more is closed with its last use.
        connection.notice_handler = partial(_noticed, self._doubts)
        try:
            for sql in self._begin:
                self._rows(connection.exec_(sql.encode()))
        except Failed as failed:
            self._broken(str(failed))

    def _rows(self, result: PGresult) -> Sequence[Row]:
        self._checked(result)
        columns = range(result.nfields)
        get = result.get_value
        return [[get(row, column) for column in columns] for row in range(result.ntuples)]

    def _checked(self, result: PGresult) -> None:
        connection = self._connection
        assert connection is not None
        if connection.status != pq.ConnStatus.OK:
            self._broken(_one_line(result.error_message or connection.error_message))
        if result.status not in _OK:
            sqlstate = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
            constraint = result.error_field(pq.DiagnosticField.CONSTRAINT_NAME) or b""
            message = _one_line(result.error_message)
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
        doubts.append(_one_line(notice.error_message))


def _nth(places: Mapping[str, Sequence[str]], at: int) -> dict[str, ConnParam]:
    """What `places` say of a server. One value of several servers is that of each."""
    return {name: values[at if len(values) > 1 else 0] for name, values in places.items()}


def _resolved(server: Mapping[str, ConnParam]) -> dict[str, ConnParam]:
    """With the addresses of its host: libpq would look for them with all threads blocked."""
    host = str(server.get("host") or "")
    if not host or host[0] in "/@" or server.get("hostaddr"):
        return dict(server)
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    return {
        **server,
        "host": ",".join([host] * len(addresses)),
        "hostaddr": ",".join(addresses),
    }


def _one_line(message: bytes) -> str:
    return " ".join(message.decode("utf-8", "replace").split())
