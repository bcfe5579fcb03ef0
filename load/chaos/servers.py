"""The servers of a stage's engine, where the stage starts them."""

from random import Random
from typing import Self

from twisted.internet.threads import deferToThread

from load.errors import CannotRun, NotInTime
from load.servers.patroni import NUMBERS, PatroniServers
from twisted_bazaar.runtime.reactor import Reactor

from .engine_faults import SETTLED_SECONDS, EngineFaults

__all__ = ["PATRONI", "Servers"]

PATRONI = "patroni"
"""In place of the URL of an engine: three servers that are started here."""

DATABASE = "trial"
DISK_MEGABYTES = 3000
"""More than WAL may take. It is memory, of which only what is used is taken."""


class Servers:
    """Three servers under Patroni, with an empty database."""

    def __init__(self, servers: PatroniServers, url: str, can_fill: bool) -> None:
        self._servers = servers
        self.url = url
        self._can_fill = can_fill

    @classmethod
    async def start(cls) -> Self:
        """Return once they are in the quorum. Raises `CannotRun` where that cannot be done."""
        started: Self = await deferToThread(cls._start)
        return started

    @classmethod
    def _start(cls) -> Self:
        try:
            servers, can_fill = PatroniServers(disk_megabytes=DISK_MEGABYTES), True
        except CannotRun:
            # If it is not for want of disks, that is said now.
            servers, can_fill = PatroniServers(), False
        try:
            servers.start()
            return cls(servers, servers.database(DATABASE), can_fill)
        except NotInTime as why:
            raise CannotRun(str(why).partition("\n")[0]) from None

    def faults(self, reactor: Reactor, random: Random) -> EngineFaults:
        return EngineFaults(reactor, self._servers, random, can_fill=self._can_fill)

    async def settle(self) -> None:
        """Return once all servers are in the quorum. Raises `NotInTime`."""
        await deferToThread(self._servers.wait_followed, len(NUMBERS) - 1, SETTLED_SECONDS)

    async def stop(self) -> None:
        """End them, and remove their files."""
        await deferToThread(self._servers.stop)
