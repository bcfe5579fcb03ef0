"""Requests are decoded exactly as meant, or refused with a message for people."""

import itertools
import json
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from twisted_bazaar.frontend.api.requests import (
    MAX_ORDER_NUMBER,
    check_content,
    check_key_headers,
    decode_order_number,
    decode_trade,
)
from twisted_bazaar.frontend.http.refusals import Reason, Refusal
from twisted_bazaar.frontend.trading.keys import FreshKeys
from twisted_bazaar.market import MAX_TRADE_QUANTITY, Side, Trade

QUANTITY_RULE = "quantity must be an integer from 1 to 1000000000"
TYPE_RULE = 'type must be "buy" or "sell"'
NAME_RULE = "name must be text of 1 to 64 characters"


def trade_of(body: bytes, keys: list[bytes] | None = None) -> Trade:
    return decode_trade(body, keys, lambda: "fresh")


def trade_body(**changes: object) -> bytes:
    fields = {"name": "GameStart", "quantity": 5, "type": "buy", **changes}
    return json.dumps(fields).encode()


def refusal_for(body: bytes, keys: list[bytes] | None = None) -> str:
    with pytest.raises(Refusal) as caught:
        trade_of(body, keys)
    assert caught.value.code == 400
    return caught.value.message


def test_a_trade_is_decoded_in_any_layout() -> None:
    expected = Trade("fresh", "GameStart", Side.BUY, 5)
    assert trade_of(b'{"name":"GameStart","quantity":5,"type":"buy"}') == expected
    assert trade_of(b'\r\n{ "type" :\t"buy","quantity":5 , "name":"Game\\u0053tart"} ') == expected


@pytest.mark.parametrize("quantity", [1, MAX_TRADE_QUANTITY])
def test_the_smallest_and_the_largest_quantity_are_taken(quantity: int) -> None:
    assert trade_of(trade_body(quantity=quantity)).quantity == quantity


@pytest.mark.parametrize(
    ("literal", "quantity"),
    [
        *[("5.0", 5), ("1e0", 1), ("1E3", 1000), ("10.000", 10), ("0.5e1", 5), ("1000e-3", 1)],
        *[("1e9", MAX_TRADE_QUANTITY), ("1000000000.0", MAX_TRADE_QUANTITY), ("1.0e+1", 10)],
        ("7." + "0" * 50_000, 7),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_quantity_may_be_written_in_any_way_that_is_an_integer(
    literal: str, quantity: int
) -> None:
    body = b'{"name": "GameStart", "quantity": %b, "type": "buy"}' % literal.encode()
    taken = trade_of(body).quantity
    assert (type(taken), taken) == (int, quantity)


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_both_sides_are_taken(side: str) -> None:
    assert trade_of(trade_body(type=side)).side is Side(side)


@pytest.mark.parametrize("name", ["x", "y" * 64, "Überaktie 株", "a/b", "\U0001f41f", "\0"])
def test_a_stock_name_is_any_text_of_1_to_64_characters(name: str) -> None:
    assert trade_of(trade_body(name=name)).stock == name


@pytest.mark.parametrize(
    "quantity",
    [
        *["0", "-0", "-5", "1000000001", "18446744073709551617", "9" * 400, "0.0", "-5.0", "5.5"],
        *["5.0000000000000000001", "1e10", "1e400", "1e-400", "-1e400", "1E999999999999999999999"],
        *["1e-999999999", "1.5e0", "1000000000.1", "0." + "9" * 5000, "1." + "0" * 50_000 + "1"],
        *["true", '"5"', "null", "[5]", "{}", "NaN", "Infinity", "-Infinity"],
    ],
)
def test_a_quantity_is_an_exact_integer_in_range(quantity: str) -> None:
    body = b'{"name": "GameStart", "quantity": %b, "type": "buy"}' % quantity.encode()
    assert refusal_for(body) == QUANTITY_RULE


@pytest.mark.parametrize("side", ["", "BUY", "hold", "buy ", 1, None, ["buy"], True])
def test_an_unknown_type_is_refused(side: object) -> None:
    assert refusal_for(trade_body(type=side)) == TYPE_RULE


@pytest.mark.parametrize("name", ["", "y" * 65, 5, None, ["GameStart"], {"a": 1}])
def test_a_name_that_cannot_be_a_stock_is_refused(name: object) -> None:
    assert refusal_for(trade_body(name=name)) == NAME_RULE


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty; send a JSON object with name, quantity, type"),
        (b" \r\n", "the body is empty; send a JSON object with name, quantity, type"),
        (b"\xff\xfe", "the body is not UTF-8 text"),
        (trade_body(name="é").decode("unicode_escape").encode("latin-1"), "not UTF-8"),
        ('{"name":"x"}'.encode("utf-16"), "the body is not UTF-8 text"),
        (b"\xef\xbb\xbf" + trade_body(), "the body is not JSON"),
        (b"name=GameStart&quantity=5", "the body is not JSON: Expecting value at line 1, column 1"),
        (trade_body() + b"x", "the body is not JSON: Extra data at line 1, column 52"),
        (trade_body() + trade_body(), "the body is not JSON: Extra data"),
        (trade_body()[:-1], "the body is not JSON"),
        (b"{'name': 'GameStart'}", "the body is not JSON"),
        (b'{"name": "Game\nStart"}', "the body is not JSON"),
        (b"[" * 60000, "the body is nested too deeply"),
        (b'{"name":' * 8000, "the body is nested too deeply"),
        (b'{"quantity": ' + b"9" * 5000 + b"}", "the body holds a number that is too long"),
        (b"[]", "the body must be a JSON object with name, quantity, type"),
        (b"null", "the body must be a JSON object with name, quantity, type"),
        (b'"buy"', "the body must be a JSON object with name, quantity, type"),
        (b"[" + trade_body() + b"]", "the body must be a JSON object"),
        (b"{}", "the field name is missing"),
        (b'{"name": "GameStart", "type": "buy"}', "the field quantity is missing"),
        (b'{"name": "GameStart", "quantity": 5}', "the field type is missing"),
        (trade_body(price=1), 'unknown field "price"'),
        (trade_body(Name="GameStart"), 'unknown field "Name"'),
        (b'{"name":"a","name":"b","quantity":5,"type":"buy"}', 'the field "name" is given twice'),
        (
            b'{"name":"a","quantity":5,"type":"buy","quantity":5}',
            'the field "quantity" is given twice',
        ),
        (
            b'{"name":"a","quantity":5,"type":"buy","\\u0074ype":"sell"}',
            'the field "type" is given twice',
        ),
        (b'{"name": "\\ud800", "quantity": 5, "type": "buy"}', "half of a surrogate pair"),
        (b'{"\\ud800": 1}', 'unknown field "?"'),
        (b'{"' + b"x" * 60000 + b'": 1}', 'unknown field "' + "x" * 64 + '…"'),
    ],
)
def test_a_body_at_fault_is_refused_by_saying_what_is_wrong(body: bytes, message: str) -> None:
    assert message in refusal_for(body)


@settings(deadline=None)
@given(st.binary(max_size=200))
@example(b"1" * 5000)
@example(b'{"a":NaN}')
def test_any_bytes_are_a_trade_within_the_rules_or_refused_in_utf_8(body: bytes) -> None:
    check_that_it_is_a_trade_or_refused(body)


fields = st.sampled_from(["name", "quantity", "type", "client_order_id", "other"])
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-1, 9),
    st.floats(),
    # Not st.text(): its first use on a machine takes longer than the health check allows.
    st.lists(st.sampled_from(["a", " ", "\0", '"', "株", "\U0001f41f", "\ud800"]), max_size=70).map(
        "".join
    ),
    st.sampled_from(["buy", "sell"]),
    st.lists(st.integers(), max_size=2),
)


@settings(deadline=None)
@given(st.dictionaries(fields, values))
def test_any_fields_are_a_trade_within_the_rules_or_refused_in_utf_8(
    body: dict[str, object],
) -> None:
    check_that_it_is_a_trade_or_refused(json.dumps(body).encode())


def outcome_of(body: bytes) -> tuple[Refusal | None, Trade | None]:
    try:
        return None, trade_of(body)
    except Refusal as refusal:
        return refusal, None


def check_that_it_is_a_trade_or_refused(body: bytes) -> None:
    refusal, trade = outcome_of(body)
    if refusal is not None:
        assert refusal.code == 400
        assert refusal.message.encode("utf-8")
        assert len(refusal.message) < 200
    if trade is not None:
        assert 1 <= len(trade.stock) <= 64
        assert trade.stock.encode("utf-8")
        assert type(trade.quantity) is int
        assert 1 <= trade.quantity <= MAX_TRADE_QUANTITY
        assert 1 <= len(trade.key) <= 128


def test_the_key_is_the_header_or_the_field_or_a_fresh_one() -> None:
    assert trade_of(trade_body()).key == "fresh"
    assert trade_of(trade_body(), [b"from-header"]).key == "from-header"
    assert trade_of(trade_body(client_order_id="from field")).key == "from field"
    assert trade_of(trade_body(client_order_id="both"), [b"both"]).key == "both"


def test_a_fresh_key_is_taken_only_where_it_is_needed() -> None:
    numbers = itertools.count(1)
    for keys in [b"mine"], None:
        trade = decode_trade(trade_body(), keys, lambda: str(next(numbers)))
    assert trade.key == "1"


@pytest.mark.parametrize("key", ["k", "k" * 128, "!~", "a b", 'a"b"', "a,b", "a;b=c", "\\"])
def test_a_key_is_1_to_128_printable_ascii_characters(key: str) -> None:
    assert trade_of(trade_body(), [key.encode()]).key == key
    assert trade_of(trade_body(client_order_id=key)).key == key


@pytest.mark.parametrize(
    ("header", "key"),
    [
        *[('"k"', "k"), ('"a b"', "a b"), (r'"say \"hi\""', 'say "hi"'), (r'"\\"', "\\")],
        ('"' + "k" * 128 + '"', "k" * 128),
    ],
)
def test_a_key_in_a_header_may_be_a_quoted_string(header: str, key: str) -> None:
    assert trade_of(trade_body(), [header.encode()]).key == key
    assert trade_of(trade_body(client_order_id=key), [header.encode()]).key == key
    assert trade_of(trade_body(), [header.encode(), header.encode()]).key == key


@pytest.mark.parametrize(
    "header", ['"', '"k', '"k" x', '"k";a=1', '"a"b"', r'"\k"', r'"k\"', '"k", "k"', '"é"']
)
def test_a_key_that_begins_as_a_quoted_string_and_is_none_is_refused(header: str) -> None:
    message = "the header Idempotency-Key begins with a quotation mark, but is no quoted string"
    assert refusal_for(trade_body(), [header.encode("latin-1")]) == message


@pytest.mark.parametrize("header", ['""', '" k"', '"k "', '"' + "k" * 129 + '"'])
def test_the_rules_of_keys_hold_within_quotation_marks(header: str) -> None:
    refused = refusal_for(trade_body(), [header.encode()])
    assert refused.startswith("the header Idempotency-Key must be 1 to 128 printable ASCII")


def test_text_in_quotation_marks_in_a_body_is_a_key_with_quotation_marks() -> None:
    assert trade_of(trade_body(client_order_id='"k"')).key == '"k"'


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


@pytest.mark.parametrize("key", ["", " ", "k" * 129, "a\tb", "a\x7f", "é", " a", "a ", "a\n"])
def test_any_other_key_is_refused(key: str) -> None:
    rule = "must be 1 to 128 printable ASCII characters, none of the outer ones a space"
    assert refusal_for(trade_body(), [key.encode()]) == f"the header Idempotency-Key {rule}"
    assert refusal_for(trade_body(client_order_id=key)) == f"client_order_id {rule}"


def test_no_client_order_id_at_all_is_null_too() -> None:
    assert trade_of(trade_body(client_order_id=None)).key == "fresh"
    assert trade_of(trade_body(client_order_id=None), [b"mine"]).key == "mine"


@pytest.mark.parametrize("key", [5, 5.0, float("nan"), float("inf"), False, True, ["k"], {}])
def test_a_client_order_id_that_is_no_text_is_refused(key: object) -> None:
    assert refusal_for(trade_body(client_order_id=key)).startswith("client_order_id must be")


def test_one_key_may_be_given_more_than_once() -> None:
    assert trade_of(trade_body(client_order_id="a"), [b"a", b'"a"']).key == "a"


def test_two_different_keys_are_refused() -> None:
    twice = "the header Idempotency-Key is given twice, with different keys"
    assert refusal_for(trade_body(), [b"a", b"b"]) == twice
    assert refusal_for(trade_body(), [b"a", b'"b"', b"a"]) == twice
    differ = "Idempotency-Key and client_order_id differ; give one of them"
    assert refusal_for(trade_body(client_order_id="a"), [b"b"]) == differ


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


def test_fresh_keys_differ_and_grow_and_cannot_be_guessed_from_one_another() -> None:
    keys = FreshKeys(Random(1))
    made = [keys() for _ in range(1000)]
    assert made == sorted(set(made))
    assert trade_of(trade_body(), [made[0].encode()]).key == made[0]
    process, _, guard = made[0].split("-")
    assert len({key.split("-")[2] for key in made}) == 1000
    assert len(guard) == 12
    other = FreshKeys(Random(2))().split("-")
    assert other[0] != process
    assert other[2] != guard
