"""Idempotency keys for trades whose clients sent none."""

import itertools
from random import Random

__all__ = ["FreshKeys"]

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


class FreshKeys:
    """Each call makes a key that no other call makes, here or in any other process.

    A key is `<process>-<counter>-<guard>`. The counter makes keys grow, so that an index of
    them is written at its end. A client may learn a key (it is told the one whose outcome is
    unknown) and so the process and the counter; the random guard keeps it from guessing the
    keys that come next, and from using them up.
    """

    def __init__(self, random: Random) -> None:
        """`random` should be a `SystemRandom` wherever clients are not all friends."""
        self._random = random
        self._process = "".join(random.choices(_ALPHABET, k=10))
        self._counter = itertools.count(1)

    def __call__(self) -> str:
        guard = self._random.getrandbits(48)
        return f"{self._process}-{next(self._counter):08x}-{guard:012x}"
