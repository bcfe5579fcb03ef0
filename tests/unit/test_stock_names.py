"""Which names stocks may have: a path can carry them, and people can tell them apart."""

from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twisted_bazaar.market import DEFAULT_LISTING
from twisted_bazaar.stock_names import StockNames

SERVED = [
    *["BTC/USD", "BRK.B", "A+B", "100%", "a#b", "a?b", "a b", "a;b", "株式会社", "🐟", "x" * 64],
    *["...", ".a", "a.", "-1", "=1", "'", '"', ",", "\\", "&", "%2F", "~", "ß", "é", "İ"],
]

BE, PRINTABLE = "name must be", "1 to 64 printable characters"
REFUSED = [
    *[(name, f"{BE} {PRINTABLE}") for name in ("", "x" * 65, "a\tb", "a\nb", "a\0b", "\x7f")],
    *[(name, f"{BE} {PRINTABLE}") for name in ("\u200ba", "a\u202eb", "\ufeff", "\xa0", "\u2028")],
    *[(name, f"{BE} {PRINTABLE}") for name in ("\ud800", "a\udfff", "\U000e0001")],
    *[(name, "name must neither begin nor end with a space") for name in (" a", "a ", " ", " . ")],
    *[(name, f"{BE} something other than . and ..") for name in (".", "..")],
    *[(name, f"{BE} in Unicode's composed form") for name in ("e\u0301", "\u212b", "a\u0344")],
]

TWINS = [
    ("BoarCo", "boarco"),
    ("BOARCO", "BoarCo"),
    ("Straße", "STRASSE"),
    ("ÉCLAIR", "éclair"),
    ("Σ", "ς"),
    ("ﬁn", "fin"),
    ("Ａ", "a"),  # noqa: RUF001
    ("①", "1"),
    ("same", "same"),
]


@pytest.mark.parametrize("name", SERVED)
def test_what_a_path_can_say_is_admitted(name: str) -> None:
    StockNames().add(name)


def test_the_default_listing_is_admitted() -> None:
    names = StockNames()
    for listing in DEFAULT_LISTING:
        names.add(listing.name)


@pytest.mark.parametrize(("name", "words"), REFUSED, ids=[ascii(name) for name, _ in REFUSED])
def test_what_no_call_could_serve_is_refused_with_the_name_and_the_reason(
    name: str, words: str
) -> None:
    with pytest.raises(ValueError, match=r"^name must ") as refusal:
        StockNames().add(name)
    said = str(refusal.value)
    assert said.startswith(words)
    assert said.endswith(f", not {name!a}")
    assert said.isprintable()


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_of_two_that_are_too_alike_the_second_is_refused(one: str, other: str) -> None:
    for first, second in (one, other), (other, one):
        names = StockNames()
        names.add(first)
        with pytest.raises(ValueError, match="is too like") as refusal:
            names.add(second)
        assert str(refusal.value).startswith(f"{second!a} is too like {first!a}, ")


@pytest.mark.parametrize(
    ("one", "other"), [("A", "B"), ("A", "AA"), ("BRK.A", "BRK.B"), ("a/b", "ab"), ("ab", "a b")]
)
def test_what_differs_otherwise_is_two_names(one: str, other: str) -> None:
    names = StockNames()
    names.add(one)
    names.add(other)


@given(st.text(min_size=1, max_size=65))
def test_a_name_that_is_admitted_survives_a_path_and_utf_8(name: str) -> None:
    try:
        StockNames().add(name)
    except ValueError:
        return
    assert unquote(quote(name, safe="")) == name
    assert name.encode("utf-8").decode("utf-8") == name == name.strip()
