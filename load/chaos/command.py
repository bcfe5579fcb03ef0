"""`python -m load chaos`: runs the stages of a trial one after the other, and prints the page."""

import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree

import msgspec

from load import exit_codes
from load.bazaar.isolation import isolating_command, set_up_namespaces
from load.bazaar.processes import Process, last_message
from load.errors import CannotRun
from load.report.outputs import Tell, must_be_writable, show, show_json
from twisted_bazaar.runtime.reactor import Reactor

from .fault_types import all_fault_types, matches
from .page import trial_page
from .partitions import CALM_SECONDS
from .report import trial_report
from .scenarios import LASTS_SECONDS, SCENARIOS
from .servers import PATRONI
from .stage import StageOptions, StageReport, run_stage

__all__ = ["Trial", "TrialOptions", "run_inside"]

PROGRESS = "> "
"""The lines of a stage's output that begin so are for the user."""


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
    members: bool = True
    """Whether replicas are added and removed meanwhile."""
    bazaar_options: tuple[str, ...] = ()
    """For `twistd bazaar`."""
    engine: str = ""
    """`patroni`, or for `twistd bazaar`; empty: none."""
    partitions: int = 1
    """With an engine."""
    beside: bool = False
    """Whether a bazaar without an engine has the same faults, in a stage before."""
    folder: Path | None = None
    history: Path | None = None
    url: str = ""
    data: Path | None = None
    json: bool = False
    html: Path | None = None
    command: str = ""
    """The one that repeats the trial."""


class Trial:
    """One trial. Its files are in `folder` if one is given, else in a temporary folder, which is
    removed if nothing was wrong."""

    def __init__(self, reactor: Reactor, options: TrialOptions, tell: Tell) -> None:
        self._reactor = reactor
        self._options = options
        self._tell = tell
        self._skipped = ""
        self._folder = Path()

    async def run(self) -> int:
        """Run the stages, print the page, and return the exit status. Raises `CannotRun`."""
        options = self._options
        if options.engine and find_spec("psycopg") is None:
            raise CannotRun("--engine needs psycopg: pip install 'twisted_bazaar[engine]'")
        if options.html is not None:
            must_be_writable("--html", options.html)
        self._folder = self._make_folder()
        isolating = await self._isolating_command()
        process_weight = self._process_weight()
        whole = process_weight + (options.cut if isolating else 0.0)
        reports: list[StageReport] = []
        try:
            if process_weight > 0:
                stages = ["engine"] if options.engine else ["processes"]
                stages = ["processes", *stages] if options.beside else stages
                seconds = options.seconds * process_weight / whole / len(stages)
                for name in stages:
                    stage = self._stage(name, seconds, append=bool(reports))
                    reports.append(await run_stage(self._reactor, stage, self._tell))
            if isolating:
                seconds = max(LASTS_SECONDS + CALM_SECONDS, options.seconds * options.cut / whole)
                stage = self._stage("network", seconds, append=bool(reports))
                reports.append(await self._run_inside(isolating, stage))
            if not reports:
                raise CannotRun(f"there is nothing to do otherwise, and {self._skipped}")
        except BaseException:
            self._remove_folder()
            raise
        return self._finish(reports)

    def _finish(self, reports: Sequence[StageReport]) -> int:
        clean = all(report.clean for report in reports)
        if self._options.json:
            content = {
                "clean": clean,
                "skipped": self._skipped,
                "stages": reports,
                "again": self._options.command,
            }
            show_json(content)
        else:
            show(trial_page(reports, self._skipped, self._options.command))
        self._write(reports)
        if clean:
            self._remove_folder()
        else:
            print(f"its files, with the history, are in {self._folder}", file=sys.stderr)
        return exit_codes.OK if clean else exit_codes.PROMISE_BROKEN

    def _write(self, reports: Sequence[StageReport]) -> None:
        file = self._options.html
        if file is not None:
            when = datetime.now().astimezone().strftime("%d %B %Y, %H:%M %Z")
            report = trial_report(reports, self._skipped, self._options.command, when)
            file.write_text(report, encoding="utf-8")

    def _stage(self, name: str, seconds: float, *, append: bool = False) -> StageOptions:
        options = self._options
        folder = self._folder / name
        folder.mkdir()
        engine = options.engine if name == "engine" else ""
        of_engine = (f"--partitions={options.partitions}",) if engine else ()
        return StageOptions(
            stage=name,
            folder=folder,
            seconds=seconds,
            clients=options.clients,
            frontends=options.frontends,
            seed=options.seed,
            kill=options.kill,
            pause=options.pause,
            spare=options.spare,
            caches=options.caches,
            only=options.only,
            members=options.members,
            bazaar_options=(*options.bazaar_options, *of_engine),
            engine=engine,
            history=(options.history or self._folder / "history.jsonl").absolute(),
            append=append,
            url=options.url,
            data=options.data.absolute() if options.data else None,
        )

    def _process_weight(self) -> float:
        """The weight of process faults, compared with that of cuts; 0: none is wanted."""
        options = self._options
        servers = options.engine == PATRONI
        found = all_fault_types(kill=options.kill > 0, pause=options.pause > 0, servers=servers)
        wanted = any(matches(each.name, options.only) for each in found)
        return options.kill + options.pause if wanted else 0.0

    async def _isolating_command(self) -> Sequence[str]:
        """The words that start a command in network namespaces; empty: there is no such stage."""
        if self._options.cut <= 0:
            self._skipped = "no cuts were asked for"
        elif not any(matches(scenario.name, self._options.only) for scenario in SCENARIOS):
            self._skipped = "no cut is called so"
        elif self._options.url:
            self._skipped = "the bazaar was not started here"
        elif self._options.engine:
            self._skipped = "an engine's servers have no namespaces"
        else:
            isolating, why_not = await isolating_command()
            if isolating:
                return isolating
            self._skipped = f"this machine allows no network namespaces: {why_not}"
        return ()

    async def _run_inside(self, isolating: Sequence[str], stage: StageOptions) -> StageReport:
        """Run a stage in a process that `isolating` starts."""
        question, answer = stage.folder / "options.json", stage.folder / "report.json"
        question.write_bytes(msgspec.json.encode(stage, enc_hook=str))
        log = stage.folder / "stage.log"
        # -P leaves the working directory out of the path, so the project's root is added.
        root = str(Path(__file__).parents[2])
        run = f"import sys; sys.path.insert(0, {root!r}); from load.__main__ import main; main()"
        command = [*isolating, sys.executable, "-Pc", run, "inside", str(question), str(answer)]
        process = Process(self._reactor, command, log)
        process.start()
        try:
            await self._follow(process, log)
        finally:
            await process.end()
        try:
            return msgspec.json.decode(answer.read_bytes(), type=StageReport)
        except (OSError, msgspec.DecodeError):
            raise CannotRun(f"network: {last_message(log)}") from None

    async def _follow(self, process: Process, log: Path) -> None:
        """Pass on the progress that a stage reports, until it ends."""
        shown = 0
        while process.status is None:
            await process.wait(0.2)
            lines = log.read_text(errors="replace").splitlines(keepends=True)
            whole = [line for line in lines if line.endswith("\n")]
            for line in whole[shown:]:
                if line.startswith(PROGRESS):
                    self._tell(line.removeprefix(PROGRESS).rstrip())
            shown = len(whole)

    def _make_folder(self) -> Path:
        folder = self._options.folder
        if folder is None:
            made = Path(tempfile.mkdtemp(prefix="bazaar-chaos-"))
            if self._options.engine:
                # Its server is not root's, and must reach its files.
                made.chmod(0o711)
            return made
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise CannotRun(f"--folder {folder} is not empty")
        except OSError as why:
            raise CannotRun(f"--folder {folder} cannot be used: {why.strerror}") from None
        return folder.absolute()

    def _remove_folder(self) -> None:
        if self._options.folder is None:
            rmtree(self._folder, ignore_errors=True)


async def run_inside(reactor: Reactor, question: Path, answer: Path) -> int:
    """Run the stage that the file `question` describes, in the namespaces of this process."""
    content = question.read_bytes()
    options = msgspec.json.decode(content, type=StageOptions, dec_hook=lambda kind, it: kind(it))
    await set_up_namespaces()
    report = await run_stage(reactor, options, lambda line: print(PROGRESS + line, flush=True))
    answer.write_bytes(msgspec.json.encode(report))
    return exit_codes.OK
