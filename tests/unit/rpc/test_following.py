"""Whose trades are, between processes: as it was said, or not at all."""

from tests.fakes.tracer import CLIENT
from twisted_bazaar.market import Side, Trade
from twisted_bazaar.rpc.bazaar.v1.following_pb2 import Followed as Wire
from twisted_bazaar.rpc.bounds import MAX_ENTRIES
from twisted_bazaar.rpc.following import (
    followed_from_metadata,
    followed_from_wire,
    followed_to_wire,
    traced_metadata_of,
)
from twisted_bazaar.rpc.wire import trades_to_wire
from twisted_bazaar.sending import UNGUARDED
from twisted_bazaar.tracing.context import TraceContext
from twisted_bazaar.tracing.followed import Followed

STATED = TraceContext(CLIENT.trace_id, CLIENT.span_id, 0, "a=1,b=2")


def test_it_arrives_as_it_left() -> None:
    followed = {3: Followed("mine"), 7: Followed("", CLIENT), 9: Followed("yours", STATED)}
    assert followed_from_wire(followed_to_wire(followed.items())) == followed


def test_what_is_malformed_counts_as_absent() -> None:
    wire = [
        Wire(at=1, request_id="two words"),
        Wire(at=2, request_id="x" * 129),
        Wire(at=3, request_id="line\n", traceparent=CLIENT.parent),
        Wire(at=4, request_id="mine", traceparent="00-none"),
        Wire(at=5),
    ]
    assert followed_from_wire(wire) == {3: Followed("", CLIENT), 4: Followed("mine")}


def test_a_call_says_no_more_than_it_may_have_entries() -> None:
    wire = followed_to_wire((at, Followed("mine")) for at in range(MAX_ENTRIES + 10))
    assert len(followed_from_wire(wire)) == MAX_ENTRIES


def test_metadata_carries_the_same() -> None:
    for followed in Followed("mine"), Followed("", CLIENT), Followed("yours", STATED):
        metadata = traced_metadata_of(followed.request_id, followed.context)
        assert followed_from_metadata([("user-agent", "x"), *(metadata or ())]) == followed
    assert traced_metadata_of("", None) is None
    assert followed_from_metadata([("x-request-id-bin", b"\0")]) == Followed("")


def test_trades_that_nobody_follows_cost_no_byte() -> None:
    trades = [Trade("key", "GameStart", Side.BUY, 1)]
    plain = trades_to_wire(trades, UNGUARDED).SerializeToString()
    assert trades_to_wire(trades, UNGUARDED, followed=[]).SerializeToString() == plain
    more = trades_to_wire(trades, UNGUARDED, followed=[(0, Followed("mine"))])
    assert more.SerializeToString().startswith(plain)
