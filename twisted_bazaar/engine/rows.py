"""What the log is as rows of PostgreSQL, and what rows are as the log. Pure.

Rows are in PostgreSQL's text form. Arrays are made by the encoder of JSON: text between quotation
marks is written alike in both, but for control characters.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from twisted_bazaar.consensus.entries import Entry, Event, encode_entry
from twisted_bazaar.errors import Damaged
from twisted_bazaar.market import Adopted, Listed, Moved, Order, Side, Stock, Traded

from .shared_log import Batch, Found, Placement, Released, Snapshot, Tail

__all__ = [
    "ORDER",
    "PLACEMENT",
    "STOCK",
    "TAIL",
    "BatchRow",
    "array",
    "batch",
    "entries",
    "events",
    "found",
    "integer",
    "moves",
    "order",
    "orders",
    "place",
    "placement",
    "snapshot",
    "stocks",
    "tail",
]

Row = Sequence[bytes | None]
Columns = Mapping[str, bytes]

TAIL = """t.part, t.term, t.beat, t.leader, t.index, t.digest, t.at, t.last_number,
  t.released_index, t.released_number, t.tenure, t.longest_lease, to_json(t.catalogs), t.listed,
  t.preferred"""
ORDER = "o.number, o.at, o.quantity, o.price, o.limit_price, o.made, o.side, o.stock, o.key"
STOCK = "s.name, s.price, s.quantity, s.volume, s.version, s.halted"
PLACEMENT = "stock, part, moved, before, arrived, price, quantity, volume, halted, to_json(former)"
_STOCK_COLUMNS = 6
_TAIL_COLUMNS = 15

_OTHER_ESCAPE = re.compile(rb'\\[^"\\]|\\\\')
_encode = msgspec.json.Encoder().encode
_decode_event = msgspec.json.Decoder(Event).decode
_decode_names = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_parts = msgspec.json.Decoder(tuple[int, ...]).decode


def array(values: Sequence[str] | Sequence[int] | Sequence[int | None]) -> bytes:
    """An array of text, integers or booleans."""
    text = _encode(values)
    if b"\\" in text and any(found[0] != b"\\\\" for found in _OTHER_ESCAPE.finditer(text)):
        quoted = (str(value).replace("\\", "\\\\").replace('"', '\\"') for value in values)
        return b"{%b}" % ",".join(f'"{value}"' for value in quoted).encode()
    return b"{%b}" % text[1:-1]


def place(batch: Batch) -> Columns:
    """Of the table `batches`."""
    first, last = batch.entries[0], batch.entries[-1]
    return {
        "first_index": b"%d" % first.index,
        "last_index": b"%d" % last.index,
        "previous": batch.previous.encode(),
        "digest": last.digest.encode(),
        "at": b"%d" % last.at_milliseconds,
        "last_number": b"%d" % batch.last_number,
    }


def orders(batch: Batch) -> Columns:
    """Of the table `orders`."""
    entries = [entry for entry in batch.entries if isinstance(entry.event, Traded)]
    traded = [entry.event for entry in entries if isinstance(entry.event, Traded)]
    return {
        "number": array([each.number for each in traded]),
        "index": array([entry.index for entry in entries]),
        "time": array([entry.at_milliseconds for entry in entries]),
        "quantity": array([each.quantity for each in traded]),
        "price": array([each.price for each in traded]),
        "limit_price": array([each.limit for each in traded]),
        "made": array([each.made for each in traded]),
        "side": array([each.side for each in traded]),
        "stock": array([each.stock for each in traded]),
        "key": array([each.key for each in traded]),
    }


def stocks(touched: Collection[Stock]) -> Columns:
    """Of the table `stocks`."""
    return {
        "name": array([stock.name for stock in touched]),
        "stock_price": array([stock.price for stock in touched]),
        "stock_quantity": array([stock.quantity for stock in touched]),
        "volume": array([stock.volume for stock in touched]),
        "version": array([stock.version for stock in touched]),
        "halted": array([stock.halted for stock in touched]),
    }


def events(batch: Batch) -> Columns:
    """Of the table `events`."""
    others = [entry for entry in batch.entries if not isinstance(entry.event, Traded)]
    listed = any(isinstance(entry.event, Listed) for entry in others)
    return {
        "listed": b"true" if listed else b"false",
        "event_index": array([entry.index for entry in others]),
        "event_at": array([entry.at_milliseconds for entry in others]),
        "event_kind": array([str(entry.event.__struct_config__.tag) for entry in others]),
        "event_body": array([_encode(entry.event).decode() for entry in others]),
    }


def moves(batch: Batch) -> Columns:
    """Of the table `placements`. A stock that comes and goes on in one batch is gone."""
    left = {
        entry.event.stock: (entry.index, entry.event.to)
        for entry in batch.entries
        if isinstance(entry.event, Moved)
    }
    adopted = [entry.event for entry in batch.entries if isinstance(entry.event, Adopted)]
    gone = batch.gone
    return {
        "gone": array([stock.name for stock in gone]),
        "gone_to": array([left[stock.name][1] for stock in gone]),
        "gone_moved": array([left[stock.name][0] for stock in gone]),
        "gone_price": array([stock.price for stock in gone]),
        "gone_quantity": array([stock.quantity for stock in gone]),
        "gone_volume": array([stock.volume for stock in gone]),
        "gone_halted": array([stock.halted for stock in gone]),
        "arrived": array([each.stock for each in adopted if each.stock not in left]),
        "adopted": array([each.stock for each in adopted]),
        "adopted_before": array([each.before for each in adopted]),
        "adopted_moved": array([each.moved for each in adopted]),
    }


def integer(column: bytes | None) -> int:
    assert column is not None
    return int(column)


def _text(column: bytes | None) -> str:
    assert column is not None
    return column.decode()


def _ints(row: Row, first: int, last: int) -> list[int]:
    return [integer(column) for column in row[first : last + 1]]


def tail(row: Row) -> Tail:
    """Of the columns `TAIL`."""
    part, term, beat, leader, index = _ints(row, 0, 4)
    at, last_number, released_index, released_number = _ints(row, 6, 9)
    return Tail(
        partition=part,
        term=term,
        beat=beat,
        leader=leader,
        index=index,
        digest=_text(row[5]),
        at_milliseconds=at,
        last_number=last_number,
        released=Released(index=released_index, number=released_number),
        tenure=float(_text(row[10])),
        longest_lease=float(_text(row[11])),
        catalogs=_decode_names(_text(row[12])),
        listed=row[13] == b"t",
        preferred=integer(row[14]),
    )


def placement(row: Row) -> Placement:
    """Of the columns `PLACEMENT`."""
    part, moved, before = _ints(row, 1, 3)
    price, quantity, volume = _ints(row, 5, 7)
    return Placement(
        stock=_text(row[0]),
        partition=part,
        moved=moved,
        before=before,
        arrived=row[4] == b"t",
        price=price,
        quantity=quantity,
        volume=volume,
        halted=row[8] == b"t",
        former=_each_once(row[9]),
    )


def _each_once(column: bytes | None) -> tuple[int, ...]:
    return tuple(dict.fromkeys(_decode_parts(_text(column))))


def snapshot(found: Sequence[Row]) -> tuple[Snapshot, int]:
    """Of the columns `STOCK`, the former partitions, the columns `TAIL`, who is away, and the entry
    that the stocks are as of: a row for each stock, or one without a stock."""
    first, *_ = found
    after = _STOCK_COLUMNS + 1
    away, stocks_index = first[after + _TAIL_COLUMNS :]
    held = [row for row in found if row[0] is not None]
    snapshot = Snapshot(
        tail=tail(first[after:]),
        stocks=[_stock(row) for row in held],
        former={
            _text(row[0]): _each_once(row[_STOCK_COLUMNS])
            for row in held
            if row[_STOCK_COLUMNS] is not None
        },
        away=[] if away is None else list(_decode_names(away)),
    )
    return snapshot, integer(stocks_index)


def _stock(row: Row) -> Stock:
    price, quantity, volume, version = _ints(row, 1, 4)
    return Stock(_text(row[0]), price, quantity, volume, version, row[5] == b"t")


def order(row: Row) -> Order:
    """Of the columns `ORDER`."""
    number, at, quantity, price, limit, made, side, stock, key = row
    return Order(
        integer(number),
        _text(stock),
        Side(_text(side)),
        integer(quantity),
        integer(at),
        _text(key),
        made == b"t",
        integer(price),
        None if limit is None else int(limit),
    )


def _traded(row: Row) -> Traded:
    """Of the columns `ORDER`."""
    number, _, quantity, price, limit, made, side, stock, key = row
    return Traded(
        integer(number),
        _text(key),
        _text(stock),
        Side(_text(side)),
        integer(quantity),
        integer(price),
        made == b"t",
        None if limit is None else int(limit),
    )


def found(rows: Sequence[Row], partition: int) -> Found:
    """Of the last index and its digest, the partition, and the columns `ORDER`: a row for each
    order, or one without an order. Of several orders of a key, that of `partition` counts."""
    orders = [(integer(row[2]), _traded(row[3:])) for row in rows if row[2] is not None]
    own = [each for each in orders if each[0] == partition]
    return Found(
        orders={order.key: (held, order) for held, order in orders + own},
        index=integer(rows[0][0]),
        digest=_text(rows[0][1]),
    )


class BatchRow(msgspec.Struct, frozen=True):
    """A row of `batches`."""

    first_index: int
    last_index: int
    term: int
    last_number: int
    previous: str
    digest: str


def batch(row: Row) -> BatchRow:
    first_index, last_index, term, last_number = _ints(row, 0, 3)
    return BatchRow(first_index, last_index, term, last_number, _text(row[4]), _text(row[5]))


def entries(
    partition: int, batches: Sequence[BatchRow], orders: Iterable[Row], events: Iterable[Row]
) -> list[Entry]:
    """The entries of `batches`, which follow one another. Raises `Damaged` if their digests are not
    those of the rows."""
    found: dict[int, tuple[int, Event]] = {}
    for row in orders:
        found[integer(row[0])] = integer(row[2]), _traded(row[1:])
    for row in events:
        index = integer(row[0])
        try:
            found[index] = integer(row[1]), _decode_event(_text(row[2]))
        except msgspec.DecodeError as error:
            raise Damaged(f"partition {partition}: entry {index}: {error}") from None
    made: list[Entry] = []
    for each in batches:
        where = f"partition {partition}: entries {each.first_index} to {each.last_index}"
        if made and (made[-1].index + 1, made[-1].digest) != (each.first_index, each.previous):
            raise Damaged(f"{where} do not follow entry {made[-1].index}")
        digest = each.previous
        for index in range(each.first_index, each.last_index + 1):
            if index not in found:
                raise Damaged(f"{where}: there is no entry {index}")
            at, event = found[index]
            entry = encode_entry(digest, index, each.term, at, event)
            digest = entry.digest
            made.append(entry)
        if digest != each.digest:
            raise Damaged(f"{where} are not as they were written: their digest is another")
    return made
