"""Operators: they change prices, halt and resume trading, and list stocks, and check what they are
told."""

from collections.abc import Iterator, Sequence
from itertools import count

from twisted_bazaar.errors import BazaarError, ChangeRefused, NotExecuted
from twisted_bazaar.market import (
    DEFAULT_LISTING,
    Change,
    Halted,
    Listed,
    Listing,
    Repriced,
    Resumed,
)

from .clients import PRICES, once
from .frontends import FrontendMember
from .members import TIMING
from .truth import Truth
from .world import Process, World

__all__ = ["Operator", "operators_of"]

TRADED = tuple(listing.name for listing in DEFAULT_LISTING[:3])


class Operator(Process):
    """An operator of the bazaar."""

    def __init__(
        self,
        world: World,
        name: str,
        frontends: Sequence[FrontendMember],
        truth: Truth,
        numbers: Iterator[int],
    ) -> None:
        """`numbers` are shared by all operators: no two of them ask for the same price."""
        super().__init__(world, name)
        self._frontends = frontends
        self._truth = truth
        self._numbers = numbers
        self._retiring = False
        self.done = False
        """It has seen to it that all stocks are traded, and does nothing more."""

    def started(self) -> None:
        self._next()

    def retire(self) -> None:
        """Resume all trading, and do nothing more."""
        self._retiring = True

    def _next(self) -> None:
        seconds = 0.05 if self._retiring else self.world.random.expovariate(1 / 0.25)
        self.later(seconds, self._act)

    def _act(self) -> None:
        frontend = self.world.random.choice(self._frontends)
        if not frontend.alive or frontend.paused:
            self._next()
        else:
            self.ask(frontend, Resumed(()) if self._retiring else self._change())

    def _change(self) -> Change:
        random, number = self.world.random, next(self._numbers)
        name, kind = random.choice(TRADED), random.random()
        if kind < 0.5:
            return Repriced(name, PRICES[name] + number * random.choice((-1, 1)))
        if kind < 0.65:
            return Halted(random.choice(((), (name,), TRADED[:2])))
        if kind < 0.9:
            return Resumed(random.choice(((), (), (name,))))
        if kind < 0.95:
            return Repriced("Nobody", 100 + number)
        listed = random.choice((f"new-{number}", f"new-{number}", name))
        return Listed((Listing(listed, 100 + number, 10),))

    def ask(self, frontend: FrontendMember, change: Change) -> None:
        """Ask `frontend` for `change`, and check what comes of it."""
        truth, retiring = self._truth, self._retiring
        since, cuts = truth.acknowledged_index, truth.cuts

        def answered(outcome: int | BazaarError) -> None:
            if cuts != truth.cuts:
                pass
            elif isinstance(outcome, int):
                truth.changed(change, outcome, since)
                self.done = retiring
            elif isinstance(outcome, ChangeRefused):
                truth.change_refused(change, outcome.refusal, since)
            elif isinstance(outcome, NotExecuted):
                truth.not_changed(change)
            if not self.done:
                self._next()

        guarded = self.in_this_life(once(answered))
        # A front-end that dies takes its connections with it.
        self.later(TIMING.deadline + 1, guarded, BazaarError("no answer"))
        frontend.in_this_life(frontend.operate)(change, guarded)


def operators_of(
    world: World, number: int, frontends: Sequence[FrontendMember], truth: Truth
) -> list[Operator]:
    """So many operators of one bazaar."""
    prices = count(1)
    return [
        Operator(world, f"operator-{each}", frontends, truth, prices)
        for each in range(1, number + 1)
    ]
