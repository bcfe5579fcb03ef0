"""The REST contract, call by call, over the real routes and site and no network."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from tests.fakes.frontend_world import GAME_START, OLD, TAG, TRADE_BODY, FrontEnd, failures_logged
from twisted_bazaar import errors
from twisted_bazaar.frontend.cache.quotes import Source
from twisted_bazaar.market import DEFAULT_LISTING, Placed, Stock
from twisted_bazaar.selection import Selection


@pytest.fixture
def frontend() -> FrontEnd:
    return FrontEnd()


# Lookups


@pytest.mark.parametrize("path", ["/stocks/GameStart", "/stocks/GameStart/"])
def test_a_stock_is_looked_up(frontend: FrontEnd, path: str) -> None:
    answer = frontend.get(path)
    assert (answer.code, answer.json) == (200, {"data": GAME_START})
    assert answer.header("content-type") == "application/json"
    assert answer.length == len(answer.body)
    assert answer.header("etag") == TAG
    assert answer.header("cache-control") == "no-cache"


def test_a_name_is_percent_decoded(frontend: FrontEnd) -> None:
    assert frontend.get("/stocks/Game%53tart").json == {"data": GAME_START}
    frontend.bazaar.ledger.stocks["Ü b"] = Stock("Ü b", 1, 1, 1, 1)
    assert frontend.get("/stocks/%C3%9C%20b").json["data"]["name"] == "Ü b"


@pytest.mark.parametrize("name", ["Nope", "gamestart", "%C3%9C", "..", "%00", "a+b", "a%3Fb"])
def test_an_unknown_stock_is_404(frontend: FrontEnd, name: str) -> None:
    answer = frontend.get(f"/stocks/{name}")
    assert answer.code == 404
    assert answer.message.startswith("there is no stock named ")


def test_a_name_that_no_stock_can_have_is_404_without_work(frontend: FrontEnd) -> None:
    for name in "x" * 65, "x" * 16000:
        assert frontend.get(f"/stocks/{name}").code == 404
    assert len(frontend.get(f"/stocks/{name}").message) < 120
    assert frontend.bazaar.asked == []


SOURCES = pytest.mark.parametrize(
    ("source", "shown"), [(Source.HIT, "hit"), (Source.MISS, "miss"), (Source.OFF, "off")]
)


@SOURCES
@pytest.mark.parametrize(
    ("name", "tag", "code"),
    [
        ("GameStart", None, 200),
        ("GameStart", TAG, 304),
        ("GameStart", '"0"', 200),
        ("Nope", None, 404),
        ("Nope", "*", 404),
    ],
)
def test_an_answer_says_where_it_came_from_and_is_otherwise_the_same(
    frontend: FrontEnd, source: Source, shown: str, name: str, tag: str | None, code: int
) -> None:
    headers = {} if tag is None else {"If_None_Match": tag}
    usual = frontend.get(f"/stocks/{name}", **headers)
    frontend.bazaar.source = source
    answer = frontend.get(f"/stocks/{name}", **headers)
    assert (answer.code, answer.header("x-cache")) == (code, shown)
    assert (answer.code, answer.body) == (usual.code, usual.body)
    assert answer.header("etag") == (None if code == 404 else TAG)


@pytest.mark.parametrize("path", ["/stocks", "/orders", "/ping", "/stocks/" + "x" * 65])
def test_what_no_cache_can_answer_says_nothing_of_it(frontend: FrontEnd, path: str) -> None:
    assert frontend.get(path).header("x-cache") is None


def test_all_stocks_are_listed_by_name(frontend: FrontEnd) -> None:
    answer = frontend.get("/stocks")
    names = [stock["name"] for stock in answer.json["data"]]
    assert names == sorted(listing.name for listing in DEFAULT_LISTING)
    assert GAME_START in answer.json["data"]


# Orders


@pytest.mark.parametrize("path", ["/orders/1", "/orders/1/"])
def test_an_order_is_found_by_its_number(frontend: FrontEnd, path: str) -> None:
    frontend.trade("buy", 5)
    order = {"number": 1, "name": "GameStart", "type": "buy", "quantity": 5}
    shown = {**order, "time": "2023-11-14T22:13:20.123Z"}
    answer = frontend.get(path)
    assert answer.code == 200
    assert answer.json["data"].items() >= shown.items()


def test_an_order_that_does_not_exist_is_404(frontend: FrontEnd) -> None:
    answer = frontend.get("/orders/9007199254740991")
    assert answer.code == 404
    assert answer.message == 'there is no order number "9007199254740991"'
    assert frontend.bazaar.asked == [9007199254740991]


@pytest.mark.parametrize(
    "number", ["0", "-1", "abc", "1.0", "9" * 23, "01", "1%20", "%D9%A1", "1%2F"]
)
def test_an_order_that_cannot_exist_is_404_without_work(frontend: FrontEnd, number: str) -> None:
    answer = frontend.get(f"/orders/{number}")
    assert answer.code == 404
    assert answer.message.startswith("there is no order number ")
    assert frontend.bazaar.asked == []


def test_orders_are_listed_page_by_page(frontend: FrontEnd) -> None:
    for _ in range(5):
        frontend.trade("buy", 1)
    frontend.bazaar.asked.clear()

    def page(path: str) -> tuple[list[int], int | None]:
        shown = frontend.get(path).json
        return [order["number"] for order in shown["data"]], shown["next"]

    assert page("/orders") == ([1, 2, 3, 4, 5], None)
    assert page(OLD + "/trade/orders?limit=2") == ([1, 2], 2)
    assert page("/orders?after=2&limit=2") == ([3, 4], 4)
    assert page("/orders?after=4&limit=1") == ([5], None)
    assert page("/orders?after=5&limit=500") == ([], None)
    asked = [(0, 101), (0, 3), (2, 3), (4, 2), (5, 501)]
    assert frontend.bazaar.asked == [Selection(*each) for each in asked]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("after=-1", "after"),
        ("after=x", "after"),
        ("after", "after"),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=1;after=1", "limit"),
        ("limit=1&limit=1", "limit"),
        ("offset=1", '"offset"'),
    ],
)
def test_a_bad_query_is_400_and_named(frontend: FrontEnd, query: str, named: str) -> None:
    answer = frontend.get(f"/orders?{query}")
    assert answer.code == 400
    assert f"query parameter {named}" in answer.message
    assert frontend.bazaar.asked == []


# Whether it works


def test_ping_answers_pong(frontend: FrontEnd) -> None:
    for path in "/ping", "/ping/":
        answer = frontend.get(path)
        assert (answer.code, answer.json) == (200, {"data": "pong"})
        assert answer.length == len(answer.body)


def test_it_is_alive_even_when_it_is_not_ready(frontend: FrontEnd) -> None:
    assert frontend.get("/readyz").code == 200
    frontend.bazaar.unready = "no leader is known"
    answer = frontend.get("/readyz")
    assert (answer.code, answer.message) == (503, "not ready: no leader is known")
    assert frontend.get("/livez").code == 200


def test_the_replicas_are_reported(frontend: FrontEnd) -> None:
    rows = frontend.get("/replicas").json["data"]
    assert [row["id"] for row in rows] == [1, 2, 3]
    assert rows[2] == {
        "id": 3,
        "role": "leader",
        "term": 4,
        "last_number": 812,
        "last_index": 830,
        "digest": "c0ffee",
        "reachable": True,
        "disk_seconds": 0.0,
    }
    assert not rows[1]["reachable"]


@pytest.mark.parametrize("path", ["/stocks/GameStart", "/stocks", "/orders/1", "/orders"])
def test_what_cannot_be_read_now_is_503(frontend: FrontEnd, path: str) -> None:
    frontend.bazaar.answer = errors.Unavailable("no catalog answers")
    answer = frontend.get(path)
    assert (answer.code, answer.message) == (503, "no catalog answers")
    assert answer.header("retry-after") == "1"


# What is not there


@pytest.mark.parametrize(
    "path",
    [
        *[
            "/page",
            "/nope",
            "/stocks/a/b",
            "//stocks",
            "/stocks//GameStart",
            "/stocks/a//",
            "/stocks//",
        ],
        *["/stocks%2FGameStart", "/stocks%2F", "/orders/1/2", "/stocks/a//", "/stocks%2f%2fa"],
        *["/%ff", "/stocks/%ff", "/Ping", "/./stocks", "/stocks/../stocks", "/ping%2F"],
        *[OLD, OLD + "/", OLD + "/trade", OLD + "/orders", OLD + "//ping", OLD + "/trade//orders"],
        *["/" + "x" * 16000, "/stocks" + "/x" * 4000],
    ],
)
def test_an_unknown_path_is_404_in_json(frontend: FrontEnd, path: str) -> None:
    with failures_logged() as failures:
        answer = frontend.get(path)
    assert (answer.code, answer.message) == (404, "there is nothing at this path")
    assert (frontend.bazaar.asked, failures) == ([], [])


@pytest.mark.parametrize(
    ("path", "methods", "allowed"),
    [
        ("/stocks/GameStart", ["POST", "PUT", "DELETE", "BREW"], "GET, HEAD"),
        ("/orders", ["PUT", "DELETE", "PATCH"], "GET, HEAD, POST"),
        (OLD + "/trade/orders", ["DELETE"], "GET, HEAD, POST"),
        ("/orders/1", ["POST", "DELETE"], "GET, HEAD"),
        ("/ping", ["POST"], "GET, HEAD"),
    ],
)
def test_an_unknown_method_is_405_and_says_what_is_allowed(
    frontend: FrontEnd, path: str, methods: list[str], allowed: str
) -> None:
    for method in methods:
        answer = frontend.ask(method, path)
        assert (answer.code, answer.message) == (405, f"only {allowed} can be done here")
        assert answer.header("allow") == allowed
    assert frontend.bazaar.asked == []


@pytest.mark.parametrize("path", ["/stocks/GameStart", "/stocks", "/orders", "/nope", "//nope"])
def test_head_is_get_without_the_body(frontend: FrontEnd, path: str) -> None:
    def ask(method: str) -> tuple[list[bytes], bytes]:
        request = f"{method} {path} HTTP/1.1\r\nHost: x\r\nX-Request-ID: 1\r\n\r\n"
        raw = frontend.connect().send(request.encode())
        head, _, body = raw.partition(b"\r\n\r\n")
        return [line for line in head.splitlines() if not line.startswith(b"Date:")], body

    get, body = ask("GET")
    assert body
    assert ask("HEAD") == (get, b"")
    assert b"Content-Length: %d" % len(body) in get


@pytest.mark.parametrize(
    "host", ["b\u00fccher", "x" * 300, "a b", "[::1", "", "%", "\xff\xfe", "a..b"]
)
def test_no_host_header_disturbs_the_routes(frontend: FrontEnd, host: str) -> None:
    raw = b"GET /ping HTTP/1.1\r\nHost: " + host.encode("latin-1") + b"\r\n\r\n"
    assert frontend.connect().send(raw).startswith(b"HTTP/1.1 200 ")


# Unexpected errors, and clients that hang up


def test_an_unexpected_error_is_500_with_the_id_that_is_logged(
    frontend: FrontEnd, logged_failures: list[Failure]
) -> None:
    frontend.bazaar.answer = ValueError("secret")
    for name, path in ("request-1", "/stocks/GameStart"), ("request-2", "/readyz"):
        with failures_logged() as failures:
            answer = frontend.get(path)
        assert answer.code == 500
        assert answer.message == f"the service failed; its log knows this request as {name}"
        assert answer.header("x-request-id") == name
        [line] = failures
        assert line.startswith(f"request {name} failed: GET {path}")
    logged_failures.clear()


def test_a_route_that_raises_at_once_is_500_too(
    frontend: FrontEnd, logged_failures: list[Failure]
) -> None:
    def broken(name: str) -> Any:
        raise ValueError("secret")

    frontend.bazaar.look_up = broken  # type: ignore[method-assign]
    with failures_logged() as failures:
        answer = frontend.get("/stocks/GameStart")
    assert (answer.code, answer.header("x-request-id")) == (500, "request-1")
    assert "secret" not in answer.message
    assert len(failures) == 1
    logged_failures.clear()


def waiting_trade(frontend: FrontEnd) -> tuple[Deferred[Placed], Any]:
    """A trade that is being decided, and the connection whose client waits for it."""
    frontend.bazaar.answer = work = Deferred()
    client = frontend.connect()
    head = b"POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += b"Content-Length: %d\r\n\r\n" % len(TRADE_BODY)
    assert client.send(head + TRADE_BODY) == b""
    assert len(frontend.bazaar.asked) == 1
    return work, client


def test_a_slow_trade_is_answered_when_it_is_decided(frontend: FrontEnd) -> None:
    frontend.bazaar.answer = work = Deferred()
    exchange = frontend.begin("POST", "/orders", data=TRADE_BODY)
    assert not exchange.answered
    work.callback(Placed(7, False))
    assert exchange.answer().json["data"]["transaction_number"] == 7


def test_a_client_that_hangs_up_does_not_cancel_its_trade(frontend: FrontEnd) -> None:
    cancelled: list[object] = []
    work, client = waiting_trade(frontend)
    work._canceller = cancelled.append
    client.hang_up()
    assert cancelled == []
    assert not work.called


@pytest.mark.parametrize(
    "late",
    [
        Placed(7, False),
        Placed(7, True),
        Failure(errors.OutcomeUnknown()),
        Failure(errors.Overloaded()),
    ],
)
def test_what_comes_after_the_client_hung_up_is_dropped_quietly(
    frontend: FrontEnd, late: Any
) -> None:
    with failures_logged() as failures:
        work, client = waiting_trade(frontend)
        client.hang_up()
        work.callback(late)
        del work, client
        frontend.bazaar.answer = None
    assert failures == []


def test_an_unexpected_error_is_logged_even_if_the_client_hung_up(
    frontend: FrontEnd, logged_failures: list[Failure]
) -> None:
    with failures_logged() as failures:
        work, client = waiting_trade(frontend)
        client.hang_up()
        work.errback(Failure(ValueError("a bug")))
    assert len(failures) == 1
    assert failures[0].startswith("request request-1 failed: POST /orders")
    logged_failures.clear()


def test_clients_on_one_connection_are_answered_in_turn(frontend: FrontEnd) -> None:
    work, client = waiting_trade(frontend)
    assert client.send(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n") == b""
    work.callback(Placed(7, False))
    answers = client.transport.value()
    assert answers.index(b"transaction_number") < answers.index(b"pong")
