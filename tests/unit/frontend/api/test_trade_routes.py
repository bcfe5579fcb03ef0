"""The contract of trades and batches, over the real routes and site and no network."""

import json

import pytest
from twisted.internet.defer import succeed

from tests.fakes.frontend_world import OLD, TRADE_BODY, FrontEnd
from twisted_bazaar import errors
from twisted_bazaar.market import Side, Stock, Trade


@pytest.fixture
def frontend() -> FrontEnd:
    return FrontEnd()


@pytest.mark.parametrize("path", ["/orders", "/orders/"])
def test_a_trade_is_placed_once_with_a_fresh_key(frontend: FrontEnd, path: str) -> None:
    answer = frontend.ask("POST", path, data=TRADE_BODY)
    made = {"transaction_number": 1, "client_order_id": None, "price": 15.99, "total": 79.95}
    assert (answer.code, answer.json) == (200, {"data": made})
    assert answer.header("idempotent-replayed") is None
    assert frontend.bazaar.asked == [Trade("fresh-1", "GameStart", Side.BUY, 5, made=True)]
    assert frontend.ask("POST", path, data=TRADE_BODY).json["data"]["transaction_number"] == 2


def test_a_replay_has_the_same_body_and_says_so(frontend: FrontEnd) -> None:
    first = frontend.trade("buy", 5, headers={"Idempotency-Key": "mine"})
    again = frontend.trade("buy", 5, headers={"Idempotency-Key": "mine"})
    assert (again.code, again.body) == (200, first.body)
    assert first.header("idempotent-replayed") is None
    assert again.header("idempotent-replayed") == "true"
    assert frontend.bazaar.ledger.stocks["GameStart"].quantity == 95


def test_header_and_field_carry_the_same_keys(frontend: FrontEnd) -> None:
    frontend.trade("buy", 5, headers={"Idempotency-Key": "mine"})
    body = b'{"name": "GameStart", "quantity": 5, "type": "buy", "client_order_id": "mine"}'
    assert frontend.ask("POST", "/orders", data=body).header("idempotent-replayed") == "true"


def test_a_key_used_for_another_trade_is_422(frontend: FrontEnd) -> None:
    frontend.trade("buy", 5, headers={"Idempotency-Key": "mine"})
    answer = frontend.trade("buy", 6, headers={"Idempotency-Key": "mine"})
    assert (answer.code, answer.phrase) == (422, b"Unprocessable Entity")
    assert answer.message == 'the idempotency key "mine" belongs to another trade'


def test_two_keys_in_headers_are_400(frontend: FrontEnd) -> None:
    answer = frontend.trade("buy", 5, headers={"Idempotency-Key": ["a", "b"]})
    assert (answer.code, answer.reason) == (400, "invalid_key")
    twice = 'the header Idempotency-Key is given twice, with different keys: "a" and "b"'
    assert answer.message == twice
    assert frontend.bazaar.asked == []


def test_a_trade_that_the_market_refuses_is_400_or_409(frontend: FrontEnd) -> None:
    unknown = frontend.trade("buy", 5, name="Nope")
    assert unknown.code == 400
    assert unknown.message == 'unknown stock: there is none named "Nope"'
    too_many = frontend.trade("buy", 101)
    assert too_many.code == 409
    assert too_many.message == 'not enough shares: buy 101 "GameStart"'
    assert frontend.trade("buy", 100).code == 200


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty"),
        (b"{", "the body is not JSON"),
        (b"[" * 60000, "the body is nested too deeply"),
        (b"\xff", "the body is not UTF-8 text"),
        (TRADE_BODY.replace(b"5", b"5.5"), "quantity must be an integer from 1 to 1000000000"),
        (TRADE_BODY.replace(b"buy", b"hold"), 'type must be "buy" or "sell"'),
        (TRADE_BODY.replace(b"}", b', "price": 1}'), 'unknown field "price"'),
    ],
)
def test_a_malformed_trade_is_400_and_nothing_is_placed(
    frontend: FrontEnd, body: bytes, message: str
) -> None:
    answer = frontend.ask("POST", "/orders", data=body)
    assert answer.code == 400
    assert answer.message.startswith(message)
    assert frontend.bazaar.asked == []


def test_a_body_of_another_type_is_415(frontend: FrontEnd) -> None:
    plain = {"Content-Type": "text/plain"}
    answer = frontend.ask("POST", "/orders", data=TRADE_BODY, headers=plain)
    assert answer.code == 415
    assert "Content-Type: application/json" in answer.message
    form = frontend.ask("POST", "/orders", data={"name": "GameStart"})
    assert form.code == 415
    multipart = {"Content-Type": "multipart/form-data; boundary=x"}
    assert frontend.ask("POST", "/orders", data=b"--", headers=multipart).code == 415
    with_charset = {"Content-Type": "application/json; charset=utf-8"}
    assert frontend.ask("POST", "/orders", data=TRADE_BODY, headers=with_charset).code == 200


@pytest.mark.parametrize("error", [errors.Overloaded("full"), errors.NotExecuted("no leader")])
def test_a_trade_that_was_not_executed_is_503_and_says_so(
    frontend: FrontEnd, error: Exception
) -> None:
    frontend.bazaar.answer = error
    answer = frontend.trade("buy", 5)
    assert answer.code == 503
    assert answer.message == f"the trade was not executed: {error}; send it again later"
    assert answer.header("retry-after") == "1"
    assert answer.header("idempotency-key") is None


def test_a_trade_of_unknown_outcome_is_503_and_names_the_clients_key(frontend: FrontEnd) -> None:
    frontend.bazaar.answer = errors.OutcomeUnknown("the leader is gone")
    headers = {"Idempotency-Key": "a b"}
    answer = frontend.trade("buy", 5, headers=headers)
    assert (answer.code, answer.reason) == (503, "outcome_unknown")
    assert "unknown whether the trade was executed" in answer.message
    assert 'send it again with Idempotency-Key "a b"' in answer.message
    assert answer.header("retry-after") == "1"
    assert answer.header("idempotency-key") == "a b"
    assert answer.header("location") is None
    frontend.bazaar.answer = None
    assert frontend.trade("buy", 5, headers=headers).json["data"]["transaction_number"] == 1


@pytest.mark.parametrize("path", ["/orders", OLD + "/trade/orders"])
def test_a_trade_of_unknown_outcome_is_202_if_the_client_chose_no_key(
    frontend: FrontEnd, path: str
) -> None:
    frontend.bazaar.answer = errors.OutcomeUnknown("the leader is gone")
    answer = frontend.ask("POST", path, data=TRADE_BODY)
    assert (answer.code, answer.phrase) == (202, b"Accepted")
    assert (answer.json["error"]["code"], answer.json["error"]["reason"]) == (
        202,
        "outcome_unknown",
    )
    assert 'send it again with Idempotency-Key "fresh-1"' in answer.json["error"]["message"]
    assert answer.header("location") == "/orders?client_order_id=fresh-1"
    assert answer.header("idempotency-key") == "fresh-1"
    assert answer.header("retry-after") is None


def test_what_was_certainly_not_executed_is_503_without_a_key_too(frontend: FrontEnd) -> None:
    frontend.bazaar.answer = errors.NotExecuted("no leader")
    assert frontend.trade("buy", 5).code == 503


def test_a_trade_that_is_validated_is_not_executed(frontend: FrontEnd) -> None:
    answer = frontend.ask("POST", "/orders?validate=true", data=TRADE_BODY)
    judged = {"transaction_number": None, "client_order_id": None, "price": 15.99, "total": 79.95}
    assert (answer.code, answer.json) == (200, {"data": judged})
    assert frontend.bazaar.history == []
    too_many = TRADE_BODY.replace(b"5", b"101")
    refused = frontend.ask("POST", "/orders?validate=true", data=too_many)
    assert (refused.code, refused.reason) == (409, "not_enough_shares")
    assert frontend.ask("POST", "/orders?validate=maybe", data=TRADE_BODY).code == 400


@pytest.mark.parametrize(
    ("change", "reason", "message"),
    [
        (
            {"limit_price": 15.98},
            "price_out_of_bounds",
            'the price is beyond the limit: buy 5 "GameStart" at 15.98 or less',
        ),
        (
            {"limit_price": 16, "type": "sell"},
            "price_out_of_bounds",
            'the price is beyond the limit: sell 5 "GameStart" at 16.00 or more',
        ),
        (
            {"valid_until": "2023-11-14T23:13:20.122+01:00"},
            "expired",
            'the trade has expired: buy 5 "GameStart" until 2023-11-14T22:13:20.122Z',
        ),
    ],
)
def test_a_trade_beyond_its_own_limits_is_409(
    frontend: FrontEnd, change: dict[str, object], reason: str, message: str
) -> None:
    trade = {"name": "GameStart", "quantity": 5, "type": "buy", **change}
    answer = frontend.ask("POST", "/orders", json=trade)
    assert (answer.code, answer.reason, answer.message) == (409, reason, message)


def test_a_trade_within_its_own_limits_is_placed(frontend: FrontEnd) -> None:
    for side in "buy", "sell":
        trade = {"name": "GameStart", "quantity": 5, "type": side, "limit_price": 15.99}
        within = {**trade, "valid_until": "2023-11-14T22:13:20.123Z"}
        assert frontend.ask("POST", "/orders", json=within).code == 200


# Batches


def batch_of(*trades: object) -> bytes:
    return json.dumps({"orders": trades}).encode()


BUY: dict[str, object] = {"name": "GameStart", "quantity": 5, "type": "buy"}


def test_each_trade_of_a_batch_has_an_outcome_in_its_place(frontend: FrontEnd) -> None:
    batch = batch_of(
        {**BUY, "client_order_id": "a"},
        5,
        {**BUY, "quantity": 101},
        {**BUY, "price": 1},
        BUY,
        {**BUY, "client_order_id": "a"},
        {**BUY, "client_order_id": "a", "quantity": 6},
    )
    answer = frontend.ask("POST", "/orders/batch", data=batch)
    first = {"transaction_number": 1, "client_order_id": "a", "price": 15.99, "total": 79.95}
    second = {**first, "transaction_number": 2, "client_order_id": None}
    assert answer.code == 200
    outcomes = answer.json["data"]
    assert [each["code"] for each in outcomes] == [200, 400, 409, 400, 200, 200, 422]
    assert [each.get("data") for each in outcomes] == [first, None, None, None, second, first, None]
    reasons = [each["error"]["reason"] for each in outcomes if "error" in each]
    assert reasons == ["malformed", "not_enough_shares", "invalid_field", "key_reused"]
    assert all(each["error"]["code"] == each["code"] for each in outcomes if "error" in each)
    [asked] = frontend.bazaar.asked
    assert isinstance(asked, list)
    assert [trade.key for trade in asked] == ["a", "fresh-1", "fresh-2", "a", "a"]


def test_a_batch_of_malformed_trades_alone_asks_no_leader(frontend: FrontEnd) -> None:
    twice = b'{"orders": [{"name":"a","name":"b","quantity":5,"type":"buy"}, null]}'
    answer = frontend.ask("POST", "/orders/batch", data=twice)
    assert [each["error"]["message"] for each in answer.json["data"]] == [
        'the field "name" is given twice',
        "a trade must be a JSON object with name, quantity, type, not null",
    ]
    assert frontend.bazaar.asked == [[]]


def test_a_trade_of_a_batch_whose_outcome_is_unknown_says_where_it_is_found(
    frontend: FrontEnd,
) -> None:
    unknown = errors.OutcomeUnknown("the leader is gone")
    frontend.bazaar.answer = succeed([unknown, unknown])
    batch = batch_of(BUY, {**BUY, "client_order_id": "a"})
    made, chosen = frontend.ask("POST", "/orders/batch", data=batch).json["data"]
    assert (made["code"], made["error"]["reason"]) == (202, "outcome_unknown")
    assert made["location"] == "/orders?client_order_id=fresh-1"
    assert (chosen["code"], chosen["error"]["reason"]) == (503, "outcome_unknown")
    assert "location" not in chosen


def test_a_batch_that_no_queue_has_room_for_is_refused_whole(frontend: FrontEnd) -> None:
    frontend.bazaar.answer = errors.Overloaded("too many trades are waiting")
    answer = frontend.ask("POST", "/orders/batch", data=batch_of(BUY))
    assert (answer.code, answer.reason) == (503, "overloaded")


def test_a_batch_can_be_validated(frontend: FrontEnd) -> None:
    batch = batch_of(BUY, {**BUY, "quantity": 101})
    answer = frontend.ask("POST", "/orders/batch?validate=true", data=batch)
    assert [each["code"] for each in answer.json["data"]] == [200, 409]
    assert answer.json["data"][0]["data"]["transaction_number"] is None
    assert frontend.bazaar.history == []


def test_below_the_old_prefix_a_batch_has_the_old_shape(frontend: FrontEnd) -> None:
    answer = frontend.ask("POST", OLD + "/trade/orders/batch", data=batch_of(BUY))
    assert (answer.code, answer.json["success"]) == (200, True)
    assert answer.json["data"][0]["code"] == 200


@pytest.mark.parametrize(
    ("body", "headers", "reason", "message"),
    [
        (b"", {}, "malformed", "the body is empty; send a JSON object with orders"),
        (
            b"[]",
            {},
            "malformed",
            "the body must be a JSON object with orders, a list of trades, not",
        ),
        (b"{}", {}, "invalid_field", "the field orders is missing"),
        (b'{"orders": null}', {}, "invalid_field", "orders must be a list of trades, not null"),
        (b'{"orders": {}}', {}, "invalid_field", "orders must be a list of trades, not an object"),
        (b'{"orders": []}', {}, "invalid_field", "orders must hold 1 to 100 trades, not 0"),
        (batch_of(*[1] * 101), {}, "invalid_field", "orders must hold 1 to 100 trades, not 101"),
        (b'{"orders": [], "all": true}', {}, "invalid_field", 'unknown field "all"'),
        (b'{"orders": [], "orders": []}', {}, "invalid_field", 'the field "orders" is given twice'),
        (batch_of(BUY), {"Idempotency-Key": "k"}, "invalid_key", "a batch has no Idempotency-Key"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_no_batch_is_refused_whole(
    frontend: FrontEnd, body: bytes, headers: dict[str, str], reason: str, message: str
) -> None:
    answer = frontend.ask("POST", "/orders/batch", data=body, headers=headers)
    assert (answer.code, answer.reason) == (400, reason)
    assert answer.message.startswith(message)
    assert frontend.bazaar.asked == []


def test_a_batch_may_hold_a_hundred_trades_of_the_longest_names_and_keys(
    frontend: FrontEnd,
) -> None:
    name, price = "\U0001f41f" * 64, 999999999999.99
    frontend.bazaar.ledger.stocks[name] = Stock(name, 1, 100, 1, 1)
    trade = {"name": name, "quantity": 1, "type": "buy", "limit_price": price}
    trade["valid_until"] = "9999-12-31T23:59:59.999999999+00:00"
    keys = [f"{number:03}" + '"' * 125 for number in range(100)]
    batch = batch_of(*({**trade, "client_order_id": key} for key in keys))
    escaped = batch.replace(b'\\"', b"\\u0022")
    assert len(escaped) > 64 * 1024
    for path in "/orders/batch", "/orders/batch/?", OLD + "/trade/orders/batch":
        answer = frontend.ask("POST", path, data=escaped)
        assert answer.code == 200
        assert [each["code"] for each in answer.json["data"]] == [200] * 100
    assert frontend.ask("POST", "/orders", data=escaped).code == 413
    too_large = frontend.ask("POST", "/orders/batch", data=escaped + b" " * 200_000)
    assert (too_large.code, too_large.message) == (413, "the body is larger than 196608 bytes")


def test_only_post_can_be_done_to_a_batch(frontend: FrontEnd) -> None:
    answer = frontend.get("/orders/batch")
    assert answer.code == 405
    assert answer.header("allow") == "POST"
    assert frontend.ask("OPTIONS", "/orders/batch").header("allow") == "OPTIONS, POST"
    assert frontend.get("/orders/batches").code == 404


def test_trades_are_of_the_address_that_they_come_from() -> None:
    frontend = FrontEnd()
    trade = {"name": "GameStart", "quantity": 1, "type": "buy"}
    frontend.ask("POST", "/orders", json=trade)
    frontend.ask("POST", "/orders/batch", json={"orders": [trade]})
    assert frontend.bazaar.owners == ["127.0.0.1"] * 2
