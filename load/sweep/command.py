"""`python -m load sweep`: the reference workload, once in each setting."""

import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from shlex import join
from shutil import rmtree

import msgspec
from twisted.internet.defer import CancelledError

from load.bazaar.fleet import CannotRun, Local, NotInTime
from load.report.outputs import must_be_writable, show
from load.run.command import MISMATCH, Run, RunAsked
from load.run.summary import RunReport
from load.run.workload import Mix
from twisted_bazaar.runtime.reactor import Reactor

from .report import sweep_report
from .settings import Outcome, Setting, csv_text, kept, page, plan, told

__all__ = ["Sweep", "SweepAsked"]


class SweepAsked(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asks for."""

    shares: tuple[float, ...]
    """Of the lookups that are followed by a trade."""
    caches: tuple[str, ...]
    """Of the bazaars that are started; none with `url`."""
    mix: Mix
    """All but `share`."""
    seed: int
    """In each setting clients draw the same stocks, and the same trades as far as they trade."""
    url: str = ""
    """Of a bazaar that runs already; empty: start one for each setting."""
    html: Path
    csv: Path

    @property
    def command(self) -> str:
        """That repeats the sweep."""
        where = ["--url", self.url] if self.url else ["--caches", ",".join(self.caches)]
        shares = ",".join(f"{share:g}" for share in self.shares)
        words = ["python", "-m", "load", "sweep", *where, *self.mix.options(shares)]
        return join([*words, "--seed", str(self.seed)])


class Sweep:
    """One sweep."""

    def __init__(self, reactor: Reactor, asked: SweepAsked, tell: Callable[[str], None]) -> None:
        """`tell` is told of each setting when its run is over."""
        self._reactor = reactor
        self._asked = asked
        self._tell = tell

    async def run(self) -> int:
        """Carry it out, print the tables, write the files, and return the exit status. Raises
        `CannotRun` or `NotInTime`, and CancelledError if it was cancelled; the tables are then of
        the runs before, and no file is written."""
        asked = self._asked
        must_be_writable("--html", asked.html)
        must_be_writable("--csv", asked.csv)
        outcomes: list[Outcome] = []
        try:
            for setting in plan(asked.shares, asked.caches or ("",)):
                outcomes.append(Outcome(setting, await self._measure(setting)))
                self._tell(told(outcomes[-1]))
        finally:
            if outcomes:
                show(page(outcomes, asked.command))
        when = datetime.now().astimezone().strftime("%d %B %Y, %H:%M %Z")
        asked.html.write_text(sweep_report(outcomes, asked.command, when), encoding="utf-8")
        asked.csv.write_text(csv_text(outcomes), encoding="utf-8")
        print(f"plots: {asked.html}; all figures: {asked.csv}", flush=True)
        return 0 if kept(outcomes) else MISMATCH

    async def _measure(self, setting: Setting) -> RunReport:
        if not setting.cache:
            return await self._run(self._asked.url, setting)
        folder = Path(tempfile.mkdtemp(prefix="bazaar-sweep-"))
        fleet = Local(self._reactor, folder, (), [f"--cache={setting.cache}"])
        try:
            await fleet.start()
            report = await self._run(fleet.urls[0], setting)
            await fleet.stop()
        except BaseException:
            # What ends in good order leaves nothing in the folder that is about to go.
            with suppress(NotInTime, CannotRun):
                await fleet.stop()
            raise
        finally:
            await fleet.end()
            rmtree(folder, ignore_errors=True)
        return report

    async def _run(self, url: str, setting: Setting) -> RunReport:
        mix = msgspec.structs.replace(self._asked.mix, share=setting.share)
        run = Run(self._reactor, RunAsked(url=url, mix=mix, seed=self._asked.seed))
        report = await run.measured()
        if report.interrupted:
            raise CancelledError()
        return report
