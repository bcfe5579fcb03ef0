"""An operator who changes prices, halts trading and resumes it now and then, while clients trade.

It runs `python -m twisted_bazaar market` as a person does, and records each operation: the checker
knows from that what prices and halts clients may be shown.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from load.bazaar.processes import Process, last_message
from load.history.records import Change, History
from twisted_bazaar.runtime.reactor import Reactor

__all__ = ["Operator"]

PAUSE_SECONDS = (1.0, 3.0)
"""Between two operations, at least and at most."""
ANSWER_SECONDS = 20.0
"""More than a front-end takes."""
TRIES = 20
"""How often trading is resumed in the end, until that succeeds."""


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
    ) -> None:
        """`data` is the folder of the bazaar; `prices` are those of its stocks now; the output of
        the tool is appended to the file `log`."""
        self._reactor = reactor
        self._seconds = seconds
        self._data = data
        self._log = log
        self._prices = prices
        self._history = history
        self._random = Random(seed)
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
            pause = self._random.uniform(*PAUSE_SECONDS)
            await deferLater(self._reactor, pause)
        for name in sorted(self._halted):
            for _ in range(TRIES):
                if await self._operate(self._resume(name)):
                    break
                await deferLater(self._reactor, PAUSE_SECONDS[0])

    def _drawn(self) -> tuple[str, float | None, bool | None]:
        """A stock, and its new price, or whether it is halted from now on."""
        random = self._random
        if self._halted and random.random() < 0.6:
            return self._resume(random.choice(sorted(self._halted)))
        name = random.choice(sorted(self._prices))
        if random.random() < 0.3:
            return name, None, True
        cents = round(100 * self._prices[name]) + random.randint(-50, 50)
        return name, max(1, cents) / 100, None

    def _resume(self, name: str) -> tuple[str, None, bool]:
        return name, None, False

    async def _operate(self, what: tuple[str, float | None, bool | None]) -> bool:
        """Do one operation, and record it. Returns whether it was done for certain."""
        name, price, halted = what
        if halted:
            self._halted.add(name)
        words = (
            ["price", name, f"{price:.2f}"]
            if price is not None
            else [
                "halt" if halted else "resume",
                name,
            ]
        )
        tool = [sys.executable, "-Pm", "twisted_bazaar", "market", *words, f"--data={self._data}"]
        process = Process(self._reactor, tool, self._log)
        sent = self._seconds()
        process.start()
        await process.wait(ANSWER_SECONDS)
        await process.end()
        done = process.status == 0
        # Of one that failed only its line says why: the checker takes it for one that may have
        # been done.
        self._history.add(
            Change(
                client=0,
                sent=sent,
                ended=self._seconds(),
                status=200 if done else 0,
                message="" if done else last_message(self._log),
                name=name,
                price=price,
                halted=halted,
            )
        )
        if done and halted is False:
            self._halted.discard(name)
        return done
