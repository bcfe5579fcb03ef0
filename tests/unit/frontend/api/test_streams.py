"""Requests for events: what is wrong is refused by its name, with the value."""

import re

import pytest

from twisted_bazaar.frontend.api.streams import MAX_STOCKS, decode_asked
from twisted_bazaar.frontend.events.journal import Wanted
from twisted_bazaar.http.refusals import Reason, Refusal


def test_without_parameters_everything_is_shown_from_now_on() -> None:
    asked = decode_asked(b"", None)
    assert (asked.wanted, asked.after) == (Wanted(), None)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        (b"events=order", Wanted(quotes=False, leader=False)),
        (b"events=leader,quote", Wanted(orders=False)),
        (b"stocks=GameStart", Wanted(stocks=frozenset({"GameStart"}))),
        (b"stocks=A%2CC+D,%C3%9F", Wanted(stocks=frozenset({"A", "C D", "\xdf"}))),
        (rb"stocks=A\,B,C\\,D", Wanted(stocks=frozenset({"A,B", "C\\", "D"}))),
    ],
)
def test_lists_are_separated_by_commas(query: bytes, wanted: Wanted) -> None:
    assert decode_asked(query, None).wanted == wanted


@pytest.mark.parametrize(
    ("query", "header", "after"),
    [
        (b"after=0", None, (0,)),
        (b"after=17", None, (17,)),
        (b"after=17", [b"19"], (19,)),
        (b"", [b"19"], (19,)),
        (b"after=17", [b""], (17,)),
        (b"", [b""], None),
    ],
)
def test_the_header_wins_over_the_parameter(
    query: bytes, header: list[bytes] | None, after: tuple[int] | None
) -> None:
    assert decode_asked(query, header).after == after


@pytest.mark.parametrize(
    ("query", "header", "message"),
    [
        (b"since=1", None, 'unknown query parameter "since"'),
        (b"after=1&after=1", None, "the query parameter after is given twice"),
        (b"after=", None, 'the query parameter after must be an integer from 0 .*, not ""'),
        (b"after=-1", None, 'not "-1"'),
        (b"after=1.0", None, 'not "1.0"'),
        (b"after=%C2%B2", None, "the query parameter after must be"),
        (b"after=9007199254740992", None, 'not "9007199254740992"'),
        (b"", [b"x"], 'the header Last-Event-ID must be an integer from 0 .*, not "x"'),
        (b"", [b"1", b"1"], "the header Last-Event-ID is given twice"),
        (b"events=", None, 'the query parameter events must be a list of .*, not ""'),
        (b"events=order,trade", None, 'not "order,trade"'),
        (b"events=order,order", None, 'not "order,order"'),
        (b"stocks=A,,B", None, 'the query parameter stocks must be a list of .*, not "A,,B"'),
        (b"stocks=A,", None, 'not "A,"'),
        (rb"stocks=A\B", None, "the query parameter stocks"),
        (b"stocks=" + b"x" * 65, None, "1 to 64 characters"),
        (b"stocks=A,A", None, 'not "A,A"'),
        (b"stocks=" + b",".join(b"%d" % n for n in range(MAX_STOCKS + 1)), None, "1 to 100"),
        (b"stocks=%0A%0A,", None, "the query parameter stocks"),
        (b"stocks", None, "the query parameter stocks"),
    ],
)
def test_what_is_wrong_is_refused_by_name(
    query: bytes, header: list[bytes] | None, message: str
) -> None:
    with pytest.raises(Refusal) as refused:
        decode_asked(query, header)
    assert refused.value.reason is Reason.INVALID_PARAMETER
    assert re.search(message, refused.value.message)
