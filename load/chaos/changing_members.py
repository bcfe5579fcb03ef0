"""An operator who adds replicas, replaces and removes them, while clients trade and faults are
injected.

It runs `python -m twisted_bazaar members` as a person does. A command that fails, as its front-end
or the leader was killed, is given again, or another one in its place: each looks first at what is
so. In the end the bazaar has the replicas that it began with.
"""

import sys
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from random import Random

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from load.bazaar.local import LocalFleet
from load.bazaar.processes import Process, last_message
from load.history.records import Fault, History
from load.report.outputs import Tell
from twisted_bazaar.runtime.reactor import Reactor

from .fault_types import Action

__all__ = ["MEMBERS", "MembersOperator"]

MEMBERS = "change members"
"""What `--only` goes by."""

PAUSE_SECONDS = (0.5, 2.5)
"""Between two changes, at least and at most."""
STEP_SECONDS = 15.0
"""How long a command waits for a step. One that gives up is given again."""
ANSWER_SECONDS = 2 * STEP_SECONDS + 25.0
"""More than a command takes: two steps, and a front-end that does not answer."""
MOST_ADDED = 2
"""Beside those that the bazaar began with."""
TRIES = 10
"""How often one is removed in the end, until that succeeds."""
LEFT_SECONDS = 15.0
"""A replica that was removed ends by itself within this time."""


class MembersOperator:
    """Changes the replicas of `fleet`, one change after the other, until `stop`."""

    def __init__(
        self,
        reactor: Reactor,
        seconds: Callable[[], float],
        fleet: LocalFleet,
        log: Path,
        history: History,
        tell: Tell,
        random: Random,
    ) -> None:
        """The output of the tool is appended to the file `log`."""
        self._reactor = reactor
        self._seconds = seconds
        self._fleet = fleet
        self._log = log
        self._history = history
        self._tell = tell
        self._random = random
        first = max(int(name.removeprefix("order-")) for name in fleet.replica_names())
        self._ids = count(first + 1)
        self._added: list[int] = []
        self._came: set[int] = set()
        """Those that certainly were members."""
        self._stopping = False
        self._running: Deferred[None] | None = None
        self.problems: list[str] = []
        """What went wrong that no fault explains."""
        self.done = 0
        """How many changes succeeded."""

    def start(self) -> None:
        self._running = Deferred.fromCoroutine(self._run())

    async def stop(self) -> None:
        """Return once the replicas are those of the beginning."""
        self._stopping = True
        if self._running is not None:
            await self._running
        for member in [*self._added]:
            for _ in range(TRIES):
                if await self._remove(member):
                    break
            else:
                said = last_message(self._log)
                self.problems.append(f"replica {member} cannot be removed: {said}")

    async def _run(self) -> None:
        while not self._stopping:
            await deferLater(self._reactor, self._random.uniform(*PAUSE_SECONDS))
            if not self._stopping:
                await self._change()

    async def _change(self) -> None:
        drawn = self._random.random()
        if not self._added or (len(self._added) < MOST_ADDED and drawn < 0.3):
            member = self._launch()
            if await self._do("add a replica", [member], "add", str(member), self._at(member)):
                self._came.add(member)
        elif drawn < 0.6:
            old, new = self._random.choice(self._added), self._launch()
            words = "replace", str(old), str(new), self._at(new)
            if await self._do("replace a replica", [old, new], *words):
                self._came.add(new)
                await self._gone(old)
        else:
            await self._remove(self._random.choice(self._added))

    def _launch(self) -> int:
        """Start a new replica, which is to join."""
        member = next(self._ids)
        self._fleet.join(member)
        self._added.append(member)
        return member

    def _at(self, member: int) -> str:
        return self._fleet.address_of(member)

    async def _remove(self, member: int) -> bool:
        done = await self._do("remove a replica", [member], "remove", str(member))
        if done:
            await self._gone(member)
        return done

    async def _gone(self, member: int) -> None:
        """A replica was removed: it ends by itself, if it knows that it was a member."""
        self._added.remove(member)
        came = member in self._came
        left = await self._fleet.leave(member, LEFT_SECONDS if came else 0.0)
        if not left and came and not self._was_emptied(member):
            self.problems.append(f"replica {member} was removed, and does not end")

    def _was_emptied(self, member: int) -> bool:
        """Whether its folder was. Then it waits to be added, like a new one."""
        return any(
            isinstance(each, Fault)
            and each.what.startswith(Action.EMPTY_FOLDER)
            and f"order-{member}" in each.names
            for each in self._history.records
        )

    async def _do(self, what: str, members: Sequence[int], *words: str) -> bool:
        """Give one command, and record it. Returns whether it was done."""
        names = tuple(f"order-{member}" for member in members)
        self._tell(f"{what} ({', '.join(names)})")
        tool = [sys.executable, "-Pm", "twisted_bazaar", "members", *words]
        options = [f"--data={self._fleet.data}", f"--timeout={STEP_SECONDS:.0f}"]
        process = Process(self._reactor, [*tool, *options], self._log)
        began = self._seconds()
        process.start()
        await process.wait(ANSWER_SECONDS)
        await process.end()
        ended = self._seconds()
        self._history.add(Fault(what=what, names=names, began=began, ended=ended, is_wanted=True))
        self.done += process.status == 0
        return process.status == 0
