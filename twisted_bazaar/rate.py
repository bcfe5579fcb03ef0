"""How many requests a client may make. Pure."""

import re
from decimal import Decimal

import attrs

__all__ = ["MAX_RATE", "Rate", "read_rate"]

MAX_RATE = 1_000_000
"""A second. Also the most that a client may make at once."""

_RATE = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,3})?)(?:/s)?")


@attrs.frozen
class Rate:
    """So many requests in the long run, and so many at once."""

    thousandths: int
    """A thousand times the requests a second: from 1 to 1000 * `MAX_RATE`."""
    burst: int
    """Requests that may be made at once, from 1."""

    @classmethod
    def of(cls, per_second: float | Decimal, burst: int | None = None) -> "Rate":
        """The rate of `per_second`, to a thousandth. Without `burst`, it is what comes in a second.

        Raises ValueError if either is out of range.
        """
        # What is no number is in no range.
        is_near = 0 < per_second <= MAX_RATE
        thousandths = round(Decimal(str(per_second)) * 1000) if is_near else 0
        if not thousandths:
            raise ValueError(f"must be from 0.001 to {MAX_RATE} a second, not {per_second}")
        if burst is None:
            burst = max(1, -(-thousandths // 1000))
        if not 1 <= burst <= MAX_RATE:
            raise ValueError(f"must be from 1 to {MAX_RATE} at once, not {burst}")
        return cls(thousandths, burst)

    @property
    def per_second(self) -> Decimal:
        """Requests in the long run."""
        return Decimal(self.thousandths) / 1000

    @property
    def is_usual(self) -> bool:
        """Whether `burst` is what comes in a second."""
        return self == Rate.of(self.per_second)


def read_rate(text: str) -> Decimal:
    """Requests a second, as `50`, `50/s` or `0.5/s`. Raises ValueError."""
    matched = _RATE.fullmatch(text.strip())
    if matched is None or not 0 < Decimal(matched[1]) <= MAX_RATE:
        raise ValueError(
            f"must be a number of requests a second, from 0.001 to {MAX_RATE}, not {text!r}"
        )
    return Decimal(matched[1])
