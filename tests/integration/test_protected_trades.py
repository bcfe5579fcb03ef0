"""Limits, expiry, validation, batches and ids of requests, against a real bazaar."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_twisted

from .bazaar import Bazaar
from .web_client import WebClient, assert_refused, web_client

BUY = {"name": "GameStart", "quantity": 1, "type": "buy"}
SELL = {**BUY, "type": "sell"}


@pytest.fixture(scope="module")
def bazaar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bazaar]:
    with Bazaar(tmp_path_factory.mktemp("protected"), "--replicas=1") as running:
        yield running


@pytest_twisted.async_yield_fixture
async def web(bazaar: Bazaar) -> AsyncIterator[WebClient]:
    async with web_client(bazaar.url) as client:
        yield client


def at(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


@pytest_twisted.ensureDeferred
async def test_a_trade_beyond_its_limits_leaves_no_trace(web: WebClient) -> None:
    before = await web.numbers()
    for trade in {**BUY, "limit_price": 15.98}, {**SELL, "limit_price": 16}:
        refused = await web.ask("POST", "/orders", trade)
        assert_refused(refused, 409, "the price is beyond the limit")
    late = await web.ask("POST", "/orders", {**BUY, "valid_until": at(-1)})
    assert_refused(late, 409, "the trade has expired")
    assert await web.numbers() == before


@pytest_twisted.ensureDeferred
async def test_a_trade_within_its_limits_is_an_order_that_shows_them(web: WebClient) -> None:
    trade = {**BUY, "limit_price": 15.99, "valid_until": at(60), "client_order_id": "within"}
    placed = await web.ask("POST", "/orders", trade)
    assert placed.data["price"] == placed.data["total"] == 15.99
    order = (await web.get(f"/orders/{placed.data['transaction_number']}")).data
    assert (order["client_order_id"], order["limit_price"]) == ("within", 15.99)
    # It is found under its key also when its time is over.
    again = await web.ask("POST", "/orders", {**trade, "valid_until": at(-60)})
    assert (again.body, again.header("Idempotent-Replayed")) == (placed.body, "true")
    other = await web.ask("POST", "/orders", {**trade, "limit_price": 16})
    assert_refused(other, 422, "belongs to another trade")


@pytest_twisted.ensureDeferred
async def test_a_trade_that_is_validated_leaves_its_key_free(web: WebClient) -> None:
    trade = {**BUY, "client_order_id": "validated"}
    before = await web.numbers()
    judged = await web.ask("POST", "/orders?validate=true", trade)
    assert (judged.code, judged.data["transaction_number"], judged.data["price"]) == (
        200,
        None,
        15.99,
    )
    refused = await web.ask("POST", "/orders?validate=true", {**BUY, "quantity": 1000})
    assert_refused(refused, 409, "not enough shares")
    assert await web.numbers() == before
    placed = await web.ask("POST", "/orders", trade)
    known = await web.ask("POST", "/orders?validate=true", trade)
    assert (known.body, known.header("Idempotent-Replayed")) == (placed.body, "true")


@pytest_twisted.ensureDeferred
async def test_a_hundred_trades_are_judged_each_by_itself_and_numbered_together(
    web: WebClient,
) -> None:
    before = max(await web.numbers(), default=0)
    trades: list[Any] = [
        {**SELL, "quantity": 1 + number % 3, "client_order_id": f"batch-{number}"}
        for number in range(96)
    ]
    trades[10] = {**SELL, "quantity": 0}
    trades[20] = {**BUY, "quantity": 10**9}
    trades[30] = "a trade"
    trades += [BUY, BUY, trades[0], {**trades[0], "quantity": 7}]
    answer = await web.ask("POST", "/orders/batch", {"orders": trades})
    assert answer.code == 200
    codes = [each["code"] for each in answer.data]
    wrong = {10: 400, 20: 409, 30: 400, 99: 422}
    assert codes == [wrong.get(place, 200) for place in range(100)]
    numbers = [each["data"]["transaction_number"] for each in answer.data if "data" in each]
    assert numbers == [*range(before + 1, before + 96), before + 1]
    keys = [
        each["data"]["client_order_id"]
        for each, trade in zip(answer.data, trades, strict=True)
        if "data" in each and isinstance(trade, dict)
    ]
    assert keys[-3:] == [None, None, "batch-0"]
    again = await web.ask("POST", "/orders/batch", {"orders": trades[:10]})
    assert again.data == answer.data[:10]


@pytest_twisted.ensureDeferred
async def test_every_answer_names_its_request(web: WebClient, bazaar: Bazaar) -> None:
    for path in "/stocks/GameStart", "/orders/1", "/nope", "/orders?limit=0":
        assert (await web.get(path, X_Request_ID="mine/1")).header("X-Request-ID") == "mine/1"
    made = [(await web.get("/ping")).header("X-Request-ID") for _ in range(2)]
    assert made[0]
    assert made[0] != made[1]
