"""Checks what all requests of clients have: headers, numbers in paths, parameters. Pure.

Every function returns a value that keeps all the rules, or raises a `Refusal` that names the header
or parameter at fault, and shows its value. `trades` and `batches` decode bodies.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from twisted_bazaar.http.refusals import Reason, Refusal, shown

__all__ = [
    "KEY",
    "KEY_RULE",
    "MAX_ORDER_NUMBER",
    "MAX_STOCK_NAME_CHARACTERS",
    "check_content",
    "check_key_headers",
    "decode_order_number",
]

MAX_STOCK_NAME_CHARACTERS = 64
MAX_ORDER_NUMBER = 2**53 - 1
"""The largest integer that every JSON reader keeps. No order has a higher number."""
KEY_RULE = "1 to 128 printable ASCII characters, none of the outer ones a space"
KEY = re.compile(r"[!-~](?:[ -~]{0,126}[!-~])?")
"""The whole of an idempotency key."""
_TOKEN = r"[!#$%&'*+.^_`|~0-9a-z-]+"
_PARAMETER = re.compile(rf';[ \t]*(?:({_TOKEN})=({_TOKEN}|"(?:[^"\\]|\\.)*")[ \t]*)?')
_CONTENT_TYPE = re.compile(rf"application/json[ \t]*((?:{_PARAMETER.pattern})*)")
_UTF_8 = ("utf-8", "utf8", '"utf-8"', '"utf8"')
_ORDER_NUMBER = re.compile(r"[1-9][0-9]{0,15}")


def check_content(
    content_types: Sequence[bytes] | None, content_encodings: Sequence[bytes] | None
) -> None:
    """Refuse a body whose type is not JSON in plain UTF-8.

    So is a body without a type: a web page can make a browser send one to any site, but not one of
    type `application/json`.
    """
    if content_types is None or len(content_types) != 1 or not _is_json(content_types[0]):
        given = " and ".join(shown(each.decode("latin-1")) for each in (content_types or ())[:2])
        message = "the body must be JSON in UTF-8: send Content-Type: application/json, not "
        raise Refusal(Reason.UNSUPPORTED_MEDIA_TYPE, message + (given or "none"))
    for encodings in content_encodings or ():
        for encoding in encodings.split(b","):
            if encoding.strip().lower() not in (b"", b"identity"):
                given = shown(encoding.decode("latin-1"))
                message = f"the body must be sent as it is, without the Content-Encoding {given}"
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


def decode_order_number(text: str) -> int | None:
    """The order number in a path; None: no order can have it."""
    if _ORDER_NUMBER.fullmatch(text) is None:
        return None
    number = int(text)
    return number if number <= MAX_ORDER_NUMBER else None
