"""One stage of a trial: clients trade while faults are injected; then all faults end, and the
history is checked.

A stage has a fresh bazaar and its own history. `processes` injects faults into the processes of
`twistd bazaar`, and so does `engine`, where the bazaar has its log in an engine, whose servers have
faults as well; `network` into services in network namespaces, where the stage runs in a process of
its own.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import TypeVar

import msgspec
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from load.bazaar import state
from load.bazaar.fleet import Fleet
from load.bazaar.folders import Folders
from load.bazaar.local import LocalFleet
from load.bazaar.namespaces import NamespacedFleet
from load.bazaar.state import Log
from load.errors import CannotRun, NotInTime
from load.history.book import Violation
from load.history.checker import check
from load.history.records import Call, Closing, Fault, History, Opening
from load.report.outputs import Tell
from twisted_bazaar.client.session import Session
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.services import monotonic_seconds

from .changing_members import MEMBERS, MembersOperator
from .clients import Clients, connections
from .fault_types import matches
from .figures import Figures, figures
from .gaps import BACK_BOUND_SECONDS
from .operators import Operator
from .partitions import Partitions
from .process_faults import ProcessFaults
from .scenarios import SCENARIOS
from .servers import PATRONI, Servers
from .timeline import Timeline, timeline

__all__ = ["StageOptions", "StageReport", "ViolationRow", "fault_at", "run_stage"]

WARM_UP_SECONDS = 1.0
HEALED_SECONDS = 30.0
"""Within this time after the last fault all replicas have the same log (invariant 11)."""

T = TypeVar("T")


class StageOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage does."""

    stage: str
    """`processes`, `engine` or `network`."""
    folder: Path
    seconds: float
    clients: int
    frontends: int
    seed: int
    kill: float = 1.0
    pause: float = 1.0
    spare: tuple[str, ...] = ()
    caches: str = ""
    """`shared`: all front-ends cache where the first one does; `own`: each further one in its
    memory; empty: `seed` decides, for each front-end."""
    only: tuple[str, ...] = ()
    """What the names of faults must contain, as `fault_types.matches` defines it."""
    bazaar_options: tuple[str, ...] = ()
    """For `twistd bazaar`."""
    members: bool = True
    """Whether replicas are added and removed meanwhile."""
    engine: str = ""
    """For `twistd bazaar`, if it is to have one, or `patroni`."""
    history: Path
    append: bool = False
    """Whether the history file is continued."""
    url: str = ""
    """Of a bazaar that is already running; empty: start one."""
    data: Path | None = None
    """The folder of that bazaar's files."""


class ViolationRow(msgspec.Struct, frozen=True):
    """All violations of one invariant that came after one type of fault."""

    invariant: int
    after: str
    """The fault as `fault_at` finds it; empty: there was none, or no call shows the violation."""
    count: int
    first: str
    """The first of them."""


class StageReport(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a stage."""

    stage: str
    caches: Sequence[str]
    """Where each front-end cached: `redis`, `memory` or `off`."""
    figures: Figures
    violations: Sequence[ViolationRow]
    problems: Sequence[str]
    """What else is wrong."""
    orders: int
    converged_seconds: float | None
    """From the end of the last fault until all replicas had the same log; None: they never had."""
    logs: Sequence[Log] = ()
    """Of each replica; with an engine, of each partition."""
    partitions: int = 0
    """Of the engine; 0: there is none."""
    timeline: Timeline = Timeline()

    @property
    def clean(self) -> bool:
        return not self.violations and not self.problems


async def run_stage(reactor: Reactor, options: StageOptions, tell: Tell) -> StageReport:
    """Run one stage. Raises `CannotRun` if it cannot begin."""
    if options.engine != PATRONI:
        return await _run_on(reactor, options, None, tell)
    tell("three servers of PostgreSQL are started")
    servers = await Servers.start()
    try:
        return await _run_on(reactor, options, servers, tell)
    finally:
        await servers.stop()


async def _run_on(
    reactor: Reactor, options: StageOptions, servers: Servers | None, tell: Tell
) -> StageReport:
    fleet = _fleet(reactor, options, servers.url if servers else options.engine)
    try:
        history = History(options.history, append=options.append)
    except OSError as why:
        raise CannotRun(f"--history {options.history} cannot be written: {why.strerror}") from None
    try:
        await fleet.start()
        opening = await state.opening(
            reactor, fleet.urls[0], monotonic_seconds(), f"{options.stage}, seed {options.seed}"
        )
        history.add(opening)
        return await _Stage(reactor, options, fleet, servers, history, tell).run(opening)
    finally:
        fleet.heal()
        await fleet.end()
        history.close()


def _fleet(reactor: Reactor, options: StageOptions, engine: str) -> Fleet:
    random = Random(f"{options.seed}-{options.stage}-caches")
    drawn = [random.choice(("shared", "own")) for _ in range(options.frontends - 1)]
    further = [options.caches or cache for cache in drawn]
    if options.stage == "network":
        return NamespacedFleet(reactor, options.folder, further)
    if options.url:
        assert options.data is not None
        return LocalFleet.attached(reactor, options.folder, options.url, options.data, further)
    return LocalFleet(reactor, options.folder, further, options.bazaar_options, engine)


def _rows(violations: Sequence[tuple[str, Violation]]) -> Sequence[ViolationRow]:
    rows: dict[tuple[int, str], ViolationRow] = {}
    for after, violation in violations:
        key = violation.invariant, after
        row = rows.get(key) or ViolationRow(*key, 0, str(violation))
        rows[key] = msgspec.structs.replace(row, count=row.count + 1)
    return [rows[key] for key in sorted(rows)]


def fault_at(faults: Sequence[Fault], at: float) -> str:
    """The name of the fault that was active for longest at time `at`, else of the last that had
    ended; empty: there was none."""
    begun = [fault for fault in faults if fault.began <= at]
    lasting = [fault for fault in begun if fault.ended >= at]
    if lasting:
        return min(lasting, key=lambda fault: fault.began).what
    return max(begun, key=lambda fault: fault.ended).what if begun else ""


class _Stage:
    """One stage, with a fleet that is ready."""

    def __init__(
        self,
        reactor: Reactor,
        options: StageOptions,
        fleet: Fleet,
        servers: Servers | None,
        history: History,
        tell: Tell,
    ) -> None:
        self._reactor = reactor
        self._options = options
        self._fleet = fleet
        self._servers = servers
        self._history = history
        self._tell = tell
        self._replicas = sorted(name for name in fleet.names() if name.startswith("order-"))
        self._problems: list[str] = []
        self._violations: list[tuple[str, Violation]] = []
        """Each with the fault that it came after."""
        self._orders = 0

    async def run(self, opening: Opening) -> StageReport:
        options, fleet = self._options, self._fleet
        session = Session(self._reactor, connections(options.clients))
        clients = Clients(
            self._reactor,
            monotonic_seconds,
            session,
            fleet.urls,
            sorted(opening.listed),
            self._history,
            count=options.clients,
            seed=f"{options.seed}-{options.stage}",
            partitions=len(opening.positions) or 1,
        )
        of_members = [*self._members_operators()]
        operators = list(self._operators(opening))
        clients.start()
        for operator in operators:
            operator.start()
        for each in of_members:
            each.start()
        await deferLater(self._reactor, WARM_UP_SECONDS)
        await self._in_time(self._inject_faults(lambda: clients.placed_at))
        for each in of_members:
            await each.stop()
            self._problems += each.problems
        if self._servers is not None:
            await self._in_time(self._servers.settle())
        healed = monotonic_seconds()
        await self._in_time(fleet.until(fleet.ready, "the front-ends are ready", HEALED_SECONDS))
        await self._in_time(fleet.until(fleet.caching, "every front-end caches", HEALED_SECONDS))
        for operator in operators:
            await operator.stop()
        await clients.stop()
        await session.close()
        converged = await self._converge(healed)
        logs = await (self._end_with_engine() if options.engine else self._end())
        await self._check()
        bounds = {each.name: each.bound_seconds for each in SCENARIOS if each.trades_flow}
        found = figures(self._history.records, bounds)
        self._note_problems(found)
        return StageReport(
            stage=options.stage,
            caches=fleet.caches,
            figures=found,
            violations=_rows(self._violations),
            problems=self._problems,
            orders=self._orders,
            converged_seconds=converged,
            logs=logs,
            partitions=(len(opening.positions) or 1) if options.engine else 0,
            timeline=timeline(self._history.records),
        )

    def _operators(self, opening: Opening) -> Iterator[Operator]:
        """Who changes prices and halts trading meanwhile, and who moves stocks, if there are
        several partitions; none if no folder says where the front-end is."""
        data, partitions = self._fleet.data, len(opening.positions)
        if data is None or isinstance(self._fleet, NamespacedFleet):
            return
        for operated in (1, partitions) if partitions else (1,):
            yield Operator(
                self._reactor,
                monotonic_seconds,
                data,
                self._options.folder / f"operator-{operated}.log",
                opening.prices,
                self._history,
                f"{self._options.seed}-{self._options.stage}-operator-{operated}",
                partitions=operated,
                members=[int(name.removeprefix("order-")) for name in self._replicas],
            )

    def _members_operators(self) -> Iterator[MembersOperator]:
        """Who adds replicas and removes them, where a bazaar was started here that has replicas."""
        options, fleet = self._options, self._fleet
        wanted = options.members and matches(MEMBERS, options.only)
        if wanted and isinstance(fleet, LocalFleet) and fleet.folders() is not None:
            yield MembersOperator(
                *(self._reactor, monotonic_seconds, fleet, options.folder / "members.log"),
                *(self._history, self._tell, Random(f"{options.seed}-{options.stage}-members")),
            )

    async def _inject_faults(self, placed_at: Callable[[], float]) -> None:
        options = self._options
        random = Random(f"{options.seed}-{options.stage}-faults")
        common = (monotonic_seconds, self._history, random, self._tell)
        if isinstance(self._fleet, NamespacedFleet):
            folders = Folders(self._fleet, self._fleet.folders())
            partitions = Partitions(self._fleet, *common, placed_at, folders, options.only)
            await partitions.run(options.seconds)
        else:
            data, servers = self._fleet.folders(), self._servers
            faults = ProcessFaults(
                self._fleet,
                *common,
                placed_at,
                kill=options.kill,
                pause=options.pause,
                spare=options.spare,
                only=options.only,
                folders=Folders(self._fleet, data) if data is not None else None,
                engine=servers.faults(self._reactor, random) if servers is not None else None,
            )
            await faults.run(options.seconds)

    async def _in_time(self, doing: Awaitable[T]) -> T | None:
        """The result of `doing`; None, and a violation of invariant 11, if it is not in time."""
        try:
            return await doing
        except (NotInTime, CannotRun) as why:
            # What servers said last, if anything, is on further lines.
            self._violated(11, str(why).partition("\n")[0])
            return None

    def _violated(self, invariant: int, what: str) -> None:
        self._violations.append(("", Violation(invariant, what)))

    async def _converge(self, healed: float) -> float | None:
        rows = await self._in_time(
            self._fleet.until(
                self._fleet.converged, "all replicas have the same log", HEALED_SECONDS
            )
        )
        return monotonic_seconds() - healed if rows else None

    async def _end(self) -> Sequence[Log]:
        """Record the final state, stop the bazaar, and verify its logs."""
        fleet = self._fleet
        ending = await self._in_time(
            state.closing(self._reactor, fleet.urls[0], monotonic_seconds())
        )
        replicas = self._replicas
        try:
            await fleet.stop()
        except (NotInTime, CannotRun) as why:
            self._problems.append(str(why))
        assert fleet.data is not None
        logs = await state.verify(fleet.data, replicas)
        if ending is None:
            # No front-end answers: take the orders from the longest log.
            longest = max(logs, key=lambda log: log.last_number)
            orders = await state.orders_in_log(fleet.data / longest.replica)
            ending = Closing(at=monotonic_seconds(), orders=tuple(orders))
        else:
            logged = await state.orders_in_log(fleet.data / replicas[0])
            ending = state.with_keys(ending, logged)
        self._close(ending)
        self._compare(logs)
        return logs

    def _close(self, ending: Closing) -> None:
        self._orders = len(ending.orders)
        self._history.add(ending)

    async def _end_with_engine(self) -> Sequence[Log]:
        """Record the final state, verify the log in the engine, and stop the bazaar."""
        # A trial without an engine does not need its driver.
        from .engine_end import EngineEnd

        fleet = self._fleet
        assert isinstance(fleet, LocalFleet)
        found = await EngineEnd.read(fleet)
        if found.ending is None:
            self._violated(11, "no front-end shows what there is")
        self._close(found.closing)
        for invariant, what in found.wrong():
            self._violated(invariant, what)
        try:
            await fleet.stop()
        except (NotInTime, CannotRun) as why:
            self._problems.append(str(why))
        return found.logs

    def _compare(self, logs: Sequence[Log]) -> None:
        """Check that all logs are sound, the same, and have the orders that clients can read."""
        for log in logs:
            if not log.sound:
                self._violated(2, f"the log of {log.replica}: {log.said}")
        if len({(log.last_number, log.digest) for log in logs}) > 1:
            self._violated(11, "the replicas' logs end differently")
        elif logs and logs[0].sound and logs[0].last_number != self._orders:
            what = f"{self._orders} orders can be read, the logs hold {logs[0].last_number}"
            self._violated(2, what)

    async def _check(self) -> None:
        violations = await deferToThread(check, self._history.records)
        faults = [each for each in self._history.records if isinstance(each, Fault)]
        for violation in violations:
            after = ""
            if violation.calls:
                call = self._history.records[violation.calls[0]]
                assert isinstance(call, Call)
                after = fault_at(faults, call.sent)
            self._violations.append((after, violation))

    def _note_problems(self, found: Figures) -> None:
        cuts = {scenario.name for scenario in SCENARIOS}
        for fault in found.faults:
            if fault.what in cuts and fault.back_max > BACK_BOUND_SECONDS:
                self._problems.append(
                    f"trading must go on within {BACK_BOUND_SECONDS:g} s of the end of"
                    f" {fault.what!r}: it took {fault.back_max:.2f} s"
                )
        for status, count in found.unexpected.items():
            self._problems.append(f"{count} answers of status {status}, which must not be")
        for row in found.liveness:
            if not row.alive:
                late = "none" if row.late_p50 is None else f"{row.late_p50:.2f} s"
                self._problems.append(
                    f"trading and lookups must go on during {row.what!r}: {row.gap:.2f} s without"
                    f" an acknowledged trade, {late} a trade in its second half,"
                    f" {row.lookup_gap:.2f} s without a lookup answered at some front-end"
                )
