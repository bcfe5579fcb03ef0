"""What a front-end keeps in Redis, and that it was a front-end who put it there. Pure.

    bazaar:2:<place>:<history>:<stock>    <version> <seal><body>

The seal is a keyed hash of key, version and body. So who can write to the Redis, but does not have
the cluster's secret, can make nothing that is believed: no price of his own, and no quote of
another stock, log or bazaar in this one's place. What he can do is to take things away, and to put
back what was there before; neither makes an answer untrue. Front-ends with another secret have a
place of their own, so that they do not overwrite each other's.
"""

import hmac
from collections.abc import Collection
from hashlib import blake2b

from .quotes import Quote

__all__ = ["MAX_VERSION_DIGITS", "PREFIX", "RedisValues"]

MAX_VERSION_DIGITS = 15
"""Lua counts in doubles, which are exact so far."""
PREFIX = b"bazaar:2:"
"""The number is that of the format: another version of this program may show stocks otherwise."""

_SEAL_BYTES = 16


class RedisValues:
    """The values of all front-ends with this `secret`."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"values in Redis", "sha256")
        place = hmac.digest(secret, b"place in Redis", "sha256")[:6].hex()
        self._place = b"%b%b:" % (PREFIX, place.encode())

    def keys(self, history: str, names: Collection[str]) -> list[bytes]:
        """Where the quotes of these stocks are."""
        # A colon in the name of a log would let two logs share a key.
        history = history.replace("%", "%25").replace(":", "%3A")
        prefix = b"%b%b:" % (self._place, history.encode("utf-8", "surrogatepass"))
        return [prefix + name.encode("utf-8", "surrogatepass") for name in names]

    def value(self, key: bytes, quote: Quote) -> bytes:
        """What to keep at `key`."""
        seal = self._seal(key, b"%d" % quote.version, quote.body)
        return b"%d %b%b" % (quote.version, seal, quote.body)

    def quote(self, key: bytes, value: object) -> Quote | None:
        """What `value` made of it; None: this is not what anybody of ours put at `key`."""
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
        # Their lengths go in, so that the three have one reading only.
        said = b"%d %d %b%b%b" % (len(key), len(version), key, version, body)
        return blake2b(said, digest_size=_SEAL_BYTES, key=self._key).digest()
