"""Trades are decoded exactly as meant, or refused with a message that shows what is wrong."""

import itertools
import json
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from twisted_bazaar.frontend.api.trades import decode_trade, decode_validate
from twisted_bazaar.frontend.trading.keys import FreshKeys
from twisted_bazaar.http.refusals import Reason, Refusal
from twisted_bazaar.market import MAX_PRICE, MAX_TRADE_QUANTITY, Side, Trade

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
    expected = Trade("fresh", "GameStart", Side.BUY, 5, made=True)
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
    assert refusal_for(body).startswith(QUANTITY_RULE + ", not ")


@pytest.mark.parametrize("side", ["", "BUY", "hold", "buy ", 1, None, ["buy"], True])
def test_an_unknown_type_is_refused(side: object) -> None:
    assert refusal_for(trade_body(type=side)).startswith(TYPE_RULE + ", not ")


@pytest.mark.parametrize("name", ["", "y" * 65, 5, None, ["GameStart"], {"a": 1}])
def test_a_name_that_cannot_be_a_stock_is_refused(name: object) -> None:
    assert refusal_for(trade_body(name=name)).startswith(NAME_RULE + ", not ")


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


@pytest.mark.parametrize(
    ("field", "literal", "shown"),
    [
        *[("quantity", "5.5", "5.5"), ("quantity", "true", "true"), ("quantity", "null", "null")],
        *[
            ("quantity", '"5"', '"5"'),
            ("quantity", "[5]", "a list"),
            ("quantity", "{}", "an object"),
        ],
        *[("quantity", "1" + "0" * 99, "1" + "0" * 63 + "…"), ("quantity", "-0", "0")],
        *[("type", '"hold"', '"hold"'), ("type", "1", "1"), ("name", '""', '""')],
        *[("name", '"' + "y" * 65 + '"', '"' + "y" * 64 + '…"'), ("name", "null", "null")],
        *[("limit_price", "-1.50", "-1.50"), ("limit_price", '"5"', '"5"')],
        *[("valid_until", '"soon"', '"soon"'), ("valid_until", "5", "5")],
        *[("client_order_id", "5", "5"), ("client_order_id", '" a"', '" a"')],
    ],
)
def test_a_refusal_shows_the_value_that_it_refuses(field: str, literal: str, shown: str) -> None:
    fields = {"name": '"GameStart"', "quantity": "5", "type": '"buy"', field: literal}
    body = "{" + ", ".join(f'"{name}": {value}' for name, value in fields.items()) + "}"
    assert refusal_for(body.encode()).endswith(f", not {shown}")


@pytest.mark.parametrize(
    ("literal", "cents"),
    [
        *[("16", 1600), ("16.0", 1600), ("16.00", 1600), ("1.6e1", 1600), ("15.9", 1590)],
        *[("0.01", 1), ("15.99", 1599), ("1e-2", 1), ("16." + "0" * 50_000, 1600)],
        *[("1000000000000", MAX_PRICE), ("999999999999.99", MAX_PRICE - 1), ("null", None)],
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_limit_price_is_any_number_of_whole_cents(literal: str, cents: int | None) -> None:
    body = trade_body()[:-1] + b', "limit_price": %b}' % literal.encode()
    assert trade_of(body).limit == cents


@pytest.mark.parametrize(
    "literal",
    [
        *["0", "0.0", "-0.01", "-5", "0.001", "15.999", "0.005", "1e-3", "1000000000000.01"],
        *["1000000000001", "1e13", "1e400", "1e-400", "1e-999999999", "0." + "9" * 50_000],
        *["15.99" + "0" * 50_000 + "1", "0.01" + "0" * 40 + "1", "9" * 400],
        *["true", "false", '"15.99"', "[]", "{}", "NaN", "Infinity", "-Infinity"],
    ],
    ids=lambda value: value[:20],
)
def test_a_limit_price_is_not_rounded(literal: str) -> None:
    body = trade_body()[:-1] + b', "limit_price": %b}' % literal.encode()
    rule = "limit_price must be a number above 0, at most 1000000000000, with two decimals at most"
    assert refusal_for(body).startswith(rule + ", not ")


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("2026-11-22T10:43:46.064Z", 1_795_344_226_064),
        ("2026-11-22t10:43:46.0649z", 1_795_344_226_064),
        ("2026-11-22T12:43:46+02:00", 1_795_344_226_000),
        ("2026-11-22T05:13:46-05:30", 1_795_344_226_000),
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59Z", 0),
        ("0001-01-01T00:00:00+23:59", 0),
        ("9999-12-31T23:59:59.9999-23:59", 253_402_300_799_999),
    ],
)
def test_valid_until_is_a_time_with_a_zone(text: str, milliseconds: int) -> None:
    assert trade_of(trade_body(valid_until=text)).valid_until == milliseconds


@pytest.mark.parametrize(
    "value",
    [
        *["", "soon", "2026-11-22", "2026-11-22T10:43:46", "2026-11-22T10:43Z", "20261122T104346Z"],
        *["2026-02-30T10:43:46Z", "2026-11-22T24:00:00Z", "2026-11-22T10:43:46+2:00"],
        *["2026-11-22T10:43:46Z ", "\u06622026-11-22T10:43:46Z", 1795344226, 1.5, True, [], {}],
    ],
)
def test_any_other_valid_until_is_refused(value: object) -> None:
    rule = "valid_until must be a time of RFC 3339 with a zone, like 2026-11-22T10:43:46.064Z"
    assert refusal_for(trade_body(valid_until=value)).startswith(rule + ", not ")


def test_null_for_an_optional_field_is_its_absence() -> None:
    body = trade_body(client_order_id=None, limit_price=None, valid_until=None)
    assert trade_of(body) == trade_of(trade_body())


def test_only_a_key_that_the_client_did_not_choose_is_made() -> None:
    assert trade_of(trade_body()).made
    assert not trade_of(trade_body(), [b"mine"]).made
    assert not trade_of(trade_body(client_order_id="mine")).made


@pytest.mark.parametrize(
    ("target", "validate"),
    [
        *[(b"/orders", False), (b"/orders?", False), (b"/orders?validate=false", False)],
        *[(b"/orders?validate=true", True), (b"/orders?&validate=tr%75e&", True)],
    ],
)
def test_a_trade_is_validated_only_if_asked(target: bytes, validate: bool) -> None:
    assert decode_validate(target) is validate
    assert decode_trade(trade_body(), None, lambda: "fresh", validate).validate is validate


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (b"validate", 'the query parameter validate must be true or false, not ""'),
        (b"validate=1", 'the query parameter validate must be true or false, not "1"'),
        (b"validate=True", 'the query parameter validate must be true or false, not "True"'),
        (b"validate=true&validate=true", "the query parameter validate is given twice"),
        (b"Validate=true", 'unknown query parameter "Validate"'),
        (b"dry_run=true", 'unknown query parameter "dry_run"'),
    ],
)
def test_a_query_of_a_trade_that_is_not_understood_is_refused(query: bytes, message: str) -> None:
    with pytest.raises(Refusal) as caught:
        decode_validate(b"/orders?" + query)
    assert caught.value.reason is Reason.INVALID_PARAMETER
    assert caught.value.message.startswith(message)


@settings(deadline=None)
@given(st.binary(max_size=200))
@example(b"1" * 5000)
@example(b'{"a":NaN}')
def test_any_bytes_are_a_trade_within_the_rules_or_refused_in_utf_8(body: bytes) -> None:
    check_that_it_is_a_trade_or_refused(body)


fields = st.sampled_from(
    ["name", "quantity", "type", "client_order_id", "limit_price", "valid_until", "other"]
)
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
    assert refusal_for(trade_body(), [header.encode("latin-1")]).startswith(message)


@pytest.mark.parametrize("header", ['""', '" k"', '"k "', '"' + "k" * 129 + '"'])
def test_the_rules_of_keys_hold_within_quotation_marks(header: str) -> None:
    refused = refusal_for(trade_body(), [header.encode()])
    assert refused.startswith("the header Idempotency-Key must be 1 to 128 printable ASCII")


def test_text_in_quotation_marks_in_a_body_is_a_key_with_quotation_marks() -> None:
    assert trade_of(trade_body(client_order_id='"k"')).key == '"k"'


@pytest.mark.parametrize("key", ["", " ", "k" * 129, "a\tb", "a\x7f", "é", " a", "a ", "a\n"])
def test_any_other_key_is_refused(key: str) -> None:
    rule = "must be 1 to 128 printable ASCII characters, none of the outer ones a space"
    in_header = refusal_for(trade_body(), [key.encode()])
    assert in_header.startswith(f'the header Idempotency-Key {rule}, not "')
    in_field = refusal_for(trade_body(client_order_id=key))
    assert in_field.startswith(f'client_order_id {rule}, not "{key[:64]}')


def test_no_client_order_id_at_all_is_null_too() -> None:
    assert trade_of(trade_body(client_order_id=None)).key == "fresh"
    assert trade_of(trade_body(client_order_id=None), [b"mine"]).key == "mine"


@pytest.mark.parametrize("key", [5, 5.0, float("nan"), float("inf"), False, True, ["k"], {}])
def test_a_client_order_id_that_is_no_text_is_refused(key: object) -> None:
    assert refusal_for(trade_body(client_order_id=key)).startswith("client_order_id must be")


def test_one_key_may_be_given_more_than_once() -> None:
    assert trade_of(trade_body(client_order_id="a"), [b"a", b'"a"']).key == "a"


def test_two_different_keys_are_refused() -> None:
    twice = 'the header Idempotency-Key is given twice, with different keys: "a" and "b"'
    assert refusal_for(trade_body(), [b"a", b"b"]) == twice
    assert refusal_for(trade_body(), [b"a", b'"b"', b"a"]) == twice
    differ = 'Idempotency-Key "b" and client_order_id "a" differ; give one of them'
    assert refusal_for(trade_body(client_order_id="a"), [b"b"]) == differ


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
