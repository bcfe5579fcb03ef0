"""Converts between the vocabulary and the protobuf messages of the .proto files.

What arrives is checked against `bounds` here: a message that no service of a bazaar sends is
`Malformed`. The messages of `consensus.messages` have the same field names in the .proto files,
except `entries`, which travel as their records in the log; so does what is `proposed`. A stamp
may be absent.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar, get_type_hints

import msgspec

from twisted_bazaar.consensus import far_behind, messages
from twisted_bazaar.consensus.entries import Entry, decode_entry
from twisted_bazaar.errors import (
    BazaarError,
    Damaged,
    KeyReused,
    Malformed,
    NotLeader,
    OrderUnread,
    OutcomeUnknown,
    Overloaded,
    Rejected,
)
from twisted_bazaar.leases import Stamp
from twisted_bazaar.market import (
    MAX_NAME_CHARACTERS,
    MAX_TRADE_QUANTITY,
    Judged,
    Order,
    Placed,
    Rejection,
    Side,
    Stock,
    Trade,
    Traded,
)
from twisted_bazaar.partitions import MAX_PARTITIONS
from twisted_bazaar.sending import MAX_EXPECTED_SENDINGS, UNGUARDED, Sending
from twisted_bazaar.tracing.followed import Followed

from . import bounds
from .bazaar.v1 import catalog_pb2, market_pb2, order_pb2, replication_pb2
from .following import followed_to_wire
from .members import ids_from_wire, members_from_wire, members_to_wire
from .partition_status import part_to_wire, partitions_from_wire, placements_from_wire
from .push import Subscription
from .stocks import snapshot_from_wire, snapshot_to_wire, stock_to_wire

Message = TypeVar("Message", bound=msgspec.Struct)

__all__ = [
    "from_wire",
    "lookup_to_wire",
    "order_from_wire",
    "order_to_wire",
    "outcome_from_wire",
    "outcome_to_wire",
    "sending_from_wire",
    "subscription_from_wire",
    "to_wire",
    "trade_from_wire",
    "trade_to_wire",
    "trades_to_wire",
]

_WIRE_TYPES: dict[type, Any] = {
    messages.Append: replication_pb2.AppendRequest,
    messages.AppendReply: replication_pb2.AppendReply,
    messages.Vote: replication_pb2.VoteRequest,
    messages.VoteReply: replication_pb2.VoteReply,
    messages.Poll: replication_pb2.PollRequest,
    messages.PollReply: replication_pb2.PollReply,
    messages.Fetch: replication_pb2.FetchRequest,
    messages.FetchReply: replication_pb2.FetchReply,
    far_behind.Snapshot: replication_pb2.SnapshotRequest,
    far_behind.SnapshotReply: replication_pb2.SnapshotReply,
    far_behind.Earlier: replication_pb2.EarlierRequest,
    far_behind.EarlierReply: replication_pb2.EarlierReply,
    messages.Apply: catalog_pb2.ApplyRequest,
    messages.ApplyReply: catalog_pb2.ApplyReply,
    messages.CampaignReply: order_pb2.CampaignReply,
    messages.Status: order_pb2.StatusReply,
}

_SIDES_TO_WIRE = {Side.BUY: market_pb2.SIDE_BUY, Side.SELL: market_pb2.SIDE_SELL}
_SIDES = {wire: side for side, wire in _SIDES_TO_WIRE.items()}

_REJECTIONS_TO_WIRE = {
    Rejection.UNKNOWN_STOCK: order_pb2.REJECTION_UNKNOWN_STOCK,
    Rejection.NOT_ENOUGH_SHARES: order_pb2.REJECTION_NOT_ENOUGH_SHARES,
    Rejection.TOO_MANY_SHARES: order_pb2.REJECTION_TOO_MANY_SHARES,
    Rejection.PRICE_OUT_OF_BOUNDS: order_pb2.REJECTION_PRICE_OUT_OF_BOUNDS,
    Rejection.EXPIRED: order_pb2.REJECTION_EXPIRED,
    Rejection.HALTED: order_pb2.REJECTION_HALTED,
}
_REJECTIONS = {wire: rejection for rejection, wire in _REJECTIONS_TO_WIRE.items()}


def to_wire(message: msgspec.Struct) -> Any:
    """The protobuf message of a replication message, of a `Status` or a `CampaignReply`."""
    fields = msgspec.structs.asdict(message)
    if "entries" in fields:
        fields["records"] = [entry.record for entry in fields.pop("entries")]
    if "proposed" in fields:
        fields["proposed"] = [entry.record for entry in fields["proposed"]]
    if stamp := fields.get("stamp"):
        fields["stamp"] = catalog_pb2.Stamp(life=stamp.life, at=stamp.at_seconds)
    if snapshot := fields.get("snapshot"):
        fields["snapshot"] = snapshot_to_wire(snapshot)
    if roster := fields.get("roster"):
        fields["roster"] = members_to_wire(roster)
    if followers := fields.get("followers"):
        fields["followers"] = [
            order_pb2.FollowerLag(replica=lag.replica, entries=lag.entries, seconds=lag.seconds)
            for lag in followers
        ]
    if "partitions" in fields:
        for name in ("partitions", "placements"):
            fields[name] = [part_to_wire(part) for part in fields[name] or ()]
    return _WIRE_TYPES[type(message)](**fields)


def from_wire(wire: Any, kind: type[Message]) -> Message:
    """The message of type `kind` that `to_wire` made `wire` of.

    Raises `Malformed` if a field is out of its bounds, a record is no log entry, or the records are
    not consecutive entries of one log.
    """
    plan = _plan(kind)
    fields: dict[str, Any] = dict(zip(plan.names, plan.values(wire), strict=True))
    for name, most in plan.integers:
        if not 0 <= fields[name] <= most:
            bounds.check_integer(name, fields[name], most)
    for name, check in plan.others:
        check(name, fields[name])
    if plan.stamp:
        fields["stamp"] = _stamp_from_wire(wire.stamp) if wire.HasField("stamp") else None
    if plan.snapshot and wire.HasField("snapshot"):
        previous = fields["previous_index"], fields["previous_digest"]
        fields["snapshot"] = snapshot_from_wire(wire.snapshot, *previous)
    if plan.members:
        fields["members"] = ids_from_wire(wire.members)
    if plan.roster:
        fields["roster"] = members_from_wire(wire.roster)
        fields["before"] = ids_from_wire(wire.before)
    if plan.followers:
        fields["followers"] = _followers_from_wire(wire.followers)
        fields["partitions"] = partitions_from_wire(wire.partitions)
        fields["placements"] = placements_from_wire(wire.placements)
    if plan.entries:
        entries = fields["entries"] = _entries_from_wire(wire.records, fields)
        if plan.proposed:
            fields["proposed"] = _entries_from_wire(wire.proposed, fields, entries)
    return kind(**fields)


class _Plan(msgspec.Struct, frozen=True):
    """How the fields of one kind of message are read. Made once, as that is slow."""

    names: Sequence[str]
    """Of the fields that are numbers, flags and texts."""
    values: Callable[[Any], tuple[Any, ...]]
    """Returns these fields of a protobuf message."""
    integers: Sequence[tuple[str, int]]
    others: Sequence[tuple[str, Callable[[str, Any], None]]]
    stamp: bool
    snapshot: bool
    members: bool
    roster: bool
    followers: bool
    entries: bool
    proposed: bool


_OF_STATUS = ("followers", "partitions", "placements", "before")
_APART = frozenset(("stamp", "snapshot", "members", "roster", "entries", "proposed", *_OF_STATUS))
"""The fields that are read each in its own way."""


@cache
def _plan(kind: type[msgspec.Struct]) -> _Plan:
    hints = get_type_hints(kind)
    names = set(kind.__struct_fields__)
    apart = names & _APART
    of = {
        type_: [name for name in names - apart if hints[name] is type_] for type_ in hints.values()
    }
    plain = [name for type_ in (int, bool, float, str, bytes) for name in of.get(type_, ())]
    return _Plan(
        plain,
        attrgetter(*plain),
        [(name, bounds.most(name)) for name in of.get(int, ())],
        [
            (name, bounds.check_of(name, type_))
            for type_ in (float, str)
            for name in of.get(type_, ())
        ],
        "stamp" in apart,
        "snapshot" in apart,
        "members" in apart,
        "roster" in apart,
        "followers" in apart,
        "entries" in apart,
        "proposed" in apart,
    )


def _followers_from_wire(
    followers: Sequence[order_pb2.FollowerLag],
) -> tuple[messages.FollowerLag, ...]:
    bounds.check_count("followers", len(followers), bounds.MAX_MEMBERS)
    for lag in followers:
        bounds.check_integer("replica", lag.replica, bounds.MAX_ID)
        bounds.check_integer("entries", lag.entries)
        bounds.check_clock("seconds", lag.seconds)
    return tuple(
        messages.FollowerLag(replica=lag.replica, entries=lag.entries, seconds=lag.seconds)
        for lag in followers
    )


def _stamp_from_wire(wire: catalog_pb2.Stamp) -> Stamp:
    bounds.check_integer("life", wire.life)
    bounds.check_clock("at", wire.at)
    return Stamp(wire.life, wire.at)


def _entries_from_wire(
    records: Sequence[bytes], fields: Mapping[str, Any], before: Sequence[Entry] = ()
) -> tuple[Entry, ...]:
    """The entries of a message with these other `fields`, at the indexes that it gives them, after
    the entries `before` of the same message.
    Their digests are checked by the receiver, which knows the entry before."""
    bounds.check_count("log entries", len(records), bounds.MAX_ENTRIES)
    try:
        entries = tuple(map(decode_entry, records))
    except Damaged as why:
        raise Malformed(str(why)) from None
    index: int = fields["previous_index"] if "previous_index" in fields else fields["after"]
    term = fields.get("previous_term", 0)
    if before:
        index, term = before[-1].index, before[-1].term
    for entry in entries:
        index += 1
        if not (
            entry.index == index
            and term <= entry.term <= fields["term"]
            and 0 <= entry.at_milliseconds <= bounds.MAX_MILLISECONDS
        ):
            raise Malformed(f"log entry {entry.index} cannot come after entry {index - 1}")
        term = entry.term
    return entries


def lookup_to_wire(
    stocks: Mapping[str, Stock],
    request: market_pb2.LookupRequest,
    history: str = "",
    upto: int = 0,
    whole_before: int = 0,
) -> market_pb2.LookupReply:
    """The answer to `request`. Raises `Malformed`.

    `stocks` is the market after entry `upto` of the log that `history` names. Without these two
    the answer is always the whole market, never only the changes. It is as well for a caller that
    has the market as it was before entry `whole_before`: stocks have left it since.
    """
    if not request.all:
        bounds.check_count("names", len(request.names), bounds.MAX_NAMES)
        return market_pb2.LookupReply(stocks=_to_wire(stocks, request.names), history=history)
    bounds.check_integer("after", request.after)
    after, known = request.after, bool(history) and request.history == history
    changes = known and 0 < after <= upto and after >= whole_before
    wanted = stocks.values()
    changed = (stock.name for stock in wanted if not changes or stock.version > request.after)
    return market_pb2.LookupReply(
        stocks=_to_wire(stocks, sorted(changed)), history=history, upto=upto, changes=changes
    )


def _to_wire(stocks: Mapping[str, Stock], names: Iterable[str]) -> list[market_pb2.Stock]:
    return [stock_to_wire(stocks[name]) for name in names if name in stocks]


def subscription_from_wire(wire: catalog_pb2.SubscribeRequest) -> Subscription:
    """A front-end's subscription, whose proof is not checked here. Raises `Malformed`."""
    for name in ("address", "token", "proof"):
        bounds.check_text(name, getattr(wire, name))
    bounds.check_integer("life", wire.life, least=1)
    bounds.check_integer("partition", wire.partition, bounds.most("partition"))
    return Subscription(
        address=wire.address,
        life=wire.life,
        token=wire.token,
        frames=wire.frames,
        quotes=wire.quotes,
        partition=wire.partition,
    )


def order_to_wire(entry: Entry, price_of: Callable[[Traded], int]) -> market_pb2.Order:
    """The order that a `traded` entry holds. `price_of` is `Ledger.price_of`."""
    order = entry.event
    assert isinstance(order, Traded)
    return market_pb2.Order(
        number=order.number,
        stock=order.stock,
        side=_SIDES_TO_WIRE[order.side],
        quantity=order.quantity,
        at=entry.at_milliseconds,
        key=order.key,
        made=order.has_made_key,
        price=price_of(order),
        limit=order.limit,
    )


def order_from_wire(wire: market_pb2.Order) -> Order:
    """An order as clients read it. Raises `Malformed`."""
    if not (
        0 < wire.number <= bounds.MAX_INTEGER
        and wire.side in _SIDES
        and 0 < wire.quantity <= MAX_TRADE_QUANTITY
        and 0 <= wire.at <= bounds.MAX_MILLISECONDS
        and len(wire.key) <= bounds.MAX_KEY_BYTES
        and 0 <= wire.price <= bounds.MAX_PRICE
        and 0 <= wire.limit <= bounds.MAX_PRICE
    ):
        raise Malformed(f"not an order: {wire!r:.200}")
    return Order(
        wire.number,
        wire.stock,
        _SIDES[wire.side],
        wire.quantity,
        wire.at,
        wire.key,
        wire.made,
        wire.price if wire.HasField("price") else None,
        wire.limit if wire.HasField("limit") else None,
    )


def trade_to_wire(trade: Trade) -> order_pb2.Trade:
    """A trade for the leader."""
    return order_pb2.Trade(
        key=trade.key,
        stock=trade.stock,
        side=_SIDES_TO_WIRE[trade.side],
        quantity=trade.quantity,
        made=trade.made,
        limit=trade.limit,
        valid_until=trade.valid_until,
        validate=trade.validate,
    )


def trade_from_wire(wire: order_pb2.Trade) -> Trade:
    """The inverse of `trade_to_wire`. Raises `Malformed` if no front-end sends such a trade."""
    if not (
        0 < len(wire.key) <= bounds.MAX_KEY_BYTES
        and len(wire.stock) <= MAX_NAME_CHARACTERS
        and wire.side in _SIDES
        and 1 <= wire.quantity <= MAX_TRADE_QUANTITY
        and 0 <= wire.limit <= bounds.MAX_PRICE
        and 0 <= wire.valid_until <= bounds.MAX_MILLISECONDS
    ):
        raise Malformed(f"not a trade: {wire!r:.200}")
    return Trade(
        wire.key,
        wire.stock,
        _SIDES[wire.side],
        wire.quantity,
        wire.made,
        wire.limit if wire.HasField("limit") else None,
        wire.valid_until if wire.HasField("valid_until") else None,
        wire.validate,
    )


def trades_to_wire(
    trades: Sequence[Trade],
    sending: Sending,
    *,
    to: int = 0,
    cluster: str = "",
    followed: Sequence[tuple[int, Followed]] = (),
) -> order_pb2.TradeRequest:
    """A batch of trades for the leader, replica `to` of `cluster`, and its sending. `followed` says
    whose they are, by position."""
    return order_pb2.TradeRequest(
        trades=map(trade_to_wire, trades),
        term=sending.term,
        life=sending.life,
        number=sending.number,
        expected=sending.expected,
        expires=sending.expires,
        to=to,
        cluster=cluster,
        followed=followed_to_wire(followed) if followed else None,
    )


def sending_from_wire(wire: order_pb2.TradeRequest) -> Sending:
    """The sending of a batch. Raises `Malformed` if no front-end sends such a one."""
    if not wire.term and not wire.life:
        return UNGUARDED
    for name in ("term", "life", "number"):
        bounds.check_integer(name, getattr(wire, name), least=1)
    bounds.check_count("sendings that are expected", len(wire.expected), MAX_EXPECTED_SENDINGS)
    for number in wire.expected:
        bounds.check_integer("expected", number)
    if len(wire.expires) != len(wire.trades):
        raise Malformed(f"{len(wire.expires)} times for {len(wire.trades)} trades")
    for moment in wire.expires:
        bounds.check_clock("expires", moment)
    return Sending(
        term=wire.term,
        life=wire.life,
        number=wire.number,
        expected=tuple(wire.expected),
        expires=tuple(wire.expires),
    )


def outcome_to_wire(outcome: Placed | Judged | BazaarError) -> order_pb2.Outcome:
    """What became of a trade."""
    match outcome:
        case Placed(number, replayed, price, partition):
            return order_pb2.Outcome(
                number=number, replayed=replayed, price=price, partition=partition
            )
        case Judged(price):
            return order_pb2.Outcome(judged=True, price=price)
        case Rejected():
            return order_pb2.Outcome(rejection=_REJECTIONS_TO_WIRE[outcome.rejection])
        case KeyReused():
            return order_pb2.Outcome(rejection=order_pb2.REJECTION_KEY_REUSED)
        case NotLeader():
            return order_pb2.Outcome(retry=order_pb2.RETRY_NOT_LEADER)
        case Overloaded():
            return order_pb2.Outcome(retry=order_pb2.RETRY_OVERLOADED)
        case OrderUnread():
            return order_pb2.Outcome(retry=order_pb2.RETRY_ORDER_UNREAD)
        case _:
            return order_pb2.Outcome(retry=order_pb2.RETRY_OUTCOME_UNKNOWN)


def outcome_from_wire(wire: order_pb2.Outcome) -> Placed | Judged | BazaarError:
    """The inverse of `outcome_to_wire`. An outcome of a later release is `OutcomeUnknown`."""
    price = wire.price if wire.HasField("price") else None
    if price is not None and not 0 <= price <= bounds.MAX_PRICE:
        return OutcomeUnknown("the leader names no price")
    match wire.WhichOneof("outcome"):
        case "number" if 0 < wire.number <= bounds.MAX_INTEGER:
            partition = wire.partition if wire.HasField("partition") else None
            if partition is not None and not 0 <= partition < MAX_PARTITIONS:
                return OutcomeUnknown("the leader names no partition")
            return Placed(wire.number, wire.replayed, price, partition)
        case None if wire.judged and price is not None:
            return Judged(price)
        case "rejection" if wire.rejection == order_pb2.REJECTION_KEY_REUSED:
            return KeyReused("the idempotency key belongs to another trade")
        case "rejection" if wire.rejection in _REJECTIONS:
            return Rejected(_REJECTIONS[wire.rejection])
        case "retry" if wire.retry == order_pb2.RETRY_NOT_LEADER:
            return NotLeader()
        case "retry" if wire.retry == order_pb2.RETRY_OVERLOADED:
            return Overloaded("the leader has too many trades under way")
        case "retry" if wire.retry == order_pb2.RETRY_ORDER_UNREAD:
            return OrderUnread("the leader cannot read the order of this key now")
        case _:
            return OutcomeUnknown("the leader changed")
