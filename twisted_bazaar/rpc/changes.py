"""Converts market operations to and from their protobuf messages.

As in `wire`, what arrives is checked against `bounds`; whether the market can be changed so, the
leader's ledger tells.
"""

from twisted_bazaar.errors import (
    BazaarError,
    ChangeRefused,
    Malformed,
    NotLeader,
    OutcomeUnknown,
    Overloaded,
)
from twisted_bazaar.market import (
    MAX_STOCKS,
    Change,
    ChangeRefusal,
    Halted,
    Listed,
    Listing,
    Move,
    Repriced,
    Resumed,
)
from twisted_bazaar.sending import Sending

from . import bounds
from .bazaar.v1 import order_pb2

__all__ = ["change_from_wire", "change_to_wire", "changed_from_wire", "changed_to_wire"]

_MESSAGE = 1024
"""Characters of a message for a person, at most."""
_REFUSALS_TO_WIRE = {
    ChangeRefusal.UNKNOWN_STOCK: order_pb2.CHANGE_REFUSAL_UNKNOWN_STOCK,
    ChangeRefusal.LISTED_ALREADY: order_pb2.CHANGE_REFUSAL_LISTED_ALREADY,
    ChangeRefusal.INVALID: order_pb2.CHANGE_REFUSAL_INVALID,
    ChangeRefusal.TOO_MANY_STOCKS: order_pb2.CHANGE_REFUSAL_TOO_MANY_STOCKS,
}
_REFUSALS = {wire: refusal for refusal, wire in _REFUSALS_TO_WIRE.items()}


def change_to_wire(
    change: Change, sending: Sending, *, to: int = 0, cluster: str = ""
) -> order_pb2.ChangeRequest:
    """A change for the leader, replica `to` of `cluster`, and its sending."""
    request = order_pb2.ChangeRequest(
        term=sending.term,
        life=sending.life,
        number=sending.number,
        expires=sending.expires[0],
        to=to,
        cluster=cluster,
    )
    match change:
        case Listed(stocks):
            request.list.stocks.extend(
                order_pb2.ListedStock(name=each.name, price=each.price, quantity=each.quantity)
                for each in stocks
            )
        case Repriced(stock, price):
            request.reprice.stock, request.reprice.price = stock, price
        case Halted(names):
            request.halt.SetInParent()
            request.halt.names.extend(names)
        case Resumed(names):
            request.resume.SetInParent()
            request.resume.names.extend(names)
        case Move(stock, partition):
            request.move.stock, request.move.partition = stock, partition
    return request


def change_from_wire(wire: order_pb2.ChangeRequest) -> tuple[Change, Sending]:
    """The inverse of `change_to_wire`. Raises `Malformed`."""
    for name in ("term", "life", "number"):
        bounds.check_integer(name, getattr(wire, name), least=1)
    bounds.check_clock("expires", wire.expires)
    sending = Sending(
        term=wire.term, life=wire.life, number=wire.number, expected=(), expires=(wire.expires,)
    )
    return _change(wire), sending


def _change(wire: order_pb2.ChangeRequest) -> Change:
    match wire.WhichOneof("change"):
        case "list":
            bounds.check_count("stocks", len(wire.list.stocks), MAX_STOCKS)
            if not wire.list.stocks:
                raise Malformed("no stock is to be listed")
            stocks = (Listing(each.name, each.price, each.quantity) for each in wire.list.stocks)
            return Listed(tuple(stocks))
        case "reprice":
            return Repriced(wire.reprice.stock, wire.reprice.price)
        case "halt":
            bounds.check_count("names", len(wire.halt.names), MAX_STOCKS)
            return Halted(tuple(wire.halt.names))
        case "resume":
            bounds.check_count("names", len(wire.resume.names), MAX_STOCKS)
            return Resumed(tuple(wire.resume.names))
        case "move":
            return Move(wire.move.stock, wire.move.partition)
    raise Malformed("a change of a later release")


def changed_to_wire(outcome: int | BazaarError) -> order_pb2.ChangeReply:
    """What became of a change: the index of its entry, or 0."""
    match outcome:
        case int():
            return order_pb2.ChangeReply(index=outcome)
        case ChangeRefused():
            refusal = _REFUSALS_TO_WIRE[outcome.refusal]
            return order_pb2.ChangeReply(refusal=refusal, message=str(outcome)[:_MESSAGE])
        case NotLeader():
            return order_pb2.ChangeReply(retry=order_pb2.RETRY_NOT_LEADER)
        case Overloaded():
            return order_pb2.ChangeReply(retry=order_pb2.RETRY_OVERLOADED)
        case _:
            return order_pb2.ChangeReply(retry=order_pb2.RETRY_OUTCOME_UNKNOWN)


def changed_from_wire(wire: order_pb2.ChangeReply) -> int:
    """The index of the entry, or 0. Raises what `changed_to_wire` was given; for an outcome of a
    later release `OutcomeUnknown`."""
    match wire.WhichOneof("outcome"):
        case "index" if 0 <= wire.index <= bounds.MAX_INTEGER:
            return wire.index
        case "refusal" if wire.refusal in _REFUSALS:
            bounds.check_text("message", wire.message, _MESSAGE)
            raise ChangeRefused(_REFUSALS[wire.refusal], wire.message)
        case "retry" if wire.retry == order_pb2.RETRY_NOT_LEADER:
            raise NotLeader
        case "retry" if wire.retry == order_pb2.RETRY_OVERLOADED:
            raise Overloaded("the leader has too many trades under way")
    raise OutcomeUnknown("the leader changed")
