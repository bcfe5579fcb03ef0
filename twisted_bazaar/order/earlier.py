"""Fetches for the archive of a replica what is before its log, once it has taken a snapshot.

Until all of it is here, this replica cannot answer for these orders; front-ends ask another one.
The digests of what comes are checked: they must lead to the entry that the log begins after.
"""

from collections.abc import Sequence

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.consensus.far_behind import Earlier, EarlierReply
from twisted_bazaar.consensus.replica import Replica
from twisted_bazaar.errors import BazaarError, Unavailable
from twisted_bazaar.rpc.frames.exchanges import Blocking
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.storage.archive import Archive
from twisted_bazaar.storage.logfile import LogFile

from .peers import Peers

__all__ = ["Fetcher"]

_LOOK_SECONDS = 1.0
_FILE_BYTES = 8 << 20
"""Bytes of records in one archived file."""


class Fetcher(Service):
    """Fetches while anything is missing, and stops then."""

    log = Logger()

    def __init__(
        self,
        reactor: Reactor,
        replica: Replica,
        peers: Peers,
        logfile: LogFile,
        archive: Archive,
        blocking: Blocking,
    ) -> None:
        self._replica = replica
        self._peers = peers
        self._logfile = logfile
        self._archive = archive
        self._blocking = blocking
        self._asked = 0
        """How many times another peer was tried."""
        self._said = ""
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor

    def startService(self) -> None:
        super().startService()
        if self._archive.missing[0]:
            self._looking.start(_LOOK_SECONDS, now=False)

    def stopService(self) -> None:
        super().stopService()
        if self._looking.running:
            self._looking.stop()

    def _look(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._fetch_all())

    async def _fetch_all(self) -> None:
        try:
            # It may be a shared one that has them by now, or can be reached again.
            await self._blocking(self._archive.link, self._logfile.beginning)
            while self.running and self._archive.missing[0]:
                await self._fetch_file()
        except (BazaarError, OSError) as why:
            self._asked += 1
            if str(why) != self._said:
                self._said = str(why)
                self.log.info("entries before the log are not here yet: {why}", why=why)
        else:
            if self.running:
                self._looking.stop()
                self.log.info(
                    "all entries before the log are in {where}", where=self._archive.where
                )

    async def _fetch_file(self) -> None:
        """Fetch as much as one archived file holds."""
        archive = self._archive
        upto, last_digest = archive.missing
        after, digest, number = await self._blocking(archive.leading_from_start, upto)
        before, first_number = digest, number
        entries: list[Entry] = []
        size = 0
        while after < upto and size < _FILE_BYTES:
            for entry in await self._ask(after, upto):
                if entry.index != after + 1 or not entry.follows(digest):
                    raise Unavailable(f"entry {entry.index} does not follow entry {after}")
                after, digest = entry.index, entry.digest
                size += len(entry.record)
                entries.append(entry)
            if not self.running:
                return
        if after > upto or (after == upto and digest != last_digest):
            raise Unavailable(f"entry {after} is of another history")
        if entries:
            await self._blocking(archive.add, entries, first_number, before)
        if after == upto:
            await self._blocking(archive.link, self._logfile.beginning)
            if archive.missing[0]:
                raise Unavailable(f"what leads to entry {upto} is not found")

    async def _ask(self, after: int, upto: int) -> Sequence[Entry]:
        others = sorted(set(self._replica.membership.ids) - {self._replica.id})
        if not others:
            raise Unavailable("there is no other replica")
        to = others[self._asked % len(others)]
        peer = self._peers.get(to)
        if peer is None:
            raise Unavailable(f"replica {to} is not reached")
        message = Earlier(
            replica=self._replica.id, cluster=self._replica.cluster, to=to, after=after, upto=upto
        )
        reply = await peer.ask_far_behind(message)
        if not isinstance(reply, EarlierReply) or reply.after != after or not reply.entries:
            raise Unavailable(f"replica {to} lacks entry {after + 1}, too")
        return reply.entries
