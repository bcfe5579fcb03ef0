"""Messages arrive as they were sent, or are refused; errors arrive with their meaning."""

from collections.abc import Sequence
from typing import Any, get_type_hints

import grpc
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.histories import history
from twisted_bazaar.consensus import messages
from twisted_bazaar.consensus.entries import MemberInfo, encode_entry
from twisted_bazaar.errors import (
    BazaarError,
    Damaged,
    KeyReused,
    Malformed,
    NotAuthorised,
    NotExecuted,
    NotLeader,
    NotOurs,
    OrderUnread,
    OutcomeUnknown,
    Overloaded,
    Rejected,
    Unavailable,
    Unusable,
)
from twisted_bazaar.leases import Stamp
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import (
    MAX_PRICE,
    MAX_SHARES,
    MAX_TRADE_QUANTITY,
    Judged,
    Order,
    Placed,
    Rejection,
    Side,
    Trade,
    Traded,
)
from twisted_bazaar.rpc import wire
from twisted_bazaar.rpc.bazaar.v1 import market_pb2, order_pb2
from twisted_bazaar.rpc.status import abort_with, error_of
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.sending import MAX_EXPECTED_SENDINGS, UNGUARDED, Sending

LOG = history(4)

numbers = st.integers(0, 2**53 - 1)
ids = st.integers(0, 2**31 - 1)
text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=64)
seconds = st.floats(0, 2.0**40)
durations = st.floats(0, 86_400)
digests = st.sampled_from(["", *(entry.digest for entry in LOG)])
lags = st.builds(messages.FollowerLag, replica=ids, entries=numbers, seconds=seconds)
partitions = st.integers(0, 999)
parts = st.builds(
    messages.PartitionStatus,
    partition=partitions,
    role=text,
    term=numbers,
    leader=ids,
    last_index=numbers,
    last_number=numbers,
    digest=digests,
    cluster=text,
    preferred=ids,
)
placements = st.builds(
    messages.StockPlacement, stock=text, partition=partitions, arrived=st.booleans()
)
addresses = st.sampled_from(["", "127.0.0.1:7001", "order-3:7003", "[::1]:7003"])
infos = st.builds(MemberInfo, id=ids, address=addresses, joining=st.booleans())
stamps = st.builds(Stamp, st.integers(1, 2**53 - 1), seconds)

IDS = {"leader", "replica", "follower", "candidate", "voter", "to"}
DURATIONS = {"wait", "lease", "longest"}
DIGESTS = {"digest", "previous_digest", "last_digest"}

INSIDE = {messages.Declined, messages.Request, messages.LearnerRequest, messages.Reply}
"""What a replica says to its owner, and to nobody else."""

PARTS = {
    messages.FollowerLag,
    messages.MarketSnapshot,
    messages.PartitionStatus,
    messages.StockPlacement,
}
"""Of other messages."""

KINDS: list[Any] = [
    each
    for each in (getattr(messages, name) for name in messages.__all__)
    if isinstance(each, type) and each not in INSIDE | PARTS
]


def values(name: str, hint: Any) -> st.SearchStrategy[Any]:
    """What the field of a message may hold."""
    if name == "partition":
        return st.integers(0, 999)
    if hint is int:
        return ids if name in IDS else numbers
    if name == "roster":
        return st.lists(infos, max_size=9).map(tuple)
    if name in ("members", "before"):
        return st.lists(ids, max_size=9).map(tuple)
    if name == "followers":
        return st.lists(lags, max_size=9).map(tuple)
    if name == "partitions":
        return st.lists(parts, max_size=9).map(tuple)
    if name == "placements":
        return st.lists(placements, max_size=9).map(tuple)
    if hint is float and name in DURATIONS:
        return durations
    if name in DIGESTS:
        return digests
    if name == "snapshot":
        return st.none()  # See test_stocks.
    simple = {bool: st.booleans(), float: seconds, str: text, Stamp: stamps}
    return simple.get(hint, st.none() | stamps if hint == Stamp | None else st.just(()))


def any_message(kind: Any) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    made = st.builds(kind, **{name: values(name, hints[name]) for name in kind.__struct_fields__})
    if "entries" not in hints:
        return made
    return made | st.builds(carrying, made, st.integers(0, len(LOG)), st.integers(0, len(LOG)))


def carrying(message: Any, after: int, count: int) -> Any:
    """`message`, but with entries of the log where it says that they are."""
    place = "after" if isinstance(message, messages.FetchReply) else "previous_index"
    changes: dict[str, Any] = {place: after, "entries": tuple(LOG[after : after + count])}
    if isinstance(message, messages.Apply):
        changes["proposed"] = tuple(LOG[after + count : after + 2 * count])
    changes["term"] = message.term + 1 if message.term < 2**53 - 1 else message.term
    if isinstance(message, messages.Append):
        changes["previous_term"] = min(message.previous_term, 1)
    return msgspec.structs.replace(message, **changes)


def over_the_wire(sent: Any) -> Any:
    """As the other side reads it."""
    return type(sent).FromString(sent.SerializeToString())


@given(st.tuples(*map(any_message, KINDS)))
def test_every_message_arrives_as_it_was_sent(sent: tuple[Any, ...]) -> None:
    for message in sent:
        kind = type(message)
        arrived = wire.from_wire(over_the_wire(wire.to_wire(message)), kind)
        assert arrived == message
        for entry in (*getattr(arrived, "entries", ()), *getattr(arrived, "proposed", ())):
            assert entry.record == LOG[entry.index - 1].record, "the very bytes that go to disk"


@pytest.mark.parametrize("value", [0.0, 1e-9, 1234567.123456789])
def test_a_clock_is_not_rounded(value: float) -> None:
    reply = messages.AppendReply(term=1, follower=2, fits=True, index=3, round=4, sent=value)
    assert wire.from_wire(over_the_wire(wire.to_wire(reply)), messages.AppendReply) == reply
    stamped = messages.Apply(
        term=1,
        previous_index=0,
        previous_digest="",
        entries=(),
        commit=0,
        rebuild=False,
        history="",
        stamp=Stamp(2**53 - 1, value),
        lease=1.0,
        sent=value,
    )
    assert wire.from_wire(over_the_wire(wire.to_wire(stamped)), messages.Apply) == stamped


def test_a_stamp_of_zeros_is_not_none() -> None:
    """None says that no lease comes with the message; a clock may well have begun at 0."""
    sent = messages.Apply(
        term=1,
        previous_index=0,
        previous_digest="",
        entries=(),
        commit=0,
        rebuild=False,
        history="",
        stamp=Stamp(0, 0.0),
        lease=1.0,
        sent=0.0,
    )
    assert wire.from_wire(over_the_wire(wire.to_wire(sent)), messages.Apply).stamp == Stamp(0, 0.0)


# Orders and trades.


quantities = st.integers(1, MAX_TRADE_QUANTITY)
sides = st.sampled_from(Side)
keys = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=128)
prices = st.integers(0, MAX_PRICE)
maybe_prices = st.none() | prices
moments = st.integers(0, 253_402_300_799_999)
trades_made = st.builds(
    Trade,
    keys,
    text,
    sides,
    quantities,
    st.booleans(),
    maybe_prices,
    st.none() | moments,
    st.booleans(),
)


@given(trades_made)
def test_a_trade_arrives_as_it_was_sent(trade: Trade) -> None:
    assert wire.trade_from_wire(over_the_wire(wire.trade_to_wire(trade))) == trade


@given(
    st.builds(
        Traded,
        st.integers(1, MAX_SHARES),
        keys,
        text,
        sides,
        quantities,
        prices,
        st.booleans(),
        maybe_prices,
    ),
    moments,
)
def test_an_order_arrives_as_it_is_in_the_log(traded: Traded, at: int) -> None:
    sent = wire.order_to_wire(encode_entry("", 5, 1, at, traded), Ledger().price_of)
    assert wire.order_from_wire(over_the_wire(sent)) == Order(
        traded.number,
        traded.stock,
        traded.side,
        traded.quantity,
        at,
        traded.key,
        traded.made,
        traded.price,
        traded.limit,
    )


def test_an_order_of_a_replica_of_an_earlier_release_shows_neither_key_nor_price() -> None:
    sent = market_pb2.Order(number=1, stock="A", side=market_pb2.SIDE_BUY, quantity=2, at=3)
    assert wire.order_from_wire(over_the_wire(sent)) == Order(1, "A", Side.BUY, 2, 3)


@pytest.mark.parametrize(
    "strange",
    [
        order_pb2.Trade(key="k", stock="A", quantity=1),
        order_pb2.Trade(key="k", stock="A", quantity=1, side=9),  # type: ignore[arg-type]
        order_pb2.Trade(key="k", stock="A", side=market_pb2.SIDE_BUY, quantity=0),
        order_pb2.Trade(key="k", stock="A", side=market_pb2.SIDE_SELL, quantity=-5),
        order_pb2.Trade(key="k", stock="A", side=market_pb2.SIDE_BUY, quantity=2**62),
        order_pb2.Trade(stock="A", side=market_pb2.SIDE_BUY, quantity=1),
        order_pb2.Trade(key="k" * 162, stock="A", side=market_pb2.SIDE_BUY, quantity=1),
        order_pb2.Trade(key="k", stock="A" * 65, side=market_pb2.SIDE_BUY, quantity=1),
        order_pb2.Trade(key="k", stock="A", side=market_pb2.SIDE_BUY, quantity=1, limit=-1),
        order_pb2.Trade(key="k", stock="A", side=market_pb2.SIDE_BUY, quantity=1, limit=2**62),
        order_pb2.Trade(key="k", stock="A", side=market_pb2.SIDE_BUY, quantity=1, valid_until=-1),
    ],
    ids=[
        "no side",
        "strange side",
        "nothing",
        "negative",
        "huge",
        "no key",
        "long key",
        "name",
        "negative limit",
        "huge limit",
        "before time",
    ],
)
def test_a_trade_out_of_bounds_is_refused(strange: order_pb2.Trade) -> None:
    with pytest.raises(Malformed):
        wire.trade_from_wire(over_the_wire(strange))


# Sendings.

numbers = st.integers(1, 2**53 - 1)


@given(
    st.lists(st.builds(Trade, keys, text, sides, quantities), max_size=3),
    numbers,
    numbers,
    numbers,
    st.lists(numbers, max_size=MAX_EXPECTED_SENDINGS),
)
def test_a_sending_arrives_as_it_was_sent(
    trades: list[Trade], term: int, life: int, number: int, expected: list[int]
) -> None:
    sending = Sending(
        term=term,
        life=life,
        number=number,
        expected=tuple(expected),
        expires=tuple(0.5 + each for each in range(len(trades))),
    )
    request = over_the_wire(wire.trades_to_wire(trades, sending))
    assert [wire.trade_from_wire(each) for each in request.trades] == trades
    assert wire.sending_from_wire(request) == sending


def test_a_batch_of_an_earlier_release_is_unguarded() -> None:
    assert wire.sending_from_wire(order_pb2.TradeRequest()) == UNGUARDED
    assert over_the_wire(wire.trades_to_wire([], UNGUARDED)) == order_pb2.TradeRequest()


@pytest.mark.parametrize(
    "strange",
    [
        order_pb2.TradeRequest(term=1),
        order_pb2.TradeRequest(life=1, number=1),
        order_pb2.TradeRequest(term=1, life=1),
        order_pb2.TradeRequest(term=1, life=-1, number=1),
        order_pb2.TradeRequest(term=1, life=1, number=1, expires=[1.0]),
        order_pb2.TradeRequest(
            term=1, life=1, number=99, expected=range(1, MAX_EXPECTED_SENDINGS + 2)
        ),
    ],
    ids=["no life", "no term", "no number", "negative", "expires too many", "expects too many"],
)
def test_a_sending_out_of_bounds_is_refused(strange: order_pb2.TradeRequest) -> None:
    with pytest.raises(Malformed):
        wire.sending_from_wire(over_the_wire(strange))


# Outcomes.


OUTCOMES = [
    Placed(1, replayed=False),
    Placed(2**53 - 1, replayed=True),
    Placed(2, replayed=True, price=0),
    Placed(2, replayed=False, price=MAX_PRICE),
    Placed(2, replayed=True, price=0, partition=0),
    Placed(2, replayed=True, price=0, partition=999),
    Judged(0),
    Judged(1599),
    *map(Rejected, Rejection),
    KeyReused("k"),
    NotLeader(),
    Overloaded("full"),
    OutcomeUnknown("who knows"),
    OrderUnread("not here"),
]


def same_outcome(arrived: object, sent: object) -> bool:
    if isinstance(sent, Rejected):
        return isinstance(arrived, Rejected) and arrived.rejection is sent.rejection
    return arrived == sent if isinstance(sent, Placed | Judged) else type(arrived) is type(sent)


@pytest.mark.parametrize("outcome", OUTCOMES, ids=repr)
def test_an_outcome_arrives_as_what_it_means(outcome: Placed | BazaarError) -> None:
    arrived = wire.outcome_from_wire(over_the_wire(wire.outcome_to_wire(outcome)))
    assert same_outcome(arrived, outcome)
    if isinstance(arrived, BazaarError):
        assert str(arrived), "it may be shown to a client"


@pytest.mark.parametrize("outcome", [Unavailable("?"), NotExecuted("?"), Damaged("?")])
def test_an_error_without_an_outcome_of_its_own_is_outcome_unknown(outcome: BazaarError) -> None:
    arrived = wire.outcome_from_wire(over_the_wire(wire.outcome_to_wire(outcome)))
    assert type(arrived) is OutcomeUnknown


@pytest.mark.parametrize(
    "strange",
    [
        order_pb2.Outcome(),
        order_pb2.Outcome(retry=order_pb2.RETRY_UNSPECIFIED),
        order_pb2.Outcome(retry=99),  # type: ignore[arg-type]
        order_pb2.Outcome(rejection=order_pb2.REJECTION_UNSPECIFIED),
        order_pb2.Outcome(rejection=99),  # type: ignore[arg-type]
        order_pb2.Outcome(number=-1),
        order_pb2.Outcome(number=2**53),
    ],
    ids=["empty", "no retry", "strange retry", "no rejection", "strange rejection", "-1", "2**53"],
)
def test_an_outcome_of_a_later_release_is_outcome_unknown(
    strange: order_pb2.Outcome,
) -> None:
    """A replica of a later version must not make the front-end lose the rest of the batch."""
    assert type(wire.outcome_from_wire(over_the_wire(strange))) is OutcomeUnknown


# Errors of whole calls.


PEER = Address("127.0.0.1", 7003)
Metadata = Sequence[tuple[str, str]]


class Aborted(Exception):
    pass


class Context:
    """What a handler sees of its call."""

    def set_trailing_metadata(self, metadata: Metadata) -> None:
        self.metadata = metadata

    def abort(self, code: grpc.StatusCode, details: str) -> None:
        self.code, self.details = code, details
        raise Aborted


class Failed(grpc.RpcError):
    """What a caller sees of a failed call."""

    def __init__(self, code: grpc.StatusCode, details: str, metadata: Metadata = ()) -> None:
        self.code = lambda: code
        self.details = lambda: details
        self.trailing_metadata = lambda: metadata


def across(error: BazaarError) -> BazaarError:
    """`error` ends a handler: what its caller gets."""
    context = Context()
    with pytest.raises(Aborted):
        abort_with(context, error)  # type: ignore[arg-type]
    return error_of(Failed(context.code, context.details, context.metadata), PEER)


def test_an_error_with_a_status_of_its_own_crosses_as_itself() -> None:
    assert type(across(NotLeader())) is NotLeader
    overloaded = across(Overloaded("too many trades are waiting"))
    assert type(overloaded) is Overloaded
    assert str(overloaded) == "too many trades are waiting"
    unavailable = across(Unavailable("the catalog has not heard from the leader yet"))
    assert type(unavailable) is Unavailable
    assert "the catalog has not heard from the leader yet" in str(unavailable)
    assert "127.0.0.1:7003" in str(unavailable)
    assert type(across(NotAuthorised("not signed"))) is NotAuthorised
    assert type(across(NotOurs("this is another replica"))) is NotOurs


@pytest.mark.parametrize(
    "error",
    [NotExecuted("?"), OutcomeUnknown("?"), KeyReused("?"), Damaged("?"), Unusable("?")]
    + [Malformed("?"), Rejected(Rejection.UNKNOWN_STOCK)],
    ids=lambda error: type(error).__name__,
)
def test_any_other_error_crosses_as_unavailable(error: BazaarError) -> None:
    assert type(across(error)) is Unavailable


@pytest.mark.parametrize("code", grpc.StatusCode)
@pytest.mark.parametrize("details", ["why", ""])
def test_a_status_that_grpc_itself_sets_is_unavailable(code: grpc.StatusCode, details: str) -> None:
    error = error_of(Failed(code, details), PEER)
    assert type(error) is Unavailable
    assert "None" not in str(error)


def test_a_message_of_a_kind_that_does_not_travel_is_refused() -> None:
    class Private(msgspec.Struct):
        pass

    with pytest.raises(KeyError):
        wire.to_wire(Private())
