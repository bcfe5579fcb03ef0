"""`python -m load chaos`: the stages of a trial, one after the other, and its page."""

import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from shutil import rmtree

import msgspec

from load import exit_codes
from load.bazaar.isolation import isolating_command, set_up_namespaces
from load.bazaar.processes import Process, said_last
from load.errors import CannotRun
from load.report.outputs import must_be_writable, show, show_json
from twisted_bazaar.runtime.reactor import Reactor

from .cuts import CALM_SECONDS, LASTS_SECONDS, SCENARIOS
from .deck import full_deck, is_wanted
from .page import trial_page
from .report import trial_report
from .trial import Asked, StageReport, run_stage

__all__ = ["Trial", "TrialOptions", "run_inside"]

TOLD = "> "
"""What a stage tells its user begins so, among other lines."""

Tell = Callable[[str], None]


class TrialOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asks for."""

    seconds: float
    clients: int
    frontends: int
    seed: int
    kill: float
    pause: float
    cut: float
    spare: tuple[str, ...] = ()
    caches: str = ""
    only: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    folder: Path | None = None
    history: Path | None = None
    url: str = ""
    data: Path | None = None
    json: bool = False
    html: Path | None = None
    command: str = ""
    """That repeats the trial."""


class Trial:
    """One trial, in `folder` if one is given, else in one that is removed if all went well."""

    def __init__(self, reactor: Reactor, asked: TrialOptions, tell: Tell) -> None:
        self._reactor = reactor
        self._asked = asked
        self._tell = tell
        self._skipped = ""
        self._folder = Path()

    async def run(self) -> int:
        """Carry it out, print the page, and return the exit status. Raises `CannotRun`."""
        asked = self._asked
        if asked.html is not None:
            must_be_writable("--html", asked.html)
        self._folder = self._make_folder()
        way = await self._way_in()
        on_processes = self._share_of_processes()
        whole = on_processes + (asked.cut if way else 0.0)
        reports = []
        try:
            if on_processes > 0:
                seconds = asked.seconds * on_processes / whole
                stage = self._stage("processes", seconds)
                reports.append(await run_stage(self._reactor, stage, self._tell))
            if way:
                seconds = max(LASTS_SECONDS + CALM_SECONDS, asked.seconds * asked.cut / whole)
                stage = self._stage("network", seconds, append=bool(reports))
                reports.append(await self._run_inside(way, stage))
            if not reports:
                raise CannotRun(f"there is nothing to do otherwise, and {self._skipped}")
        except BaseException:
            self._remove_folder()
            raise
        return self._finish(reports)

    def _finish(self, reports: Sequence[StageReport]) -> int:
        clean = all(report.clean for report in reports)
        if self._asked.json:
            told = {
                "clean": clean,
                "skipped": self._skipped,
                "stages": reports,
                "again": self._asked.command,
            }
            show_json(told)
        else:
            show(trial_page(reports, self._skipped, self._asked.command))
        self._write(reports)
        if clean:
            self._remove_folder()
        else:
            print(f"its files, with the history, are in {self._folder}", file=sys.stderr)
        return exit_codes.OK if clean else exit_codes.PROMISE_BROKEN

    def _write(self, reports: Sequence[StageReport]) -> None:
        file = self._asked.html
        if file is not None:
            when = datetime.now().astimezone().strftime("%d %B %Y, %H:%M %Z")
            report = trial_report(reports, self._skipped, self._asked.command, when)
            file.write_text(report, encoding="utf-8")

    def _stage(self, name: str, seconds: float, *, append: bool = False) -> Asked:
        asked = self._asked
        folder = self._folder / name
        folder.mkdir()
        return Asked(
            stage=name,
            folder=folder,
            seconds=seconds,
            clients=asked.clients,
            frontends=asked.frontends,
            seed=asked.seed,
            kill=asked.kill,
            pause=asked.pause,
            spare=asked.spare,
            caches=asked.caches,
            only=asked.only,
            options=asked.options,
            history=(asked.history or self._folder / "history.jsonl").absolute(),
            append=append,
            url=asked.url,
            data=asked.data.absolute() if asked.data else None,
        )

    def _share_of_processes(self) -> float:
        """Of the time, compared with that of cuts; 0: there is no such fault to deal."""
        asked = self._asked
        cards = full_deck(kill=asked.kill > 0, pause=asked.pause > 0)
        wanted = any(is_wanted(card.what, asked.only) for card in cards)
        return asked.kill + asked.pause if wanted else 0.0

    async def _way_in(self) -> Sequence[str]:
        """How to start what is to run in network namespaces; empty: it is not to run."""
        if self._asked.cut <= 0:
            self._skipped = "no cuts were asked for"
        elif not any(is_wanted(scenario.what, self._asked.only) for scenario in SCENARIOS):
            self._skipped = "no cut is called so"
        elif self._asked.url:
            self._skipped = "the bazaar was started by somebody else"
        else:
            way, why_not = await isolating_command()
            if way:
                return way
            self._skipped = f"this machine allows no network namespaces: {why_not}"
        return ()

    async def _run_inside(self, way: Sequence[str], asked: Asked) -> StageReport:
        """Run a stage in a process of its own, started through `way`."""
        question, answer = asked.folder / "asked.json", asked.folder / "report.json"
        question.write_bytes(msgspec.json.encode(asked, enc_hook=str))
        log = asked.folder / "stage.log"
        # -P leaves the working directory out of the path, so that is said by itself.
        root = str(Path(__file__).parents[2])
        run = f"import sys; sys.path.insert(0, {root!r}); from load.__main__ import main; main()"
        command = [*way, sys.executable, "-Pc", run, "inside", str(question), str(answer)]
        process = Process(self._reactor, command, log)
        process.start()
        try:
            await self._follow(process, log)
        finally:
            await process.end()
        try:
            return msgspec.json.decode(answer.read_bytes(), type=StageReport)
        except (OSError, msgspec.DecodeError):
            raise CannotRun(f"network: {said_last(log)}") from None

    async def _follow(self, process: Process, log: Path) -> None:
        """Pass on what a stage tells, until it ends."""
        told = 0
        while process.status is None:
            await process.wait(0.2)
            lines = log.read_text(errors="replace").splitlines(keepends=True)
            whole = [line for line in lines if line.endswith("\n")]
            for line in whole[told:]:
                if line.startswith(TOLD):
                    self._tell(line.removeprefix(TOLD).rstrip())
            told = len(whole)

    def _make_folder(self) -> Path:
        folder = self._asked.folder
        if folder is None:
            return Path(tempfile.mkdtemp(prefix="bazaar-chaos-"))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise CannotRun(f"--folder {folder} is not empty")
        except OSError as why:
            raise CannotRun(f"--folder {folder} cannot be used: {why.strerror}") from None
        return folder.absolute()

    def _remove_folder(self) -> None:
        if self._asked.folder is None:
            rmtree(self._folder, ignore_errors=True)


async def run_inside(reactor: Reactor, question: Path, answer: Path) -> int:
    """Carry out the stage that `question` describes, in namespaces that are ours alone."""
    asked = msgspec.json.decode(question.read_bytes(), type=Asked, dec_hook=lambda t, v: t(v))
    await set_up_namespaces()
    report = await run_stage(reactor, asked, lambda line: print(TOLD + line, flush=True))
    answer.write_bytes(msgspec.json.encode(report))
    return exit_codes.OK
