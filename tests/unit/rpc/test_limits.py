"""The largest market, with the longest names, fits into every message."""

import msgspec

from tests.fakes.histories import sends
from twisted_bazaar.consensus.entries import GENESIS, decode_entry, encode_entry
from twisted_bazaar.consensus.messages import Append
from twisted_bazaar.consensus.messages import MarketSnapshot as Snapshot
from twisted_bazaar.frontend.lookups.whole_market import MarketSnapshot
from twisted_bazaar.leases import Stamp
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import (
    MAX_NAME_CHARACTERS,
    MAX_SHARES,
    MAX_STOCKS,
    MAX_VOLUME,
    Listed,
    Listing,
    Stock,
)
from twisted_bazaar.rpc.bazaar.v1 import market_pb2
from twisted_bazaar.rpc.bounds import MAX_INTEGER, MAX_PRICE
from twisted_bazaar.rpc.keepalive import MAX_MESSAGE_BYTES
from twisted_bazaar.rpc.push import MAX_PUSH_BYTES, Push, encode
from twisted_bazaar.rpc.wire import lookup_to_wire, to_wire

NAMES = [f"{number:05}".rjust(MAX_NAME_CHARACTERS, "🐟") for number in range(MAX_STOCKS)]
LISTED = Listed(tuple(Listing(name, MAX_PRICE, MAX_SHARES) for name in NAMES))


def test_the_largest_market_fits_everywhere() -> None:
    entry = encode_entry(GENESIS, 1, 1, 0, LISTED)
    assert decode_entry(entry.record).event == LISTED
    append = to_wire(
        Append(
            term=1,
            leader=3,
            previous_index=0,
            previous_term=0,
            entries=(entry,),
            commit=1,
            released=1,
            round=1,
            sent=1.0,
        )
    )
    assert 2 * append.ByteSize() < MAX_MESSAGE_BYTES
    stocks = {name: Stock(name, MAX_PRICE, MAX_SHARES, MAX_VOLUME, MAX_INTEGER) for name in NAMES}
    assert Ledger(stocks.values()).stocks == stocks
    reply = lookup_to_wire(stocks, market_pb2.LookupRequest(all=True), "0" * 256, MAX_INTEGER)
    assert 2 * reply.ByteSize() < MAX_MESSAGE_BYTES
    snapshot = Snapshot(
        index=MAX_INTEGER, digest="0" * 32, stocks=[*stocks.values()], last_number=MAX_INTEGER
    )
    message = msgspec.structs.replace(sends([entry], 1, 1, rebuild=True), snapshot=snapshot)
    assert 2 * to_wire(message).ByteSize() < MAX_MESSAGE_BYTES
    floors = dict.fromkeys(NAMES, MAX_INTEGER)
    push = Push(
        life=2**53 - 1,
        history="0" * 256,
        upto=MAX_INTEGER,
        floors=floors,
        stamp=Stamp(2**53 - 1, 1e9 / 7),
        seconds=1.0 / 3,
    )
    assert len(encode(push)) < MAX_PUSH_BYTES
    assert len(MarketSnapshot.of(list(stocks.values()), "0" * 32, 1).body) < MAX_PUSH_BYTES * 2
