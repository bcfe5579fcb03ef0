"""The order log in PostgreSQL. `sql` has the statements, and `rows` what their rows are.

A batch is one statement, and so one transaction: `fence` takes its place in the log, and all other
rows are written only if it did. The place is the primary key of `batches`. Of two statements that
want one place, or change one row, the later waits until the earlier has been committed, replication
included. The parts of a statement do not see what the others write, nor what was committed since
the statement began: `fence` compares what never changes, or the row that it changes.

A reply may be lost, and a statement whose connection is gone may still be executed, late. So a
batch that is sent again may find its place taken. If its own digest is there, the batch is in the
log, and perhaps on one server only: `sql.SETTLE`, another write, is replicated after it.

Orders are inserted, and nothing is updated with them: while someone reads an old state, as a long
report does, an update takes the longer the more often its row was updated since. So the rows of
stocks are behind (`FLUSH_ENTRIES`), and a snapshot applies the orders since.
"""

from collections.abc import Callable, Collection, Sequence
from typing import NoReturn
from weakref import WeakSet

import msgspec

from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.errors import Damaged, InvariantBroken
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import Order, Stock, Traded
from twisted_bazaar.selection import Page, Selection, page_of

from . import rows, schema, sql
from .connection import Failed, Named, Row, Session
from .servers import Servers
from .shared_log import (
    Batch,
    Bazaar,
    Found,
    Lost,
    Placement,
    Refused,
    Released,
    Snapshot,
    Tail,
    Unknown,
)
from .statement import Statement, Value

__all__ = ["PostgresEngine", "PostgresLog"]

_UNIQUE_VIOLATION = "23505"
_PLACE = "batches_pkey"

FLUSH_ENTRIES = 4096
"""The rows of stocks are written again after so many entries, and with all that are no orders."""


class PostgresEngine:
    """A database. Implements `Engine`."""

    def __init__(self, servers: Servers, session: Session, bazaar: Bazaar) -> None:
        """See `open`."""
        self.bazaar = bazaar
        self._servers = servers
        self._session = session
        self._sessions = WeakSet([session])

    @classmethod
    def open(cls, url: str, *, partitions: int, name: str) -> "PostgresEngine":
        """Connect to the database at `url`, and create the bazaar in it if there is none: of so
        many partitions, and named `name`, which is random.

        Raises `Unusable` if a person must do something; `Unknown` if no server takes writes now.
        """
        return cls._opened(
            url, lambda session: schema.prepare(session, partitions, name, schema.migrations())
        )

    @classmethod
    def existing(cls, url: str) -> "PostgresEngine":
        """Connect to the database at `url`, which has a bazaar. Raises as `open` does."""
        return cls._opened(url, lambda session: schema.check(session, schema.migrations()))

    @classmethod
    def _opened(cls, url: str, check: Callable[[Session], Bazaar]) -> "PostgresEngine":
        servers = Servers(url)
        session = Session(servers, sql.BEGIN)
        try:
            bazaar = check(session)
            session.named = Named(sql.NAME, bazaar.name)
            return cls(servers, session, bazaar)
        except BaseException:
            session.drop()
            raise

    def tails(self) -> tuple[Sequence[Tail], Sequence[Placement]]:
        # Placements first: a stock that has left is in a tail that is read after it.
        placements = _read(self._session, sql.PLACEMENTS)
        tails = _read(self._session, sql.TAILS)
        return [rows.tail(row) for row in tails], [rows.placement(row) for row in placements]

    def log(self, partition: int) -> "PostgresLog":
        session = Session(self._servers, sql.BEGIN, self._session.named)
        self._sessions.add(session)
        return PostgresLog(session, partition)

    def prefer(self, partition: int, member: int) -> None:
        try:
            self._session.run(sql.PREFER, part=partition, member=member)
        except Failed as failed:
            raise Unknown(str(failed)) from failed

    def cut(self) -> None:
        self._session.cut()

    def close(self) -> None:
        for session in list(self._sessions):
            session.close()


class PostgresLog:
    """One partition, by one connection. Implements `SharedLog`."""

    def __init__(
        self, session: Session, partition: int, flush_entries: int = FLUSH_ENTRIES
    ) -> None:
        self._session = session
        self._partition = partition
        self._flush_entries = flush_entries
        self._as_of = ""
        """The digest of the last entry that the next two are as of; empty: they are not known."""
        self._flushed = 0
        """The rows of stocks are as of this entry."""
        self._unwritten: dict[str, Stock] = {}
        """Those that orders have changed since."""

    def claim(
        self,
        seen: Tail,
        opened: Batch,
        *,
        term: int,
        leader: int,
        tenure: float,
        longest_lease: float,
        catalogs: Sequence[str],
    ) -> None:
        if term <= seen.term or opened.previous != seen.digest:
            raise InvariantBroken(f"term {term} claims after {seen} with {opened}")
        done = self._write(
            sql.CLAIM,
            seen_term=seen.term,
            seen_beat=seen.beat,
            term=term,
            beat=0,
            leader=leader,
            tenure=tenure,
            longest_lease=longest_lease,
            catalogs=rows.array(catalogs),
            released_index=seen.released.index,
            released_number=seen.released.number,
            **rows.place(opened),
            **rows.events(opened),
        )
        if not done:
            self._settle(opened, term, 0, Released())
        self._as_of = opened.entries[-1].digest if self._as_of == seen.digest else ""

    def append(self, batch: Batch, *, term: int, beat: int, released: Released) -> None:
        if self._as_of != batch.previous:
            self.snapshot()
        last = batch.entries[-1]
        values: dict[str, Value] = {
            "term": term,
            "beat": beat,
            "released_index": released.index,
            "released_number": released.number,
            **rows.place(batch),
            **rows.orders(batch),
        }
        flushes = last.index - self._flushed >= self._flush_entries or any(
            not isinstance(entry.event, Traded) for entry in batch.entries
        )
        touched = {stock.name: stock for stock in batch.stocks}
        if flushes:
            gone = {stock.name for stock in batch.gone}
            stocks = [
                stock
                for name, stock in (self._unwritten | touched).items()
                if name in touched or name not in gone
            ]
            values |= {**rows.stocks(stocks), **rows.events(batch), **rows.moves(batch)}
        if not self._write(sql.APPEND if flushes else sql.APPEND_ORDERS, **values):
            self._settle(batch, term, beat, released)
        self._as_of = last.digest
        if flushes:
            self._unwritten.clear()
            self._flushed = last.index
        else:
            self._unwritten |= touched

    def beat(self, *, term: int, beat: int, released: Released) -> None:
        done = self._write(
            sql.BEAT,
            term=term,
            beat=beat,
            released_index=released.index,
            released_number=released.number,
        )
        if not done:
            tail = self.tail()
            raise Lost(f"partition {self._partition} is in term {tail.term}, beat {tail.beat}")

    def _settle(self, batch: Batch, term: int, beat: int, released: Released) -> None:
        """The place of `batch` is taken. Return if that is by itself. Raises `Lost` if not."""
        settled = self._write(
            sql.SETTLE,
            term=term,
            beat=beat,
            first_index=batch.entries[0].index,
            digest=batch.entries[-1].digest,
            released_index=released.index,
            released_number=released.number,
        )
        if settled:
            return
        tail = self.tail()
        raise Lost(
            f"partition {self._partition} is in term {tail.term}, beat {tail.beat},"
            f" and ends with entry {tail.index}"
        )

    def tail(self) -> Tail:
        [row] = self._read(sql.TAIL)
        return rows.tail(row)

    def snapshot(self) -> Snapshot:
        with self._session.one_connection():
            found, flushed = rows.snapshot(self._read(sql.SNAPSHOT))
            tail = found.tail
            since = self.read(flushed, tail.index)
        if flushed > tail.index or len(since) != tail.index - flushed:
            raise Damaged(
                f"partition {self._partition}: it ends with entry {tail.index}, its stocks are as"
                f" of entry {flushed}, and there are {len(since)} entries after that"
            )
        ledger = Ledger(found.stocks, tail.last_number - sum(map(_is_order, since)))
        changed = {name for entry in since for name in ledger.apply(entry.index, entry.event)}
        self._as_of, self._flushed = tail.digest, flushed
        self._unwritten = {name: ledger.stocks[name] for name in changed}
        return msgspec.structs.replace(found, stocks=list(ledger.stocks.values()))

    def find(self, keys: Collection[str], partitions: Collection[int] = ()) -> Found:
        parts = rows.array([self._partition, *partitions])
        found = self._read(sql.FIND, parts=parts, keys=rows.array(list(keys)))
        return rows.found(found, self._partition)

    def order(self, number: int) -> Order | None:
        found = self._read(sql.BY_NUMBER, number=number)
        return rows.order(found[0]) if found else None

    def orders(self, selection: Selection, upto: int) -> Page:
        with self._session.one_connection():
            released = self.tail().released.number
            if released < upto:
                raise Unknown(f"the server knows of {released} released orders, not of {upto}")
            return page_of(self._orders(selection, upto), selection, upto)

    def _orders(self, selection: Selection, upto: int) -> Sequence[Order]:
        """Those of `selection` up to number `upto`, one more than its limit."""
        if "\0" in selection.stock:
            # A text of PostgreSQL has none: it would end there, and name another stock.
            return []
        low, high = 0, upto
        if not selection.descending:
            low = selection.after
        elif selection.after:
            high = min(high, selection.after - 1)
        if selection.since is not None and low < high:
            low = self._last_before(selection.since, low, high)
        if selection.until is not None and low < high:
            high = self._last_before(selection.until, low, high)
        found = self._read(
            sql.orders(selection),
            low=low,
            high=high,
            stock=selection.stock,
            side=selection.side.value if selection.side else "",
            key=selection.key,
            client=selection.client,
            limit=selection.limit + 1,
        )
        return [rows.order(row) for row in found]

    def _last_before(self, milliseconds: int, low: int, high: int) -> int:
        [row] = self._read(sql.LAST_BEFORE, low=low, high=high, time=milliseconds)
        return rows.integer(row[0])

    def read(self, after: int, upto: int) -> Sequence[Entry]:
        with self._session.one_connection():
            batches = [rows.batch(row) for row in self._read(sql.BATCHES, after=after, upto=upto)]
            number = 0
            if batches and batches[0].last_index <= after:
                number = batches.pop(0).last_number
            if after >= upto or not batches:
                return []
            first, last = batches[0].first_index, batches[-1].last_index
            orders = self._read(sql.READ_ORDERS, after=number, upto=batches[-1].last_number)
            events = self._read(sql.READ_EVENTS, first=first, last=last)
        entries = rows.entries(self._partition, batches, orders, events)
        return entries[max(0, after + 1 - first) : upto + 1 - first]

    def cut(self) -> None:
        self._session.cut()

    def close(self) -> None:
        self._session.drop()

    def _read(self, statement: Statement, **values: Value) -> Sequence[Row]:
        return _read(self._session, statement, part=self._partition, **values)

    def _write(self, statement: Statement, **values: Value) -> bool:
        """Whether it was done."""
        try:
            [[count]] = self._session.run(statement, part=self._partition, **values)
        except Failed as failed:
            if failed.constraint == _PLACE:
                return False
            self._failed(failed)
        return count == b"1"

    def _failed(self, failed: Failed) -> NoReturn:
        if failed.sqlstate == _UNIQUE_VIOLATION:
            raise InvariantBroken(f"partition {self._partition}: {failed}") from failed
        raise Refused(str(failed)) from failed


def _is_order(entry: Entry) -> bool:
    return isinstance(entry.event, Traded)


def _read(session: Session, statement: Statement, **values: Value) -> Sequence[Row]:
    try:
        if statement.name:
            return session.run(statement, **values)
        return session.run_once(statement, **values)
    except Failed as failed:
        raise Unknown(str(failed)) from failed
