"""Keys and values in Redis, with a proof that a front-end wrote them. Pure.

    bazaar:3:<place>:<history>:<stock>    <version> <seal><body>

The seal is a hash of key, version and body, keyed by the cluster's secret. A process that can write
to the Redis and lacks the secret can neither forge a quote nor move one to another stock, log or
bazaar. It can delete values and restore old ones, which makes no answer stale (see `floors`). The
place follows from the secret, so that front-ends with different secrets share no keys.
"""

import hmac
from collections.abc import Collection
from hashlib import blake2b

from .quotes import Quote

__all__ = ["MAX_VERSION_DIGITS", "PREFIX", "RedisValues"]

MAX_VERSION_DIGITS = 15
"""Lua counts in doubles, which are exact up to there."""
PREFIX = b"bazaar:3:"
"""The number is that of the format, which includes how bodies show stocks."""

_SEAL_BYTES = 16


class RedisValues:
    """Keys and values of the front-ends with this `secret`."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"values in Redis", "sha256")
        place = hmac.digest(secret, b"place in Redis", "sha256")[:6].hex()
        self._place = b"%b%b:" % (PREFIX, place.encode())

    def keys(self, history: str, names: Collection[str]) -> list[bytes]:
        """The keys of these stocks."""
        # Escaped: a colon in the name of a log would let two logs share a key.
        history = history.replace("%", "%25").replace(":", "%3A")
        prefix = b"%b%b:" % (self._place, history.encode("utf-8", "surrogatepass"))
        return [prefix + name.encode("utf-8", "surrogatepass") for name in names]

    def value(self, key: bytes, quote: Quote) -> bytes:
        """The value to write at `key`."""
        seal = self._seal(key, b"%d" % quote.version, quote.body)
        return b"%d %b%b" % (quote.version, seal, quote.body)

    def quote(self, key: bytes, value: object) -> Quote | None:
        """The quote in `value`; None: no front-end with this secret wrote it at `key`."""
        if not isinstance(value, bytes):
            return None
        version, _, rest = value.partition(b" ")
        if not (version.isdigit() and len(version) <= MAX_VERSION_DIGITS):
            return None
        seal, body = rest[:_SEAL_BYTES], rest[_SEAL_BYTES:]
        if not (body and hmac.compare_digest(seal, self._seal(key, version, body))):
            return None
        return Quote(int(version), body)

    def _seal(self, key: bytes, version: bytes, body: bytes) -> bytes:
        # With their lengths, so that the three fields cannot be split otherwise.
        said = b"%d %d %b%b%b" % (len(key), len(version), key, version, body)
        return blake2b(said, digest_size=_SEAL_BYTES, key=self._key).digest()
