"""Every name that a stock may have can be used in a path, and in every call."""

import pytest

from tests.fakes.frontend_world import GAME_START, OLD, FrontEnd
from twisted_bazaar.market import Stock
from twisted_bazaar.stock_names import StockNames


@pytest.fixture
def frontend() -> FrontEnd:
    return FrontEnd()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("BTC%2FUSD", "BTC/USD"),
        ("BTC%2fUSD", "BTC/USD"),
        ("%2F", "/"),
        ("a%2F%2Fb%2F", "a//b/"),
        ("a%2F/", "a/"),
        ("BRK.B", "BRK.B"),
        ("A+B", "A+B"),
        ("A%2BB", "A+B"),
        ("100%25", "100%"),
        ("100%2525", "100%25"),
        ("a%2520b", "a%20b"),
        ("a%23b", "a#b"),
        ("a%3Fb", "a?b"),
        ("a;b=c", "a;b=c"),
        ("a%3Bb", "a;b"),
        ("a&b", "a&b"),
        ("%3Cid%3E", "<id>"),
        ("Ltd.%20%26%20Co", "Ltd. & Co"),
        ("%E6%A0%AA", "株"),
        ("%22", '"'),
        ("%5C", "\\"),
        ("...", "..."),
        ("orders", "orders"),
    ],
)
def test_every_name_that_can_be_listed_can_be_looked_up_and_traded(
    frontend: FrontEnd, path: str, name: str
) -> None:
    StockNames().add(name)
    frontend.bazaar.ledger.stocks[name] = Stock(name, 1599, 100, 0, 1)
    for place in f"/stocks/{path}", f"{OLD}/trade/stocks/{path}":
        assert frontend.get(place).json["data"] == {**GAME_START, "name": name}
    assert frontend.trade("buy", 1, name).code == 200
    assert frontend.get("/orders/1").json["data"]["name"] == name


def test_a_path_of_its_own_is_no_parameter_of_another(frontend: FrontEnd) -> None:
    for method in "GET", "HEAD", "DELETE":
        answer = frontend.ask(method, "/orders/batch/")
        assert (answer.code, answer.header("allow")) == (405, "POST")
    assert frontend.ask("OPTIONS", "/orders/batch").header("allow") == "OPTIONS, POST"
    assert frontend.ask("OPTIONS", "/orders/1").header("allow") == "GET, HEAD, OPTIONS"
