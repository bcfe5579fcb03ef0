"""Answers below the prefix of the replaced system have the fields of that system."""

import pytest

from tests.fakes.frontend_world import GAME_START, OLD, TAG, TRADE_BODY, FrontEnd


@pytest.fixture
def frontend() -> FrontEnd:
    return FrontEnd()


@pytest.mark.parametrize("slash", ["", "/"])
def test_below_the_old_prefix_success_has_its_old_shape(frontend: FrontEnd, slash: str) -> None:
    trade = OLD + "/trade"
    stock = frontend.get(f"{trade}/stocks/GameStart{slash}")
    assert (stock.code, stock.json) == (200, {"success": True, "data": GAME_START})
    assert stock.length == len(stock.body)
    assert (stock.header("etag"), stock.header("x-cache")) == (TAG, "miss")
    known = frontend.get(f"{trade}/stocks/GameStart{slash}", If_None_Match=TAG)
    assert (known.code, known.body) == (304, b"")
    placed = frontend.ask("POST", f"{trade}/orders{slash}", data=TRADE_BODY)
    made = {"transaction_number": 1, "client_order_id": None, "price": 15.99, "total": 79.95}
    assert placed.json == {"success": True, "data": made}
    order = frontend.get(f"{trade}/orders/1{slash}").json
    assert order == {"success": True, **frontend.get("/orders/1").json}
    page = frontend.get(f"{trade}/orders{slash}?limit=1").json
    assert page == {"success": True, **frontend.get("/orders?limit=1").json}
    assert frontend.get(f"{OLD}/ping{slash}").json == {"success": True, "data": {"data": "pong"}}


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/trade/stocks/Nope", 404),
        ("GET", "/trade/orders/9", 404),
        ("GET", "/trade/orders?limit=0", 400),
        ("GET", "/nope", 404),
        ("GET", "//ping", 404),
        ("DELETE", "/ping", 405),
        ("POST", "/trade/orders", 400),
        ("POST", "/trade/orders/", 413),
    ],
)
def test_below_the_old_prefix_failures_have_their_old_shape_too(
    frontend: FrontEnd, method: str, path: str, code: int
) -> None:
    body = b"x" * 100_000 if code == 413 else b"{}"
    data = {"data": body} if method == "POST" else {}
    answer = frontend.ask(method, OLD + path, **data)
    assert answer.code == code
    assert answer.length == len(answer.body)
    assert answer.json == {
        "success": False,
        "errors": [{"code": code, "text": answer.message}],
        "error": answer.json["error"],
    }
