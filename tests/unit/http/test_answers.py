"""The bodies of answers: exact prices, whole pages, and failures that say what to do."""

import json
import re
from decimal import Decimal

import msgspec
import pytest

from twisted_bazaar import errors
from twisted_bazaar.frontend.api.trades import decode_trade
from twisted_bazaar.http import answers
from twisted_bazaar.http.refusals import Reason, Refusal, later, refusal_of
from twisted_bazaar.market import MAX_SHARES, Order, Rejection, Side, Stock, Trade

TRADE = Trade('key "1"', "GameStart", Side.BUY, 5)


def order(number: int, at: int = 0) -> Order:
    return Order(number, "GameStart", Side.SELL, 3, at)


@pytest.mark.parametrize(
    ("cents", "shown"),
    [
        (1599, b"15.99"),
        (2050, b"20.50"),
        (5, b"0.05"),
        (0, b"0.00"),
        (100, b"1.00"),
        (1990, b"19.90"),
        (MAX_SHARES, b"90071992547409.91"),
    ],
)
def test_a_price_has_exactly_two_decimals(cents: int, shown: bytes) -> None:
    body = answers.stock(Stock("GameStart", cents, 100, 7, 12))
    assert b'"price":%b,' % shown in body
    assert json.loads(body, parse_float=Decimal)["data"]["price"] * 100 == cents


def test_a_stock_is_shown_without_its_version() -> None:
    stock = Stock('Ü"株', 1599, 100, 7, 12)
    shown = {"name": 'Ü"株', "price": 15.99, "quantity": 100, "volume": 7, "halted": False}
    assert json.loads(answers.stock(stock)) == {"data": shown}
    assert json.loads(answers.stocks([stock, stock])) == {"data": [shown, shown]}


def test_a_stock_that_is_halted_is_shown_as_such() -> None:
    assert json.loads(answers.stock(Stock("A", 1, 1, 1, 1, True)))["data"]["halted"] is True


@pytest.mark.parametrize(
    ("at", "time"),
    [
        (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
        (1_700_000_000_999, "2023-11-14T22:13:20.999Z"),
        (1_700_000_000_000, "2023-11-14T22:13:20.000Z"),
        (7, "1970-01-01T00:00:00.007Z"),
    ],
)
def test_an_order_says_when_it_was_taken_in_utc_to_the_millisecond(at: int, time: str) -> None:
    shown = json.loads(answers.order(order(9, at)))["data"]
    assert shown["time"] == time


def test_an_order_shows_what_it_cost_and_the_key_that_its_client_chose() -> None:
    placed = Order(9, "GameStart", Side.SELL, 3, 7, "mine", False, 1600, 1599)
    shown = {
        "number": 9,
        "name": "GameStart",
        "type": "sell",
        "quantity": 3,
        "time": "1970-01-01T00:00:00.007Z",
        "client_order_id": "mine",
        "price": 16.0,
        "total": 48.0,
        "limit_price": 15.99,
    }
    body = answers.order(placed)
    assert json.loads(body) == {"data": shown}
    assert b'"price":16.00,"total":48.00,"limit_price":15.99' in body
    made = msgspec.structs.replace(placed, made=True, limit=None)
    without = {**shown, "client_order_id": None, "limit_price": None}
    assert json.loads(answers.order(made)) == {"data": without}


def test_an_order_that_a_replica_of_an_earlier_release_shows_has_no_price() -> None:
    shown = json.loads(answers.order(order(9)))["data"]
    unknown = ("client_order_id", "price", "total", "limit_price")
    assert [shown[name] for name in unknown] == [None] * 4


def test_a_page_says_how_to_go_on() -> None:
    shown = json.loads(answers.orders([order(1), order(2)], 2, "here"))
    assert [each["number"] for each in shown["data"]] == [1, 2]
    assert (shown["next"], shown["cursor"]) == (2, "here")
    assert json.loads(answers.orders([], None, "here")) == {
        "data": [],
        "next": None,
        "cursor": "here",
    }


def test_a_failure_has_code_and_reason_and_message() -> None:
    body = answers.error(404, "no_such_stock", 'no "株"')
    error = {"code": 404, "reason": "no_such_stock", "message": 'no "株"'}
    assert json.loads(body) == {"error": error}


@pytest.mark.parametrize(
    ("error", "code", "reason", "message"),
    [
        (
            errors.Rejected(Rejection.UNKNOWN_STOCK),
            400,
            "unknown_stock",
            'unknown stock: there is none named "GameStart"',
        ),
        (
            errors.Rejected(Rejection.NOT_ENOUGH_SHARES),
            409,
            "not_enough_shares",
            'not enough shares: buy 5 "GameStart"',
        ),
        (
            errors.Rejected(Rejection.TOO_MANY_SHARES),
            409,
            "too_many_shares",
            'more shares than a stock can hold: buy 5 "GameStart"',
        ),
        (
            errors.KeyReused(),
            422,
            "key_reused",
            'the idempotency key "key "1"" belongs to another trade',
        ),
        (errors.Overloaded("the queue is full"), 503, "overloaded", "not executed: the queue is"),
        (errors.NotExecuted("no leader"), 503, "not_executed", "was not executed: no leader"),
        (errors.NotLeader(), 503, "not_executed", "was not executed"),
        (errors.Overloaded(), 503, "overloaded", "was not executed"),
        (errors.OutcomeUnknown(), 503, "outcome_unknown", "unknown whether the trade was executed"),
        (errors.OutcomeUnknown(), 503, "outcome_unknown", r'Idempotency-Key "key \"1\"" to find'),
        (errors.Unavailable("no catalog answers"), 503, "unavailable", "no catalog answers"),
        (errors.Unavailable(), 503, "unavailable", "ask again"),
    ],
)
def test_each_error_is_told_as_what_the_client_may_do(
    error: errors.BazaarError, code: int, reason: str, message: str
) -> None:
    refusal = refusal_of(error, TRADE)
    assert refusal is not None
    assert (refusal.code, refusal.reason.word) == (code, reason)
    assert message in refusal.message
    assert (b"Retry-After" in refusal.headers) == (code == 503)


def test_an_unknown_outcome_gives_the_key_to_machines_too() -> None:
    refusal = refusal_of(errors.OutcomeUnknown(), TRADE)
    assert refusal is not None
    assert refusal.headers[b"Idempotency-Key"] == b'key "1"'
    assert b"Idempotency-Key" not in later(Reason.UNAVAILABLE, "for another reason").headers


@pytest.mark.parametrize("key", ["k", 'key "1"', '"', '"k"', '"\\', "a b", '"k" "'])
def test_the_key_that_is_given_back_is_read_as_that_key(key: str) -> None:
    refusal = refusal_of(errors.OutcomeUnknown(), Trade(key, "GameStart", Side.BUY, 5))
    assert refusal is not None
    [quoted] = re.findall(r'Idempotency-Key (".*") to find out', refusal.message)
    body = b'{"name": "GameStart", "quantity": 5, "type": "buy"}'
    for given in refusal.headers[b"Idempotency-Key"], quoted.encode():
        assert decode_trade(body, [given], str).key == key


@pytest.mark.parametrize(
    "error",
    [ValueError("a bug"), errors.InvariantBroken("a bug"), errors.Damaged("a file"), None],
)
def test_an_unexpected_error_is_never_told(error: BaseException | None) -> None:
    assert refusal_of(error, TRADE) is None


def test_a_refusal_is_told_as_it_is() -> None:
    refusal = Refusal(Reason.NOT_READY, "a teapot")
    assert refusal_of(refusal) is refusal
