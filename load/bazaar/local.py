"""A bazaar as `twistd bazaar` runs it on one machine."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import msgspec
from twisted.internet.task import deferLater

from load.errors import CannotRun, NotInTime
from twisted_bazaar.local.command_lines import twistd
from twisted_bazaar.local.ports import Ports
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.runtime.exit_codes import FAILURE
from twisted_bazaar.runtime.reactor import Reactor

from .disks import Disks
from .fleet import RELAUNCH_SECONDS, START_SECONDS, STOP_SECONDS, Fleet
from .processes import Process, last_message
from .redis import Redis

__all__ = ["LocalFleet"]


class _ProcessRow(msgspec.Struct):
    """A process of `twistd bazaar`, as its processes.json shows it."""

    name: str
    pid: int | None
    """None: it does not run now."""
    address: str
    command: list[str]


class LocalFleet(Fleet):
    """`twistd bazaar` with its files in `folder`, which restarts its processes, and any number of
    further front-ends over the same replicas."""

    def __init__(
        self,
        reactor: Reactor,
        folder: Path,
        further: Sequence[str],
        options: Sequence[str],
        engine: str = "",
        api_key: str | None = None,
    ) -> None:
        """`further` is where each further front-end caches: `shared`, with the first one, or
        `own`, in its memory. `options` are for `twistd bazaar`, and so is `engine`, if it has
        one. `api_key` is that of a client who may read, if they name clients."""
        super().__init__(reactor, folder / "data", api_key)
        self._log = folder / "log"
        listen = "--listen=tcp:0:interface=127.0.0.1"
        command = twistd("bazaar", listen, f"--data={self.data}", *options)
        self._disks = Disks(folder / "slow-disks")
        self._engine = engine
        # A command line can be read by everyone, and the URL may have a password.
        variables = {"BAZAAR_ENGINE": engine} if engine else self._disks.environment
        self._bazaar: Process | None = Process(reactor, command, self._log, variables)
        self._further = further
        self._added: dict[str, Process] = {}
        self._joined: dict[str, str] = {}
        """The addresses of further order replicas."""
        self._ports = Ports()
        self._stopping = False

    @classmethod
    def attached(
        cls, reactor: Reactor, folder: Path, url: str, data: Path, further: Sequence[str]
    ) -> "LocalFleet":
        """A bazaar that is already running at `url`, with its files in `data`. It is not
        stopped."""
        running = cls(reactor, folder, further, ())
        running._bazaar = None
        running.data = data
        running.urls = [url.rstrip("/")]
        return running

    async def start(self, within: float = START_SECONDS) -> None:
        """Return when it is ready. Raises `NotInTime`, or `CannotRun` with the error that the
        bazaar has logged."""
        if self._bazaar is not None:
            self._bazaar.start()
            await self.until(self._listed, "the processes are listed", START_SECONDS)
            self.urls = [f"http://{self._table()['frontend'].address}"]
        elif not self._table():
            raise CannotRun(f"there is no bazaar with its files in {self.data}")
        elif not await self.replicas():
            raise CannotRun(f"{self.urls[0]} does not answer as a bazaar's front-end")
        self.caches = [_cache(self._table()["frontend"].command)]
        for number, cache in enumerate(self._further, 2):
            self._add_frontend(f"frontend-{number}", cache)
        await self.until(self.ready, "the bazaar is ready", within)
        await self.until(self.caching, "every front-end caches", START_SECONDS)

    def redis(self) -> Redis | None:
        row = self._table().get("redis")
        return Redis(Address.parse(row.address)) if row is not None else None

    def folders(self) -> Path | None:
        # A bazaar that was not started here keeps its folders.
        return self.data if self._bazaar is not None and not self._engine else None

    def disks(self) -> Disks | None:
        return self._disks if self._bazaar is not None and not self._engine else None

    def engine_url(self) -> str:
        """Where its log is, for a tool; empty: in folders."""
        row = self._table().get("engine")
        if row is None:
            return self._engine
        assert self.data is not None
        password = quote(str(self.data / "engine.pgpass"), safe="")
        return f"postgresql://bazaar@{row.address}/postgres?passfile={password}"

    async def stop(self) -> None:
        self._stopping = True
        for process in self._added.values():
            await process.stop(STOP_SECONDS)
        self._ports.release()
        if self._bazaar is not None and self._bazaar.pid is not None:
            status = await self._bazaar.stop(STOP_SECONDS)
            if status != 0:
                raise NotInTime(f"the bazaar ended with status {status} after SIGTERM")

    async def end(self) -> None:
        self._stopping = True
        for process in [*self._added.values(), *([self._bazaar] if self._bazaar else [])]:
            await process.end()
        self._ports.release()

    def names(self) -> Sequence[str]:
        return [*self._table(), *self._added]

    def pid(self, name: str) -> int | None:
        if name in self._added:
            return self._added[name].pid
        row = self._table().get(name)
        return row.pid if row is not None else None

    def _table(self) -> Mapping[str, _ProcessRow]:
        assert self.data is not None
        try:
            rows = (self.data / "processes.json").read_bytes()
        except OSError:
            return {}
        return {row.name: row for row in msgspec.json.decode(rows, type=list[_ProcessRow])}

    async def _listed(self) -> bool:
        table = self._table()
        return bool(table) and all(row.pid for row in table.values())

    def _check(self) -> None:
        if self._bazaar is not None and self._bazaar.status is not None:
            raise CannotRun(last_message(self._log))

    def replica_names(self) -> Sequence[str]:
        """The names of the order replicas that `twistd bazaar` runs."""
        return [name for name in self._table() if name.startswith("order-")]

    def join(self, number: int) -> None:
        """Start another order replica, which is to join the others, with the options of the first
        one but for its id, place and peers."""
        assert self.data is not None
        name, address = f"order-{number}", self._ports.reserve(0)
        table = self._table()
        first = table["order-1"].command
        own = {"--id": str(number), "--listen": str(address), "--data": str(self.data / name)}
        command = [
            f"{option}={own[option]}" if (option := word.partition("=")[0]) in own else word
            for word in first
            if not word.startswith("--peer=")
        ]
        peers = [
            f"--peer={n.removeprefix('order-')}={table[n].address}" for n in self.replica_names()
        ]
        for word in command:
            if word.startswith("--certificates="):
                self._issue(Path(word.partition("=")[2]), name)
        process = Process(
            self.reactor, [*command, "--join", *peers], self._log, self._disks.environment
        )
        self._added[name], self._joined[name] = process, str(address)
        process.on_end = lambda: self._ended(process)
        process.start()

    def _issue(self, certificates: Path, role: str) -> None:
        """Give the role a certificate of the bazaar's own. It blocks for a moment."""
        tool = [sys.executable, "-Pm", "twisted_bazaar", "certificates", "issue"]
        subprocess.run([*tool, str(certificates), role], check=True, capture_output=True)

    def address_of(self, number: int) -> str:
        """Where the replica is that was started by `join`."""
        return self._joined[f"order-{number}"]

    async def leave(self, number: int, within: float) -> bool:
        """The replica was removed: return whether it has ended by itself in time, with status 1.
        Its folder is put away."""
        assert self.data is not None
        name = f"order-{number}"
        process = self._added[name]
        give_up = self.reactor.seconds() + within
        while process.status != FAILURE and self.reactor.seconds() < give_up:
            await deferLater(self.reactor, RELAUNCH_SECONDS)
        ended = process.status == FAILURE
        del self._added[name], self._joined[name]
        process.on_end = None
        await process.end()
        (self.data / name).rename(self.data.with_name(f"removed-{name}"))
        return ended

    def _add_frontend(self, name: str, cache: str) -> None:
        """Start one with the options of the first, but for its addresses and, with `own`, its
        cache."""
        public, internal = self._ports.reserve(0), self._ports.reserve(0)
        own = {
            "--listen": f"tcp:{public.port}:interface={public.host}",
            "--internal": f"tcp:{internal.port}:interface={internal.host}",
            "--advertise": str(internal),
            **({"--cache": "memory"} if cache == "own" else {}),
        }
        command = [
            f"{option}={own[option]}" if (option := word.partition("=")[0]) in own else word
            for word in self._table()["frontend"].command
        ]
        process = self._added[name] = Process(self.reactor, command, self._log)
        process.on_end = lambda: self._ended(process)
        process.start()
        self.urls.append(f"http://{public}")
        self.caches.append(_cache(command))

    def _ended(self, process: Process) -> None:
        # One that cannot go on, such as a replica that was removed, would end again.
        if not self._stopping and process.status != FAILURE:
            self.reactor.callLater(RELAUNCH_SECONDS, self._relaunch, process)

    def _relaunch(self, process: Process) -> None:
        if not self._stopping:
            process.start()


def _cache(command: Sequence[str]) -> str:
    """Where a front-end with this command line caches: `redis`, `memory` or `off`."""
    (cache,) = (word for word in command if word.startswith("--cache="))
    return cache.removeprefix("--cache=").partition(":")[0]
