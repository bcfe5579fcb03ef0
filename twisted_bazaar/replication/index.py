"""What would take long to find in the order log: which order a key has, and what stocks hold.

All of it is derived from the log and can be deleted at any time. It reflects a prefix of the
log, committed and released, so that nothing in it ever has to be undone; whoever asks looks up
the entries after that prefix elsewhere. It is SQLite, which does not notice when its file goes
bad. So the ledger is summed up beside it, and a key's order is to be checked in the log.
"""

import sqlite3
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from threading import Event
from typing import Protocol

import msgspec

from ..errors import Damaged, InvariantBroken, Unusable
from ..ledger import Ledger
from ..market import Stock, Traded
from .entries import GENESIS, Entry

__all__ = ["Found", "History", "Index"]

_SCHEMA = """
CREATE TABLE keys (key TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE stocks (
    name TEXT PRIMARY KEY, price INTEGER NOT NULL, quantity INTEGER NOT NULL,
    volume INTEGER NOT NULL, version INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE position (
    entry INTEGER NOT NULL, digest TEXT NOT NULL, last_number INTEGER NOT NULL, sum INTEGER NOT NULL
);
"""
_FORMAT = 1
_CACHE_KIB = 32 << 10
"""Of pages, for the writer. Keys fall anywhere, so each order may touch a page of its own."""
_CHECKPOINT_PAGES = 8192
"""32 MiB: the more orders a checkpoint gathers, the fewer times it writes the same page."""

_FIND = """
SELECT NULL, entry FROM position
UNION ALL
SELECT keys.key, number FROM json_each(?) AS wanted CROSS JOIN keys ON keys.key = wanted.value
"""
"""One statement, so that both parts see the same state of the file."""


class _Position(msgspec.Struct, frozen=True):
    """Which prefix of the log the file reflects."""

    entry: int
    digest: str
    last_number: int


_NOTHING = _Position(0, GENESIS, 0)


class _Useless(Exception):
    """The file cannot be used, and has to be made anew."""


class History(Protocol):
    """The log that an index has to fit."""

    @property
    def last_index(self) -> int: ...
    def digest_at(self, index: int) -> str:
        """The digest that names the history up to 0 <= `index` <= `last_index`."""


class Found(msgspec.Struct, frozen=True):
    """What the first `index` entries of the log say of some keys; nothing later is known."""

    numbers: dict[str, int]
    """The order of each key that has one."""
    index: int


class Index:
    """The index in one file, which is made anew if it is unreadable or not of `history`.

    `write` and `ledger` are called from one thread at a time, `find` from any.
    """

    _position: _Position
    _sums: dict[str, int]
    """Of each stock's row."""
    _total: int
    """Of all stocks' rows."""

    def __init__(self, path: Path, history: History) -> None:
        self._path = path
        self._idle: deque[sqlite3.Connection] = deque()
        """Connections for reading that nobody uses now."""
        self._closed = Event()
        self.rebuilt: str | None = None
        """Why an earlier file was thrown away, for the operator; None: it was not."""
        try:
            self._writer = self._connect()
            try:
                self._prepare()
                self._fit(history)
            except (sqlite3.Error, msgspec.ValidationError, _Useless) as error:
                self._writer.close()
                if _code(error) == sqlite3.SQLITE_BUSY:
                    raise Unusable(f"{path}: another process uses it") from error
                self.rebuilt = f"{path}: made anew: {error}"
                self._delete()
                self._writer = self._connect()
                self._prepare()
        except (sqlite3.Error, OSError) as error:
            raise Unusable(f"{path}: {error}") from error

    @property
    def index(self) -> int:
        """The log entry up to which everything is in here; 0: nothing is."""
        return self._position.entry

    @property
    def digest(self) -> str:
        """Names the history up to `index`."""
        return self._position.digest

    def ledger(self) -> Ledger:
        """A copy of the ledger after entry `index`."""
        return Ledger(self._stocks(), self._position.last_number)

    def write(self, entries: Sequence[Entry], stocks: Iterable[Stock], last_number: int) -> None:
        """Take in the next `entries`; they must be released.

        `stocks` are those that the entries touched, and `last_number` the last order, after
        them. It is durable at some later time. Raises `InvariantBroken` if the entries do not
        go on where the index ends or a key has an order already, `Damaged` if the file is bad.
        """
        if not entries:
            return
        if entries[0].index != self.index + 1 or entries[-1].index != self.index + len(entries):
            raise InvariantBroken(f"entry {entries[0].index} indexed after entry {self.index}")
        orders = [
            (entry.event.key, entry.event.number)
            for entry in entries
            if isinstance(entry.event, Traded)
        ]
        rows = [msgspec.structs.astuple(stock) for stock in stocks]
        sums = {row[0]: _sum(row) for row in rows}
        total = self._total
        for name, each in sums.items():
            total ^= self._sums.get(name, 0) ^ each
        position = _Position(entries[-1].index, entries[-1].digest, last_number)
        values = msgspec.structs.astuple(position)
        with self._checked(), self._writer:
            self._writer.execute("BEGIN")
            self._writer.executemany("INSERT INTO keys VALUES (?, ?)", orders)
            self._writer.executemany("INSERT OR REPLACE INTO stocks VALUES (?, ?, ?, ?, ?)", rows)
            self._writer.execute(
                "UPDATE position SET entry = ?, digest = ?, last_number = ?, sum = ?",
                (*values, total ^ _sum(values)),
            )
        self._sums |= sums
        self._total = total
        self._position = position

    def find(self, keys: Collection[str]) -> Found:
        """Which of `keys` have an order, as of one state of the index.

        Raises `Damaged` if the file is bad.
        """
        wanted = msgspec.json.encode(tuple(keys)).decode()
        with self._checked(), self._reader() as connection:
            numbers = dict(connection.execute(_FIND, (wanted,)))
        return Found(numbers, index=numbers.pop(None))

    def close(self) -> None:
        """Close the file, once the calls under way are done."""
        self._closed.set()
        self._close_idle()
        self._writer.close()

    def _prepare(self) -> None:
        """Make the file one of ours, if it is new, and begin with nothing known of it."""
        execute = self._writer.execute
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = NORMAL")
        execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        ((form,),) = execute("PRAGMA user_version")
        if form == 0:
            values = msgspec.structs.astuple(_NOTHING)
            self._writer.executescript(
                f"BEGIN; {_SCHEMA} PRAGMA user_version = {_FORMAT};"
                f"INSERT INTO position VALUES {(*values, _sum(values))}; COMMIT;"
            )
        elif form != _FORMAT:
            raise _Useless(f"it is of format {form}")
        self._position = _NOTHING
        self._sums = {}
        self._total = 0

    def _fit(self, history: History) -> None:
        """Take up what the file says, if it says it of `history`."""
        row = self._writer.execute(
            "SELECT entry, digest, last_number, sum FROM position"
        ).fetchone()
        if row is None:
            raise _Useless("it does not say what it reflects")
        *values, total = row
        self._position = position = msgspec.convert(
            dict(zip(_Position.__struct_fields__, values, strict=True)), _Position
        )
        for stock in self._stocks():
            self._sums[stock.name] = each = _sum(msgspec.structs.astuple(stock))
            self._total ^= each
        if total != self._total ^ _sum(values):
            raise _Useless("the ledger in it does not add up")
        if position.entry > history.last_index:
            raise _Useless(f"it goes to entry {position.entry}, the log to {history.last_index}")
        if history.digest_at(position.entry) != position.digest:
            raise _Useless(f"entry {position.entry} of the log is another one")

    def _stocks(self) -> list[Stock]:
        rows = self._writer.execute("SELECT name, price, quantity, volume, version FROM stocks")
        names = Stock.__struct_fields__
        return [msgspec.convert(dict(zip(names, row, strict=True)), Stock) for row in rows]

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        """A connection for this call: as many exist as calls were ever under way at once."""
        if self._closed.is_set():
            raise Unusable(f"{self._path}: closed")
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
            connection.execute("PRAGMA query_only = 1")
        try:
            yield connection
        finally:
            self._idle.append(connection)
            if self._closed.is_set():
                self._close_idle()

    def _close_idle(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.pop().close()

    @contextmanager
    def _checked(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise InvariantBroken(f"{self._path}: {error}") from error
        except sqlite3.Error as error:
            if _code(error) not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise Unusable(f"{self._path}: {error}") from error
            self._delete()
            raise Damaged(f"{self._path}: {error}: the next start makes it anew") from error

    def _delete(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)


def _code(error: Exception) -> int:
    """What SQLite calls the kind of `error`; 0: it is not SQLite's."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _sum(row: Sequence[object]) -> int:
    """A number that names a row. Rows are summed up by XOR, in whatever order."""
    return int.from_bytes(blake2b(msgspec.json.encode(row), digest_size=7).digest())
