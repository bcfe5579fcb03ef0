"""Maps values to positions on a drawing, and finds round numbers to mark. Pure."""

from math import ceil, floor, log10

__all__ = ["TICKS", "Scale", "step_of"]

TICKS = 5
"""About how many marks a linear scale has."""


class Scale:
    """Maps the values from `low` to `high` to the positions from `begin` to `end`."""

    def __init__(
        self, low: float, high: float, begin: float, end: float, *, logarithmic: bool = False
    ) -> None:
        self._logarithmic = logarithmic
        self._low, self._high = (log10(low), log10(high)) if logarithmic else (low, high)
        self._begin, self._end = begin, end
        self.least, self.most = low, high

    def at(self, value: float) -> float:
        """The position of `value`; of one off the scale, the nearer end."""
        value = min(max(value, self.least), self.most)
        place = log10(value) if self._logarithmic else value
        share = (place - self._low) / (self._high - self._low)
        return self._begin + share * (self._end - self._begin)

    def ticks(self) -> list[float]:
        """The values to mark."""
        if self._logarithmic:
            return _decades(self.least, self.most)
        step = step_of((self.most - self.least) / TICKS)
        first = ceil(self.least / step - 1e-9)
        return [n * step for n in range(first, floor(self.most / step + 1e-9) + 1)]


def step_of(about: float) -> float:
    """A round step: 1, 2 or 5 times a power of ten, not less than `about`."""
    power = 10.0 ** floor(log10(about))
    return next(power * n for n in (1, 2, 5, 10) if power * n >= about * (1 - 1e-9))


def _decades(low: float, high: float) -> list[float]:
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    several = (1, 2, 5) if high / low <= 100 else (1,)
    ticks = [n * 10.0**power for power in powers for n in several]
    return [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
