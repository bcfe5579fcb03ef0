"""Decodes and checks the requests of clients. Pure.

Every function returns a value that keeps all the rules, or raises a `Refusal` that names the field,
header or parameter at fault. The JSON reader is strict: it sees fields that are given twice, and
each digit of a number.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

from twisted_bazaar.frontend.http.refusals import Reason, Refusal, shown
from twisted_bazaar.market import MAX_TRADE_QUANTITY, Side, Trade

__all__ = [
    "KEY",
    "KEY_RULE",
    "MAX_ORDER_NUMBER",
    "MAX_STOCK_NAME_CHARACTERS",
    "check_content",
    "check_key_headers",
    "decode_order_number",
    "decode_trade",
]

MAX_STOCK_NAME_CHARACTERS = 64
MAX_ORDER_NUMBER = 2**53 - 1
"""The largest integer that every JSON reader keeps. No order has a higher number."""
KEY_RULE = "1 to 128 printable ASCII characters, none of the outer ones a space"
KEY = re.compile(r"[!-~](?:[ -~]{0,126}[!-~])?")
"""The whole of an idempotency key."""
_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_TOKEN = r"[!#$%&'*+.^_`|~0-9a-z-]+"
_PARAMETER = re.compile(rf';[ \t]*(?:({_TOKEN})=({_TOKEN}|"(?:[^"\\]|\\.)*")[ \t]*)?')
_CONTENT_TYPE = re.compile(rf"application/json[ \t]*((?:{_PARAMETER.pattern})*)")
_UTF_8 = ("utf-8", "utf8", '"utf-8"', '"utf8"')
_ORDER_NUMBER = re.compile(r"[1-9][0-9]{0,15}")
_SIDES = {side.value: side for side in Side}
_REQUIRED = ("name", "quantity", "type")
_OPTIONAL = ("client_order_id",)
_AN_OBJECT = f"a JSON object with {', '.join(_REQUIRED)}"


def check_content(
    content_types: Sequence[bytes] | None, content_encodings: Sequence[bytes] | None
) -> None:
    """Refuse a body whose type is not JSON in plain UTF-8.

    So is a body without a type: a web page can make a browser send one to any site, but not one of
    type `application/json`.
    """
    if content_types is None or len(content_types) != 1 or not _is_json(content_types[0]):
        message = "the body must be JSON in UTF-8: send Content-Type: application/json"
        raise Refusal(Reason.UNSUPPORTED_MEDIA_TYPE, message)
    for encodings in content_encodings or ():
        for encoding in encodings.split(b","):
            if encoding.strip().lower() not in (b"", b"identity"):
                message = "the body must be sent as it is, without a Content-Encoding"
                raise Refusal(Reason.UNSUPPORTED_MEDIA_TYPE, message)


@lru_cache(64)
def _is_json(content_type: bytes) -> bool:
    matched = _CONTENT_TYPE.fullmatch(content_type.decode("latin-1").strip().lower())
    return matched is not None and all(
        value in _UTF_8 for name, value in _PARAMETER.findall(matched[1]) if name == "charset"
    )


def check_key_headers(names: Iterable[bytes]) -> None:
    """Refuse a header whose name looks like that of the idempotency key, and is not."""
    for name in names:
        if b"idempotency" in name.lower() and name.lower() != b"idempotency-key":
            said = shown(name.decode("latin-1"))
            message = f"the header {said} is not known; send Idempotency-Key"
            raise Refusal(Reason.INVALID_KEY, message)


def decode_trade(
    body: bytes, idempotency_keys: Sequence[bytes] | None, fresh_key: Callable[[], str]
) -> Trade:
    """The trade in a body. Its key is the header `Idempotency-Key`, else the field
    `client_order_id`, else `fresh_key()`."""
    fields = _decode_object(body)
    for name in fields:
        if name not in _REQUIRED and name not in _OPTIONAL:
            raise Refusal(Reason.INVALID_FIELD, f"unknown field {shown(name)}")
    for name in _REQUIRED:
        if name not in fields:
            raise Refusal(Reason.INVALID_FIELD, f"the field {name} is missing")
    key = _key(idempotency_keys, fields)
    return Trade(
        fresh_key() if key is None else key,
        _stock_name(fields["name"]),
        _side(fields["type"]),
        _quantity(fields["quantity"]),
    )


def decode_order_number(text: str) -> int | None:
    """The order number in a path; None: no order can have it."""
    if _ORDER_NUMBER.fullmatch(text) is None:
        return None
    number = int(text)
    return number if number <= MAX_ORDER_NUMBER else None


def _decode_object(body: bytes) -> dict[str, Any]:
    if not body.strip():
        raise Refusal(Reason.MALFORMED, f"the body is empty; send {_AN_OBJECT}")
    try:
        value = _decoder.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise Refusal(Reason.MALFORMED, "the body is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        message = f"the body is not JSON: {error.msg} at {where}"
        raise Refusal(Reason.MALFORMED, message) from None
    except RecursionError:
        raise Refusal(Reason.MALFORMED, "the body is nested too deeply") from None
    except ValueError:  # Python reads integers of up to 4300 digits
        raise Refusal(Reason.MALFORMED, "the body holds a number that is too long") from None
    if not isinstance(value, dict):
        raise Refusal(Reason.MALFORMED, f"the body must be {_AN_OBJECT}")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise Refusal(Reason.INVALID_FIELD, f"the field {shown(twice)} is given twice")
    return fields


def _exact(literal: str) -> Decimal | float:
    """A number that is not written as an integer, but may be one. NaN: it is out of range."""
    try:
        return Decimal(literal)
    except ArithmeticError:
        return math.nan


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_float=_exact)


def _stock_name(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_STOCK_NAME_CHARACTERS:
        message = f"name must be text of 1 to {MAX_STOCK_NAME_CHARACTERS} characters"
        raise Refusal(Reason.INVALID_FIELD, message)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        message = "name holds half of a surrogate pair, which is no character"
        raise Refusal(Reason.INVALID_FIELD, message) from None
    return value


def _side(value: object) -> Side:
    side = _SIDES.get(value) if isinstance(value, str) else None
    if side is None:
        raise Refusal(Reason.INVALID_FIELD, 'type must be "buy" or "sell"')
    return side


def _quantity(value: Any) -> int:
    # True is an int in Python, and 10.0 an integer in JSON Schema. Only the latter is one here.
    is_number = type(value) is int or isinstance(value, Decimal)
    if is_number and 1 <= value <= MAX_TRADE_QUANTITY and value == int(value):
        return int(value)
    message = f"quantity must be an integer from 1 to {MAX_TRADE_QUANTITY}"
    raise Refusal(Reason.INVALID_FIELD, message)


def _key(headers: Sequence[bytes] | None, fields: dict[str, Any]) -> str | None:
    given = {_header_key(value.decode("latin-1")) for value in headers or ()}
    if len(given) > 1:
        message = "the header Idempotency-Key is given twice, with different keys"
        raise Refusal(Reason.INVALID_KEY, message)
    if fields.get("client_order_id") is not None:
        given.add(_checked_key("client_order_id", fields["client_order_id"]))
        if len(given) > 1:
            message = "Idempotency-Key and client_order_id differ; give one of them"
            raise Refusal(Reason.INVALID_KEY, message)
    return given.pop() if given else None


def _header_key(text: str) -> str:
    """The key, which may be quoted as a string of RFC 8941 is."""
    name = "the header Idempotency-Key"
    if text.startswith('"'):
        quoted = _STRING.fullmatch(text)
        if quoted is None:
            message = f"{name} begins with a quotation mark, but is no quoted string"
            raise Refusal(Reason.INVALID_KEY, message)
        text = re.sub(r"\\(.)", r"\1", quoted[1])
    return _checked_key(name, text)


def _checked_key(name: str, value: object) -> str:
    if not isinstance(value, str) or KEY.fullmatch(value) is None:
        raise Refusal(Reason.INVALID_KEY, f"{name} must be {KEY_RULE}")
    return value
