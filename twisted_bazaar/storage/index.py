"""The index of the order log: the order of each key, the orders of each stock and side, and the
market data of each stock.

It is derived from the log and can be deleted at any time. It reflects a prefix of the log that is
committed and released, so that nothing in it is ever undone; the leader has the keys of later
entries in memory.

It is an SQLite file, and SQLite does not notice when its file is damaged. A key that is no longer
found would get a second order (invariant 5). So the sum of all rows is kept, and checked at the
start; that a key has no order is proved by the row before its place (`links.py`); and the order
that a key has is to be checked in the log.
"""

import os
import sqlite3
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from hashlib import blake2b
from pathlib import Path
from threading import Event
from typing import Any, Protocol

import msgspec

from twisted_bazaar.consensus.entries import GENESIS, Entry
from twisted_bazaar.errors import Damaged, InvariantBroken, NotUnderstood, Unavailable, Unusable
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import Side, Stock, Traded
from twisted_bazaar.order_keys import SEPARATOR

from .blocks import Matched
from .client_orders import CLIENT_SCHEMA, ClientOrders
from .links import HEAD, Link, insert, proves
from .stock_orders import SCHEMA, StockOrders, Useless
from .trust import Witness

__all__ = ["Found", "History", "Index", "index_path", "witness_in"]

_SCHEMA = f"""
{SCHEMA}
{CLIENT_SCHEMA}
CREATE TABLE keys (
    key TEXT PRIMARY KEY, number INTEGER NOT NULL, next TEXT NOT NULL, sum INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE stocks (
    name TEXT PRIMARY KEY, price INTEGER NOT NULL, quantity INTEGER NOT NULL,
    volume INTEGER NOT NULL, version INTEGER NOT NULL, halted INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE position (
    entry INTEGER NOT NULL, digest TEXT NOT NULL, last_number INTEGER NOT NULL,
    stocks_sum INTEGER NOT NULL, keys_sum INTEGER NOT NULL, client_orders INTEGER NOT NULL,
    sum INTEGER NOT NULL
);
"""
_FORMAT = 4
_WITHOUT_CLIENTS = 3
"""The format of earlier releases, which is made into this one."""
_CACHE_KIB = 32 << 10
"""The writer's page cache. Keys are random, so each order may touch another page."""
_CHECKPOINT_PAGES = 8192
"""32 MiB. The more orders a checkpoint covers, the less often it writes the same page."""

_FIELDS = "entry, digest, last_number, stocks_sum, keys_sum, client_orders, sum"
_POSITION = f"SELECT {_FIELDS} FROM position"
_POSITION_WITHOUT_CLIENTS = _POSITION.replace(" client_orders,", "")
_NEAREST = """
SELECT wanted.value, keys.key, number, next, keys.sum FROM json_each(?) AS wanted
CROSS JOIN keys ON keys.key = (SELECT max(key) FROM keys WHERE key <= wanted.value)
"""
"""The row of each wanted key; if it has none, the last row before its place."""
_FIND = f"SELECT NULL, {_FIELDS} FROM position UNION ALL SELECT *, 0, 0, 0 FROM ({_NEAREST})"
"""One statement, so that both parts read the same state of the file."""


class _Position(msgspec.Struct, frozen=True):
    """The prefix of the log that the file reflects."""

    entry: int
    digest: str
    last_number: int
    stocks_sum: int
    """The sum of the rows of all stocks."""
    keys_sum: int
    """The sum of the rows of all keys."""
    client_orders: int = 0
    """How many orders have a client."""


_NOTHING = _Position(0, GENESIS, 0, stocks_sum=0, keys_sum=HEAD.sum)


_BAD = (sqlite3.Error, msgspec.ValidationError, UnicodeDecodeError, Useless)
"""What reading a damaged file raises. Text that is not UTF-8 fails in Python, in several ways."""


class History(Protocol):
    """The log that an index must belong to."""

    @property
    def last_index(self) -> int: ...
    def digest_at(self, index: int) -> str:
        """The digest that names the history up to 0 <= `index` <= `last_index`."""


class Found(msgspec.Struct, frozen=True):
    """The orders of some keys in the first `index` entries of the log."""

    numbers: dict[str, int]
    """The order of each key that has one."""
    index: int


class Index:
    """The index in one file, which is rebuilt if it is unreadable, of an older format, or not of
    `history`. Raises `Unusable`, and `NotUnderstood` if a newer release wrote it.

    `write` and `ledger` are called by one thread at a time, `find` and `matching` by any.
    """

    _position: _Position
    _sums: dict[str, int]
    """The sum of each stock's row."""
    _orders: StockOrders
    _clients: ClientOrders

    def __init__(self, path: Path, history: History) -> None:
        self._path = path
        self._idle: deque[sqlite3.Connection] = deque()
        """Connections for reading that are not in use."""
        self._closed = Event()
        self.rebuilt: str | None = None
        """Why an earlier file was deleted, for the operator; None: it was not."""
        try:
            self._writer = self._connect()
            try:
                self._prepare()
                self._fit(history)
            except NotUnderstood:
                self._writer.close()
                raise
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
        """The last log entry that is in the index; 0: none is."""
        return self._position.entry

    @property
    def digest(self) -> str:
        """Names the history up to `index`."""
        return self._position.digest

    def ledger(self, prices: Mapping[str, int] | None = None) -> Ledger:
        """A copy of the ledger after entry `index`; `prices` are the `first_prices` of the log."""
        return Ledger(_stocks_in(self._writer), self._position.last_number, prices)

    def write(self, entries: Sequence[Entry], stocks: Iterable[Stock], last_number: int) -> None:
        """Add the next `entries`, which must be released.

        `stocks` are those that the entries changed, and `last_number` is the last order, after
        them. All of it becomes durable later. Raises `InvariantBroken` if the entries do not
        follow the last one, or a key has an order already (invariant 5), and `Damaged` if the
        file is damaged.
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
            committed = self._orders.write(self._writer, entries)
            of_clients, clients_committed = self._clients.write(self._writer, entries)
            execute("INSERT OR REPLACE INTO stocks VALUES (?, ?, ?, ?, ?, ?)", rows)
            position = _Position(
                *(entries[-1].index, entries[-1].digest, last_number, stocks_sum, keys_sum),
                self._position.client_orders + of_clients,
            )
            execute(f"UPDATE position SET ({_FIELDS}) = (?, ?, ?, ?, ?, ?, ?)", [_sealed(position)])
        committed()
        clients_committed()
        self._sums |= sums
        self._position = position

    def _put_in(self, orders: Sequence[tuple[str, int]]) -> int:
        """Insert the keys of `orders`, and return by how much the sum of all rows grows."""
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
        """The orders of `keys` in one state of the index. Raises `Damaged` if the file is
        damaged."""
        wanted = msgspec.json.encode(tuple(keys)).decode()
        with self._checked(), self._reader() as connection:
            (first, *rows) = connection.execute(_FIND, (wanted,)).fetchall() or [()]
            position = _unsealed(first[1:])
            nearest = _proven(rows, len(keys))
        numbers = {key: link.number for key, link in nearest.items() if key == link.key != HEAD.key}
        return Found(numbers, position.entry)

    def matching(
        self,
        stock: str,
        side: Side | None,
        after: int,
        upto: int,
        limit: int,
        descending: bool,
        client: str = "",
    ) -> Matched:
        """The first `limit` orders of `stock` (empty: any), `side` and `client` (empty: any), but
        not of any of all, with `after` < number <= `upto`; a search may stop early. Raises
        `Damaged` if the file is damaged. An order is to be checked in the log: it may be one of
        another client."""
        with self._checked(), self._reader() as connection:
            if client:
                fitting = partial(self._orders.fitting, connection, stock, side)
                last = self._orders.last_number
                return self._clients.matching(
                    connection, client, after, min(upto, last), limit, descending, fitting, last
                )
            return self._orders.matching(connection, stock, side, after, upto, limit, descending)

    def copy_to(self, path: Path) -> tuple[int, int]:
        """Make a file of what is in the index now, and return its last entry and last order. On
        any thread. Raises `Damaged` and `Unusable`."""
        with self._checked(), self._reader() as connection:
            target = sqlite3.connect(path, isolation_level=None)
            try:
                connection.backup(target)
                target.execute("PRAGMA journal_mode = DELETE").fetchall()
                position = _unsealed(target.execute(_POSITION).fetchone() or ())
            finally:
                target.close()
        return position.entry, position.last_number

    def sync(self) -> int:
        """Make durable what is in the index, and return the last entry of that. Called by the
        thread that writes. Raises `Unusable`."""
        index = self.index
        with self._checked():
            self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            # A reader may have kept the checkpoint from all of it, and so from any sync.
            with self._path.with_name(f"{self._path.name}-wal").open("rb") as file:
                os.fsync(file.fileno())
        return index

    def close(self) -> None:
        """Close the file; each call under way closes its own connection."""
        self._closed.set()
        self._close_idle()
        self._writer.close()

    def _prepare(self) -> None:
        """Create the tables of a new file, and check the format of another one."""
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
        elif form == _WITHOUT_CLIENTS:
            self._add_clients()
        elif form != _FORMAT:
            _check_known(self._path, form)
            raise Useless(f"it is of format {form}")
        self._position = _NOTHING
        self._sums = {}
        self._orders = StockOrders()
        self._clients = ClientOrders()

    def _add_clients(self) -> None:
        """Make an index of the format before one of this: its orders have no clients, or else it
        must be made anew."""
        execute = self._writer.execute
        if execute("SELECT 1 FROM keys WHERE instr(key, ?) LIMIT 1", (SEPARATOR,)).fetchone():
            raise Useless(f"it is of format {_WITHOUT_CLIENTS}, and lacks the clients of orders")
        position = _written(self._writer)
        self._writer.executescript(
            f"BEGIN; {CLIENT_SCHEMA}"
            "ALTER TABLE position ADD COLUMN client_orders INTEGER NOT NULL DEFAULT 0;"
            f"UPDATE position SET sum = {_sum(msgspec.structs.astuple(position))};"
            f"PRAGMA user_version = {_FORMAT}; COMMIT;"
        )

    def _fit(self, history: History) -> None:
        """Load the position and sums of the file, if it belongs to `history`."""
        self._position = position = _position_in(self._writer)
        self._sums = {
            stock.name: _sum(msgspec.structs.astuple(stock)) for stock in _stocks_in(self._writer)
        }
        self._orders.load(self._writer, self._sums.keys(), position.last_number)
        self._clients.load(self._writer, position.client_orders, position.last_number)
        if position.entry > history.last_index:
            raise Useless(f"it goes to entry {position.entry}, the log to {history.last_index}")
        try:
            digest = history.digest_at(position.entry)
        except Unavailable as why:
            # It is older than the log's beginning, and may go on from there once that is at hand.
            raise Unusable(f"{self._path}: goes to entry {position.entry}, and {why}") from None
        if digest != position.digest:
            raise Useless(f"entry {position.entry} of the log is another one")

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA cell_size_check = 1")
        return connection

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        """A connection for one call. As many stay open as calls were ever under way at once."""
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


def index_path(folder: Path) -> Path:
    """Where the index is, in the folder of a replica or of a snapshot."""
    return folder / "index.sqlite"


def witness_in(path: Path) -> Witness | None:
    """The last entry that the index in `path` knows; None: none, or the file is damaged.

    That is in one row, which has a checksum of its own; the others need not be read for it.
    Raises `NotUnderstood` if a newer release wrote the file.
    """
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error:
        return None
    try:
        ((form,),) = connection.execute("PRAGMA user_version")
        _check_known(path, form)
        position = _written(connection)
    except _BAD:
        return None
    finally:
        connection.close()
    return Witness(str(path), position.entry, position.digest) if position.entry else None


def _check_known(path: Path, form: int) -> None:
    """Raises `NotUnderstood` if a file of this format is of a newer release."""
    if form > _FORMAT:
        raise NotUnderstood(f"{path}: format {form} is not known to this release")


def _written(connection: sqlite3.Connection) -> _Position:
    """The position of the file. Raises `Useless` if its row is not as it was written."""
    ((form,),) = connection.execute("PRAGMA user_version")
    statement = _POSITION_WITHOUT_CLIENTS if form == _WITHOUT_CLIENTS else _POSITION
    return _unsealed(connection.execute(statement).fetchone() or ())


def _position_in(connection: sqlite3.Connection) -> _Position:
    """The position of the file. Raises `Useless` if its sums do not fit its rows."""
    position = _written(connection)
    stocks_sum = 0
    for stock in _stocks_in(connection):
        stocks_sum ^= _sum(msgspec.structs.astuple(stock))
    if stocks_sum != position.stocks_sum:
        raise Useless("the ledger in it does not add up")
    keys = connection.execute("SELECT count(*) - 1, sum(sum) FROM keys").fetchone()
    if keys != (position.last_number, position.keys_sum):
        raise Useless("the keys in it do not add up")
    return position


def _stocks_in(connection: sqlite3.Connection) -> list[Stock]:
    rows = connection.execute("SELECT name, price, quantity, volume, version, halted FROM stocks")
    names = Stock.__struct_fields__
    return [
        msgspec.convert(dict(zip(names, (*row[:-1], row[-1] == 1), strict=True)), Stock)
        for row in rows
    ]


def _sealed(position: _Position) -> tuple[object, ...]:
    values = msgspec.structs.astuple(position)
    return (*values, _sum(values))


def _unsealed(row: Sequence[object]) -> _Position:
    """The position in a row. Raises `Useless` if it is not as it was written."""
    if not row or row[-1] != _sum(row[:-1]):
        raise Useless("it does not say what it reflects")
    names = _Position.__struct_fields__[: len(row) - 1]
    return msgspec.convert(dict(zip(names, row[:-1], strict=True)), _Position)


def _proven(rows: Sequence[Sequence[Any]], wanted: int) -> dict[str, Link]:
    """For each wanted key its row, or the row that proves that it has none.

    Raises `Useless` if neither is there.
    """
    if len(rows) != wanted:
        raise Useless(f"nothing is found for {wanted - len(rows)} keys")
    nearest = {row[0]: Link(*row[1:5]) for row in rows}
    for key, link in nearest.items():
        if not proves(link, key):
            raise Useless(f"neither key {key} nor its absence can be proved")
    return nearest


def _code(error: Exception) -> int:
    """The primary result code of SQLite in `error`; 0: it is not of SQLite."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _is_rot(error: Exception) -> bool:
    """Whether `error`, one of `_BAD`, shows that the file is not as it was written.

    So does `SQLITE_ERROR`, as the statements here are right and the tables are not, and an error
    without a code of SQLite: Python could not decode the text.
    """
    if isinstance(error, sqlite3.ProgrammingError):
        return False
    rot = (0, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return _code(error) in rot


def _sum(row: Sequence[object]) -> int:
    """The 56-bit digest of a row. The sum of stocks is their XOR, in any order."""
    return int.from_bytes(blake2b(msgspec.json.encode(row), digest_size=7).digest())
