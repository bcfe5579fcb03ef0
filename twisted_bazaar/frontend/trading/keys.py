"""Idempotency keys for trades whose clients sent none."""

import itertools
from random import Random

__all__ = ["FreshKeys"]

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


class FreshKeys:
    """Each call returns a key that no other call returns, in this process or another.

    A key is `<process>-<counter>-<guard>`. The counter makes keys grow, so that an index of them is
    written at its end. A client that learns a key, as one does whose trade's outcome is unknown,
    learns process and counter; the random guard keeps it from guessing, and using, later keys.
    """

    def __init__(self, random: Random) -> None:
        """`random` must be a `SystemRandom` where clients are not trusted."""
        self._random = random
        self._process = "".join(random.choices(_ALPHABET, k=10))
        self._counter = itertools.count(1)

    def __call__(self) -> str:
        guard = self._random.getrandbits(48)
        return f"{self._process}-{next(self._counter):08x}-{guard:012x}"
