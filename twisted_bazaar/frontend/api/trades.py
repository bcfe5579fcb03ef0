"""Decodes and checks the trades that clients send. Pure.

Each function returns a value that keeps all the rules, or raises a `Refusal` that names the field,
header or parameter at fault, and shows its value. The JSON reader is strict: it sees fields that
are given twice, and each digit of a number.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from twisted_bazaar.http.refusals import Reason, Refusal, shown, shown_value
from twisted_bazaar.market import MAX_PRICE, MAX_TRADE_QUANTITY, Side, Trade
from twisted_bazaar.rpc.bounds import MAX_MILLISECONDS

from .description.vocabulary import Field, Schema
from .queries import QueryParameter, given_parameters
from .requests import KEY, KEY_RULE, MAX_STOCK_NAME_CHARACTERS
from .times import TIME_RULE, milliseconds_of

__all__ = [
    "A_TRADE",
    "FIELDS",
    "PARAMETERS",
    "checked_fields",
    "decode_object",
    "decode_trade",
    "decode_validate",
    "trade_of",
]

_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_SIDES = {side.value: side for side in Side}
VALIDATE = QueryParameter(
    name="validate",
    says="Whether the trade is only judged, and not executed.",
    schema={"type": "boolean", "default": False},
    read={"true": True, "false": False}.get,
    rule="true or false",
)
PARAMETERS = (VALIDATE,)


def decode_trade(
    body: bytes,
    idempotency_keys: Sequence[bytes] | None,
    fresh_key: Callable[[], str],
    validate: bool = False,
) -> Trade:
    """The trade in a body. Its key is the header `Idempotency-Key`, else the field
    `client_order_id`, else `fresh_key()`."""
    return trade_of(decode_object(body, A_TRADE), idempotency_keys, fresh_key, validate)


def decode_validate(target: bytes) -> bool:
    """Whether the request for `target` asks for a trade that is judged and not executed."""
    if b"?" not in target:
        return False
    given = given_parameters(target.partition(b"?")[2], PARAMETERS)
    return bool(VALIDATE.of(given))


class _GivenTwice(dict[str, Any]):
    """An object with a field that is given twice."""

    name: str


def decode_object(body: bytes, expected: str) -> Any:
    """The value of a body, which must not be empty, but may be no object. `expected` is what the
    body should be."""
    if not body.strip():
        raise Refusal(Reason.MALFORMED, f"the body is empty; send {expected}")
    try:
        return _decoder.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        message = f"the body is not UTF-8 text at byte {error.start}"
        raise Refusal(Reason.MALFORMED, message) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}: {shown(error.doc[error.pos :])}"
        message = f"the body is not JSON: {error.msg} at {where}"
        raise Refusal(Reason.MALFORMED, message) from None
    except RecursionError:
        raise Refusal(Reason.MALFORMED, "the body is nested too deeply") from None
    except ValueError:  # Python reads integers of up to 4300 digits
        raise Refusal(Reason.MALFORMED, "the body holds a number that is too long") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        fields = _GivenTwice(fields)
        [(fields.name, _)] = Counter(name for name, _ in pairs).most_common(1)
    return fields


def _exact(literal: str) -> Decimal | float:
    """A number that is not written as an integer, but may be one. NaN: it is out of range."""
    try:
        return Decimal(literal)
    except ArithmeticError:
        return math.nan


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_float=_exact)


def checked_fields(value: Any, known: frozenset[str], expected: str) -> dict[str, Any]:
    """`value` if it is an object with none but `known` fields, each given once."""
    if not isinstance(value, dict):
        message = f"the body must be {expected}, not {shown_value(value)}"
        raise Refusal(Reason.MALFORMED, message)
    if isinstance(value, _GivenTwice):
        raise Refusal(Reason.INVALID_FIELD, f"the field {shown(value.name)} is given twice")
    if not known.issuperset(value):
        name = next(name for name in value if name not in known)
        raise Refusal(Reason.INVALID_FIELD, f"unknown field {shown(name)}")
    return value


def trade_of(
    value: Any,
    idempotency_keys: Sequence[bytes] | None,
    fresh_key: Callable[[], str],
    validate: bool,
) -> Trade:
    """The trade in `value`, which JSON has been decoded to."""
    fields = checked_fields(value, _NAMES, A_TRADE)
    for name in _REQUIRED:
        if name not in fields:
            raise Refusal(Reason.INVALID_FIELD, f"the field {name} is missing")
    key = _key(idempotency_keys, fields)
    stock, side = _NAME.read(fields["name"]), _TYPE.read(fields["type"])
    quantity = _QUANTITY.read(fields["quantity"])
    limit = _LIMIT_PRICE.read(fields["limit_price"]) if "limit_price" in fields else None
    valid_until = _VALID_UNTIL.read(fields["valid_until"]) if "valid_until" in fields else None
    made = key is None
    return Trade(
        fresh_key() if key is None else key,
        stock,
        side,
        quantity,
        made,
        limit,
        valid_until,
        validate,
    )


def _wrong(rule: str, value: Any) -> Refusal:
    return Refusal(Reason.INVALID_FIELD, f"{rule}, not {shown_value(value)}")


def _stock_name(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_STOCK_NAME_CHARACTERS:
        raise _wrong(f"name must be text of 1 to {MAX_STOCK_NAME_CHARACTERS} characters", value)
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        message = f"name holds half of a surrogate pair, which is no character: {shown(value)}"
        raise Refusal(Reason.INVALID_FIELD, message) from None
    return value


def _side(value: Any) -> Side:
    side = _SIDES.get(value) if isinstance(value, str) else None
    if side is None:
        raise _wrong('type must be "buy" or "sell"', value)
    return side


def _quantity(value: Any) -> int:
    # True is an int in Python, and 10.0 an integer in JSON Schema. Only the latter is one here.
    is_number = type(value) is int or isinstance(value, Decimal)
    if is_number and 1 <= value <= MAX_TRADE_QUANTITY and value == int(value):
        return int(value)
    raise _wrong(f"quantity must be an integer from 1 to {MAX_TRADE_QUANTITY}", value)


def _limit(value: Any) -> int | None:
    """The limit price in cents."""
    if value is None:
        return None
    is_number = type(value) is int or isinstance(value, Decimal)
    if is_number and 0 < value <= MAX_PRICE // 100:
        # The product may be rounded, to 28 digits; what is compared is exact.
        cents = int(value * 100)
        if cents and Decimal(cents).scaleb(-2) == value:
            return cents
    rule = f"limit_price must be a number above 0, at most {MAX_PRICE // 100}, with two decimals"
    raise _wrong(f"{rule} at most", value)


def _valid_until(value: Any) -> int | None:
    """Milliseconds since 1970, in the range that a message may hold."""
    if value is None:
        return None
    moment = milliseconds_of(value, round_up=False) if isinstance(value, str) else None
    if moment is None:
        raise _wrong(f"valid_until must be {TIME_RULE}", value)
    return min(max(moment, 0), MAX_MILLISECONDS)


def _key(headers: Sequence[bytes] | None, fields: dict[str, Any]) -> str | None:
    given = list(dict.fromkeys(_header_key(value.decode("latin-1")) for value in headers or ()))
    if len(given) > 1:
        keys = f"{shown(given[0])} and {shown(given[1])}"
        message = f"the header Idempotency-Key is given twice, with different keys: {keys}"
        raise Refusal(Reason.INVALID_KEY, message)
    field = fields.get("client_order_id")
    if field is not None:
        key = _CLIENT_ORDER_ID.read(field)
        if given and given != [key]:
            keys = f"Idempotency-Key {shown(given[0])} and client_order_id {shown(key)}"
            raise Refusal(Reason.INVALID_KEY, f"{keys} differ; give one of them")
        return key
    return given[0] if given else None


def _header_key(text: str) -> str:
    """The key, which may be quoted as a string of RFC 8941 is."""
    name = "the header Idempotency-Key"
    if text.startswith('"'):
        quoted = _STRING.fullmatch(text)
        if quoted is None:
            message = f"{name} begins with a quotation mark, but is no quoted string: {shown(text)}"
            raise Refusal(Reason.INVALID_KEY, message)
        text = re.sub(r"\\(.)", r"\1", quoted[1])
    return _checked_key(name, text)


def _checked_key(name: str, value: Any) -> str:
    if not isinstance(value, str) or KEY.fullmatch(value) is None:
        message = f"{name} must be {KEY_RULE}, not {shown_value(value)}"
        raise Refusal(Reason.INVALID_KEY, message)
    return value


# Each declaration below is how a field is decoded, and how it is described.

_TEXT: Schema = {"type": "string"}
_NAME = Field(
    name="name",
    says="Of the stock, compared exactly.",
    schema={**_TEXT, "minLength": 1, "maxLength": MAX_STOCK_NAME_CHARACTERS},
    read=_stock_name,
    required=True,
)
_QUANTITY = Field(
    name="quantity",
    says="Shares. `10`, `10.0` and `1e1` are the same.",
    schema={"type": "integer", "minimum": 1, "maximum": MAX_TRADE_QUANTITY},
    read=_quantity,
    required=True,
)
_TYPE = Field(
    name="type",
    says="Which way the shares go, seen from the client.",
    schema={**_TEXT, "enum": [*_SIDES]},
    read=_side,
    required=True,
)
_CLIENT_ORDER_ID = Field(
    name="client_order_id",
    says=f"The key of the trade, which never has more than one order: {KEY_RULE}. The header "
    "`Idempotency-Key` says the same.",
    schema={**_TEXT, "pattern": f"^{KEY.pattern}$"},
    read=lambda value: _checked_key("client_order_id", value),
)
_LIMIT_PRICE = Field(
    name="limit_price",
    says="A buy pays no more a share, a sell gets no less. Two decimals at most: `16`, `16.0` and "
    "`16.00` are the same.",
    schema={
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": MAX_PRICE // 100,
        "multipleOf": 0.01,
    },
    read=_limit,
)
_VALID_UNTIL = Field(
    name="valid_until",
    says="The trade is refused if it is decided later: RFC 3339, with a zone.",
    schema={**_TEXT, "format": "date-time"},
    read=_valid_until,
)
FIELDS = (_NAME, _QUANTITY, _TYPE, _CLIENT_ORDER_ID, _LIMIT_PRICE, _VALID_UNTIL)
"""Of a trade."""
_NAMES = frozenset(each.name for each in FIELDS)
_REQUIRED = tuple(each.name for each in FIELDS if each.required)
A_TRADE = f"a JSON object with {', '.join(_REQUIRED)}"
