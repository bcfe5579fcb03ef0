"""An operator who changes prices, halts trading and resumes it now and then, while clients trade;
and one who moves stocks between partitions, and says who leads which.

It runs `python -m twisted_bazaar market` and `… partitions` as a person does, and records each
operation on a stock: the checker knows from that what prices and halts clients may be shown.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from load.bazaar.processes import Process, last_message
from load.history.records import Change, History
from twisted_bazaar.runtime.reactor import Reactor

__all__ = ["Operator"]

PAUSE_SECONDS = (1.0, 3.0)
"""Between two operations, at least and at most."""
SHORT_PAUSE_SECONDS = (0.1, 1.0)
"""The same with partitions."""
ANSWER_SECONDS = 20.0
"""More than a front-end takes."""
TRIES = 20
"""How often trading is resumed in the end, until that succeeds."""


class Operation(msgspec.Struct, frozen=True):
    """What is asked of a tool."""

    words: tuple[str, ...]
    name: str = ""
    """Of the stock; empty: it is not about one."""
    price: float | None = None
    halted: bool | None = None
    partition: int | None = None


class Operator:
    """Operates a bazaar on this machine, one operation after the other, until `stop`."""

    def __init__(
        self,
        reactor: Reactor,
        seconds: Callable[[], float],
        data: Path,
        log: Path,
        prices: Mapping[str, float],
        history: History,
        seed: str,
        *,
        partitions: int = 1,
        members: Sequence[int] = (),
    ) -> None:
        """`data` is the folder of the bazaar; `prices` are those of its stocks now; the output of
        the tool is appended to the file `log`. With several `partitions` these are what it
        operates, and nothing else; `members` are the ids of the order processes."""
        self._reactor = reactor
        self._seconds = seconds
        self._data = data
        self._log = log
        self._prices = prices
        self._history = history
        self._random = Random(seed)
        self._partitions = partitions
        self._members = members
        self._halted: set[str] = set()
        """Those that may be halted."""
        self._stopping = False
        self._running: Deferred[None] | None = None

    def start(self) -> None:
        self._running = Deferred.fromCoroutine(self._run())

    async def stop(self) -> None:
        """Return once all stocks are traded again."""
        self._stopping = True
        if self._running is not None:
            await self._running

    async def _run(self) -> None:
        while not self._stopping:
            await self._operate(self._drawn())
            span = SHORT_PAUSE_SECONDS if self._partitions > 1 else PAUSE_SECONDS
            pause = self._random.uniform(*span)
            await deferLater(self._reactor, pause)
        for name in sorted(self._halted):
            for _ in range(TRIES):
                if await self._operate(self._resume(name)):
                    break
                await deferLater(self._reactor, PAUSE_SECONDS[0])

    def _drawn(self) -> Operation:
        random = self._random
        if self._partitions > 1:
            return self._of_partitions()
        if self._halted and random.random() < 0.6:
            return self._resume(random.choice(sorted(self._halted)))
        name = random.choice(sorted(self._prices))
        if random.random() < 0.3:
            return Operation(("market", "halt", name), name, halted=True)
        price = max(1, round(100 * self._prices[name]) + random.randint(-50, 50)) / 100
        return Operation(("market", "price", name, f"{price:.2f}"), name, price=price)

    def _of_partitions(self) -> Operation:
        random = self._random
        partition = random.randrange(self._partitions)
        if random.random() < 0.6:
            name = random.choice(sorted(self._prices))
            words = "partitions", "move", name, str(partition)
            return Operation(words, name, partition=partition)
        # Without one: the usual one is to lead it.
        member = random.choice((*map(str, self._members), None))
        return Operation(tuple(filter(None, ("partitions", "lead", str(partition), member))))

    def _resume(self, name: str) -> Operation:
        return Operation(("market", "resume", name), name, halted=False)

    async def _operate(self, what: Operation) -> bool:
        """Do one operation, and record it. Returns whether it was done for certain."""
        if what.halted:
            self._halted.add(what.name)
        tool = [sys.executable, "-Pm", "twisted_bazaar", *what.words, f"--data={self._data}"]
        process = Process(self._reactor, tool, self._log)
        sent = self._seconds()
        process.start()
        await process.wait(ANSWER_SECONDS)
        await process.end()
        done = process.status == 0
        if not what.name:
            return done
        # Of one that failed only its line says why: the checker takes it for one that may have
        # been done.
        self._history.add(
            Change(
                client=0,
                sent=sent,
                ended=self._seconds(),
                status=200 if done else 0,
                message="" if done else last_message(self._log),
                name=what.name,
                price=what.price,
                halted=what.halted,
                partition=what.partition,
            )
        )
        if done and what.halted is False:
            self._halted.discard(what.name)
        return done
