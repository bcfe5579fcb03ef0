"""What clients send, decoded and checked before any other part of the bazaar sees it. Pure.

Every function returns a value that holds all the rules, or raises a `Refusal` that names the
field, header or parameter at fault, in words for a person. The body is read by one strict
JSON reader, which keeps what a schema would hide: fields given twice, and 5.0 for 5.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from ..market import MAX_TRADE_QUANTITY, Side, Trade
from .interfaces import MAX_PAGE
from .refusals import Refusal, shown

__all__ = [
    "DEFAULT_PAGE",
    "MAX_BODY_BYTES",
    "MAX_ORDER_NUMBER",
    "MAX_STOCK_NAME_CHARACTERS",
    "Page",
    "check_content_type",
    "decode_order_number",
    "decode_page",
    "decode_trade",
]

MAX_BODY_BYTES = 64 * 1024
MAX_STOCK_NAME_CHARACTERS = 64
MAX_ORDER_NUMBER = 2**53 - 1
"""The largest integer every JSON reader keeps: no order ever has a higher number."""
DEFAULT_PAGE = 100

_KEY_RULE = "1 to 128 printable ASCII characters, none of the outer ones a space"
_KEY = re.compile(r"[!-~](?:[ -~]{0,126}[!-~])?")
_INTEGER = re.compile(r"[0-9]{1,16}")
_ORDER_NUMBER = re.compile(r"[1-9][0-9]{0,15}")
_SIDES = {side.value: side for side in Side}
_REQUIRED = ("name", "quantity", "type")
_OPTIONAL = ("client_order_id",)


class Page(msgspec.Struct, frozen=True):
    """Which orders a client wants to see."""

    after: int
    """Those with a higher number than this."""
    limit: int
    """So many at most."""


def check_content_type(values: Sequence[bytes] | None) -> None:
    """Refuse a body that says it is not JSON. One that says nothing is taken at its word."""
    for value in values or ():
        if value.partition(b";")[0].strip().lower() != b"application/json":
            raise Refusal(415, "the body must be JSON: send Content-Type: application/json")


def decode_trade(
    body: bytes, idempotency_keys: Sequence[bytes] | None, fresh_key: Callable[[], str]
) -> Trade:
    """The trade that a client asks for.

    Its key is the one `Idempotency-Key` header, else the field `client_order_id`, else fresh.
    """
    fields = _decode_object(body)
    for name in fields:
        if name not in _REQUIRED and name not in _OPTIONAL:
            raise Refusal(400, f"unknown field {shown(name)}")
    for name in _REQUIRED:
        if name not in fields:
            raise Refusal(400, f"the field {name} is missing")
    key = _key(idempotency_keys, fields)
    return Trade(
        fresh_key() if key is None else key,
        _stock_name(fields["name"]),
        _side(fields["type"]),
        _quantity(fields["quantity"]),
    )


def decode_order_number(text: str) -> int | None:
    """The order number in a path, or None: no order can ever have it."""
    if _ORDER_NUMBER.fullmatch(text) is None:
        return None
    number = int(text)
    return number if number <= MAX_ORDER_NUMBER else None


def decode_page(query: bytes) -> Page:
    """The page that the query string of `GET /orders` asks for."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        if name not in ("after", "limit"):
            raise Refusal(400, f"unknown query parameter {shown(name)}")
        if name in found:
            raise Refusal(400, f"the query parameter {name} is given twice")
        found[name] = value
    return Page(
        _parameter("after", found.get("after", "0"), 0, MAX_ORDER_NUMBER),
        _parameter("limit", found.get("limit", str(DEFAULT_PAGE)), 1, MAX_PAGE),
    )


def _parameter(name: str, text: str, least: int, most: int) -> int:
    if _INTEGER.fullmatch(text) is not None and least <= int(text) <= most:
        return int(text)
    raise Refusal(400, f"the query parameter {name} must be an integer from {least} to {most}")


def _decode_object(body: bytes) -> dict[str, Any]:
    if not body.strip():
        raise Refusal(400, f"the body is empty; send a JSON object with {', '.join(_REQUIRED)}")
    try:
        value = _decoder.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise Refusal(400, "the body is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Refusal(400, f"the body is not JSON: {error.msg} at {where}") from None
    except RecursionError:
        raise Refusal(400, "the body is nested too deeply") from None
    except ValueError:  # Python reads no integer of more than some thousand digits
        raise Refusal(400, "the body holds a number that is too long") from None
    if not isinstance(value, dict):
        raise Refusal(400, f"the body must be a JSON object with {', '.join(_REQUIRED)}")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise Refusal(400, f"the field {shown(twice)} is given twice")
    return fields


_decoder = json.JSONDecoder(object_pairs_hook=_object)


def _stock_name(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_STOCK_NAME_CHARACTERS:
        raise Refusal(400, f"name must be text of 1 to {MAX_STOCK_NAME_CHARACTERS} characters")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise Refusal(400, "name holds half of a surrogate pair, which is no character") from None
    return value


def _side(value: object) -> Side:
    side = _SIDES.get(value) if isinstance(value, str) else None
    if side is None:
        raise Refusal(400, 'type must be "buy" or "sell"')
    return side


def _quantity(value: object) -> int:
    # Neither True nor 5.0 is an integer here, though Python and JSON might say so.
    if type(value) is not int or not 1 <= value <= MAX_TRADE_QUANTITY:
        raise Refusal(400, f"quantity must be an integer from 1 to {MAX_TRADE_QUANTITY}")
    return value


def _key(headers: Sequence[bytes] | None, fields: dict[str, Any]) -> str | None:
    header, field = None, None
    if headers is not None:
        if len(headers) > 1:
            raise Refusal(400, "the header Idempotency-Key is given twice")
        header = _checked_key("the header Idempotency-Key", headers[0].decode("latin-1"))
    if "client_order_id" in fields:
        field = _checked_key("client_order_id", fields["client_order_id"])
        if header not in (None, field):
            raise Refusal(400, "Idempotency-Key and client_order_id differ; give one of them")
    return field if header is None else header


def _checked_key(name: str, value: object) -> str:
    if not isinstance(value, str) or _KEY.fullmatch(value) is None:
        raise Refusal(400, f"{name} must be {_KEY_RULE}")
    return value
