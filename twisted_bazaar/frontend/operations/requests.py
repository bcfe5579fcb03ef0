"""Decodes the bodies of market operations. Pure.

    {"operation": "list", "stocks": [{"name": "GameStart", "price": 15.99, "quantity": 100}]}
    {"operation": "price", "name": "GameStart", "price": 15.99}
    {"operation": "halt", "names": ["GameStart"]}       or "resume"; "all": true instead of names
    {"operation": "show"}
    {"operation": "move", "name": "GameStart", "partition": 3}
    {"operation": "lead", "partition": 3, "member": 2}  or no member: the usual one
    {"operation": "partitions"}
    {"operation": "add-member", "member": 4, "address": "10.0.0.4:7004"}    or it is there now
    {"operation": "remove-member", "member": 1}
    {"operation": "members"}
    Both changes may have "based_on": the entry that says who the members are, as they were shown.

As strict as bodies of trades are: unknown fields, fields given twice and fractions of cents are
refused. Whether the market can be changed so, the leader decides.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec

from twisted_bazaar.consensus.membership import AddMember, MembersChange, RemoveMember
from twisted_bazaar.http.refusals import Reason, Refusal, shown
from twisted_bazaar.market import Change, Halted, Listed, Listing, Move, Repriced, Resumed
from twisted_bazaar.partitions import MAX_PARTITIONS
from twisted_bazaar.replica_ids import MAX_REPLICA
from twisted_bazaar.runtime.address import Address

__all__ = ["ChangeMembers", "Lead", "Operation", "Show", "decode_operation"]

_MAX_NUMBER = 2**53
"""Beyond the largest price in cents, and the largest quantity: the leader refuses what is less."""


class Show(Enum):
    """What is to be shown."""

    MARKET = "market"
    PARTITIONS = "partitions"
    MEMBERS = "members"


class Lead(msgspec.Struct, frozen=True):
    """Asks that a member lead a partition."""

    partition: int
    member: int
    """0: the usual one."""


class ChangeMembers(msgspec.Struct, frozen=True):
    """Asks for another member, or for one less."""

    change: MembersChange
    based_on: int | None = None
    """The entry that says who the members are, as the operator saw them; None: whoever they are."""


Operation = Change | Lead | ChangeMembers | Show


def decode_operation(body: bytes) -> Operation:
    """The operation that a body asks for. Raises a `Refusal`."""
    fields = _decode(body)
    operation = fields.get("operation")
    if not isinstance(operation, str) or operation not in _READERS:
        raise _wrong("operation", f"be one of {', '.join(_READERS)}", operation)
    return _READERS[operation]({k: v for k, v in fields.items() if k != "operation"})


def _decode(body: bytes) -> Mapping[str, Any]:
    try:
        fields = _decoder.decode(body.decode("utf-8"))
    except (ValueError, RecursionError, ArithmeticError) as why:
        message = f"the body is not JSON: {shown(str(why))}"
        raise Refusal(Reason.MALFORMED, message) from None
    if not isinstance(fields, dict):
        raise Refusal(Reason.MALFORMED, "the body must be a JSON object with an operation")
    return fields


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise Refusal(Reason.INVALID_FIELD, f"the field {shown(twice)} is given twice")
    # null for an optional field is the same as leaving it out.
    return {name: value for name, value in fields.items() if value is not None}


_decoder = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=Decimal, parse_int=Decimal, parse_constant=Decimal
)


def _exactly(fields: Mapping[str, Any], *names: str) -> None:
    """Refuse other fields than `names`, each of which must be there."""
    for name in fields:
        if name not in names:
            raise Refusal(Reason.INVALID_FIELD, f"unknown field {shown(name)}")
    for name in names:
        if name not in fields:
            raise Refusal(Reason.INVALID_FIELD, f"the field {name} is missing")


def _list(fields: Mapping[str, Any]) -> Change:
    _exactly(fields, "stocks")
    stocks = fields["stocks"]
    if not isinstance(stocks, list) or not stocks:
        raise _wrong("stocks", "be a list of stocks", stocks)
    return Listed(tuple(map(_listing, stocks)))


def _listing(stock: object) -> Listing:
    if not isinstance(stock, dict):
        raise _wrong("stocks", "hold objects with name, price and quantity", stock)
    _exactly(stock, "name", "price", "quantity")
    quantity = _number("quantity", "be a whole number", stock["quantity"], 1)
    return Listing(_name(stock["name"]), _price(stock["price"]), quantity)


def _reprice(fields: Mapping[str, Any]) -> Change:
    _exactly(fields, "name", "price")
    return Repriced(_name(fields["name"]), _price(fields["price"]))


def _halt(fields: Mapping[str, Any]) -> Change:
    return Halted(_names(fields))


def _resume(fields: Mapping[str, Any]) -> Change:
    return Resumed(_names(fields))


def _move(fields: Mapping[str, Any]) -> Change:
    _exactly(fields, "name", "partition")
    return Move(_name(fields["name"]), _partition(fields["partition"]))


def _lead(fields: Mapping[str, Any]) -> Lead:
    _exactly({"member": None, **fields}, "partition", "member")
    member = _member(fields["member"]) if "member" in fields else 0
    return Lead(_partition(fields["partition"]), member)


def _member(value: object) -> int:
    rule = "be the id of an order replica"
    member = _number("member", rule, value, 1)
    if not 1 <= member <= MAX_REPLICA:
        raise _wrong("member", rule, value)
    return member


def _add_member(fields: Mapping[str, Any]) -> ChangeMembers:
    _exactly({"based_on": None, **fields}, "member", "address", "based_on")
    try:
        address = Address.parse(_name(fields["address"], "address"))
    except ValueError as why:
        raise Refusal(Reason.INVALID_FIELD, f"address {why}") from None
    return ChangeMembers(AddMember(_member(fields["member"]), str(address)), _base(fields))


def _remove_member(fields: Mapping[str, Any]) -> ChangeMembers:
    _exactly({"based_on": None, **fields}, "member", "based_on")
    return ChangeMembers(RemoveMember(_member(fields["member"])), _base(fields))


def _base(fields: Mapping[str, Any]) -> int | None:
    if "based_on" not in fields:
        return None
    rule = "be the index of an entry"
    if (index := _number("based_on", rule, fields["based_on"], 1)) < 0:
        raise _wrong("based_on", rule, fields["based_on"])
    return index


def _partition(value: object) -> int:
    rule = f"be a whole number from 0 to {MAX_PARTITIONS - 1}"
    partition = _number("partition", rule, value, 1)
    if not 0 <= partition < MAX_PARTITIONS:
        raise _wrong("partition", rule, value)
    return partition


def _show(fields: Mapping[str, Any]) -> Show:
    _exactly(fields)
    return Show.MARKET


def _show_members(fields: Mapping[str, Any]) -> Show:
    _exactly(fields)
    return Show.MEMBERS


def _show_partitions(fields: Mapping[str, Any]) -> Show:
    _exactly(fields)
    return Show.PARTITIONS


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Operation]] = {
    "list": _list,
    "price": _reprice,
    "halt": _halt,
    "resume": _resume,
    "show": _show,
    "move": _move,
    "lead": _lead,
    "partitions": _show_partitions,
    "add-member": _add_member,
    "remove-member": _remove_member,
    "members": _show_members,
}


def _names(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of stocks; none: all stocks."""
    if "all" in fields:
        _exactly(fields, "all")
        if fields["all"] is not True:
            raise _wrong("all", "be true", fields["all"])
        return ()
    _exactly(fields, "names")
    names = fields["names"]
    if not isinstance(names, list) or not names:
        raise _wrong("names", "be a list of names of stocks", names)
    return tuple(map(_name, names))


def _name(value: object, field: str = "name") -> str:
    if not isinstance(value, str):
        raise _wrong(field, "be text", value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _wrong(field, "hold no half of a surrogate pair", value) from None
    return value


def _price(value: object) -> int:
    """In cents."""
    return _number("price", "be a number with at most two decimals", value, 100)


def _number(field: str, rule: str, value: object, factor: int) -> int:
    # Compared before it is multiplied: arithmetic fails for the largest exponents.
    if isinstance(value, Decimal) and value.is_finite() and -_MAX_NUMBER <= value <= _MAX_NUMBER:
        whole = int(value * factor)
        if abs(whole) <= _MAX_NUMBER and Decimal(whole) / factor == value:
            return whole
    raise _wrong(field, rule, value)


def _wrong(field: str, rule: str, value: object) -> Refusal:
    said = "missing" if value is None else shown(value if isinstance(value, str) else _text(value))
    return Refusal(Reason.INVALID_FIELD, f"{field} must {rule}, not {said}")


def _text(value: object) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)
