"""Values in Redis: only those that a front-end with the same secret wrote are read."""

import pytest

from twisted_bazaar.frontend.cache.quotes import Quote
from twisted_bazaar.frontend.cache.redis_values import RedisValues

OURS = RedisValues(b"0123456789abcdef")
THEIRS = RedisValues(b"fedcba9876543210")
QUOTE = Quote(123, b'{"data":{"name":"GameStart","price":15.99}}')


def key(name: str = "GameStart", history: str = "log-1", values: RedisValues = OURS) -> bytes:
    [key] = values.keys(history, [name])
    return key


VALUE = OURS.value(key(), QUOTE)


@pytest.mark.parametrize("body", [b"{}", b" ", b"\0", bytes(range(256)), b"1 2 3"])
@pytest.mark.parametrize("version", [1, 9, 10, 10**15 - 1])
def test_what_is_kept_is_read(version: int, body: bytes) -> None:
    quote = Quote(version, body)
    value = OURS.value(key(), quote)
    assert OURS.quote(key(), value) == quote
    assert value.startswith(b"%d " % version), "the newer of two is known by it"


@pytest.mark.parametrize(
    "forged",
    [
        b"",
        b"123",
        b"123 ",
        b'123 {"data":{"name":"GameStart","price":0.01}}',
        b"124" + VALUE[3:],
        b"0" + VALUE,
        b"12 3" + VALUE[3:],
        VALUE.replace(b"15.99", b"00.01"),
        VALUE[:-1],
        VALUE + b" ",
        VALUE[:5] + bytes([VALUE[5] ^ 1]) + VALUE[6:],
        THEIRS.value(key(), QUOTE),
        OURS.value(key("FishCo"), QUOTE),
        OURS.value(key(history="log-2"), QUOTE),
        OURS.value(key(), Quote(122, QUOTE.body)).replace(b"122", b"123", 1),
        None,
        7,
        [VALUE],
    ],
)
def test_a_value_that_no_front_end_wrote_counts_as_absent(forged: object) -> None:
    assert OURS.quote(key(), VALUE) == QUOTE
    assert OURS.quote(key(), forged) is None


def test_a_seal_does_not_say_where_key_version_and_body_meet() -> None:
    assert OURS.quote(b"k1", OURS.value(b"k", Quote(11, b"x"))) is None
    value = OURS.value(b"k", Quote(1, b"2 x"))
    assert OURS.quote(b"k", b"12 " + value[2:18] + b" x") is None


def test_another_secret_has_another_place() -> None:
    assert key() != key(values=THEIRS)
    assert b"0123456789abcdef" not in key()
    assert key() == key(values=RedisValues(b"0123456789abcdef"))


def test_any_two_stocks_of_any_two_logs_have_places_of_their_own() -> None:
    places = [("a", "b:c"), ("a:b", "c"), ("a:", "c"), ("a%3A", "c"), ("", "a:c"), ("a", "c")]
    assert len({key(name, history) for history, name in places}) == len(places)
