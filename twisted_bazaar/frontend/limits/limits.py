"""Which bucket a request takes from. Pure.

A client that shows its API key has a bucket of its own, if its rate is limited. All others have one
for each address: those without an API key, or with a wrong one, and all where there are no clients.
"""

from twisted_bazaar.access import Client
from twisted_bazaar.rate import Rate

from .bucket import Left, TokenBucket

__all__ = ["MAX_ADDRESSES", "MAX_CLIENTS", "Limits"]

MAX_ADDRESSES = 10_000
"""Whose buckets are kept. The bucket that was used longest ago makes way for a new one, so an
address beyond them is less limited, and never more."""
MAX_CLIENTS = 10_000


class _Buckets:
    """The buckets that were used last, by their owner."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._buckets: dict[str, TokenBucket] = {}

    def of(self, owner: str, rate: Rate, now: int) -> TokenBucket:
        """The bucket of `owner`, which has this rate from now on."""
        bucket = self._buckets.pop(owner, None)
        if bucket is None:
            if len(self._buckets) >= self._most:
                del self._buckets[next(iter(self._buckets))]
            bucket = TokenBucket(rate, now)
        elif bucket.rate is not rate and bucket.rate != rate:
            bucket.change(rate, now)
        # The last in order is the one that was used last.
        self._buckets[owner] = bucket
        return bucket

    def __len__(self) -> int:
        return len(self._buckets)


class Limits:
    """The buckets of all clients of one front-end. `now` is nanoseconds on a clock that never goes
    back."""

    def __init__(self, each_address: Rate | None = None) -> None:
        """`each_address` limits those who show no API key; None: they are not limited."""
        self._each_address = each_address
        self._addresses = _Buckets(MAX_ADDRESSES)
        self._clients = _Buckets(MAX_CLIENTS)

    def take(
        self, client: Client, address: str, count: int, now: int, taken: int = 0
    ) -> Left | None:
        """Take `count` tokens for a request of `client` from `address`; None: it is not limited.
        `taken` are those that the same request has taken before."""
        if client.name:
            if client.rate is None:
                return None
            bucket = self._clients.of(client.name, client.rate, now)
        elif self._each_address is None:
            return None
        else:
            bucket = self._addresses.of(address, self._each_address, now)
        return bucket.take(count, now, taken)
