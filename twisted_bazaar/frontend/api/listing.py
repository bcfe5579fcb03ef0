"""Decodes which orders `GET /orders` asks for, and shows a page of them, with the cursor by which
a client goes on. Pure.

A cursor holds the whole selection and the place in it, so that any front-end can go on, at any
time. It is no secret and gives no right: its checksum shows whether it was cut short or changed,
and what it holds is checked like what a client writes.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from hashlib import blake2b

import msgspec

from twisted_bazaar.access import (
    ANONYMOUS,
    CLIENT_NAME,
    CLIENT_NAME_RULE,
    Client,
    Permission,
)
from twisted_bazaar.frontend.access.orders import seen_by
from twisted_bazaar.http import answers
from twisted_bazaar.http.refusals import Reason, Refusal, shown
from twisted_bazaar.market import Order, Side
from twisted_bazaar.order_keys import client_of, scoped
from twisted_bazaar.selection import Page, Selection

from .queries import QueryParameter, given_parameters, integer, word
from .requests import KEY, KEY_RULE, MAX_ORDER_NUMBER, MAX_STOCK_NAME_CHARACTERS
from .times import TIME_RULE, milliseconds_of

__all__ = [
    "AFTER",
    "CURSOR",
    "DEFAULT_PAGE",
    "MAX_CURSOR_CHARACTERS",
    "MAX_MILLISECONDS",
    "MAX_PAGE",
    "PARAMETERS",
    "asked_for",
    "cursor_of",
    "decode_selection",
    "given_cursor",
    "given_selection",
    "held_fields",
    "is_possible",
    "limited",
    "no_cursor",
    "permitted",
    "shown_page",
    "shown_part",
    "with_scoped_key",
]

DEFAULT_PAGE = 100
MAX_PAGE = 500
"""The most orders in one page."""
MAX_CURSOR_CHARACTERS = 1024
MAX_MILLISECONDS = 253_402_300_799_999
"""The end of the year 9999."""

_CURSOR = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_CURSOR_CHARACTERS}}}")
_CURSOR_FORMAT = 1
_SUM_BYTES = 6


def _time(text: str) -> int | None:
    # An order at a whole millisecond is before a time exactly if it is before it rounded up.
    time = milliseconds_of(text, round_up=True)
    return None if time is None else min(max(0, time), MAX_MILLISECONDS)


def _time_parameter(name: str, says: str) -> QueryParameter[int]:
    return QueryParameter(
        name=name,
        says=f"{says} RFC 3339, with a zone, in which a plus sign is written `%2B`.",
        schema={"type": "string", "format": "date-time"},
        read=_time,
        rule=f"{TIME_RULE}, in which a plus sign is written %2B",
    )


AFTER = integer(
    "after",
    0,
    MAX_ORDER_NUMBER,
    says="Orders with a higher number than this; with `direction=desc`, with a lower one.",
    example=0,
)
LIMIT = integer("limit", 1, MAX_PAGE, says="This many at most.", default=DEFAULT_PAGE, example=2)
DIRECTION = word("direction", ("asc", "desc"), says="Which number comes first.", default="asc")
STOCK = QueryParameter(
    name="stock",
    says="Orders of this stock only.",
    schema={"type": "string", "minLength": 1, "maxLength": MAX_STOCK_NAME_CHARACTERS},
    read=lambda text: text if 1 <= len(text) <= MAX_STOCK_NAME_CHARACTERS else None,
    rule=f"text of 1 to {MAX_STOCK_NAME_CHARACTERS} characters",
)
TYPE = word("type", [*map(str, Side)], says="Orders of this type only.")
SINCE = _time_parameter("since", "Orders of this time and later.")
UNTIL = _time_parameter("until", "Orders before this time.")
KEY_PARAMETER = QueryParameter(
    name="client_order_id",
    says="The order with this key, or none. The answer is as certain as a 404 by number: if there "
    "is none, there was none when it was asked.",
    schema={"type": "string", "pattern": f"^{KEY.pattern}$"},
    read=lambda text: text if KEY.fullmatch(text) is not None else None,
    rule=KEY_RULE,
)
MINE = QueryParameter(
    name="mine",
    says="Orders of the caller only. Where there is no file of clients, all are.",
    schema={"type": "boolean", "default": False},
    read={"true": True, "false": False}.get,
    rule="true or false",
)
CLIENT = QueryParameter(
    name="client",
    says="Orders of this client only, and `client_order_id` is a key of it: for operators, and for "
    "the client itself.",
    schema={"type": "string", "pattern": f"^{CLIENT_NAME.pattern}$"},
    read=lambda text: text if CLIENT_NAME.fullmatch(text) is not None else None,
    rule=CLIENT_NAME_RULE,
)
CURSOR = QueryParameter(
    name="cursor",
    says="The `cursor` of an earlier answer: goes on after what that showed, with the same "
    "conditions and direction. It may be given alone, or with `limit`.",
    schema={"type": "string", "pattern": f"^{_CURSOR.pattern}$"},
    read=str,
    rule="a cursor",
)
PARAMETERS = (
    AFTER,
    LIMIT,
    DIRECTION,
    STOCK,
    TYPE,
    SINCE,
    UNTIL,
    KEY_PARAMETER,
    MINE,
    CLIENT,
    CURSOR,
)
_BESIDE_CURSOR = (CURSOR.name, LIMIT.name)


class _Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a cursor holds."""

    format: int
    selection: Selection


# A selection as a client asks for it, and as a cursor holds it, has the client's own key. A cursor
# gives no right: what it says of a client is checked against the one that sends it.


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Cursor).decode


def decode_selection(query: bytes, caller: Client = ANONYMOUS) -> Selection:
    """The orders that the query string of `GET /orders` asks for, from `caller`."""
    given = given_parameters(query, PARAMETERS)
    cursor = given_cursor(given)
    if cursor is not None:
        return permitted(limited(_selection_in(cursor), given), caller)
    return given_selection(given, caller)


def permitted(selection: Selection, caller: Client) -> Selection:
    """`selection` if `caller` may see whose the orders of it are. Raises `Refusal`."""
    asks = selection.client or selection.key
    if asks and selection.client != caller.name and not caller.may(Permission.OPERATE):
        of = f"client {selection.client}" if selection.client else "no client"
        message = (
            f"client {caller.name} may list its own orders only, and those of {of} are asked for"
        )
        raise Refusal(Reason.NOT_PERMITTED, message)
    return selection


def with_scoped_key(selection: Selection) -> Selection:
    """`selection` with the key that the log has, of the client that it names."""
    if not selection.key or not selection.client:
        return selection
    return msgspec.structs.replace(
        selection, key=scoped(selection.client, selection.key), client=""
    )


def given_cursor(given: Mapping[str, str]) -> str | None:
    """The cursor that is given; None: there is none. Raises `Refusal` for what may not be given
    beside it."""
    cursor = CURSOR.of(given)
    if cursor is not None:
        for name in given:
            if name not in _BESIDE_CURSOR:
                message = (
                    f"the query parameter {name} cannot be given beside cursor, which holds it"
                )
                raise Refusal(Reason.INVALID_PARAMETER, message)
    return cursor


def limited(held: Selection, given: Mapping[str, str]) -> Selection:
    """The selection that a cursor holds, with the limit that is given beside it."""
    return msgspec.structs.replace(held, limit=LIMIT.of(given) or held.limit)


def given_selection(given: Mapping[str, str], caller: Client = ANONYMOUS) -> Selection:
    """The selection that parameters other than a cursor ask for, from `caller`."""
    descending = DIRECTION.of(given) == "desc"
    after = AFTER.of(given)
    if descending and after is not None:
        after = max(1, after)  # There is no order below number 1, nor below 0.
    side = TYPE.of(given)
    key, client = KEY_PARAMETER.of(given) or "", CLIENT.of(given) or ""
    mine = MINE.of(given) and caller.name
    if mine and client not in ("", mine):
        message = f"the orders of client {client} are not those of the caller, and mine is given"
        raise Refusal(Reason.INVALID_PARAMETER, message)
    selection = Selection(
        after=after or 0,
        limit=LIMIT.of(given) or DEFAULT_PAGE,
        descending=descending,
        stock=STOCK.of(given) or "",
        side=None if side is None else Side(side),
        since=SINCE.of(given),
        until=UNTIL.of(given),
        key=key,
        client=client or (caller.name if mine or key else ""),
    )
    return permitted(selection, caller)


def asked_for(selection: Selection) -> Selection:
    """What to ask for, to answer `selection` with `shown_page`: one order more."""
    return msgspec.structs.replace(with_scoped_key(selection), limit=selection.limit + 1)


def shown_page(selection: Selection, page: Page, caller: Client = ANONYMOUS) -> bytes:
    """The body that answers `selection` of `caller` from a page of what was `asked_for`."""
    found, goes_on, place = shown_part(selection, page)
    orders = [seen_by(caller, order) for order in found]
    return answers.orders(orders, place if goes_on else None, cursor_of(selection, place))


def shown_part(selection: Selection, page: Page) -> tuple[Sequence[Order], bool, int]:
    """The orders to show, whether there are more now, and the number after which they come, or come
    later."""
    if selection.key:
        return _shown_one(with_scoped_key(selection), page)
    limit = selection.limit
    has_more = len(page.orders) > limit
    place = page.orders[limit - 1].number if has_more else page.examined
    orders = page.orders[:limit]
    if selection.client:
        # A replica of an earlier release does not know this condition.
        orders = [order for order in orders if client_of(order.key) == selection.client]
    return orders, has_more or not page.ended, place


def _shown_one(selection: Selection, page: Page) -> tuple[Sequence[Order], bool, int]:
    """The only order with a key, or none. A cursor goes on after it."""
    orders = [order for order in page.orders if selection.fits(order)]
    place = page.orders[0].number if page.orders else selection.after
    if not selection.descending:
        place = max(place, selection.after)
    return orders, False, place


def cursor_of(selection: Selection, place: int) -> str:
    """The cursor that goes on with `selection` after number `place`."""
    held = held_fields(msgspec.structs.replace(selection, after=place))
    content = _encode((_CURSOR_FORMAT, held))
    return urlsafe_b64encode(_sum(content) + content).rstrip(b"=").decode()


def held_fields(selection: Selection) -> Mapping[str, object]:
    """What a cursor holds of `selection`: a client only if there is one, so that cursors without
    are those of earlier releases."""
    fields = msgspec.structs.asdict(selection)
    if not selection.client:
        del fields["client"]
    return fields


def _selection_in(cursor: str) -> Selection:
    if _CURSOR.fullmatch(cursor) is not None and len(cursor) % 4 != 1:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        summed, content = text[:_SUM_BYTES], text[_SUM_BYTES:]
        if summed == _sum(content):
            try:
                held = _decode(content).selection
            except (msgspec.DecodeError, UnicodeDecodeError):
                pass
            else:
                if is_possible(held) and cursor_of(held, held.after) == cursor:
                    return held
    raise no_cursor(cursor)


def no_cursor(text: str) -> Refusal:
    """The answer to a cursor that `GET /orders` has not given."""
    message = f"the query parameter cursor is none that GET /orders has given: {shown(text)}"
    return Refusal(Reason.INVALID_PARAMETER, message)


def is_possible(held: Selection) -> bool:
    """Whether parameters can ask for such a selection."""
    times = (time for time in (held.since, held.until) if time is not None)
    return (
        0 <= held.after <= MAX_ORDER_NUMBER
        and 1 <= held.limit <= MAX_PAGE
        and len(held.stock) <= MAX_STOCK_NAME_CHARACTERS
        and all(0 <= time <= MAX_MILLISECONDS for time in times)
        and (not held.key or KEY.fullmatch(held.key) is not None)
        and (not held.client or CLIENT_NAME.fullmatch(held.client) is not None)
    )


def _sum(content: bytes) -> bytes:
    return blake2b(content, digest_size=_SUM_BYTES, person=b"bazaar-cursor").digest()
