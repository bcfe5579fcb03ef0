"""Messages that no service sends are refused on arrival."""

import math
from typing import Any, get_type_hints

import pytest

from twisted_bazaar.consensus import messages
from twisted_bazaar.consensus.entries import Opened, encode_entry
from twisted_bazaar.errors import Malformed
from twisted_bazaar.leases import Stamp
from twisted_bazaar.market import MAX_STOCKS
from twisted_bazaar.rpc import stocks, wire
from twisted_bazaar.rpc.bazaar.v1 import market_pb2
from twisted_bazaar.rpc.bounds import MAX_ENTRIES, MAX_NAMES

from .test_stocks import STOCKS
from .test_wire import IDS, KINDS, LOG, over_the_wire


@pytest.mark.parametrize(
    "record",
    [b"", b"{}", b"\xff\xfe", LOG[1].record[:-1], LOG[1].record + b" ", b"[" * 2000],
    ids=["empty", "nothing", "binary", "cut", "longer", "deep"],
)
@pytest.mark.parametrize("kind", [messages.Append, messages.Apply, messages.FetchReply])
def test_a_record_that_is_no_entry_is_refused(kind: Any, record: bytes) -> None:
    sent = wire.to_wire(empty(kind))
    sent.records.extend([LOG[0].record, record])
    with pytest.raises(Malformed):
        wire.from_wire(over_the_wire(sent), kind)


def empty(kind: Any) -> Any:
    """A sound message with nothing in it."""
    hints = get_type_hints(kind)
    nothing = {int: 0, float: 0.0, str: "", bool: False, Stamp: Stamp(0, 0.0)}
    fields = {name: nothing.get(hints[name]) for name in kind.__struct_fields__}
    fields |= {name: () for name in ("entries", "proposed") if name in fields}
    fields |= {"term": 1} if "term" in fields else {}
    return kind(**fields)


# What no service of ours says.


FROM_OUTSIDE = [
    (kind, name, value)
    for kind in KINDS
    for name, hint in get_type_hints(kind).items()
    for value in {
        int: [-1, 2**53, 2**63 - 1, -(2**63)],
        float: [math.nan, math.inf, -math.inf, -1.0, 1e300],
        str: ["x" * 257],
    }.get(hint, [])
    if name != "learner" and not (name in IDS | {"partition"} and abs(value) > 2**31)
] + [(messages.Apply, "partition", 1000)]


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    FROM_OUTSIDE,
    ids=[f"{kind.__name__}.{name}={value!r:.12}" for kind, name, value in FROM_OUTSIDE],
)
def test_a_field_out_of_its_bounds_is_refused(kind: Any, name: str, value: object) -> None:
    sent = wire.to_wire(empty(kind))
    wire.from_wire(over_the_wire(sent), kind)
    setattr(sent, name, value)
    with pytest.raises(Malformed, match=name):
        wire.from_wire(over_the_wire(sent), kind)


@pytest.mark.parametrize("field", ["previous_digest", "digest"])
@pytest.mark.parametrize("value", ["0" * 31, "0" * 33, "G" * 32, "é" * 32, "0" * 31 + "\n"])
def test_a_digest_that_has_another_shape_is_refused(field: str, value: str) -> None:
    kind: Any = messages.Apply if field == "previous_digest" else messages.ApplyReply
    sent = wire.to_wire(empty(kind))
    setattr(sent, field, value)
    with pytest.raises(Malformed, match=field):
        wire.from_wire(over_the_wire(sent), kind)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, -1) for name in ("partition", "term", "leader", "last_index", "preferred")),
        ("partition", 1000),
        ("last_number", 2**53),
        ("role", "x" * 257),
        ("cluster", "x" * 257),
        ("digest", "0" * 31),
    ],
)
def test_a_partition_out_of_its_bounds_is_refused(field: str, value: object) -> None:
    sent = wire.to_wire(empty(messages.Status))
    setattr(sent.partitions.add(), field, value)
    with pytest.raises(Malformed, match=field):
        wire.from_wire(over_the_wire(sent), messages.Status)


@pytest.mark.parametrize(("field", "value"), [("partition", 1000), ("stock", "x" * 300)])
def test_a_placement_out_of_its_bounds_is_refused(field: str, value: object) -> None:
    sent = wire.to_wire(empty(messages.Status))
    setattr(sent.placements.add(), field, value)
    with pytest.raises(Malformed, match=field):
        wire.from_wire(over_the_wire(sent), messages.Status)


@pytest.mark.parametrize("stamp", [(-1, 0.0), (2**53, 0.0), (1, math.nan), (1, math.inf)])
@pytest.mark.parametrize("kind", [messages.Apply, messages.ApplyReply])
def test_a_stamp_that_is_out_of_bounds_is_refused(kind: Any, stamp: tuple[int, float]) -> None:
    sent = wire.to_wire(empty(kind))
    sent.stamp.life, sent.stamp.at = stamp
    with pytest.raises(Malformed):
        wire.from_wire(over_the_wire(sent), kind)


def elsewhere(sent: Any) -> None:
    sent.previous_index = 1


def of_a_later_term(sent: Any) -> None:
    sent.term = 0


def twice(sent: Any) -> None:
    sent.records.append(LOG[0].record)


def with_a_gap(sent: Any) -> None:
    sent.records.append(LOG[2].record)


def too_many(sent: Any) -> None:
    sent.records.extend([LOG[1].record] * MAX_ENTRIES)


def made_after_the_last_year(sent: Any) -> None:
    sent.records[0] = encode_entry("", 1, 1, 2**60, Opened(leader=1)).record


@pytest.mark.parametrize(
    "wrong",
    [elsewhere, of_a_later_term, twice, with_a_gap, too_many, made_after_the_last_year],
    ids=lambda wrong: wrong.__name__,
)
@pytest.mark.parametrize("kind", [messages.Append, messages.Apply])
def test_entries_at_other_indexes_than_the_message_says_are_refused(kind: Any, wrong: Any) -> None:
    sent = wire.to_wire(empty(kind))
    sent.records.append(LOG[0].record)
    assert wire.from_wire(over_the_wire(sent), kind).entries == (LOG[0],)
    wrong(sent)
    with pytest.raises(Malformed):
        wire.from_wire(over_the_wire(sent), kind)


def test_proposed_entries_follow_the_committed_ones_of_the_message() -> None:
    sent = wire.to_wire(empty(messages.Apply))
    sent.records.append(LOG[0].record)
    sent.proposed.append(LOG[1].record)
    assert wire.from_wire(over_the_wire(sent), messages.Apply).proposed == (LOG[1],)
    sent.proposed.insert(0, LOG[2].record)
    with pytest.raises(Malformed, match="cannot come after entry 1"):
        wire.from_wire(over_the_wire(sent), messages.Apply)


@pytest.mark.parametrize(
    "stock",
    [
        market_pb2.Stock(name=""),
        market_pb2.Stock(name="x" * 65),
        market_pb2.Stock(name="A", price=-1),
        market_pb2.Stock(name="A", price=2**62),
        market_pb2.Stock(name="A", quantity=-1),
        market_pb2.Stock(name="A", volume=-1),
        market_pb2.Stock(name="A", version=2**63 - 1),
    ],
)
def test_a_stock_out_of_bounds_is_refused(stock: market_pb2.Stock) -> None:
    with pytest.raises(Malformed):
        stocks.stocks_from_wire([market_pb2.Stock(name="A"), stock])


def test_too_many_stocks_are_refused() -> None:
    with pytest.raises(Malformed):
        stocks.stocks_from_wire([market_pb2.Stock(name="A")] * (MAX_STOCKS + 1))


@pytest.mark.parametrize(
    "order",
    [
        market_pb2.Order(number=1, side=market_pb2.SIDE_BUY, quantity=1, at=-1),
        market_pb2.Order(number=1, side=market_pb2.SIDE_BUY, quantity=1, at=2**62),
        market_pb2.Order(number=0, side=market_pb2.SIDE_BUY, quantity=1),
        market_pb2.Order(number=2**53, side=market_pb2.SIDE_BUY, quantity=1),
        market_pb2.Order(number=1, quantity=1),
        market_pb2.Order(number=1, side=market_pb2.SIDE_BUY),
    ],
)
def test_an_order_out_of_bounds_is_refused(order: market_pb2.Order) -> None:
    with pytest.raises(Malformed):
        wire.order_from_wire(order)


def test_a_lookup_of_too_many_names_is_refused() -> None:
    with pytest.raises(Malformed):
        wire.lookup_to_wire(STOCKS, market_pb2.LookupRequest(names=["A"] * (MAX_NAMES + 1)))
    with pytest.raises(Malformed):
        wire.lookup_to_wire(STOCKS, market_pb2.LookupRequest(all=True, after=-1))


def test_a_caller_that_has_an_earlier_market_gets_only_the_changes() -> None:
    def asked(after: int, history: str) -> tuple[list[str], bool]:
        request = market_pb2.LookupRequest(all=True, after=after, history=history)
        reply = over_the_wire(wire.lookup_to_wire(STOCKS, request, "log-1", 6))
        assert (reply.history, reply.upto) == ("log-1", 6)
        return [stock.name for stock in reply.stocks], reply.changes

    everything = ["Fish, Co", "GameStart"]
    assert asked(4, "log-1") == (everything, True)
    assert asked(5, "log-1") == (["GameStart"], True)
    assert asked(6, "log-1") == ([], True)
    assert asked(0, "log-1") == (everything, False), "it knows nothing"
    assert asked(5, "log-2") == (everything, False), "it knows another log"
    assert asked(7, "log-1") == (everything, False), "it knows more than there is"


@pytest.mark.parametrize(("after", "changes"), [(3, False), (4, True)])
def test_a_caller_that_has_a_market_from_before_a_stock_left_gets_the_whole(
    after: int, changes: bool
) -> None:
    request = market_pb2.LookupRequest(all=True, after=after, history="log-1")
    assert wire.lookup_to_wire(STOCKS, request, "log-1", 6, whole_before=4).changes is changes
