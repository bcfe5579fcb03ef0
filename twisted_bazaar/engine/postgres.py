"""The order log in PostgreSQL. But for `schema`, the one module that knows SQL.

A batch is one statement, and so one transaction: `fence` compares the end of the log and changes
it, and all other rows are written only if it did. The parts of a statement do not see what the
others write. Of two statements that change one row, the later waits until the earlier has been
committed, replication included, and compares what that has left.

A reply may be lost, and a statement whose connection is gone may still be executed, late. So a
batch that is sent again may find its place taken. If its own digest is there, the batch is in the
log, and perhaps on one server only: `_SETTLE`, another write, is replicated after it.
"""

from collections.abc import Callable, Collection, Sequence
from typing import NoReturn
from weakref import WeakSet

from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.errors import InvariantBroken
from twisted_bazaar.market import Order, Traded
from twisted_bazaar.selection import Page, Selection, page_of

from . import rows, schema
from .connection import Failed, Row, Servers, Session, Statement, Value
from .shared_log import (
    HANDED_OVER,
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

__all__ = ["PostgresEngine", "PostgresLog"]

_UNIQUE_VIOLATION = "23505"

_BEGIN = (
    "SET statement_timeout = 0",
    """SET search_path = bazaar;
SELECT set_config(name, wanted, false) FROM pg_settings JOIN (VALUES
    ('client_connection_check_interval', '500ms'), ('enable_seqscan', 'off'), ('jit', 'off'),
    ('default_transaction_isolation', 'read committed'), ('idle_session_timeout', '0'),
    ('lock_timeout', '0'), ('plan_cache_mode', 'force_generic_plan'), ('transaction_timeout', '0'))
    AS settings (name, wanted) USING (name);
SELECT set_config('synchronous_commit', 'on', false)
    WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply');""",
)
"""What each connection begins with, whatever the database or role has. A timeout of the server's
would be one more reason for `Unknown`. Each table is read by its keys from the first order on: a
plan is kept, and a scan that is quick on a new table is not so on a long one. A commit is on more
than one disk."""

_TOLD = """released_index = greatest(released_index, {released_index}::bigint),
    released_number = greatest(released_number, {released_number}::bigint)"""
_END = """index = {last_index}::bigint, digest = {digest}::text, at = {at}::bigint,
    last_number = {last_number}::bigint"""
_BATCH = """batch AS (
  INSERT INTO batches (part, first_index, last_index, term, last_number, previous, digest)
  SELECT part, {first_index}::bigint, {last_index}::bigint, {term}::bigint, {last_number}::bigint,
    {previous}::text, {digest}::text FROM fence)"""
_EVENTS = """others AS (
  INSERT INTO events (part, index, at, kind, body)
  SELECT part, each.* FROM fence, unnest({event_index}::bigint[], {event_at}::bigint[],
    {event_kind}::text[], {event_body}::text[]) AS each)"""
_ORDERS = """traded AS (
  INSERT INTO orders (part, number, index, at, quantity, price, limit_price, made, side, stock, key)
  SELECT part, each.* FROM fence, unnest({number}::bigint[], {index}::bigint[], {time}::bigint[],
    {quantity}::bigint[], {price}::bigint[], {limit_price}::bigint[], {made}::boolean[],
    {side}::text[], {stock}::text[], {key}::text[]) AS each)"""
_STOCKS = """touched AS (
  INSERT INTO stocks (part, name, price, quantity, volume, version, halted)
  SELECT part, each.* FROM fence, unnest({name}::text[], {stock_price}::bigint[],
    {stock_quantity}::bigint[], {volume}::bigint[], {version}::bigint[], {halted}::boolean[])
    AS each
  ON CONFLICT (part, name) DO UPDATE SET price = excluded.price, quantity = excluded.quantity,
    volume = excluded.volume, version = excluded.version, halted = excluded.halted)"""
_MOVES = """departed AS (
  DELETE FROM stocks USING fence WHERE stocks.part = fence.part AND name = ANY ({gone}::text[])),
arrived AS (
  UPDATE placements SET arrived = true FROM fence WHERE stock = ANY ({arrived}::text[])),
placed AS (
  INSERT INTO placements AS known
    (before, former, arrived, stock, part, moved, price, quantity, volume, halted)
  SELECT part, ARRAY[part], false, each.* FROM fence, unnest({gone}::text[], {gone_to}::int[],
    {gone_moved}::bigint[], {gone_price}::bigint[], {gone_quantity}::bigint[],
    {gone_volume}::bigint[], {gone_halted}::boolean[]) AS each
  ON CONFLICT (stock) DO UPDATE SET before = excluded.before, arrived = false,
    former = known.former || excluded.before, part = excluded.part, moved = excluded.moved,
    price = excluded.price, quantity = excluded.quantity, volume = excluded.volume,
    halted = excluded.halted)"""
_APPEND_FENCE = f"""fence AS (
  UPDATE partitions SET beat = {{beat}}::bigint, {_TOLD}, {_END},
    listed = listed OR {{listed}}::boolean
  WHERE part = {{part}}::int AND term = {{term}}::bigint AND digest = {{previous}}::text
    AND beat >= 0 AND beat < {{beat}}::bigint"""
_ADOPTS = """ AND NOT EXISTS (
    SELECT FROM unnest({adopted}::text[], {adopted_before}::int[], {adopted_moved}::bigint[])
      AS event (stock, before, moved)
    WHERE NOT EXISTS (SELECT FROM placements p WHERE p.stock = event.stock AND NOT p.arrived
      AND (p.part, p.before, p.moved) = ({part}::int, event.before, event.moved)))"""
_RETURNING = """
  RETURNING part)"""
_DONE = "SELECT count(*) FROM fence"

_APPEND_ORDERS = Statement(
    "append_orders",
    f"WITH {_APPEND_FENCE}{_RETURNING}, {_BATCH}, {_ORDERS}, {_STOCKS} {_DONE}",
)
_APPEND = Statement(
    "append",
    f"WITH {_APPEND_FENCE}{_ADOPTS}{_RETURNING}, {_BATCH}, {_ORDERS}, {_STOCKS}, {_EVENTS},"
    f" {_MOVES} {_DONE}",
)
_CLAIM = Statement(
    "claim",
    f"""WITH fence AS (
  UPDATE partitions SET term = {{term}}::bigint, beat = 0, leader = {{leader}}::int,
    longest_lease = {{longest_lease}}::double precision, catalogs = {{catalogs}}::text[], {_END}
  WHERE part = {{part}}::int AND term = {{seen_term}}::bigint AND beat = {{seen_beat}}::bigint
    AND digest = {{previous}}::text{_RETURNING}, {_BATCH}, {_EVENTS} {_DONE}""",
)
_SETTLE = Statement(
    "settle",
    f"""WITH fence AS (
  UPDATE partitions SET beat = greatest(beat, {{beat}}::bigint), {_TOLD}
  WHERE part = {{part}}::int AND term = {{term}}::bigint AND beat >= 0 AND EXISTS (
    SELECT FROM batches WHERE part = {{part}}::int AND last_index = {{last_index}}::bigint
      AND digest = {{digest}}::text){_RETURNING} {_DONE}""",
)
_BEAT = Statement(
    "beat",
    f"""WITH fence AS (
  UPDATE partitions SET beat = {{beat}}::bigint, {_TOLD}
  WHERE part = {{part}}::int AND term = {{term}}::bigint
    AND ({{beat}}::bigint = {HANDED_OVER} OR beat BETWEEN 0 AND {{beat}}::bigint){_RETURNING}
{_DONE}""",
)
_PREFER = Statement(
    "prefer", "UPDATE partitions SET preferred = {member}::int WHERE part = {part}::int"
)

_TAILS = Statement("tails", f"SELECT {rows.TAIL} FROM partitions p ORDER BY part")
_TAIL = Statement("tail", f"SELECT {rows.TAIL} FROM partitions p WHERE part = {{part}}::int")
_PLACEMENTS = Statement("placements", f"SELECT {rows.PLACEMENT} FROM placements ORDER BY stock")
_SNAPSHOT = Statement(
    "snapshot",
    f"""SELECT {rows.STOCK}, to_json(held.former), {rows.TAIL},
  (SELECT json_agg(stock) FROM placements WHERE part <> p.part AND p.part = ANY (former))
FROM partitions p LEFT JOIN stocks s USING (part)
  LEFT JOIN placements held ON held.stock = s.name AND held.part = s.part AND held.arrived
WHERE p.part = {{part}}::int""",
)
_FIND = Statement(
    "find",
    f"""SELECT p.index, p.digest, o.part, {rows.ORDER}
FROM partitions p LEFT JOIN orders o
  ON o.part = ANY ({{parts}}::int[]) AND o.key = ANY ({{keys}}::text[])
WHERE p.part = {{part}}::int""",
)
_BY_NUMBER = Statement(
    "order",
    f"SELECT {rows.ORDER} FROM orders o WHERE part = {{part}}::int AND number = {{number}}::bigint",
)
_LAST_BEFORE = Statement(
    "last_before",
    """WITH RECURSIVE halves (low, high) AS (
  SELECT {low}::bigint, {high}::bigint
  UNION ALL
  SELECT CASE WHEN o.at < {time}::bigint THEN o.number ELSE low END,
    CASE WHEN o.at < {time}::bigint THEN high ELSE o.number - 1 END
  FROM halves JOIN orders o ON o.part = {part}::int AND o.number = (low + high + 1) / 2
  WHERE low < high)
SELECT max(low) FROM halves""",
)
"""The last order in a range of numbers that is earlier than a time: times never go back."""
_BATCHES = Statement(
    "batches",
    """SELECT first_index, last_index, term, last_number, previous, digest FROM batches
WHERE part = {part}::int
  AND last_index >= coalesce((SELECT max(last_index) FROM batches
    WHERE part = {part}::int AND last_index <= {after}::bigint), 0)
  AND last_index <= coalesce((SELECT min(last_index) FROM batches
    WHERE part = {part}::int AND last_index >= {upto}::bigint), 9223372036854775807)
ORDER BY last_index""",
)
"""Those that hold the entries of a range, and the one before them."""
_READ_ORDERS = Statement(
    "read_orders",
    f"""SELECT o.index, {rows.ORDER} FROM orders o WHERE part = {{part}}::int
  AND number > {{after}}::bigint AND number <= {{upto}}::bigint ORDER BY number""",
)
_READ_EVENTS = Statement(
    "read_events",
    """SELECT index, at, body FROM events WHERE part = {part}::int
  AND index >= {first}::bigint AND index <= {last}::bigint ORDER BY index""",
)


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
        session = Session(servers, _BEGIN)
        try:
            return cls(servers, session, check(session))
        except BaseException:
            session.drop()
            raise

    def tails(self) -> tuple[Sequence[Tail], Sequence[Placement]]:
        # Placements first: a stock that has left is in a tail that is read after it.
        placements = _read(self._session, _PLACEMENTS)
        tails = _read(self._session, _TAILS)
        return [rows.tail(row) for row in tails], [rows.placement(row) for row in placements]

    def log(self, partition: int) -> "PostgresLog":
        session = Session(self._servers, _BEGIN)
        self._sessions.add(session)
        return PostgresLog(session, partition)

    def prefer(self, partition: int, member: int) -> None:
        try:
            self._session.run(_PREFER, part=partition, member=member)
        except Failed as failed:
            raise Unknown(str(failed)) from failed

    def cut(self) -> None:
        self._session.cut()

    def close(self) -> None:
        for session in list(self._sessions):
            session.close()


class PostgresLog:
    """One partition, by one connection. Implements `SharedLog`."""

    def __init__(self, session: Session, partition: int) -> None:
        self._session = session
        self._partition = partition

    def claim(
        self,
        seen: Tail,
        opened: Batch,
        *,
        term: int,
        leader: int,
        longest_lease: float,
        catalogs: Sequence[str],
    ) -> None:
        if term <= seen.term or opened.previous != seen.digest:
            raise InvariantBroken(f"term {term} claims after {seen} with {opened}")
        done = self._write(
            _CLAIM,
            seen_term=seen.term,
            seen_beat=seen.beat,
            term=term,
            leader=leader,
            longest_lease=longest_lease,
            catalogs=rows.array(catalogs),
            **rows.place(opened),
            **rows.events(opened),
        )
        if not done:
            self._settle(opened, term, 0, Released())

    def append(self, batch: Batch, *, term: int, beat: int, released: Released) -> None:
        values: dict[str, Value] = {
            "term": term,
            "beat": beat,
            "released_index": released.index,
            "released_number": released.number,
            **rows.place(batch),
            **rows.orders(batch),
            **rows.stocks(batch),
        }
        if all(isinstance(entry.event, Traded) for entry in batch.entries):
            done = self._write(_APPEND_ORDERS, **values)
        else:
            done = self._write(_APPEND, **values, **rows.events(batch), **rows.moves(batch))
        if not done:
            self._settle(batch, term, beat, released)

    def beat(self, *, term: int, beat: int, released: Released) -> None:
        done = self._write(
            _BEAT,
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
        last = batch.entries[-1]
        settled = self._write(
            _SETTLE,
            term=term,
            beat=beat,
            last_index=last.index,
            digest=last.digest,
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
        [row] = self._read(_TAIL)
        return rows.tail(row)

    def snapshot(self) -> Snapshot:
        return rows.snapshot(self._read(_SNAPSHOT))

    def find(self, keys: Collection[str], partitions: Collection[int] = ()) -> Found:
        parts = rows.array([self._partition, *partitions])
        found = self._read(_FIND, parts=parts, keys=rows.array(list(keys)))
        return rows.found(found, self._partition)

    def order(self, number: int) -> Order | None:
        found = self._read(_BY_NUMBER, number=number)
        return rows.order(found[0]) if found else None

    def orders(self, selection: Selection, upto: int) -> Page:
        low, high = 0, min(upto, self.tail().last_number)
        if not selection.descending:
            low = selection.after
        elif selection.after:
            high = min(high, selection.after - 1)
        if selection.since is not None and low < high:
            low = self._last_before(selection.since, low, high)
        if selection.until is not None and low < high:
            high = self._last_before(selection.until, low, high)
        conditions = ["part = {part}::int", "number > {low}::bigint", "number <= {high}::bigint"]
        for column in ("stock", "side", "key"):
            if getattr(selection, column):
                conditions.append(f"{column} = {{{column}}}::text")
        order = "DESC" if selection.descending else "ASC"
        sql = f"""SELECT {rows.ORDER} FROM orders o WHERE {" AND ".join(conditions)}
          ORDER BY number {order} LIMIT {{limit}}::bigint"""
        found = self._read(
            Statement("", sql),
            low=low,
            high=high,
            stock=selection.stock,
            side=selection.side.value if selection.side else "",
            key=selection.key,
            limit=selection.limit + 1,
        )
        return page_of([rows.order(row) for row in found], selection, upto)

    def _last_before(self, milliseconds: int, low: int, high: int) -> int:
        [row] = self._read(_LAST_BEFORE, low=low, high=high, time=milliseconds)
        return rows.integer(row[0])

    def read(self, after: int, upto: int) -> Sequence[Entry]:
        if after >= upto:
            return []
        batches = [rows.batch(row) for row in self._read(_BATCHES, after=after, upto=upto)]
        number = 0
        if batches and batches[0].last_index <= after:
            number = batches.pop(0).last_number
        if not batches:
            return []
        first, last = batches[0].first_index, batches[-1].last_index
        orders = self._read(_READ_ORDERS, after=number, upto=batches[-1].last_number)
        events = self._read(_READ_EVENTS, first=first, last=last)
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
            self._failed(failed)
        return count == b"1"

    def _failed(self, failed: Failed) -> NoReturn:
        if failed.sqlstate == _UNIQUE_VIOLATION:
            raise InvariantBroken(f"partition {self._partition}: {failed}") from failed
        raise Refused(str(failed)) from failed


def _read(session: Session, statement: Statement, **values: Value) -> Sequence[Row]:
    try:
        if statement.name:
            return session.run(statement, **values)
        return session.run_once(statement, **values)
    except Failed as failed:
        raise Unknown(str(failed)) from failed
