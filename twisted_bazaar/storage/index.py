"""What would take long to find in the order log: which order a key has, and what stocks hold.

All of it is derived from the log and can be deleted at any time. It reflects a prefix of the
log, committed and released, so that nothing in it ever has to be undone; whoever asks looks up
the entries after that prefix elsewhere.

It is SQLite, which does not notice when its file goes bad; and a key that is not found any more
would be given a second order. So everything in it is summed up, which is checked at the start;
that a key has no order is proved by the row before where it would be (`links.py`); and the order
that a key has is to be checked in the log.
"""

import sqlite3
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from threading import Event
from typing import Any, Protocol

import msgspec

from twisted_bazaar.consensus.entries import GENESIS, Entry
from twisted_bazaar.errors import Damaged, InvariantBroken, Unusable
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import Stock, Traded

from .links import HEAD, Link, insert, proves
from .trust import Witness

__all__ = ["Found", "History", "Index", "witness_in"]

_SCHEMA = """
CREATE TABLE keys (
    key TEXT PRIMARY KEY, number INTEGER NOT NULL, next TEXT NOT NULL, sum INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE stocks (
    name TEXT PRIMARY KEY, price INTEGER NOT NULL, quantity INTEGER NOT NULL,
    volume INTEGER NOT NULL, version INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE position (
    entry INTEGER NOT NULL, digest TEXT NOT NULL, last_number INTEGER NOT NULL,
    stocks_sum INTEGER NOT NULL, keys_sum INTEGER NOT NULL, sum INTEGER NOT NULL
);
"""
_FORMAT = 2
_CACHE_KIB = 32 << 10
"""Of pages, for the writer. Keys fall anywhere, so each order may touch a page of its own."""
_CHECKPOINT_PAGES = 8192
"""32 MiB: the more orders a checkpoint gathers, the fewer times it writes the same page."""

_POSITION = "SELECT entry, digest, last_number, stocks_sum, keys_sum, sum FROM position"
_NEAREST = """
SELECT wanted.value, keys.key, number, next, keys.sum FROM json_each(?) AS wanted
CROSS JOIN keys ON keys.key = (SELECT max(key) FROM keys WHERE key <= wanted.value)
"""
"""The row of each wanted key; if it has none, the last one before where it would be."""
_FIND = f"SELECT NULL, * FROM position UNION ALL SELECT *, 0, 0 FROM ({_NEAREST})"
"""One statement, so that both parts see the same state of the file."""


class _Position(msgspec.Struct, frozen=True):
    """Which prefix of the log the file reflects."""

    entry: int
    digest: str
    last_number: int
    stocks_sum: int
    """Of the rows of all stocks."""
    keys_sum: int
    """Of the rows of all keys."""


_NOTHING = _Position(0, GENESIS, 0, stocks_sum=0, keys_sum=HEAD.sum)


class _Useless(Exception):
    """The file cannot be used, and has to be made anew."""


_BAD = (sqlite3.Error, msgspec.ValidationError, UnicodeDecodeError, _Useless)
"""What reading a bad file raises. Text that is not UTF-8 fails in Python, in several ways."""


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
            except _BAD as error:
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
        return Ledger(_stocks_in(self._writer), self._position.last_number)

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
        stocks_sum = self._position.stocks_sum
        for name, each in sums.items():
            stocks_sum ^= self._sums.get(name, 0) ^ each
        with self._checked(), self._writer:
            execute = self._writer.executemany
            self._writer.execute("BEGIN")
            keys_sum = self._position.keys_sum + self._put_in(orders)
            execute("INSERT OR REPLACE INTO stocks VALUES (?, ?, ?, ?, ?)", rows)
            position = _Position(
                entries[-1].index, entries[-1].digest, last_number, stocks_sum, keys_sum
            )
            execute(
                "UPDATE position SET (entry, digest, last_number, stocks_sum, keys_sum, sum)"
                " = (?, ?, ?, ?, ?, ?)",
                [_sealed(position)],
            )
        self._sums |= sums
        self._position = position

    def _put_in(self, orders: Sequence[tuple[str, int]]) -> int:
        """Put the keys of `orders` in, and return by how much the sum of all grows."""
        wanted = msgspec.json.encode([key for key, _ in orders]).decode()
        rows = self._writer.execute(_NEAREST, (wanted,)).fetchall()
        nearest = _proven(rows, len(orders))
        changed, added = insert(nearest, orders)
        before = {link.key: link.sum for link in nearest.values()}
        self._writer.executemany(
            "UPDATE keys SET next = ?, sum = ? WHERE key = ?",
            [(link.next, link.sum, link.key) for link in changed],
        )
        self._writer.executemany("INSERT INTO keys VALUES (?, ?, ?, ?)", added)
        grown = sum(link.sum for link in changed + added)
        return grown - sum(before[link.key] for link in changed)

    def find(self, keys: Collection[str]) -> Found:
        """Which of `keys` have an order, as of one state of the index.

        Raises `Damaged` if the file is bad.
        """
        wanted = msgspec.json.encode(tuple(keys)).decode()
        with self._checked(), self._reader() as connection:
            (first, *rows) = connection.execute(_FIND, (wanted,)).fetchall() or [()]
            position = _unsealed(first[1:])
            nearest = _proven(rows, len(keys))
        numbers = {key: link.number for key, link in nearest.items() if key == link.key != HEAD.key}
        return Found(numbers, position.entry)

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
            self._writer.executescript(
                f"BEGIN; {_SCHEMA} PRAGMA user_version = {_FORMAT};"
                f"INSERT INTO keys VALUES {tuple(HEAD)};"
                f"INSERT INTO position VALUES {_sealed(_NOTHING)}; COMMIT;"
            )
        elif form != _FORMAT:
            raise _Useless(f"it is of format {form}")
        self._position = _NOTHING
        self._sums = {}

    def _fit(self, history: History) -> None:
        """Take up what the file says, if it says it of `history`."""
        self._position = position = _position_in(self._writer)
        self._sums = {
            stock.name: _sum(msgspec.structs.astuple(stock)) for stock in _stocks_in(self._writer)
        }
        if position.entry > history.last_index:
            raise _Useless(f"it goes to entry {position.entry}, the log to {history.last_index}")
        if history.digest_at(position.entry) != position.digest:
            raise _Useless(f"entry {position.entry} of the log is another one")

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA cell_size_check = 1")
        return connection

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
        except _BAD as error:
            if not _is_rot(error):
                raise Unusable(f"{self._path}: {error}") from error
            self._delete()
            raise Damaged(f"{self._path}: {error}: the next start makes it anew") from error

    def _delete(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)


def witness_in(path: Path) -> Witness | None:
    """What the index in `path` knows of the log; None: nothing, or the file is no good."""
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error:
        return None
    try:
        position = _position_in(connection)
    except _BAD:
        return None
    finally:
        connection.close()
    return Witness(str(path), position.entry, position.digest) if position.entry else None


def _position_in(connection: sqlite3.Connection) -> _Position:
    """What the file reflects. Raises `_Useless` if it does not add up."""
    position = _unsealed(connection.execute(_POSITION).fetchone() or ())
    stocks_sum = 0
    for stock in _stocks_in(connection):
        stocks_sum ^= _sum(msgspec.structs.astuple(stock))
    if stocks_sum != position.stocks_sum:
        raise _Useless("the ledger in it does not add up")
    keys = connection.execute("SELECT count(*) - 1, sum(sum) FROM keys").fetchone()
    if keys != (position.last_number, position.keys_sum):
        raise _Useless("the keys in it do not add up")
    return position


def _stocks_in(connection: sqlite3.Connection) -> list[Stock]:
    rows = connection.execute("SELECT name, price, quantity, volume, version FROM stocks")
    names = Stock.__struct_fields__
    return [msgspec.convert(dict(zip(names, row, strict=True)), Stock) for row in rows]


def _sealed(position: _Position) -> tuple[object, ...]:
    values = msgspec.structs.astuple(position)
    return (*values, _sum(values))


def _unsealed(row: Sequence[object]) -> _Position:
    """The position in its row. Raises `_Useless` if it is not as it was written."""
    if not row or row[-1] != _sum(row[:-1]):
        raise _Useless("it does not say what it reflects")
    names = _Position.__struct_fields__
    return msgspec.convert(dict(zip(names, row[:-1], strict=True)), _Position)


def _proven(rows: Sequence[Sequence[Any]], wanted: int) -> dict[str, Link]:
    """For each wanted key its row, or the one that proves that it has none.

    Raises `_Useless` if there is no proof for one of them.
    """
    if len(rows) != wanted:
        raise _Useless(f"nothing is found for {wanted - len(rows)} keys")
    nearest = {row[0]: Link(*row[1:5]) for row in rows}
    for key, link in nearest.items():
        if not proves(link, key):
            raise _Useless(f"neither key {key} nor its absence can be proved")
    return nearest


def _code(error: Exception) -> int:
    """What SQLite calls the kind of `error`; 0: it is not SQLite's."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _is_rot(error: Exception) -> bool:
    """Whether `error`, one of `_BAD`, says that the file is not as it was written.

    It does if our SQL makes no sense to SQLite (`SQLITE_ERROR`), and without a code of SQLite's:
    then Python could not read the text.
    """
    if isinstance(error, sqlite3.ProgrammingError):
        return False
    rot = (0, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return _code(error) in rot


def _sum(row: Sequence[object]) -> int:
    """A number that names a row. Rows are summed up by XOR, in whatever order."""
    return int.from_bytes(blake2b(msgspec.json.encode(row), digest_size=7).digest())
