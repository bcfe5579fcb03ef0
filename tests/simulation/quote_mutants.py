"""Deliberate faults in the quotes that pushes carry (see `mutants`)."""

from typing import Any

import msgspec

from twisted_bazaar.catalog.publisher import Publisher
from twisted_bazaar.frontend.cache.floors import Floors

from .mutants import mutant

__all__: list[str] = []


@mutant(Publisher, "_release")
def a_quote_is_pushed_before_its_release(original: Any, self: Any, now: float) -> None:
    self._subscribers.released(self._unreleased, now)
    original(self, now)


@mutant(Floors, "push")
def a_pushed_quote_is_shown_whatever_its_floor(
    original: Any, self: Any, push: Any, now: float
) -> Any:
    reply = original(self, push, now)
    if push.life == self.life:
        self._floors.update({each.name: each.version for each in push.quotes})
    return reply


@mutant(Floors, "worth_keeping")
def a_pushed_quote_counts_as_of_its_push(original: Any, self: Any, push: Any, now: float) -> Any:
    kept = original(self, push, now)
    return [msgspec.structs.replace(each, version=push.upto) for each in kept]
