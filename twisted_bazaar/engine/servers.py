"""The servers that an engine's URL names, and how one is found among them that takes writes.

To connect at one go would block all threads, so that is done step by step, and on a thread for each
server: one that is silent delays no other.
"""

import re
import select
import socket
import threading
from collections.abc import Mapping, Sequence
from queue import Empty, SimpleQueue
from time import monotonic

from psycopg import Error as PsycopgError
from psycopg import ProgrammingError, pq
from psycopg.abc import ConnParam
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq.abc import PGconn

from twisted_bazaar.errors import Unusable

from .shared_log import Unknown

__all__ = ["Connecting", "Misconfigured", "Servers", "one_line"]

_CONNECT_SECONDS = 2
"""Unless the URL says otherwise."""
_STEP_SECONDS = 0.1
_HEAD_START_SECONDS = 0.25
"""How long the server that is likely to be right is asked alone."""

_OF_A_PERSON = re.compile(
    r"password authentication failed|no password supplied|no pg_hba\.conf entry|does not exist|"
    r"permission denied for database|SSL is not enabled|could not convert string|"
    r"invalid (connection option|integer value|[a-z_]+ value)"
)
"""Why a connection fails until a person has changed something."""
_HINT = ". In a password, / and @ are written %2F and %40"


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
        given.setdefault("connect_timeout", _CONNECT_SECONDS)
        given.setdefault("application_name", "twisted_bazaar")
        given["client_encoding"] = "UTF8"
        places = {
            name: str(given.pop(name)).split(",")
            for name in ("host", "hostaddr", "port")
            if given.get(name)
        }
        count = max((len(values) for values in places.values()), default=1)
        _check_places(places, count)
        self._each = [{**given, **_nth(places, at)} for at in range(count)]
        self._likely: int | None = None
        """The server that served last."""
        self._silent: int | None = None
        """The server that a session was cut from last."""
        self._cuts = [0] * count
        """How often sessions were cut from each server."""

    def connect(self, connecting: "Connecting") -> tuple[PGconn, int]:
        """A connection to a server that takes writes, and which of the servers it is.

        Raises `Unknown` if there is none now, or `connecting` is cut.
        """
        errors: list[str] = []
        for group in self._groups():
            connecting.start({at: self._each[at] for at in group})
            # The next are asked once all of these have failed, or have been silent for a while.
            is_last = connecting.started == len(self._each)
            while connecting.answered < connecting.started:
                try:
                    at, connection = connecting.answer(None if is_last else _HEAD_START_SECONDS)
                except Empty:
                    break
                if isinstance(connection, str):
                    errors.append(connection)
                    continue
                connecting.end()
                self._likely = at
                return connection, at
        connecting.end()
        for error in errors:
            if _OF_A_PERSON.search(error):
                raise Misconfigured(error)
        raise Unknown("; ".join(dict.fromkeys(errors)) or "no server answers")

    def was_silent(self, at: int) -> None:
        """A session with server `at` was cut: others are tried before it."""
        self._silent = at
        self._cuts[at] += 1
        if self._likely == at:
            self._likely = None

    def cuts(self, at: int) -> int:
        """How often sessions were cut from server `at`."""
        return self._cuts[at]

    def _groups(self) -> Sequence[Sequence[int]]:
        each = range(len(self._each))
        if self._likely is not None:
            first = [self._likely]
        else:
            first = [at for at in each if at != self._silent] or list(each)
        return [group for group in (first, [at for at in each if at not in first]) if group]


class Connecting:
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
        end = monotonic() + (seconds if seconds > 0 else _CONNECT_SECONDS)
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
            waits.poll(_STEP_SECONDS * 1000)
            if self._ended or monotonic() > end:
                connection.finish()
                raise TimeoutError("a server is silent")
        message = one_line(connection.error_message)
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


def _check_places(places: Mapping[str, Sequence[str]], count: int) -> None:
    """Raises `Unusable`. A password that was not written as a URL has it may be in these values: so
    no later error may repeat them."""
    if any(len(values) not in (1, count) for values in places.values()):
        raise Unusable("the engine: its URL names more servers in one place than in another")
    ports = [port for port in places.get("port", ()) if port]
    if any(not (port.isascii() and port.isdecimal() and 1 <= int(port) < 2**16) for port in ports):
        raise Unusable(f"the engine: a port in its URL is no number from 1 to 65535{_HINT}")
    if any("@" in host and not host.startswith("@") for host in places.get("host", ())):
        raise Unusable(f"the engine: its URL has a second @{_HINT}")


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


def one_line(message: bytes) -> str:
    """What libpq says, for a log line."""
    return " ".join(message.decode("utf-8", "replace").split())
