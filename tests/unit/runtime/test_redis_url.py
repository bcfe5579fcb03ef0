"""The URL of a Redis, which may hold a password."""

import pytest

from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.redis_url import RedisUrl

AT = Address("cache.example", 6379)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("redis://cache.example:6379", RedisUrl(AT)),
        ("redis://cache.example:6379/", RedisUrl(AT)),
        ("rediss://cache.example:6379", RedisUrl(AT, True)),
        ("redis://:hush@cache.example:6379", RedisUrl(AT, password="hush")),
        ("rediss://me:h%40%3Ash@cache.example:6379", RedisUrl(AT, True, "me", "h@:sh")),
        ("rediss://me:h@h@cache.example:6379", RedisUrl(AT, True, "me", "h@h")),
        ("redis://[::1]:6379", RedisUrl(Address("::1", 6379))),
    ],
)
def test_a_url_is_read_and_written(text: str, url: RedisUrl) -> None:
    assert RedisUrl.parse(text) == url
    assert RedisUrl.parse(str(url)) == url


@pytest.mark.parametrize(
    "text",
    [
        "http://cache.example:6379",
        "redis:cache.example:6379",
        "redis://cache.example",
        "redis://me@cache.example:6379",
        "redis://me:@cache.example:6379",
        "rediss://me:hush@cache.example:6379/1",
        "rediss://me:hush@cache.example:port",
        "rediss://me:hush@",
    ],
)
def test_another_text_is_refused_by_a_line_without_a_password(text: str) -> None:
    with pytest.raises(ValueError, match="^must be redis://HOST:PORT") as refused:
        RedisUrl.parse(text)
    assert "hush" not in str(refused.value)


def test_a_password_is_not_in_what_a_log_would_show() -> None:
    assert "hush" not in repr(RedisUrl.parse("rediss://me:hush@cache.example:6379"))
