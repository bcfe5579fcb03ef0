"""The lists of stocks and of orders, over the real routes and site and no network."""

import pytest
from twisted.internet.defer import succeed

from tests.fakes.frontend_world import FrontEnd
from twisted_bazaar.frontend.lookups.whole_market import MarketSnapshot


@pytest.fixture
def frontend() -> FrontEnd:
    return FrontEnd()


def test_the_list_of_all_stocks_is_sent_again_only_if_it_has_changed(frontend: FrontEnd) -> None:
    first = frontend.get("/stocks")
    tag = first.header("etag")
    assert tag
    for known in (tag, f'W/{tag}, "other"', "*"):
        again = frontend.get("/stocks", If_None_Match=known)
        assert (again.code, again.body, again.header("etag")) == (304, b"", tag)
    assert frontend.get("/stocks", If_None_Match='"other"').body == first.body
    frontend.trade("buy", 5)
    changed = frontend.get("/stocks", If_None_Match=tag)
    assert changed.code == 200
    assert changed.body != first.body
    assert changed.header("etag") != tag
    frontend.bazaar.order_log = "another"
    assert frontend.get("/stocks", If_None_Match=changed.header("etag")).code == 200


def test_a_list_of_stocks_as_of_an_unknown_entry_has_no_entity_tag(frontend: FrontEnd) -> None:
    frontend.bazaar.answer = succeed(MarketSnapshot.of([], "log", 0))
    answer = frontend.get("/stocks", If_None_Match="*")
    assert (answer.code, answer.header("etag")) == (200, None)


def test_a_selection_is_shown_with_a_cursor_that_goes_on(frontend: FrontEnd) -> None:
    for stock in ("GameStart", "FishCo", "GameStart", "GameStart"):
        frontend.trade("buy", 1, stock)

    def page(query: str) -> tuple[list[int], int | None, str]:
        shown = frontend.get(f"/orders?{query}").json
        return [order["number"] for order in shown["data"]], shown["next"], shown["cursor"]

    numbers, next_after, cursor = page("stock=GameStart&limit=2")
    assert (numbers, next_after) == ([1, 3], 3)
    numbers, next_after, cursor = page(f"cursor={cursor}")
    assert (numbers, next_after) == ([4], None)
    frontend.trade("buy", 1, "FishCo")
    frontend.trade("buy", 1, "GameStart")
    assert page(f"cursor={cursor}&limit=1")[:2] == ([6], None)
    assert page("direction=desc&limit=2")[:2] == ([6, 5], 5)
    assert page("direction=desc&after=5&stock=GameStart")[:2] == ([4, 3, 1], None)
    assert page("client_order_id=nobody-s")[:2] == ([], None)
