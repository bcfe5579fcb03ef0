"""Which orders a query string asks for, and the cursor that goes on with them."""

import json
from base64 import urlsafe_b64encode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twisted_bazaar.frontend.api import listing
from twisted_bazaar.frontend.api.listing import MAX_MILLISECONDS, cursor_of, decode_selection
from twisted_bazaar.frontend.api.requests import MAX_ORDER_NUMBER
from twisted_bazaar.http.refusals import Refusal
from twisted_bazaar.market import Order, Side
from twisted_bazaar.selection import Page, Selection

AT = 1_700_000_000_000


@pytest.mark.parametrize(
    ("query", "selection"),
    [
        (b"", Selection(0, 100)),
        (b"after=7", Selection(7, 100)),
        (b"limit=1", Selection(0, 1)),
        (b"limit=500&after=0", Selection(0, 500)),
        (b"after=%31%32", Selection(12, 100)),
        (b"&after=7&", Selection(7, 100)),
        (b"after=%d" % MAX_ORDER_NUMBER, Selection(MAX_ORDER_NUMBER, 100)),
        (b"direction=asc", Selection(0, 100)),
        (b"direction=desc", Selection(0, 100, descending=True)),
        (b"direction=desc&after=9", Selection(9, 100, descending=True)),
        (b"direction=desc&after=0", Selection(1, 100, descending=True)),
        (b"stock=Fish%2C+Co&type=sell", Selection(0, 100, stock="Fish, Co", side=Side.SELL)),
        (b"stock=%E6%A0%AA", Selection(0, 100, stock="株")),
        (b"type=buy", Selection(0, 100, side=Side.BUY)),
        (b"since=2023-11-14T22:13:20Z", Selection(0, 100, since=AT)),
        (b"until=2023-11-14T22:13:20.0001Z", Selection(0, 100, until=AT + 1)),
        (b"since=1969-01-01T00:00:00Z", Selection(0, 100, since=0)),
        (b"until=9999-12-31T23:59:59.9999Z", Selection(0, 100, until=MAX_MILLISECONDS)),
        (b"client_order_id=%7E%20a%22", Selection(0, 100, key='~ a"')),
    ],
)
def test_a_query_string_says_which_orders(query: bytes, selection: Selection) -> None:
    assert decode_selection(query) == selection


AFTER_RULE = "after must be an integer from 0 to 9007199254740991"
LIMIT_RULE = "limit must be an integer from 1 to 500"
TIME_RULE = (
    "must be a time of RFC 3339 with a zone, like 2026-11-22T10:43:46.064Z, in which a plus sign is"
    " written %2B"
)
KEY_RULE = (
    "client_order_id must be 1 to 128 printable ASCII characters, none of the outer ones a space"
)


@pytest.mark.parametrize(
    ("query", "rule", "value"),
    [
        *((b"after=" + text.encode(), AFTER_RULE, text) for text in ("", "-1", "1.0", "x", "1_0")),
        *((b"after=" + b"9" * size, AFTER_RULE, "9" * size) for size in (16, 23)),
        (b"after=%2B1", AFTER_RULE, "+1"),
        (b"after", AFTER_RULE, ""),
        (b"limit=" + b"5" * 500, LIMIT_RULE, "5" * 64 + "…"),
        *((b"limit=" + text.encode(), LIMIT_RULE, text) for text in ("", "0", "501", "ten", "1e2")),
        *((b"direction=" + text.encode(), "direction must be asc or desc", text)
          for text in ("", "ASC", "down", "null")),
        *((b"type=" + text.encode(), "type must be buy or sell", text) for text in ("", "BUY")),
        (b"stock=", "stock must be text of 1 to 64 characters", ""),
        (b"stock=" + b"x" * 65, "stock must be text of 1 to 64 characters", "x" * 64 + "…"),
        *((b"since=" + text.encode(), f"since {TIME_RULE}", text)
          for text in ("", "null", "2023-11-14", "2023-11-14T22:13:20", "1700000000")),
        (b"until=2023-11-14T22:13:20+01:00", f"until {TIME_RULE}", "2023-11-14T22:13:20 01:00"),
        (b"client_order_id=", KEY_RULE, ""),
        (b"client_order_id=+k", KEY_RULE, " k"),
        (b"client_order_id=" + b"k" * 129, KEY_RULE, "k" * 64 + "…"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_by_name_and_shown(query: bytes, rule: str, value: str) -> None:
    refuses(query, f'the query parameter {rule}, not "{value}"')


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (b"after=1&after=1", "the query parameter after is given twice"),
        (b"limit=1&limit=2", "the query parameter limit is given twice"),
        (b"page=2", 'unknown query parameter "page"'),
        (b"After=2", 'unknown query parameter "After"'),
        (b"after=1&page", 'unknown query parameter "page"'),
        (b"%ff=1", "the query string is not percent-encoded UTF-8"),
        (b"stock=%ff", "the query string is not percent-encoded UTF-8"),
    ],
)
def test_a_parameter_at_fault_is_refused_by_name(query: bytes, message: str) -> None:
    refuses(query, message)


def refuses(query: bytes, message: str) -> None:
    with pytest.raises(Refusal) as caught:
        decode_selection(query)
    assert (caught.value.code, caught.value.message) == (400, message)


selections = st.builds(
    Selection,
    after=st.integers(0, MAX_ORDER_NUMBER),
    limit=st.integers(1, 500),
    descending=st.booleans(),
    stock=st.text(st.characters(codec="utf-8"), max_size=64),
    side=st.none() | st.sampled_from(Side),
    since=st.none() | st.integers(0, MAX_MILLISECONDS),
    until=st.none() | st.integers(0, MAX_MILLISECONDS),
    key=st.just("") | st.from_regex(r"[!-~]([ -~]{0,126}[!-~])?", fullmatch=True),
)


@given(selections, st.integers(0, MAX_ORDER_NUMBER), st.none() | st.integers(1, 500))
def test_a_cursor_goes_on_with_the_same_selection(
    selection: Selection, place: int, limit: int | None
) -> None:
    cursor = cursor_of(selection, place)
    assert len(cursor) <= listing.MAX_CURSOR_CHARACTERS
    query = f"cursor={cursor}" + ("" if limit is None else f"&limit={limit}")
    expected = msgspec.structs.replace(selection, after=place, limit=limit or selection.limit)
    assert decode_selection(query.encode()) == expected


def test_the_longest_cursor_is_taken() -> None:
    longest = Selection(
        MAX_ORDER_NUMBER, 500, True, "\U0010ffff" * 64, Side.SELL, MAX_MILLISECONDS,
        MAX_MILLISECONDS, '"' * 128,
    )  # fmt: skip
    cursor = cursor_of(longest, MAX_ORDER_NUMBER)
    assert decode_selection(b"cursor=" + cursor.encode()) == longest


NO_CURSOR = "the query parameter cursor is none that GET /orders has given: "


@given(selections, st.data())
def test_a_cursor_that_was_tampered_with_is_refused(
    selection: Selection, data: st.DataObject
) -> None:
    cursor = cursor_of(selection, selection.after)
    at = data.draw(st.integers(0, len(cursor) - 1))
    other = data.draw(st.sampled_from("ABCxyz019-_=.!"))
    changed = data.draw(
        st.sampled_from((cursor[:at], cursor[:at] + other + cursor[at + 1 :], cursor + other))
    )
    if changed == cursor:
        return
    with pytest.raises(Refusal, match=NO_CURSOR):
        decode_selection(b"cursor=" + changed.encode().replace(b"+", b"%2B"))


def test_a_cursor_of_another_form_is_refused() -> None:
    def sealed(content: bytes) -> str:
        return urlsafe_b64encode(listing._sum(content) + content).rstrip(b"=").decode()

    held = ["1", 0, 100, False, "", None, None, None, ""]
    wrong = [
        [2, held[1:]], [1, held[1:], 3], [1], [], {}, 7, [1, [-1, *held[2:]]],
        [1, [0, 0, *held[3:]]], [1, [0, 501, *held[3:]]], [1, [0, 1, "yes", *held[4:]]],
        [1, [0, 1, False, "x" * 65, *held[5:]]], [1, [*held[1:8], "\n"]],
        [1, [*held[1:6], -1, None, ""]], [1, {"after": 0, "limit": 100, "extra": 1}],
    ]  # fmt: skip
    texts = [sealed(json.dumps(each, separators=(",", ":")).encode()) for each in wrong]
    for cursor in ("", "x", "!", "A" * 2000, "%00", *texts, sealed(b"\xff")):
        with pytest.raises(Refusal, match=NO_CURSOR):
            decode_selection(b"cursor=" + cursor.encode())


@pytest.mark.parametrize("name", [each.name for each in listing.PARAMETERS if each.name != "limit"])
def test_only_a_limit_is_given_beside_a_cursor(name: str) -> None:
    cursor = cursor_of(Selection(0, 100), 0)
    query = f"{name}=1&cursor={cursor}" if name != "cursor" else f"cursor={cursor}&cursor={cursor}"
    with pytest.raises(Refusal, match=f"the query parameter {name} "):
        decode_selection(query.encode())


def order(number: int, key: str = "k") -> Order:
    return Order(number, "GameStart", Side.BUY, 1, AT + number, key, False, 1599)


def shown(selection: Selection, page: Page) -> tuple[list[int], int | None, int]:
    """Of a page: the numbers, `next`, and where its cursor goes on."""
    body = json.loads(listing.shown_page(selection, page))
    resumed = decode_selection(b"cursor=" + body["cursor"].encode())
    assert msgspec.structs.replace(resumed, after=selection.after) == selection
    return [each["number"] for each in body["data"]], body["next"], resumed.after


@pytest.mark.parametrize(
    ("orders", "examined", "ended", "expected"),
    [
        ([4, 5, 6], 6, False, ([4, 5], 5, 5)),
        ([4, 5, 6], 6, True, ([4, 5], 5, 5)),
        ([4, 5], 6, True, ([4, 5], None, 6)),
        ([4, 5], 900, False, ([4, 5], 900, 900)),
        ([], 3, True, ([], None, 3)),
        ([], 900, False, ([], 900, 900)),
    ],
)
def test_a_page_goes_on_after_what_was_shown_and_examined(
    orders: list[int],
    examined: int,
    ended: bool,
    expected: tuple[list[int], int | None, int],
) -> None:
    page = Page([order(number) for number in orders], examined, ended)
    assert shown(Selection(3, 2, stock="GameStart"), page) == expected


@pytest.mark.parametrize(
    ("conditions", "orders", "expected"),
    [
        ({}, [8], ([8], None, 8)),
        ({}, [], ([], None, 0)),
        ({"stock": "GameStart", "side": Side.BUY, "since": AT + 8}, [8], ([8], None, 8)),
        ({"stock": "FishCo"}, [8], ([], None, 8)),
        ({"since": AT + 9}, [8], ([], None, 8)),
        ({"until": AT + 8}, [8], ([], None, 8)),
        ({"side": Side.SELL}, [8], ([], None, 8)),
        ({"after": 8}, [8], ([], None, 8)),
        ({"after": 9}, [], ([], None, 9)),
        ({"descending": True}, [8], ([8], None, 8)),
        ({"descending": True, "after": 8}, [8], ([], None, 8)),
        ({"descending": True}, [], ([], None, 0)),
    ],
)
def test_the_order_of_a_key_is_shown_if_it_meets_the_other_conditions(
    conditions: dict[str, object], orders: list[int], expected: tuple[list[int], int | None, int]
) -> None:
    selection = msgspec.structs.replace(Selection(0, 100, key="k"), **conditions)
    page = Page([order(number) for number in orders], 0, ended=True)
    assert shown(selection, page) == expected
