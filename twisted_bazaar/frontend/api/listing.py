"""Decodes which orders `GET /orders` asks for, and shows a page of them, with the cursor by which
a client goes on. Pure.

A cursor holds the whole selection and the place in it, so that any front-end can go on, at any
time. It is no secret and gives no right: its checksum shows whether it was cut short or changed,
and what it holds is checked like what a client writes.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from hashlib import blake2b
from urllib.parse import parse_qsl

import msgspec

from twisted_bazaar.frontend.http import answers
from twisted_bazaar.frontend.http.refusals import Reason, Refusal, shown
from twisted_bazaar.market import Side
from twisted_bazaar.selection import Page, Selection

from .requests import KEY, KEY_RULE, MAX_ORDER_NUMBER, MAX_STOCK_NAME_CHARACTERS
from .times import TIME_RULE, milliseconds_of

__all__ = [
    "DEFAULT_PAGE",
    "MAX_CURSOR_CHARACTERS",
    "MAX_MILLISECONDS",
    "MAX_PAGE",
    "PARAMETERS",
    "asked_for",
    "cursor_of",
    "decode_selection",
    "shown_page",
]

DEFAULT_PAGE = 100
MAX_PAGE = 500
"""The most orders in one page."""
MAX_CURSOR_CHARACTERS = 1024
MAX_MILLISECONDS = 253_402_300_799_999
"""The end of the year 9999."""

PARAMETERS = (
    "after", "limit", "direction", "stock", "type", "since", "until", "client_order_id", "cursor",
)  # fmt: skip
_BESIDE_CURSOR = ("cursor", "limit")

_INTEGER = re.compile(r"[0-9]{1,16}")
_CURSOR = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_CURSOR_CHARACTERS}}}")
_CURSOR_FORMAT = 1
_SUM_BYTES = 6


class _Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a cursor holds."""

    format: int
    selection: Selection


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Cursor).decode


def decode_selection(query: bytes) -> Selection:
    """The orders that the query string of `GET /orders` asks for."""
    given = _parameters(query)
    if "cursor" in given:
        for name in given:
            if name not in _BESIDE_CURSOR:
                message = (
                    f"the query parameter {name} cannot be given beside cursor, which holds it"
                )
                raise Refusal(Reason.INVALID_PARAMETER, message)
        selection = _selection_in(given["cursor"])
        limit = _integer(given, "limit", 1, MAX_PAGE, selection.limit)
        return msgspec.structs.replace(selection, limit=limit)
    descending = _word(given, "direction", ("asc", "desc")) == "desc"
    after = _integer(given, "after", 0, MAX_ORDER_NUMBER, 0)
    if descending and "after" in given:
        after = max(1, after)  # There is no order below number 1, nor below 0.
    side = _word(given, "type", tuple(Side))
    return Selection(
        after=after,
        limit=_integer(given, "limit", 1, MAX_PAGE, DEFAULT_PAGE),
        descending=descending,
        stock=_stock(given),
        side=None if side is None else Side(side),
        since=_time(given, "since"),
        until=_time(given, "until"),
        key=_key(given),
    )


def asked_for(selection: Selection) -> Selection:
    """What to ask for, to answer `selection` with `shown_page`: one order more."""
    return msgspec.structs.replace(selection, limit=selection.limit + 1)


def shown_page(selection: Selection, page: Page) -> bytes:
    """The body that answers `selection` from a page of what was `asked_for`."""
    if selection.key:
        return _shown_one(selection, page)
    limit = selection.limit
    has_more = len(page.orders) > limit
    place = page.orders[limit - 1].number if has_more else page.examined
    next_after = place if has_more or not page.ended else None
    return answers.orders(page.orders[:limit], next_after, cursor_of(selection, place))


def _shown_one(selection: Selection, page: Page) -> bytes:
    """The body for the only order with a key, or none. A cursor goes on after it."""
    orders = [order for order in page.orders if selection.fits(order)]
    place = page.orders[0].number if page.orders else selection.after
    if not selection.descending:
        place = max(place, selection.after)
    return answers.orders(orders, None, cursor_of(selection, place))


def cursor_of(selection: Selection, place: int) -> str:
    """The cursor that goes on with `selection` after number `place`."""
    content = _encode(_Cursor(_CURSOR_FORMAT, msgspec.structs.replace(selection, after=place)))
    return urlsafe_b64encode(_sum(content) + content).rstrip(b"=").decode()


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
                if _is_possible(held) and cursor_of(held, held.after) == cursor:
                    return held
    message = f"the query parameter cursor is none that GET /orders has given: {shown(cursor)}"
    raise Refusal(Reason.INVALID_PARAMETER, message)


def _is_possible(held: Selection) -> bool:
    """Whether `decode_selection` returns such a one."""
    times = (time for time in (held.since, held.until) if time is not None)
    return (
        0 <= held.after <= MAX_ORDER_NUMBER
        and 1 <= held.limit <= MAX_PAGE
        and len(held.stock) <= MAX_STOCK_NAME_CHARACTERS
        and all(0 <= time <= MAX_MILLISECONDS for time in times)
        and (not held.key or KEY.fullmatch(held.key) is not None)
    )


def _sum(content: bytes) -> bytes:
    return blake2b(content, digest_size=_SUM_BYTES, person=b"bazaar-cursor").digest()


def _parameters(query: bytes) -> dict[str, str]:
    given: dict[str, str] = {}
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        message = "the query string is not percent-encoded UTF-8"
        raise Refusal(Reason.INVALID_PARAMETER, message) from None
    for name, value in pairs:
        if name not in PARAMETERS:
            raise Refusal(Reason.INVALID_PARAMETER, f"unknown query parameter {shown(name)}")
        if name in given:
            message = f"the query parameter {name} is given twice"
            raise Refusal(Reason.INVALID_PARAMETER, message)
        given[name] = value
    return given


def _wrong(name: str, rule: str, value: str) -> Refusal:
    message = f"the query parameter {name} must be {rule}, not {shown(value)}"
    return Refusal(Reason.INVALID_PARAMETER, message)


def _integer(given: Mapping[str, str], name: str, least: int, most: int, default: int) -> int:
    text = given.get(name)
    if text is None:
        return default
    if _INTEGER.fullmatch(text) is not None and least <= int(text) <= most:
        return int(text)
    raise _wrong(name, f"an integer from {least} to {most}", text)


def _word(given: Mapping[str, str], name: str, words: tuple[str, ...]) -> str | None:
    text = given.get(name)
    if text is None or text in words:
        return text
    raise _wrong(name, " or ".join(words), text)


def _stock(given: Mapping[str, str]) -> str:
    text = given.get("stock")
    if text is None:
        return ""
    if 1 <= len(text) <= MAX_STOCK_NAME_CHARACTERS:
        return text
    raise _wrong("stock", f"text of 1 to {MAX_STOCK_NAME_CHARACTERS} characters", text)


def _key(given: Mapping[str, str]) -> str:
    text = given.get("client_order_id")
    if text is None:
        return ""
    if KEY.fullmatch(text) is not None:
        return text
    raise _wrong("client_order_id", KEY_RULE, text)


def _time(given: Mapping[str, str], name: str) -> int | None:
    text = given.get(name)
    if text is None:
        return None
    # An order at a whole millisecond is before a time exactly if it is before it rounded up.
    time = milliseconds_of(text, round_up=True)
    if time is None:
        raise _wrong(name, f"{TIME_RULE}, in which a plus sign is written %2B", text)
    return min(max(0, time), MAX_MILLISECONDS)
