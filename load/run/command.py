"""`python -m load run`: checks that there is a bazaar, measures it, and prints the page."""

import gc
from collections.abc import Sequence
from pathlib import Path
from secrets import token_hex
from time import process_time

import msgspec
from twisted.internet.defer import CancelledError
from twisted.internet.task import LoopingCall

from load import exit_codes
from load.bazaar import state
from load.client.api import Caller
from load.client.api_keys import api_key
from load.errors import CannotRun, NotInTime
from load.history.records import History, Record
from load.report.bar import Shown, bar_on
from load.report.outputs import show, show_json
from twisted_bazaar.client.session import Session
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.runtime.services import monotonic_seconds

from .mix import Mix
from .summary import RunReport, progress, run_page, share_done
from .threshold import Threshold
from .workload import ANSWER_SECONDS, Workload

__all__ = ["Run", "RunOptions"]

PROGRESS_SECONDS = 1.0


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asks for."""

    url: str
    mix: Mix
    seed: int
    history: Path | None = None
    thresholds: tuple[Threshold, ...] = ()
    json: bool = False
    command: str = ""
    """The one that repeats the run."""


class _Written(History):
    """A history that is kept in its file only: a run may be long, and reads none of it back."""

    def add(self, record: Record) -> None:
        super().add(record)
        self.records.clear()


class Run:
    """One run against a bazaar that is already running."""

    def __init__(self, reactor: Reactor, options: RunOptions) -> None:
        self._reactor = reactor
        self._options = options

    async def run(self) -> int:
        """Measure, print the page, and return the exit status. Raises `CannotRun`, and
        CancelledError if it was cancelled, after the page of what was measured by then."""
        options = self._options
        stocks = await self._stocks()
        history = self._open_history()
        try:
            if options.history is not None:
                note = f"run, seed {options.seed}"
                history.add(
                    await state.opening(self._reactor, options.url, monotonic_seconds(), note)
                )
            workload = self._workload(stocks, history)
            with bar_on() as shown:
                report = await self._measure(workload, shown)
            self._show(report)
            if report.interrupted:
                raise CancelledError()
            if options.history is not None:
                await self._close(history, report)
        finally:
            history.close()
        if not report.orders.kept:
            return exit_codes.ORDER_MISMATCH
        kept = all(judged.held for judged in report.thresholds)
        return exit_codes.OK if kept else exit_codes.THRESHOLD_MISSED

    async def measured(self, shown: Shown | None = None) -> RunReport:
        """Measure without a history, and print nothing; each second, show how far it is. Raises
        `CannotRun`; the report says whether it was cancelled."""
        return await self._measure(self._workload(await self._stocks(), _Written()), shown)

    async def _stocks(self) -> Sequence[str]:
        """The names of the listed stocks. Raises `CannotRun` if the URL is not a bazaar's."""
        url = self._options.url
        session = Session(self._reactor, 1, api_key())
        caller = Caller(session, monotonic_seconds, [url], History(), 1)
        call = await caller.market(0, ANSWER_SECONDS)
        await session.close()
        if call.status == 0:
            raise CannotRun(f"{url} does not answer: {call.message}")
        if call.status == 503:
            raise CannotRun(f"{url} cannot say what is listed: {call.message}")
        if call.status != 200 or call.message:
            why = call.message if call.status == 200 else f"status {call.status}"
            raise CannotRun(f"{url} is no bazaar: GET /stocks is answered with {why}")
        if not call.found:
            raise CannotRun(f"{url} has no stocks")
        return sorted(quote.name for quote in call.found)

    def _open_history(self) -> History:
        file = self._options.history
        try:
            return _Written(file)
        except OSError as why:
            raise CannotRun(f"--history {file} cannot be written: {why.strerror}") from None

    async def _close(self, history: History, report: RunReport) -> None:
        options = self._options
        try:
            ending = await state.closing(self._reactor, options.url, monotonic_seconds())
            history.add(ending)
        except NotInTime as why:
            # Lost orders matter more, and have an exit status of their own.
            if report.orders.kept:
                raise CannotRun(f"--history {options.history} has no ending: {why}") from None

    def _workload(self, stocks: Sequence[str], history: History) -> Workload:
        options = self._options
        return Workload(
            self._reactor,
            monotonic_seconds,
            options.mix,
            options.url,
            stocks,
            history,
            seed=str(options.seed),
            token=token_hex(6),
            connect=lambda: Session(self._reactor, 1, api_key()),
        )

    async def _measure(self, workload: Workload, shown: Shown | None) -> RunReport:
        # The garbage collector is to scan only what the measured calls create.
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        began, cpu = monotonic_seconds(), process_time()
        showing = None
        if shown is not None:
            showing = LoopingCall(_Progress(workload, began, shown).show)
            showing.clock = self._reactor
            showing.start(PROGRESS_SECONDS)
        try:
            await workload.run()
        except CancelledError:
            if not workload.left_early:
                raise
        finally:
            if showing is not None:
                showing.stop()
        took = monotonic_seconds() - began
        return self._report(workload, (process_time() - cpu) / took)

    def _report(self, workload: Workload, cpu_share: float) -> RunReport:
        options, mix = self._options, self._options.mix
        kinds = workload.tally.kinds()
        hits, misses = (kinds[each].count if each in kinds else 0 for each in ("hit", "miss"))
        return RunReport(
            url=options.url,
            clients=mix.clients,
            seed=options.seed,
            seconds=kinds["all"].seconds if "all" in kinds else 0.0,
            kinds=[each.row(kind) for kind, each in kinds.items()],
            hit_share=hits / (hits + misses) if hits + misses else None,
            placed=workload.placed,
            rejected=workload.rejected,
            failed=list(workload.tally.failed),
            rate=mix.rate,
            unsent=workload.unsent,
            cpu_share=cpu_share,
            orders=workload.remembered.comparison(),
            thresholds=[each.judge(kinds, workload.unsent) for each in options.thresholds],
            interrupted=workload.left_early,
            again=options.command,
        )

    def _show(self, report: RunReport) -> None:
        if self._options.json:
            show_json(report)
        else:
            show(run_page(report))


class _Progress:
    """Shows each second how far a run is, and what was counted since."""

    def __init__(self, workload: Workload, began: float, shown: Shown) -> None:
        self._workload = workload
        self._began = began
        self._shown = shown
        self._before: dict[str, tuple[int, int]] = {}

    def show(self) -> None:
        now = dict(self._workload.tally.counts())
        seconds = monotonic_seconds() - self._began
        share = share_done(self._workload.mix, seconds, now)
        self._shown(share, progress(seconds, self._before, now))
        self._before = now
