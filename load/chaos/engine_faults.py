"""Faults of the engine's servers: three of PostgreSQL under Patroni, over three members of etcd.

One fault of them at a time: the next one waits until all servers are in the quorum again, as
two dead machines of three rightly stop all trade.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import ParamSpec, TypeVar

from twisted.internet.defer import DeferredLock
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from load.errors import CannotRun, NotInTime
from load.servers.patroni import NUMBERS, TTL_SECONDS, PatroniServers
from twisted_bazaar.runtime.reactor import Reactor

from .fault_types import Action, FaultType, Target, Variant

__all__ = ["EngineFaults"]

T = TypeVar("T")
P = ParamSpec("P")

TENURE_SECONDS = (0.4, 1.0)
SOME_SECONDS = (2.0, 6.0)
PAST_TTL_SECONDS = (TTL_SECONDS + 2.0, TTL_SECONDS + 6.0)
DOWN_SECONDS = (1.0, 3.0)
"""From when the others have gone on until a dead machine is started again."""
SETTLED_SECONDS = 60.0
"""Within this time after a fault all servers are in the quorum again."""
LEAST_SECONDS = 8.0
"""A fault is not begun later before the end; one that lasts past the ttl, `LEAST_LONG_SECONDS`."""
LEAST_LONG_SECONDS = PAST_TTL_SECONDS[1] + 4.0


class EngineFaults:
    """What is done to `servers`."""

    def __init__(
        self, reactor: Reactor, servers: PatroniServers, random: Random, *, can_fill: bool
    ) -> None:
        """`can_fill`: the servers have disks of their own."""
        self.can_fill = can_fill
        self._reactor = reactor
        self._servers = servers
        self._random = random
        self._one = DeferredLock()
        self._primary = 0
        self._victim = 0

    @asynccontextmanager
    async def chosen(self, fault: FaultType, left: float) -> AsyncIterator[Sequence[str]]:
        """While this lasts, no other fault begins. The result has the names of what `inject` will
        harm; empty: it would not end within `left` seconds, or the servers have not recovered
        from another fault."""
        give_up = self._reactor.seconds() + left
        await self._one.acquire()
        try:
            left = give_up - self._reactor.seconds()
            lasts = LEAST_LONG_SECONDS if _is_long(fault) else LEAST_SECONDS
            if left < lasts or not await self.settled(left - lasts):
                yield ()
            else:
                yield await self._choose(fault)
        finally:
            self._one.release()

    async def settled(self, within: float = SETTLED_SECONDS) -> bool:
        """Wait until there is a primary that both others follow; False: not in time."""
        try:
            followers = len(NUMBERS) - 1
            await self._blocking(self._servers.wait_followed, followers, max(0.0, within))
        except NotInTime:
            return False
        return True

    async def _choose(self, fault: FaultType) -> Sequence[str]:
        self._primary = await self._blocking(self._servers.wait_primary)
        match fault.target:
            case Target.ETCD:
                self._victim = self._random.choice(NUMBERS)
                return (f"etcd-{self._victim}",)
            case Target.STANDBY | Target.STANDBY_MACHINE:
                self._victim = self._random.choice([n for n in NUMBERS if n != self._primary])
            case _:
                self._victim = self._primary
        return (f"server-{self._victim}",)

    async def inject(self, fault: FaultType) -> None:
        """Do what was chosen, and return when it is undone."""
        servers, victim = self._servers, self._victim
        try:
            match fault.action, fault.target:
                case Action.SWITCH, _:
                    others = [n for n in NUMBERS if n != victim]
                    await self._blocking(servers.hand_over, self._random.choice(others))
                case Action.FILL, _:
                    await self._for_a_while(SOME_SECONDS, victim, servers.fill, servers.empty)
                case Action.KILL, Target.ETCD:
                    begin, end = servers.kill_etcd, servers.run_etcd
                    await self._for_a_while(SOME_SECONDS, victim, begin, end)
                case Action.KILL, Target.PRIMARY | Target.STANDBY:
                    await self._blocking(servers.kill_postgres, victim)
                    await self._wait(DOWN_SECONDS)
                case Action.KILL, _:
                    await self._kill_machine(victim, alone=fault.variant is Variant.ALONE)
                case _, Target.PRIMARY:
                    pause = servers.pause_postgres
                    await self._for_a_while(SOME_SECONDS, victim, pause, servers.resume)
                case _:
                    span = _SPANS[fault.variant]
                    await self._for_a_while(span, victim, servers.pause, servers.resume)
        except CannotRun:
            # Another fault's end has overtaken this one: the server was down.
            return

    async def _kill_machine(self, victim: int, *, alone: bool) -> None:
        """`alone`: the others are down for a moment before. They are not paused: what was sent to
        them would wait in the kernel."""
        others = [n for n in NUMBERS if alone and n != victim]
        for each in others:
            await self._blocking(self._servers.kill, each)
        try:
            if others:
                await self._wait(TENURE_SECONDS)
            await self._blocking(self._servers.kill, victim)
        finally:
            for each in others:
                await self._blocking(self._servers.run, each)
        try:
            if others:
                # Patroni may promote none, as it cannot know that the primary committed nothing.
                await self._wait(PAST_TTL_SECONDS)
            elif victim == self._primary:
                await self._blocking(self._servers.wait_primary, victim)
            await self._wait(DOWN_SECONDS)
        finally:
            await self._blocking(self._servers.run, victim)

    async def _for_a_while(
        self,
        seconds: tuple[float, float],
        victim: int,
        begin: Callable[[int], None],
        end: Callable[[int], None],
    ) -> None:
        await self._blocking(begin, victim)
        try:
            await self._wait(seconds)
        finally:
            await self._blocking(end, victim)

    async def _wait(self, seconds: tuple[float, float]) -> None:
        await deferLater(self._reactor, self._random.uniform(*seconds))

    def _blocking(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        waits: Awaitable[T] = deferToThread(call, *args, **kwargs)
        return waits


_SPANS = {
    Variant.TENURE: TENURE_SECONDS,
    Variant.SECONDS: SOME_SECONDS,
    Variant.PAST_TTL: PAST_TTL_SECONDS,
}


def _is_long(fault: FaultType) -> bool:
    """Whether the others must wait for the ttl before it can end."""
    dead = fault.action is Action.KILL and fault.target is Target.PRIMARY_MACHINE
    return dead or fault.variant is Variant.PAST_TTL
