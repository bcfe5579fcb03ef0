"""`python -m load`: try a bazaar, and judge what its clients were told."""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from random import SystemRandom
from typing import Any, NoReturn, cast

from twisted_bazaar.runtime.reactor import Reactor

from .arguments import DEFAULT_CACHES, DEFAULT_SWEEP_SECONDS, add_run, add_sweep, at_least
from .bench.arguments import add_bench, bench
from .history.checker import check, sections
from .history.records import Unreadable, read

__all__ = ["main"]

CANNOT_RUN = 3
"""Exit status: there is nothing to judge. One line on standard error says why."""
INTERRUPTED = 130
"""Exit status: somebody pressed Ctrl-C."""
VIOLATED = 1
"""Exit status: something is not as it must be."""

DEFAULT_SECONDS = 60.0
DEFAULT_RUN_SECONDS = 10.0


class _Parser(argparse.ArgumentParser):
    """One that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        _refuse(message)


def _refuse(message: str) -> NoReturn:
    print(f"load: {' '.join(message.split())}", file=sys.stderr)
    raise SystemExit(CANNOT_RUN)


def _options() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m load", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    chaos = commands.add_parser(
        "chaos",
        help="trade while processes are killed, paused and cut off; then check everything",
        description="Starts a fresh bazaar, trades while its processes are killed (SIGKILL) and"
        " paused (SIGSTOP), then another whose services are cut off from one another; heals"
        " them, and checks every call that was made. Exit status 1: a promise was broken.",
    )
    number, count = at_least(0.0, float), at_least(1, int)
    chaos.add_argument("--seconds", type=at_least(1.0, float), default=DEFAULT_SECONDS,
                       help="how long things go wrong in all (60)")  # fmt: skip
    chaos.add_argument(
        "--clients",
        type=count,
        default=5,
        help="that do all kinds of calls (5); more of them only trade, or only look up",
    )
    chaos.add_argument("--frontends", type=count, default=2, help="over the same replicas (2)")
    chaos.add_argument(
        "--caches",
        choices=("shared", "own"),
        default="",
        help="further front-ends cache where the first one does, or in their own memory (by seed)",
    )
    chaos.add_argument("--seed", type=at_least(0, int), help="of all choices (any)")
    for name, what in (("kill", "SIGKILL"), ("pause", "SIGSTOP"), ("cut", "network cuts")):
        chaos.add_argument(f"--{name}", type=number, default=1.0, metavar="SHARE",
                           help=f"how much of the faults are {what} (1); 0: none")  # fmt: skip
    chaos.add_argument("--only", action="append", default=[], metavar="TEXT",
                       help="leave out faults without this in their name; may be"
                       " repeated")  # fmt: skip
    chaos.add_argument("--spare", action="append", default=[], metavar="NAME",
                       help="a process to leave alone; may be repeated")  # fmt: skip
    chaos.add_argument("--replicas", type=count, help="of `twistd bazaar` (its own default)")
    chaos.add_argument("--cache", help="of `twistd bazaar` (its own default)")
    chaos.add_argument("--url", default="", help="of a bazaar that runs already, with --data")
    chaos.add_argument("--data", type=Path, help="its folder, which has processes.json")
    chaos.add_argument("--folder", type=Path, help="for all files; kept (a temporary one)")
    chaos.add_argument("--history", type=Path, metavar="FILE", help="keep every call in FILE")
    chaos.add_argument("--json", action="store_true", help="print the figures as JSON")
    chaos.add_argument("--html", type=Path, metavar="FILE", help="a page with plots over time")
    add_run(commands)
    add_sweep(commands)
    add_bench(commands)
    checks = commands.add_parser("check", help="judge a history that was kept")
    checks.add_argument("file", type=Path)
    inside = commands.add_parser("inside", help="for chaos itself: one stage, in namespaces")
    inside.add_argument("question", type=Path)
    inside.add_argument("answer", type=Path)
    return parser


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Carry out one command and leave."""
    asked = _options().parse_args(arguments)
    if asked.command == "check":
        raise SystemExit(_check(asked.file))
    # Whoever asks for --help, or judges a file, need not wait for these.
    from twisted.internet import reactor as installed
    from twisted.internet import task
    from twisted.internet.defer import CancelledError, Deferred

    from twisted_bazaar.runtime.services import monotonic_seconds

    from .bazaar.fleet import CannotRun, NotInTime
    from .chaos.command import Trial, run_inside

    reactor = cast(Reactor, installed)
    if asked.command == "inside":
        doing = run_inside(reactor, asked.question, asked.answer)
    elif asked.command == "run":
        doing = _run(asked, reactor)
    elif asked.command == "sweep":
        doing = _sweep(asked, reactor)
    elif asked.command == "bench":
        doing = bench(asked, reactor, _tell)
    else:
        doing = Trial(reactor, _trial(asked), _tell).run()

    async def do() -> None:
        try:
            status = await doing
        except (CannotRun, NotInTime, OSError) as why:
            _refuse(str(why))
        except CancelledError:
            status = INTERRUPTED
        finally:
            ended.callback(None)
        raise SystemExit(status)

    def run(clock: Any) -> Deferred[None]:
        # Twisted would time its calls by the wall clock.
        clock.seconds = monotonic_seconds
        done = Deferred.fromCoroutine(do())

        def interrupted() -> Deferred[None]:
            if not ended.called:
                done.cancel()
            return ended

        # Ctrl-C, or SIGTERM: what was started must be ended first.
        clock.addSystemEventTrigger("before", "shutdown", interrupted)
        return done

    ended: Deferred[None] = Deferred()
    task.react(run)
    raise AssertionError("react leaves")


def _trial(asked: argparse.Namespace) -> Any:
    from .chaos.command import TrialAsked

    if bool(asked.url) != bool(asked.data):
        _refuse("--url and --data must be given together")
    if asked.kill + asked.pause + asked.cut <= 0:
        _refuse("one of --kill, --pause and --cut must be more than 0")
    options = [f"--{name}={asked.__dict__[name]}" for name in ("replicas", "cache")
               if asked.__dict__[name] is not None]  # fmt: skip
    if options and asked.url:
        _refuse("--replicas and --cache are for a bazaar that is started here, not with --url")
    seed = _seed(asked)
    command = (
        f"python -m load chaos --seconds {asked.seconds:g} --clients {asked.clients}"
        f" --frontends {asked.frontends} --seed {seed}"
    )
    for name in ("kill", "pause", "cut"):
        share = asked.__dict__[name]
        command += f" --{name} {share:g}" if share != 1 else ""
    command += "".join(f" --spare {name}" for name in asked.spare)
    command += "".join(f" --only {shlex.quote(text)}" for text in asked.only)
    command += f" --caches {asked.caches}" if asked.caches else ""
    command += "".join(f" {option}" for option in options)
    return TrialAsked(
        seconds=asked.seconds,
        clients=asked.clients,
        frontends=asked.frontends,
        seed=seed,
        kill=asked.kill,
        pause=asked.pause,
        cut=asked.cut,
        spare=tuple(asked.spare),
        caches=asked.caches,
        only=tuple(asked.only),
        options=tuple(options),
        folder=asked.folder,
        history=asked.history,
        url=asked.url,
        data=asked.data,
        json=asked.json,
        html=asked.html,
        command=command,
    )


def _run(asked: argparse.Namespace, reactor: Reactor) -> Any:
    try:
        from .run.command import Run, RunAsked
    except ModuleNotFoundError as why:
        _refuse(f"run needs {why.name}, one of the project's dev dependencies")
    mix, seed = _mix(asked, DEFAULT_RUN_SECONDS, asked.p), _seed(asked)
    command = ["python", "-m", "load", "run", "--url", asked.url, *mix.options(f"{asked.p:g}")]
    for each in asked.threshold:
        command += ["--threshold", each.text]
    return Run(
        reactor,
        RunAsked(
            url=asked.url,
            mix=mix,
            seed=seed,
            history=asked.history,
            thresholds=tuple(asked.threshold),
            json=asked.json,
            command=shlex.join([*command, "--seed", str(seed)]),
        ),
    ).run()


def _sweep(asked: argparse.Namespace, reactor: Reactor) -> Any:
    if asked.url and asked.caches:
        _refuse("--caches is for bazaars that are started here, not with --url")
    try:
        from .sweep.command import Sweep, SweepAsked
    except ModuleNotFoundError as why:
        _refuse(f"sweep needs {why.name}, one of the project's dev dependencies")
    return Sweep(
        reactor,
        SweepAsked(
            shares=asked.p,
            caches=() if asked.url else asked.caches or DEFAULT_CACHES,
            mix=_mix(asked, DEFAULT_SWEEP_SECONDS),
            seed=_seed(asked),
            url=asked.url or "",
            html=asked.html,
            csv=asked.csv,
        ),
        _tell,
    ).run()


def _mix(asked: argparse.Namespace, default_seconds: float, share: float = 0.0) -> Any:
    from .run.workload import Mix

    seconds = asked.duration
    if seconds is None and asked.iterations is None:
        seconds = default_seconds
    least, most = asked.quantity
    return Mix(
        clients=asked.clients,
        share=share,
        side=asked.side,
        least=least,
        most=most,
        iterations=asked.iterations,
        seconds=seconds,
        rate=getattr(asked, "rate", None),
        separate=asked.separate,
    )


def _seed(asked: argparse.Namespace) -> int:
    seed: int | None = asked.seed
    return seed if seed is not None else SystemRandom().randrange(10**6)


def _tell(line: str) -> None:
    print(f"  {line}", file=sys.stderr, flush=True)


def _check(file: Path) -> int:
    """Judge each section of a history file."""
    status = 0
    try:
        for number, section in enumerate(sections(read(file)), 1):
            found = check(section)
            print(f"section {number}: {len(section)} records, {len(found)} violations")
            for violation in found:
                print(f"  {violation}")
            status = VIOLATED if found else status
        sys.stdout.flush()
    except (Unreadable, ValueError) as why:
        _refuse(str(why))
    except BrokenPipeError:
        # Whoever reads us has seen enough. What is left must not fail again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as why:
        _refuse(f"{file} cannot be read: {why.strerror}")
    return status


if __name__ == "__main__":
    main()
