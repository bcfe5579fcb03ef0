"""The servers of an engine: one takes writes, and replicates them to the others; at a fail-over
another one does, and what was not replicated is lost.

A deposed server goes on for a while, as one does that is cut off: it shows what was lost, and
whoever is connected to it writes there in vain.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.engine.calls import Load, make
from twisted_bazaar.engine.memory import MemoryEngine
from twisted_bazaar.engine.shared_log import EngineError, Placement, Tail, Unknown

from .clients import once
from .network import Network
from .world import Process, World

__all__ = ["Connection", "EngineServer", "Engines"]

_PAST = 400
"""Answers about tails that a server remembers, to give them again when they are old."""

Asked = tuple[int, str, Mapping[str, Any]]
"""A call: of which partition's log, which method, and its arguments."""


class EngineServer(Process):
    """One server. `engine` is what it holds; None: it takes no writes."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self.engine: MemoryEngine | None = None
        self.stale = 0.0
        """The share of answers about tails that are old."""
        self.hangs = 0.0
        """The share of writes that are not replicated, and are not answered either."""
        self._past: deque[Any] = deque(maxlen=_PAST)

    def call(self, asked: Asked, reply: Callable[[Any], None]) -> None:
        """Carry out a call; the reply is its result, or its `EngineError`."""
        engine, (partition, method, arguments) = self.engine, asked
        if engine is None:
            reply(Unknown(f"{self.name} takes no writes"))
            return
        try:
            if method == "tails":
                reply(arguments.get("frozen") or self._tails(engine))
            elif method == "snapshot":
                reply(make(Load(), engine.log(partition)))
            elif method == "prefer":
                reply(engine.prefer(partition, **arguments))
            else:
                reply(getattr(engine.log(partition), method)(**arguments))
        except EngineError as why:
            if isinstance(why, Unknown) and self.world.aside.random() < self.hangs:
                return
            reply(why)

    def _tails(self, engine: MemoryEngine) -> tuple[Sequence[Tail], Sequence[Placement]]:
        found = engine.tails()
        self._past.append(found)
        if self.stale and self.world.aside.random() < self.stale:
            old: tuple[Sequence[Tail], Sequence[Placement]] = self.world.aside.choice(self._past)
            return old
        return found


class Connection:
    """What one member asks the engine by: to one server, until that does not answer as it
    should."""

    def __init__(self, engines: "Engines", member: Process, seconds: float) -> None:
        self._engines = engines
        self._member = member
        self._seconds = seconds
        self._server = engines.connect()

    def call(
        self, partition: int, method: str, ended: Callable[[Any], None], **arguments: Any
    ) -> None:
        """Make a call; `ended` gets its result, or an `EngineError`: `Unknown` after the
        deadline."""
        server = self._server
        if method == "tails" and self._member.name in self._engines.frozen:
            arguments = {"frozen": self._engines.frozen[self._member.name]}

        def answered(result: Any) -> None:
            if isinstance(result, Unknown) and self._server is server:
                self._server = self._engines.connect()
            ended(result)

        asked, call = (partition, method, arguments), (self._member.name, method)
        heard = once(answered)

        def send() -> None:
            self._engines.network.call(
                self._member,
                server,
                server.call,
                asked,
                heard,
                lambda: heard(Unknown("no answer")),
                self._seconds,
            )

        if call in self._engines.copying:
            self._engines.copying.remove(call)
            self._engines.held.append(lambda: server.call(asked, lambda _: None))
        if call in self._engines.holding:
            self._engines.held.append(send)
            self._member.later(self._seconds, heard, Unknown("no answer"))
        else:
            send()


class Engines:
    """All servers, and which of them takes writes."""

    def __init__(self, world: World, network: Network, partitions: int, servers: int = 3) -> None:
        self.world = world
        self.network = network
        self.partitions = partitions
        self.servers = [EngineServer(world, f"engine-{n}") for n in range(1, servers + 1)]
        self.primary = self.servers[0]
        self.primary.engine = MemoryEngine("simulated", partitions)
        self.deposed: list[EngineServer] = []
        """Those that another one has taken over from, and that do not know."""
        self.frozen: dict[str, Any] = {}
        """By member: the tails that it is shown, however old they are."""
        self.holding: set[tuple[str, str]] = set()
        """By member and method: calls that are on their way until `release`."""
        self.copying: set[tuple[str, str]] = set()
        """As `holding`: of the next one a copy is on its way, too."""
        self.held: list[Callable[[], None]] = []

    @property
    def engine(self) -> MemoryEngine:
        """What the server that takes writes holds."""
        assert self.primary.engine is not None
        return self.primary.engine

    def entries(self, partition: int) -> Sequence[Entry]:
        """The log of a partition, as it is shown."""
        return self.engine.rows[partition].entries

    def connect(self) -> EngineServer:
        """A server that says that it takes writes: now and then a deposed one."""
        random = self.world.aside
        if self.deposed and random.random() < 0.4:
            return random.choice(self.deposed)
        return self.primary

    def connection(self, member: Process, seconds: float) -> Connection:
        """A new connection of `member`, whose calls end within `seconds`."""
        return Connection(self, member, seconds)

    def freeze(self, member: str, seconds: float) -> None:
        """For a while `member` is shown the tails as they are now."""
        self.frozen[member] = self.engine.tails()
        self.world.after(seconds, self.frozen.pop, member, None)

    def release(self) -> None:
        """What is held comes to the servers that it was sent to. It is answered no more."""
        held, self.held = self.held, []
        self.holding.clear()
        self.copying.clear()
        for deliver in held:
            deliver()

    def part(self, seconds: float) -> None:
        """For a while what is written is not replicated."""
        engine = self.engine
        engine.replicates = False
        self.world.after(seconds, self._join, engine)

    def _join(self, engine: MemoryEngine) -> None:
        if engine is self.engine:
            engine.replicates = True

    def fail_over(self, seconds: float) -> None:
        """Another server takes writes from now on. The old one goes on for `seconds`."""
        standbys = [each for each in self.servers if each.engine is None and each.alive]
        if not standbys:
            return
        old, new = self.primary, self.world.aside.choice(standbys)
        lost, self.engine.replicates = self.engine, False
        new.engine = MemoryEngine("simulated", self.partitions)
        new.engine.full = lost.full
        new.engine.rows, new.engine.placements = _replicated(lost)
        self.world.say(new.name, f"takes over from {old.name}")
        self.primary = new
        self.deposed.append(old)
        self.world.after(seconds, self._rejoin, old)

    def _rejoin(self, server: EngineServer) -> None:
        """A deposed server learns that it is."""
        if server in self.deposed:
            self.deposed.remove(server)
            server.engine = None

    def fill(self, seconds: float) -> None:
        """There is no room for more, for a while."""
        self.engine.full = True
        self.world.after(seconds, self._empty)

    def _empty(self) -> None:
        for server in self.servers:
            if server.engine is not None:
                server.engine.full = False

    def heal(self) -> None:
        """All faults stop."""
        for server in list(self.deposed):
            self._rejoin(server)
        self.engine.replicates = True
        self._empty()
        self.frozen.clear()
        self.release()
        for server in self.servers:
            server.stale = server.hangs = 0.0


def _replicated(engine: MemoryEngine) -> tuple[Any, dict[str, Placement]]:
    """What another server has of `engine`."""
    kept = engine._replicated
    rows, placements = (engine.rows, engine.placements) if kept is None else kept
    return [each.copy() for each in rows], dict(placements)
