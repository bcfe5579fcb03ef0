"""Clients of a bazaar of several partitions, and operators that move its stocks."""

from typing import Any

from twisted_bazaar.market import Move, Repriced

from .clients import PRICES, Client, once
from .engine_frontends import RoutedFrontend
from .operators import TRADED, Operator

__all__ = ["Mover", "PartitionedClient"]


class PartitionedClient(Client):
    """A client, whose numbers of orders name a partition as well."""

    def _read(self, frontend: Any) -> None:
        truth, random = self._truth, self.world.random
        every: Any = truth.acknowledged_number
        partition = random.randrange(len(every))
        last = every[partition]
        number = random.choice((last or 1, last or 1, last + 1, random.randint(1, last + 2)))
        self.waiting += 1

        def answered(found: Any) -> None:
            self.waiting -= 1
            if not isinstance(found, Exception):
                truth.read((partition, number), found, last)  # type: ignore[arg-type]
            self._next()

        guarded = self.in_this_life(once(answered))
        self.later(2.0, guarded, Exception("no answer"))
        frontend.in_this_life(frontend.get_order)((partition, number), guarded)


class Mover(Operator):
    """Moves stocks from partition to partition, again and again."""

    def _act(self) -> None:
        frontend: Any = self.world.random.choice(self._frontends)
        assert isinstance(frontend, RoutedFrontend)
        if self._retiring:
            self.done = True
            return
        if frontend.alive and not frontend.paused:
            random, number = self.world.random, next(self._numbers)
            stock = random.choice(TRADED)
            partition = random.randrange(len(frontend.lanes))
            change: Any = Move(stock, partition)
            if random.random() < 0.2:
                change = Repriced(stock, PRICES[stock] + number * random.choice((-1, 1)))
            frontend.operate(change, lambda outcome: None)
        self._next()
