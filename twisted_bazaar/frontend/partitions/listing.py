"""Decodes which orders `GET /orders` asks for where the market has several partitions, and shows a
page of them. Pure.

A list is of one partition, as `api.listing` has it, or of all of them, merged by time. The cursor
of the one holds its partition, that of the other a position in each.
"""

from collections.abc import Sequence

import msgspec

from twisted_bazaar.access import ANONYMOUS, Client
from twisted_bazaar.frontend.access.orders import seen_by
from twisted_bazaar.frontend.api import listing
from twisted_bazaar.frontend.api.description.vocabulary import Parameter
from twisted_bazaar.frontend.api.listing import AFTER, CURSOR, no_cursor
from twisted_bazaar.frontend.api.queries import QueryParameter, given_parameters, integer
from twisted_bazaar.frontend.positions import (
    MAX_LOCAL_NUMBER,
    Positions,
    packed,
    sealed,
    unpacked,
    unsealed,
)
from twisted_bazaar.http import answers
from twisted_bazaar.http.refusals import Reason, Refusal
from twisted_bazaar.partitions import MAX_PARTITIONS, order_number
from twisted_bazaar.selection import Page, Selection

from .merging import Merge
from .numbers import shown_order

__all__ = [
    "MAX_CURSOR_CHARACTERS",
    "MergedList",
    "PartitionList",
    "decode_list",
    "parameters",
    "shown_merged",
    "shown_partition",
]

MAX_CURSOR_CHARACTERS = 12_288
"""Of a thousand partitions with the highest numbers."""

_PURPOSE = b"bazaar-lists"
_OF_ONE = b"\1"
_MERGED = b"\2"


class PartitionList(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Orders of one partition."""

    partition: int
    selection: Selection
    """In its numbers."""


class MergedList(msgspec.Struct, frozen=True):
    """Orders of all partitions."""

    selection: Selection
    """Its `after` is 0: `positions` say where to go on."""
    positions: Positions


_encode = msgspec.json.Encoder().encode
_decode_one = msgspec.json.Decoder(PartitionList).decode
_decode_selection = msgspec.json.Decoder(Selection).decode


def parameters(partitions: int) -> Sequence[Parameter]:
    """What may be given, with so many partitions."""
    known: Sequence[Parameter] = listing.PARAMETERS
    return (_partition(partitions), *map(_changed, known))


def _partition(partitions: int) -> QueryParameter[int]:
    says = "Orders of this partition only, by number. Without it, those of all, by time."
    return integer("partition", 0, partitions - 1, says=says, example=0)


_AFTER_SAYS = (
    "With `partition`: its orders with a higher number than this; with `direction=desc`, with a "
    "lower one. Without `partition`, 0 only: go on with `cursor`."
)


def _changed(parameter: Parameter) -> Parameter:
    """A parameter, as several partitions have it."""
    if parameter.name == AFTER.name:
        return msgspec.structs.replace(parameter, says=_AFTER_SAYS)
    if parameter.name == CURSOR.name:
        schema = {**parameter.schema, "pattern": f"^[A-Za-z0-9_-]{{1,{MAX_CURSOR_CHARACTERS}}}$"}
        return msgspec.structs.replace(parameter, schema=schema)
    return parameter


def decode_list(
    query: bytes, partitions: int, caller: Client = ANONYMOUS
) -> PartitionList | MergedList:
    """The orders that the query string of `GET /orders` asks for, from `caller`. Raises
    `Refusal`."""
    given = given_parameters(query, parameters(partitions))
    cursor = listing.given_cursor(given)
    if cursor is not None:
        held = _held_in(cursor, partitions)
        limited = listing.permitted(listing.limited(held.selection, given), caller)
        return msgspec.structs.replace(held, selection=limited)
    selection = listing.given_selection(given, caller)
    partition = _partition(partitions).of(given)
    after = AFTER.of(given) or 0
    if partition is None:
        if after:
            message = (
                "the query parameter after goes on in one partition, and partition is not given; "
                "to go on with orders of all partitions, give cursor"
            )
            raise Refusal(Reason.INVALID_PARAMETER, message)
        positions = (selection.after,) * partitions
        return MergedList(msgspec.structs.replace(selection, after=0), positions)
    # The number need not be one of this partition.
    local = max(0, (after - partition) // MAX_PARTITIONS)
    if selection.descending and selection.after:
        # There is no order below number 1, nor below 0.
        local = max(1, -((partition - after) // MAX_PARTITIONS))
    return PartitionList(partition, msgspec.structs.replace(selection, after=local))


def shown_partition(
    asked: PartitionList, page: Page, partitions: int, caller: Client = ANONYMOUS
) -> bytes:
    """The body that answers `asked` of `caller`, from a page of what `listing.asked_for` its
    selection."""
    partition = asked.partition
    found, goes_on, place = listing.shown_part(asked.selection, page)
    orders = [shown_order(seen_by(caller, order), partition, partitions) for order in found]
    next_after = order_number(place, partition, partitions) if goes_on else None
    selection = msgspec.structs.replace(asked.selection, after=place)
    cursor = sealed(_OF_ONE + _encode((partition, listing.held_fields(selection))), _PURPOSE)
    return answers.partitioned_orders(orders, next_after, cursor.decode(), more=goes_on)


def shown_merged(asked: MergedList, merge: Merge, caller: Client = ANONYMOUS) -> bytes:
    """The body that answers `asked` of `caller` from the orders of all partitions."""
    positions = merge.positions
    orders = [
        shown_order(seen_by(caller, each), partition, len(positions))
        for partition, each in merge.orders
    ]
    held = _encode(listing.held_fields(asked.selection))
    cursor = sealed(_MERGED + packed(positions) + held, _PURPOSE)
    return answers.partitioned_orders(orders, None, cursor.decode(), more=not merge.ended)


def _held_in(cursor: str, partitions: int) -> PartitionList | MergedList:
    content = unsealed(cursor, _PURPOSE) or b""
    try:
        held = _decoded(content[:1], content[1:], partitions)
    except (msgspec.DecodeError, UnicodeDecodeError):
        held = None
    if held is None or not listing.is_possible(held.selection):
        raise no_cursor(cursor)
    return held


def _decoded(kind: bytes, content: bytes, partitions: int) -> PartitionList | MergedList | None:
    if kind == _OF_ONE:
        held = _decode_one(content)
        is_possible = 0 <= held.partition < partitions and held.selection.after <= MAX_LOCAL_NUMBER
        again = _encode((held.partition, listing.held_fields(held.selection)))
        return held if is_possible and again == content else None
    found = unpacked(content, partitions) if kind == _MERGED else None
    if found is None:
        return None
    positions, rest = found
    selection = _decode_selection(rest)
    again = _encode(listing.held_fields(selection))
    is_possible = not selection.after and again == rest
    return MergedList(selection, positions) if is_possible else None
