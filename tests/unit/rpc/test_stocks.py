"""Stocks, and a snapshot of all of them, arrive as they were sent, or are refused."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.histories import ledger_of, sends
from twisted_bazaar.consensus.messages import Apply, MarketSnapshot
from twisted_bazaar.errors import Malformed
from twisted_bazaar.market import MAX_SHARES, Stock
from twisted_bazaar.rpc import stocks, wire
from twisted_bazaar.rpc.bazaar.v1 import catalog_pb2, market_pb2

from .test_wire import LOG, over_the_wire, text

amounts = st.integers(0, MAX_SHARES)


@given(st.builds(Stock, text, st.integers(0, 10**14), amounts, amounts, amounts))
def test_a_stock_arrives_as_it_was_sent(stock: Stock) -> None:
    assert stocks.stock_from_wire(over_the_wire(stocks.stock_to_wire(stock))) == stock


STOCKS = ledger_of(LOG).stocks


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        (market_pb2.LookupRequest(all=True), ["Fish, Co", "GameStart"]),
        (market_pb2.LookupRequest(all=True, names=["GameStart"]), ["Fish, Co", "GameStart"]),
        (market_pb2.LookupRequest(names=["GameStart", "Fish, Co"]), ["GameStart", "Fish, Co"]),
        (market_pb2.LookupRequest(names=["nope", "GameStart"]), ["GameStart"]),
        (market_pb2.LookupRequest(names=["nope"]), []),
        (market_pb2.LookupRequest(), []),
    ],
    ids=["all", "all and a name", "as asked", "one of them", "unknown", "nothing"],
)
def test_a_lookup_is_answered_with_what_it_asked_for(
    asked: market_pb2.LookupRequest, answered: list[str]
) -> None:
    reply = over_the_wire(wire.lookup_to_wire(STOCKS, over_the_wire(asked)))
    assert [stocks.stock_from_wire(each) for each in reply.stocks] == [
        STOCKS[name] for name in answered
    ]


# Snapshots.


def message(**changes: Any) -> Apply:
    """With the state after entry 4, and the two entries after it; `changes` are the snapshot's."""
    ledger = ledger_of(LOG[:4])
    snapshot = MarketSnapshot(
        index=4,
        digest=LOG[3].digest,
        stocks=list(ledger.stocks.values()),
        last_number=ledger.last_number,
    )
    snapshot = msgspec.structs.replace(snapshot, **changes)
    return msgspec.structs.replace(sends(LOG, 4, 6, rebuild=True), snapshot=snapshot)


def received(sent: Apply) -> Apply:
    body = wire.to_wire(sent).SerializeToString()
    return wire.from_wire(catalog_pb2.ApplyRequest.FromString(body), Apply)


def test_a_snapshot_arrives_as_it_was_sent() -> None:
    sent = message()
    assert sent.snapshot is not None
    assert len(sent.snapshot.stocks) == 2
    assert received(sent) == sent
    assert received(message(stocks=[])).snapshot == message(stocks=[]).snapshot
    assert received(message(listed=False)).snapshot == message(listed=False).snapshot


def test_a_message_without_one_has_none() -> None:
    assert received(sends(LOG, 4, 6)).snapshot is None


@pytest.mark.parametrize(
    "changes",
    [
        {"index": 3},
        {"digest": LOG[2].digest},
        {"last_number": -1},
        {"stocks": [Stock("A", 1, 1, 0, 2), Stock("A", 1, 1, 0, 3)]},
        {"stocks": [Stock("A", 1, 1, 0, 5)]},
        {"stocks": [Stock("", 1, 1, 0, 2)]},
    ],
    ids=["index", "digest", "number", "twice", "later", "name"],
)
def test_a_snapshot_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        received(message(**changes))


def test_a_snapshot_of_an_unnamed_history_is_refused() -> None:
    """A catalog would answer that it is on it."""
    sent = msgspec.structs.replace(message(digest=""), previous_digest="")
    with pytest.raises(Malformed):
        received(sent)


def test_a_snapshot_of_nothing_is_refused() -> None:
    """A catalog that begins with nothing needs none."""
    sent = msgspec.structs.replace(message(index=0, stocks=[]), previous_index=0, entries=())
    with pytest.raises(Malformed):
        received(sent)
