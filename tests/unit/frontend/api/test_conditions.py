"""Conditional lookups: a client that has a version is not sent it again."""

import pytest

from tests.fakes.frontend_world import GAME_START, HISTORY, TAG, FrontEnd
from twisted_bazaar.frontend.api.entity_tags import entity_tag


@pytest.fixture
def frontend() -> FrontEnd:
    return FrontEnd()


@pytest.mark.parametrize("tag", [TAG, f"W/{TAG}", f'"0", W/{TAG}', "*"])
def test_a_known_version_is_not_sent_again(frontend: FrontEnd, tag: str) -> None:
    answer = frontend.get("/stocks/GameStart", If_None_Match=tag)
    assert (answer.code, answer.body) == (304, b"")
    assert answer.header("etag") == TAG
    assert answer.header("content-type") is None


def test_a_version_of_another_history_is_another_tag(frontend: FrontEnd) -> None:
    frontend.bazaar.order_log = "log-2"
    answer = frontend.get("/stocks/GameStart", If_None_Match=TAG)
    assert (answer.code, answer.json) == (200, {"data": GAME_START})
    assert answer.header("etag") == entity_tag("log-2", 1).decode() != TAG


def test_without_a_known_history_there_is_no_tag(frontend: FrontEnd) -> None:
    frontend.bazaar.order_log = ""
    answer = frontend.get("/stocks/GameStart", If_None_Match=TAG)
    assert (answer.code, answer.header("etag")) == (200, None)


def test_a_newer_version_is_sent(frontend: FrontEnd) -> None:
    frontend.trade("buy", 5)
    answer = frontend.get("/stocks/GameStart", If_None_Match=TAG)
    newer = entity_tag(HISTORY, 2).decode()
    assert (answer.code, answer.header("etag")) == (200, newer)
    assert answer.json == {"data": {**GAME_START, "quantity": 95, "volume": 5}}


def test_any_version_condition_does_not_hide_that_a_stock_is_unknown(frontend: FrontEnd) -> None:
    assert frontend.get("/stocks/Nope", If_None_Match="*").code == 404
