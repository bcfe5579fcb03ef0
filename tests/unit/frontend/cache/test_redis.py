"""The cache in Redis without a Redis. tests/integration has the rest."""

from collections.abc import Mapping

from twisted_bazaar.frontend.cache.quotes import Quote
from twisted_bazaar.frontend.cache.redis import RedisCache
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.redis_url import RedisUrl

LOG = "0123456789abcdef"


def test_a_redis_cache_that_was_never_started_is_empty() -> None:
    from twisted.internet import reactor

    cache = RedisCache(reactor, lambda: 0.0, RedisUrl(Address("127.0.0.1", 1)))
    cache.put(LOG, {"GameStart": Quote(7, b"version 7")})
    cache.drop(LOG, ["GameStart"])
    found: list[Mapping[str, Quote]] = []
    cache.get(LOG, ["GameStart"]).addCallback(found.append)
    assert found == [{}]
