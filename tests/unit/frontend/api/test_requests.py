"""Headers, numbers and parameters are read exactly as meant, or refused by name."""

import pytest

from twisted_bazaar.frontend.api.requests import (
    MAX_ORDER_NUMBER,
    check_content,
    check_key_headers,
    decode_order_number,
)
from twisted_bazaar.http.refusals import Reason, Refusal


@pytest.mark.parametrize(
    "name",
    [
        *[b"X-Idempotency-Key", b"x-idempotency-key", b"Idempotency_Key", b"Idempotency-Token"],
        *[b"X-Request-Idempotency", b"Idempotency-Keys"],
    ],
)
def test_a_header_that_only_looks_like_a_key_is_refused_by_name(name: bytes) -> None:
    check_key_headers([b"Host", b"Idempotency-Key", b"idempotency-key"])
    with pytest.raises(Refusal) as caught:
        check_key_headers([b"Host", b"Idempotency-Key", name])
    assert caught.value.reason is Reason.INVALID_KEY
    assert f'"{name.decode()}" is not known; send Idempotency-Key' in caught.value.message


@pytest.mark.parametrize(
    "values",
    [
        [b"application/json"],
        [b"application/json; charset=utf-8"],
        [b"Application/JSON ;charset=UTF-8"],
        [b'application/json;charset="utf-8"'],
        [b"application/json; charset=utf8; v=1;"],
        [b'application/json; a="x;charset=latin-1\\""; charset=utf-8'],
    ],
)
def test_a_body_of_type_json_is_read(values: list[bytes]) -> None:
    check_content(values, None)


@pytest.mark.parametrize(
    "values",
    [
        None,
        [],
        [b""],
        [b"text/plain"],
        [b"application/json; charset=latin-1"],
        [b"application/json; charset=utf-16"],
        [b'application/json; charset="us-ascii"'],
        [b"application/json; charset=utf-8; charset=latin-1"],
        [b"application/json; charset"],
        [b"application/json; charset=utf-8 latin-1"],
        [b'application/json; charset="utf-8'],
        [b"application/json, text/plain"],
        [b"application/json", b"application/json"],
        [b"application/json" + b";" * 8000 + b" " * 8000 + b"="],
        [b"application/problem+json"],
        [b"application/x-www-form-urlencoded"],
        [b"application/jsonx"],
        [b"text/plain; application/json"],
        [b"application/json", b"text/plain"],
    ],
)
def test_a_body_of_another_or_no_type_is_refused(
    values: list[bytes] | None,
) -> None:
    with pytest.raises(Refusal) as caught:
        check_content(values, None)
    assert caught.value.reason is Reason.UNSUPPORTED_MEDIA_TYPE


JSON = [b"application/json"]


@pytest.mark.parametrize("values", [None, [b""], [b"identity"], [b"Identity, identity"]])
def test_a_body_that_is_sent_as_it_is_is_read(values: list[bytes] | None) -> None:
    check_content(JSON, values)


@pytest.mark.parametrize(
    "values", [[b"gzip"], [b"br"], [b"identity, gzip"], [b"identity", b"deflate"], [b"x"], [b"*"]]
)
def test_a_body_in_another_encoding_is_refused(values: list[bytes]) -> None:
    with pytest.raises(Refusal) as caught:
        check_content(JSON, values)
    assert caught.value.reason is Reason.UNSUPPORTED_MEDIA_TYPE
    assert "Content-Encoding" in caught.value.message


def test_order_numbers_are_read() -> None:
    assert decode_order_number("1") == 1
    assert decode_order_number(str(MAX_ORDER_NUMBER)) == MAX_ORDER_NUMBER


@pytest.mark.parametrize(
    "text",
    [
        *["0", "-1", "+1", "01", "1.0", "1e3", "abc", "", " 1", "1\n", "1_0", "\u0661", "0x1"],
        *[str(MAX_ORDER_NUMBER + 1), "99999999999999999999999", "9" * 10000],
    ],
)
def test_what_can_never_number_an_order_is_known_without_asking(text: str) -> None:
    assert decode_order_number(text) is None
