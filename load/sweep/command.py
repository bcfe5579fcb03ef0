"""`python -m load sweep`: runs the reference workload once in each setting."""

import tempfile
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from shlex import join
from shutil import rmtree

import msgspec
from twisted.internet.defer import CancelledError

from load import exit_codes
from load.bazaar.local import LocalFleet
from load.errors import CannotRun, NotInTime
from load.report.bar import Shown, bar_on
from load.report.outputs import Tell, must_be_writable, show
from load.run.command import Run, RunOptions
from load.run.mix import Mix
from load.run.summary import RunReport
from twisted_bazaar.runtime.reactor import Reactor

from .report import sweep_report
from .settings import Outcome, Setting, csv_text, kept, plan, progress, sweep_page

__all__ = ["Sweep", "SweepOptions"]


class SweepOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asks for."""

    shares: tuple[float, ...]
    """Of the lookups that are followed by a trade, one for each setting."""
    caches: tuple[str, ...]
    """Of the bazaars that are started; empty with `url`."""
    mix: Mix
    """All but `share`."""
    seed: int
    """The same in each setting: clients draw the same stocks, and the same trades as far as they
    trade."""
    url: str = ""
    """Of a bazaar that is already running; empty: start one for each setting."""
    html: Path
    csv: Path

    @property
    def command(self) -> str:
        """The command that repeats the sweep."""
        where = ["--url", self.url] if self.url else ["--caches", ",".join(self.caches)]
        shares = ",".join(f"{share:g}" for share in self.shares)
        words = ["python", "-m", "load", "sweep", *where, *self.mix.options(shares)]
        return join([*words, "--seed", str(self.seed)])


class Sweep:
    """One sweep."""

    def __init__(self, reactor: Reactor, options: SweepOptions, tell: Tell) -> None:
        """`tell` is called with a line after each run."""
        self._reactor = reactor
        self._options = options
        self._tell = tell

    async def run(self) -> int:
        """Measure, print the tables, write the files, and return the exit status. Raises
        `CannotRun` or `NotInTime`, and CancelledError if it was cancelled: then it prints the
        tables of the completed runs, and writes no file."""
        options = self._options
        must_be_writable("--html", options.html)
        must_be_writable("--csv", options.csv)
        outcomes: list[Outcome] = []
        try:
            settings = plan(options.shares, options.caches or ("",))
            with bar_on() as shown:
                for setting in settings:
                    part = _part(shown, setting, len(outcomes), len(settings))
                    outcomes.append(Outcome(setting, await self._measure(setting, part)))
                    self._tell(progress(outcomes[-1]))
        finally:
            if outcomes:
                show(sweep_page(outcomes, options.command))
        when = datetime.now().astimezone().strftime("%d %B %Y, %H:%M %Z")
        options.html.write_text(sweep_report(outcomes, options.command, when), encoding="utf-8")
        options.csv.write_text(csv_text(outcomes), encoding="utf-8")
        print(f"plots: {options.html}; all figures: {options.csv}", flush=True)
        return exit_codes.OK if kept(outcomes) else exit_codes.ORDER_MISMATCH

    async def _measure(self, setting: Setting, shown: Shown | None) -> RunReport:
        if not setting.cache:
            return await self._run(self._options.url, setting, shown)
        folder = Path(tempfile.mkdtemp(prefix="bazaar-sweep-"))
        fleet = LocalFleet(self._reactor, folder, (), [f"--cache={setting.cache}"])
        try:
            await fleet.start()
            report = await self._run(fleet.urls[0], setting, shown)
            await fleet.stop()
        except BaseException:
            # A clean stop leaves nothing that still writes to the folder, which is removed next.
            with suppress(NotInTime, CannotRun):
                await fleet.stop()
            raise
        finally:
            await fleet.end()
            rmtree(folder, ignore_errors=True)
        return report

    async def _run(self, url: str, setting: Setting, shown: Shown | None) -> RunReport:
        mix = msgspec.structs.replace(self._options.mix, share=setting.share)
        run = Run(self._reactor, RunOptions(url=url, mix=mix, seed=self._options.seed))
        report = await run.measured(shown)
        if report.interrupted:
            raise CancelledError()
        return report


def _part(shown: Shown | None, setting: Setting, before: int, of: int) -> Shown | None:
    """Shows a run as a part of the sweep: `before` runs of `of` are done."""
    if shown is None:
        return None
    shown(before / of, f"{setting}: a bazaar starts")

    def show(share: float | None, text: str) -> None:
        shown((before + (share or 0.0)) / of, f"{setting}: {text.strip()}")

    return show
