"""Snapshots between replicas: one that is far behind takes a copy of another's index.

`Outgoing` makes copies and hands out their parts. `Taker` looks whether the replica wants one
(`Nominee.snapshot_from`), takes it in part by part, and has it put in place of log and index.
"""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import msgspec
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from twisted_bazaar.consensus.beginning import Beginning, after
from twisted_bazaar.consensus.far_behind import Earlier, EarlierReply, Snapshot, SnapshotReply
from twisted_bazaar.consensus.identity import not_meant
from twisted_bazaar.consensus.log import stretch_of
from twisted_bazaar.consensus.replica import Replica
from twisted_bazaar.errors import BazaarError, NotOurs, Unavailable
from twisted_bazaar.rpc.bounds import MAX_ENTRIES
from twisted_bazaar.rpc.frames.exchanges import Blocking
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.storage.index import Index
from twisted_bazaar.storage.logfile import LogFile
from twisted_bazaar.storage.snapshot import Incoming, use_snapshot

from .log_figures import SnapshotFigures
from .peers import Peers

__all__ = ["Outgoing", "Taker"]

_PART_BYTES = 512 << 10
_MAX_COPIES = 2
"""Of different replicas, or of one that began again."""
_LOOK_SECONDS = 0.1
_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(Beginning).decode


class _Copy(msgspec.Struct, frozen=True):
    path: Path
    beginning: bytes
    size: int
    began: float


class Outgoing:
    """Answers replicas that are far behind. On the reactor thread."""

    def __init__(
        self,
        replica: Replica,
        logfile: LogFile,
        index: Index,
        folder: Path,
        blocking: Blocking,
        random: Random,
        seconds: Callable[[], float],
        figures: SnapshotFigures,
    ) -> None:
        self._replica = replica
        self._logfile = logfile
        self._index = index
        self._folder = folder / "snapshots"
        self._blocking = blocking
        self._random = random
        self._seconds = seconds
        self._figures = figures
        self._copies: dict[str, _Copy] = {}
        # Copies of an earlier life, which nobody can ask for.
        shutil.rmtree(self._folder, ignore_errors=True)

    def ask(self, message: Snapshot | Earlier) -> Deferred[SnapshotReply | EarlierReply]:
        """Fails with `NotOurs` if it is for another replica, and with `Unavailable`."""
        replica = self._replica
        refusal = not_meant(replica.id, replica.cluster, message.to, message.cluster)
        if refusal is not None:
            raise NotOurs(refusal)
        if isinstance(message, Earlier):
            return self._blocking(self._earlier, message, replica.term)
        return Deferred.fromCoroutine(self._part(message))

    def _earlier(self, message: Earlier, term: int) -> EarlierReply:
        upto = min(message.upto, message.after + MAX_ENTRIES, self._logfile.last_index)
        entries = stretch_of(tuple(self._logfile.read(message.after, max(message.after, upto))))
        return EarlierReply(
            replica=self._replica.id, term=term, after=message.after, entries=entries
        )

    async def _part(self, message: Snapshot) -> SnapshotReply:
        name = message.copy
        if not name:
            name = f"{self._random.getrandbits(64):016x}"
            made = await self._blocking(self._make, name, self._seconds())
            while len(self._copies) >= _MAX_COPIES:
                self._drop(next(iter(self._copies)))
            self._copies[name] = made
        copy = self._copies.get(name)
        if copy is None:
            raise Unavailable(f"there is no snapshot {name} here")
        data = await self._blocking(_read, copy.path, message.offset)
        if message.offset + len(data) >= copy.size and name in self._copies:
            self._drop(name)
            self._figures.ended("given", self._seconds() - copy.began)
        return SnapshotReply(
            replica=self._replica.id,
            copy=name,
            beginning=copy.beginning,
            size=copy.size,
            offset=message.offset,
            data=data,
        )

    def _make(self, name: str, began: float) -> _Copy:
        """Copy the index as it is now. On a thread."""
        self._folder.mkdir(0o700, exist_ok=True)
        path = self._folder / f"{name}.sqlite"
        try:
            return self._made(path, began)
        except BaseException:
            # It may have filled the disk.
            path.unlink(missing_ok=True)
            raise

    def _made(self, path: Path, began: float) -> _Copy:
        entry, number = self._index.copy_to(path)
        log = self._logfile
        if entry == 0 or entry < log.beginning.index:
            raise Unavailable("the index does not go as far as the log begins")
        beginning = log.beginning
        if entry > beginning.index:
            [last] = log.read(entry - 1, entry)
            beginning = after(
                last,
                number=number,
                cluster=log.cluster,
                openings=log.openings,
                memberships=log.memberships,
                prices=beginning.prices or log.first_prices(),
            )
        return _Copy(path, _encode(beginning), path.stat().st_size, began)

    def _drop(self, name: str) -> None:
        copy = self._copies.pop(name)
        copy.path.unlink(missing_ok=True)


def _read(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(_PART_BYTES)


class Taker(Service):
    """Takes a snapshot when the replica wants one."""

    log = Logger()

    def __init__(
        self,
        reactor: Reactor,
        seconds: Callable[[], float],
        replica: Replica,
        peers: Peers,
        folder: Path,
        archive: str,
        blocking: Blocking,
        again: Callable[[Callable[[], None]], None],
        figures: SnapshotFigures,
    ) -> None:
        """`archive` is where entries go that leave the log, as the option names it. `again` ends
        all services of this replica, calls a function, and begins anew."""
        self._seconds = seconds
        self._replica = replica
        self._peers = peers
        self._folder = folder
        self._archive = archive
        self._blocking = blocking
        self._again = again
        self._figures = figures
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor

    def startService(self) -> None:
        super().startService()
        self._looking.start(_LOOK_SECONDS, now=False)

    def stopService(self) -> None:
        super().stopService()
        if self._looking.running:
            self._looking.stop()

    def _look(self) -> Deferred[None] | None:
        source = self._replica.snapshot_from
        return Deferred.fromCoroutine(self._take_from(source)) if source else None

    async def _take_from(self, source: int) -> None:
        where = {"source": source}
        began = self._seconds()
        self.log.info("far behind: takes a snapshot of replica {source}", **where)
        try:
            beginning = await self._take(source)
        except (BazaarError, OSError) as why:
            self.log.warn("no snapshot of replica {source}: {why}", why=why, **where)
            beginning = None
        if not self.running:
            return
        if beginning is None or not self._replica.may_begin_after(beginning):
            self._figures.failed()
            self._replica.snapshot_lost(source, self._seconds())
        else:
            self._looking.stop()
            self._figures.ended("taken", self._seconds() - began)
            self._again(partial(self._begin_after, beginning))

    async def _take(self, source: int) -> Beginning | None:
        """The entry that the snapshot is as of, once it is whole; None: this replica stops."""
        incoming = await self._blocking(Incoming, self._folder)
        try:
            reply = await self._ask(source, "", 0)
            copy, beginning = reply.copy, _decode(reply.beginning)
            at = 0
            while True:
                if not reply.data and at < reply.size:
                    raise Unavailable("a part of it is empty")
                await self._blocking(incoming.add, at, reply.data)
                at += len(reply.data)
                if not self.running:
                    return None
                self._replica.snapshot_moves(source, self._seconds())
                if at >= reply.size:
                    break
                reply = await self._ask(source, copy, at)
            if (why := await self._blocking(incoming.check, beginning)) is not None:
                raise Unavailable(why)
        except msgspec.DecodeError as why:
            incoming.drop()
            raise Unavailable(f"it makes no sense: {why}") from None
        except BaseException:
            incoming.drop()  # It may have filled the disk.
            raise
        finally:
            incoming.close()
        return beginning

    async def _ask(self, source: int, copy: str, offset: int) -> SnapshotReply:
        peer = self._peers.get(source)
        if peer is None:
            raise Unavailable("it is no member now")
        message = Snapshot(
            replica=self._replica.id,
            cluster=self._replica.cluster,
            to=source,
            copy=copy,
            offset=offset,
        )
        reply = await peer.ask_far_behind(message)
        if not isinstance(reply, SnapshotReply) or reply.replica != source:
            raise Unavailable("another one answers")
        return reply

    def _begin_after(self, beginning: Beginning) -> None:
        # This replica has stopped: it has acknowledged nothing since.
        if self._replica.may_begin_after(beginning):
            use_snapshot(self._folder, beginning, self._archive)
