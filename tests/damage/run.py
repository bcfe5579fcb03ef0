"""Runs cases: a folder at some moment of a replica's life, one kind of damage, one verdict."""

import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from random import Random

from .judge import Lost, check_set_aside, open_index, open_log, put
from .kinds import INDEX_KINDS, KINDS, SIDECAR_KINDS, Kind, Life
from .moments import Moment, index_of, moments, scratch, without_waiting

__all__ = ["INDEX_EVERY", "Case", "Tally", "run"]

CASES_OF_A_LIFE = 100
INDEX_EVERY = 20
"""Every so many cases it is the index that is damaged, which takes longer."""
AGAIN_SHARE = 0.1

Tally = dict[str, Counter[str]]
"""For each kind of damage, how often it had which verdict."""


@lru_cache(maxsize=2)
def _life(seed: int, number: int) -> list[Moment]:
    return moments(Random(f"{seed} {number}"))


@lru_cache(maxsize=2)
def _indexed(seed: int, number: int) -> list[Moment]:
    """Two moments of a life, each with an index of some of its entries."""
    trusted = [moment for moment in _life(seed, number) if not moment.suspect]
    first, last = trusted[0], trusted[-1]
    random = Random(f"{seed} {number} index")
    upto = random.randint(len(first.entries) + 1, max(3, len(last.entries)))
    before = random.randint(len(first.entries), upto)
    closed = random.random() < 0.5
    return [
        moment._replace(files=moment.files | index_of(last, entries, closed))
        for moment, entries in ((first, before), (last, upto))
    ]


class Case:
    """Everything about a case follows from its seed and number."""

    def __init__(self, seed: int, number: int) -> None:
        random = Random(f"{seed} case {number}")
        self.seed, self.number = seed, number
        self.of_index = number % INDEX_EVERY == INDEX_EVERY - 1
        life: Life
        if self.of_index:
            life = _indexed(seed, number // CASES_OF_A_LIFE)
        else:
            whole = _life(seed, number // CASES_OF_A_LIFE)
            life = whole[: random.randint(1, len(whole))]
        self.moment = life[-1]
        self.kind: Kind = random.choice(INDEX_KINDS if self.of_index else KINDS)
        self.files = dict(self.moment.files)
        self.kind(self.files, life, random)
        self._log_folder = random.random() < 0.5
        self._again = random.random() < AGAIN_SHARE

    def verdict(self, folder: Path) -> str:
        """Open the damaged files in an empty folder. Raises `Lost`, saying how to repeat it."""
        put(folder, self.files, self._log_folder)
        try:
            if self.of_index:
                return open_index(folder, self.moment).verdict
            opened = open_log(folder, self.moment, self._again)
            harmless = self.kind in SIDECAR_KINDS and not self.moment.suspect
            if harmless and opened.verdict != "whole":
                raise Lost(f"only a sidecar was damaged, and the log is {opened}")
            if self._again:
                check_set_aside(folder, self.files, opened)
            return opened.verdict
        except Lost as error:
            raise Lost(
                f"{self.kind.__name__}: {error}\nrepeat it with: python -m tests.damage"
                f" --seed {self.seed} --case {self.number}"
            ) from None


def run(seed: int, numbers: Iterable[int]) -> Tally:
    """Judge the cases with these `numbers`. Raises `Lost` at the first that loses something."""
    tally: Tally = defaultdict(Counter)
    with scratch() as folder, without_waiting():
        for number in numbers:
            case = Case(seed, number)
            place = folder / str(number)
            place.mkdir()
            tally[case.kind.__name__][case.verdict(place)] += 1
            shutil.rmtree(place)
    return tally
