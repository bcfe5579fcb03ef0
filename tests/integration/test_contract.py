"""The REST contract, row by row, against a real bazaar and over a real HTTP client.

All tests share one bazaar. Each that trades does so in stocks that no other test knows of, so
they need no order among them.
"""

import json
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from .bazaar import Bazaar
from .web_client import Reply, WebClient, assert_json, assert_refused, version_of, web_client

OLD = "/api/frontend_service"
GAME_START = {"name": "GameStart", "price": 15.99, "quantity": 100, "volume": 0, "halted": False}
"""No test trades it."""
UNUSED = [f"Stock{n:02}" for n in range(40)]
LISTING = ["GameStart,15.99,100", "Ünter & Söhne,10.50,7", *(f"{name},1,100" for name in UNUSED)]

SETTLED_SECONDS = 10.0
LIMIT = 64 * 1024


@pytest.fixture(scope="module")
def bazaar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bazaar]:
    folder = tmp_path_factory.mktemp("contract")
    listing = folder / "listing.csv"
    listing.write_text("\n".join(["name,price,quantity", *LISTING]) + "\n", encoding="utf-8")
    with Bazaar(folder, f"--listing={listing}") as running:
        yield running


@pytest.fixture(scope="module")
def unused() -> Iterator[str]:
    return iter(UNUSED)


@pytest.fixture
def stock(unused: Iterator[str]) -> str:
    """A stock with 100 shares at 1.00 that is this test's alone."""
    return next(unused)


@pytest_twisted.async_yield_fixture
async def web(bazaar: Bazaar) -> AsyncIterator[WebClient]:
    async with web_client(bazaar.url) as client:
        yield client


def as_at(path: str, answer: dict[str, Any]) -> dict[str, Any]:
    """`answer` in the shape that it has at `path`."""
    return {"success": True, **answer} if path.startswith(OLD) else answer


async def last_number(web: WebClient) -> int:
    return max(await web.numbers(), default=0)


# GET /stocks/<name> and GET /stocks


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("path", ["/stocks/GameStart", OLD + "/trade/stocks/GameStart"])
async def test_a_lookup_shows_name_price_quantity_and_volume(web: WebClient, path: str) -> None:
    reply = await web.get(path)
    assert_json(reply, 200)
    assert reply.json == as_at(path, {"data": GAME_START})
    assert re.fullmatch(r'"[0-9a-f]{16}-\d+"', reply.header("ETag") or "")
    assert reply.header("X-Cache") in ("hit", "miss")
    assert reply.header("Cache-Control") == "no-cache"


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("path", ["/stocks/", OLD + "/trade/stocks/"])
async def test_a_name_in_a_path_is_percent_encoded_utf_8(web: WebClient, path: str) -> None:
    reply = await web.get(path + "%C3%9Cnter%20%26%20S%C3%B6hne")
    shown = {"name": "Ünter & Söhne", "price": 10.5, "quantity": 7, "volume": 0, "halted": False}
    assert reply.code == 200
    assert json.loads(reply.body.decode("utf-8")) == as_at(path, {"data": shown})


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("name", ["Nope", "gamestart", "GameStart%20", "%C3%9C", "x" * 2000])
async def test_an_unknown_stock_is_404(web: WebClient, name: str) -> None:
    for path in "/stocks/", OLD + "/trade/stocks/":
        assert_refused(await web.get(path + name), 404, "there is no stock named")


@pytest_twisted.ensureDeferred
async def test_a_version_that_the_client_has_is_304_until_the_stock_is_traded(
    web: WebClient, stock: str
) -> None:
    path = f"/stocks/{stock}"
    etag = (await web.get(path)).header("ETag") or ""
    same = await web.get(path, If_None_Match=etag)
    assert (same.code, same.body, same.header("ETag")) == (304, b"", etag)
    assert (await web.get(path, If_None_Match='"0"')).code == 200
    assert (await web.trade("buy", 1, stock)).code == 200
    newer = await web.get(path, If_None_Match=etag)
    assert (newer.code, newer.data["quantity"]) == (200, 99)
    assert version_of(newer.header("ETag")) > version_of(etag)


@pytest_twisted.ensureDeferred
async def test_all_stocks_are_listed_by_name_each_as_a_lookup_shows_it(web: WebClient) -> None:
    reply = await web.get("/stocks")
    assert_json(reply, 200)
    names = [stock["name"] for stock in reply.data]
    assert names == sorted(line.partition(",")[0] for line in LISTING)
    assert GAME_START in reply.data
    assert (await web.get("/stocks/GameStart")).data in reply.data


# POST /orders


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("path", ["/orders", OLD + "/trade/orders"])
async def test_a_trade_answers_the_next_number_and_the_next_lookup_shows_it(
    web: WebClient, stock: str, path: str
) -> None:
    before = await last_number(web)
    for number, (side, quantity, left, volume) in enumerate(
        [("buy", 5, 95, 5), ("sell", 7, 102, 12)], before + 1
    ):
        order = {"name": stock, "quantity": quantity, "type": side}
        reply = await web.ask("POST", path, order)
        assert_json(reply, 200)
        shown = {"transaction_number": number, "client_order_id": None, "price": 1}
        assert reply.json == as_at(path, {"data": {**shown, "total": quantity}})
        assert reply.header("Idempotent-Replayed") is None
        shown = {"name": stock, "price": 1, "quantity": left, "volume": volume, "halted": False}
        assert await web.stock(stock) == shown
        assert shown in (await web.get("/stocks")).data


@pytest_twisted.ensureDeferred
async def test_a_buy_succeeds_down_to_the_last_share_and_409_comes_after(
    web: WebClient, stock: str
) -> None:
    assert_refused(await web.trade("buy", 101, stock), 409, "not enough shares")
    assert (await web.trade("buy", 99, stock)).code == 200
    assert_refused(await web.trade("buy", 2, stock), 409, "not enough shares")
    assert (await web.trade("buy", 1, stock)).code == 200
    assert_refused(await web.trade("buy", 1, stock), 409, "not enough shares")
    shown = {"name": stock, "price": 1, "quantity": 0, "volume": 100, "halted": False}
    assert await web.stock(stock) == shown


@pytest_twisted.ensureDeferred
async def test_a_trade_may_be_of_a_thousand_million_shares_and_not_one_more(
    web: WebClient, stock: str
) -> None:
    assert_refused(await web.trade("sell", 10**9 + 1, stock), 400, "quantity")
    assert (await web.trade("sell", 10**9, stock)).code == 200
    assert (await web.stock(stock))["quantity"] == 10**9 + 100


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("by_header", [True, False], ids=["header", "client_order_id"])
async def test_a_replay_has_the_same_body_says_so_and_trades_nothing(
    web: WebClient, stock: str, by_header: bool
) -> None:
    order = {"name": stock, "quantity": 3, "type": "buy"}
    headers = {"Idempotency-Key": f"mine {stock}"}

    def send() -> Deferred[Reply]:
        if by_header:
            return web.ask("POST", "/orders", order, headers)
        return web.ask("POST", "/orders", {**order, "client_order_id": f"mine {stock}"})

    first = await send()
    assert (first.code, first.header("Idempotent-Replayed")) == (200, None)
    for _ in range(2):
        again = await send()
        assert (again.code, again.body) == (200, first.body)
        assert again.header("Idempotent-Replayed") == "true"
    # Header and field are two ways to give one key, on either path.
    either = {**order, "client_order_id": f"mine {stock}"}
    crossed = await web.ask("POST", OLD + "/trade/orders", either, headers)
    assert (crossed.data, crossed.header("Idempotent-Replayed")) == (first.data, "true")
    assert (await web.stock(stock))["quantity"] == 97
    number = first.data["transaction_number"]
    assert await web.numbers(number - 1) == [number]


@pytest_twisted.ensureDeferred
async def test_two_calls_with_one_key_at_once_get_the_same_answer(
    web: WebClient, stock: str
) -> None:
    calls = [web.trade("buy", 1, stock, f"{stock}-{n // 2}") for n in range(40)]
    replies = await gatherResults(calls, consumeErrors=True)
    assert {reply.code for reply in replies} == {200}
    pairs = list(zip(replies[::2], replies[1::2], strict=True))
    assert all(one.body == other.body for one, other in pairs)
    assert len({one.body for one, _ in pairs}) == 20
    assert (await web.stock(stock))["quantity"] == 80


@pytest_twisted.ensureDeferred
async def test_a_refused_trade_leaves_no_trace_and_its_key_free(web: WebClient, stock: str) -> None:
    before = await last_number(web)
    etag = (await web.get(f"/stocks/{stock}")).header("ETag")
    key = f"free-{stock}"
    assert_refused(await web.trade("buy", 101, stock, key), 409)
    assert_refused(await web.trade("buy", 1, "Nope", key), 400, "unknown stock")
    assert_refused(await web.trade("hold", 1, stock, key), 400, "type")
    assert await web.numbers(before) == []
    assert (await web.get(f"/stocks/{stock}")).header("ETag") == etag
    placed = await web.trade("buy", 100, stock, key)
    assert placed.data["transaction_number"] == before + 1
    assert placed.header("Idempotent-Replayed") is None


@pytest_twisted.ensureDeferred
async def test_a_key_used_for_another_trade_is_422(web: WebClient, stock: str) -> None:
    key = f"used-{stock}"
    first = await web.trade("buy", 5, stock, key)
    for other in ("sell", 5, stock), ("buy", 6, stock), ("buy", 5, "GameStart"):
        refused = await web.trade(*other, key)
        assert_refused(refused, 422, f'the idempotency key "{key}" belongs to another trade')
    assert (await web.trade("buy", 5, stock, key)).body == first.body
    assert (await web.stock(stock))["quantity"] == 95


@pytest_twisted.ensureDeferred
async def test_any_1_to_128_printable_ascii_characters_are_a_key(
    web: WebClient, stock: str
) -> None:
    printable = "".join(map(chr, range(33, 127)))
    for key in "!", printable, "x" * 128, "a b":
        assert (await web.trade("buy", 1, stock, key)).code == 200
        assert (await web.trade("buy", 1, stock, key)).header("Idempotent-Replayed") == "true"
    order = {"name": stock, "quantity": 1, "type": "buy"}
    for key in "", "x" * 129, "a\tb", "caf\u00e9":
        refused = await web.ask("POST", "/orders", {**order, "client_order_id": key})
        assert_refused(refused, 400, "client_order_id must be 1 to 128 printable ASCII")
    for key in "", "x" * 129, "caf\u00e9":
        refused = await web.ask("POST", "/orders", order, {"Idempotency-Key": key})
        assert_refused(refused, 400, "Idempotency-Key must be 1 to 128 printable ASCII")
    assert (await web.stock(stock))["quantity"] == 96


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "Nope"}, 'unknown stock: there is none named "Nope"'),
        ({"name": 5}, "name must be text"),
        ({"type": "hold"}, 'type must be "buy" or "sell"'),
        ({"type": "BUY"}, 'type must be "buy" or "sell"'),
        ({"quantity": 0}, "quantity must be an integer from 1 to 1000000000"),
        ({"quantity": -5}, "quantity must be an integer"),
        ({"quantity": 1.5}, "quantity must be an integer"),
        ({"quantity": "5"}, "quantity must be an integer"),
        ({"price": 15.99}, 'unknown field "price"'),
    ],
)
async def test_a_malformed_trade_is_400_and_names_the_field(
    web: WebClient, change: dict[str, Any], said: str
) -> None:
    order = {"name": "GameStart", "quantity": 5, "type": "buy", **change}
    for path in "/orders", OLD + "/trade/orders":
        assert_refused(await web.ask("POST", path, order), 400, said)
    assert await web.stock("GameStart") == GAME_START


@pytest_twisted.ensureDeferred
async def test_a_body_may_be_of_64_kib_and_is_413_beyond(web: WebClient, stock: str) -> None:
    body = json.dumps({"name": stock, "quantity": 1, "type": "buy"}).encode()
    assert_refused(await web.ask("POST", "/orders", body.ljust(LIMIT + 1)), 413)
    assert (await web.ask("POST", "/orders", body.ljust(LIMIT))).code == 200
    assert (await web.stock(stock))["quantity"] == 99


@pytest_twisted.ensureDeferred
async def test_a_body_of_another_content_type_is_415(web: WebClient, stock: str) -> None:
    body = json.dumps({"name": stock, "quantity": 1, "type": "buy"}).encode()
    for kind in "text/plain", "application/x-www-form-urlencoded", "application/xml":
        refused = await web.ask("POST", "/orders", body, {"Content-Type": kind})
        assert_refused(refused, 415, "Content-Type: application/json")
    kind = "application/json; charset=utf-8"
    assert (await web.ask("POST", "/orders", body, {"Content-Type": kind})).code == 200
    assert (await web.stock(stock))["quantity"] == 99


# GET /orders/<number> and GET /orders


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("path", ["/orders/", OLD + "/trade/orders/"])
async def test_an_order_reads_back_as_it_was_placed_with_its_time_in_rfc_3339(
    web: WebClient, stock: str, path: str
) -> None:
    earliest = datetime.now(UTC) - timedelta(milliseconds=1)
    number = (await web.trade("sell", 5, stock)).data["transaction_number"]
    latest = datetime.now(UTC)
    reply = await web.get(f"{path}{number}")
    assert_json(reply, 200)
    order = dict(reply.data)
    time = order.pop("time")
    cost = {"client_order_id": None, "price": 1.0, "total": 5.0, "limit_price": None}
    shown = {"number": number, "name": stock, "type": "sell", "quantity": 5}
    assert order == {**shown, **cost}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time)
    assert earliest <= datetime.fromisoformat(time) <= latest


@pytest_twisted.ensureDeferred
async def test_an_unknown_order_is_404(web: WebClient, stock: str) -> None:
    number = (await web.trade("buy", 1, stock)).data["transaction_number"]
    for wrong in number + 1, 0, -1, 2**53 - 1, 2**63, "x", "1.0", f"0{number}":
        for path in "/orders/", OLD + "/trade/orders/":
            assert_refused(await web.get(f"{path}{wrong}"), 404, "there is no order number")


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("path", ["/orders", OLD + "/trade/orders"])
async def test_walking_the_pages_shows_each_order_once_and_ends_with_null(
    web: WebClient, stock: str, path: str
) -> None:
    trades = [web.trade("buy", 1, stock) for _ in range(12)]
    placed = await gatherResults(trades, consumeErrors=True)
    numbers = sorted(reply.data["transaction_number"] for reply in placed)
    after = numbers[0] - 1
    pages: list[list[dict[str, Any]]] = []
    following: int | None = after
    while following is not None:
        reply = await web.get(f"{path}?after={following}&limit=5")
        assert_json(reply, 200)
        assert reply.json.keys() == as_at(path, {"data": [], "next": None, "cursor": ""}).keys()
        pages.append(reply.data)
        following = reply.json["next"]
        assert following in (None, reply.data[-1]["number"])
    assert [len(page) for page in pages] == [5, 5, 2]
    shown = [order for page in pages for order in page]
    assert [order["number"] for order in shown] == numbers
    for order in shown:
        assert (await web.get(f"/orders/{order['number']}")).data == order


@pytest_twisted.ensureDeferred
async def test_a_last_page_that_is_full_has_no_next(web: WebClient, stock: str) -> None:
    numbers = [(await web.trade("buy", 1, stock)).data["transaction_number"] for _ in range(3)]
    for limit, after in (3, numbers[-1]), (2, numbers[1]):
        reply = await web.get(f"/orders?after={numbers[0] - 1}&limit={limit}")
        assert len(reply.data) == limit
        assert reply.json["next"] == (None if limit == 3 else after)
    beyond = await web.get(f"/orders?after={2**53 - 1}")
    assert (beyond.data, beyond.json["next"]) == ([], None)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "query",
    [
        *["after=-1", "after=x", "after=1.5", "after=", f"after={10**40}", "after=1&after=1"],
        *["limit=0", "limit=501", "limit=-1", "limit=x", "limit=", "offset=1", "AFTER=1"],
    ],
)
async def test_a_wrong_parameter_of_the_order_list_is_400_by_name(
    web: WebClient, query: str
) -> None:
    for path in "/orders", OLD + "/trade/orders":
        refused = await web.get(f"{path}?{query}")
        assert_refused(refused, 400, query.partition("=")[0])


# Whether it works


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("path", ["/ping", "/ping/"])
async def test_ping_answers_pong(web: WebClient, path: str) -> None:
    reply = await web.get(path)
    assert_json(reply, 200)
    assert reply.json == {"data": "pong"}


@pytest_twisted.ensureDeferred
async def test_a_bazaar_that_trades_is_alive_and_ready(web: WebClient) -> None:
    for path in "/livez", "/readyz":
        assert_json(await web.get(path), 200)


@pytest_twisted.ensureDeferred
async def test_three_replicas_one_of_them_the_leader_come_to_the_same_digest(
    web: WebClient, stock: str
) -> None:
    from twisted.internet import reactor

    clock: Any = reactor
    placed = [await web.trade("buy", 1, stock) for _ in range(5)]
    last = placed[-1].data["transaction_number"]
    deadline = clock.seconds() + SETTLED_SECONDS
    while True:
        reply = await web.get("/replicas")
        assert_json(reply, 200)
        rows = reply.data
        histories = {(row["last_number"], row["digest"]) for row in rows}
        if len(histories) == 1 and rows[0]["last_number"] == last:
            break
        assert clock.seconds() < deadline, rows
        await deferLater(clock, 0.02)
    assert sorted(row["id"] for row in rows) == [1, 2, 3]
    assert [row["role"] for row in rows].count("leader") == 1
    fields = {"id", "role", "term", "last_number", "last_index", "digest", "reachable"}
    for row in rows:
        assert row.keys() >= fields
        assert row["reachable"] is True
        assert row["term"] >= 1
        assert row["last_index"] > last
        assert row["digest"]


# What is not there


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "path",
    [
        *["/nope", "/stocks/a/b", "/stocks//a", "/orders/1/2", "/ping//", "/Ping"],
        *["//stocks", "/stocks%2FGameStart", "/%ff", "/invalidations", "/index.html"],
        *[OLD, OLD + "/", OLD + "/trade", OLD + "/orders", OLD + "/stocks/GameStart"],
    ],
)
async def test_an_unknown_path_is_404_in_json_whatever_the_method(
    web: WebClient, path: str
) -> None:
    for method in "GET", "POST", "DELETE":
        assert_refused(await web.ask(method, path), 404)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("path", ["/stocks", "/stocks/GameStart", "/orders", "/ping", "/livez"])
async def test_a_slash_at_the_end_makes_no_difference(web: WebClient, path: str) -> None:
    without, with_one = await web.get(path), await web.get(path + "/")
    assert_json(with_one, 200)
    assert with_one.body == without.body


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/stocks/GameStart", "GET, HEAD"),
        ("/stocks", "GET, HEAD"),
        ("/orders", "GET, HEAD, POST"),
        ("/orders/1", "GET, HEAD"),
        ("/ping", "GET, HEAD"),
        ("/livez", "GET, HEAD"),
        ("/readyz", "GET, HEAD"),
        ("/replicas", "GET, HEAD"),
        (OLD + "/trade/stocks/GameStart", "GET, HEAD"),
        (OLD + "/trade/orders", "GET, HEAD, POST"),
        (OLD + "/trade/orders/1", "GET, HEAD"),
        (OLD + "/ping", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_405_and_says_which_are_right(
    web: WebClient, path: str, allowed: str
) -> None:
    for method in {"POST", "PUT", "PATCH", "DELETE", "BREW"} - {*allowed.split(", ")}:
        reply = await web.ask(method, path, {})
        assert_refused(reply, 405)
        assert reply.header("Allow") == allowed
    for method in "GET", "HEAD":
        assert (await web.ask(method, path)).code != 405
    options = await web.ask("OPTIONS", path)
    assert_json(options, 200)
    assert options.header("Allow") == ", ".join(sorted([*allowed.split(", "), "OPTIONS"]))


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("path", ["/stocks/GameStart", "/stocks", "/orders?limit=1", "/nope"])
async def test_head_is_get_without_the_body(web: WebClient, path: str) -> None:
    get, head = await web.get(path), await web.ask("HEAD", path)
    assert (head.code, head.body) == (get.code, b"")
    assert head.header("Content-Length") == str(get.length)
    assert head.header("ETag") == get.header("ETag")
