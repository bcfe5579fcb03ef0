"""Prices and times as clients read them. Pure."""

from datetime import UTC, datetime
from functools import lru_cache

__all__ = ["price_text", "time_text"]


def price_text(cents: int) -> str:
    """A price or a sum, as an exact decimal of two digits."""
    return f"{cents // 100}.{cents % 100:02d}"


def time_text(milliseconds: int) -> str:
    """A time since 1970, as RFC 3339 has it, in UTC."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_to_the_second(seconds)}.{rest:03d}Z"


@lru_cache(256)
def _to_the_second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
