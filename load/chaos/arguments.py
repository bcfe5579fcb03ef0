"""The command lines of `python -m load chaos`, and of `inside`, which runs one stage of it."""

import argparse
import shlex
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from load import exit_codes
from load.arguments import at_least, refuse, seed
from load.report.outputs import tell
from twisted_bazaar.engine.options import shown

if TYPE_CHECKING:
    from load.arguments import Commands
    from twisted_bazaar.runtime.reactor import Reactor

    from .command import TrialOptions

__all__ = ["add_chaos", "add_inside"]

DEFAULT_SECONDS = 60.0
DEFAULT_PARTITIONS = 4
SHARES = {"kill": "SIGKILL", "pause": "SIGSTOP", "cut": "network cuts"}
"""The options that weight the kinds of faults, and what each kind is."""


def add_chaos(commands: "Commands") -> None:
    """Add the command to those of a parser."""
    chaos = commands.add_parser(
        "chaos",
        help="trade while processes are killed, paused and cut off; then check everything",
        description="Starts a fresh bazaar, trades while its processes are killed (SIGKILL) and"
        " paused (SIGSTOP), then another whose services are cut off from one another; heals"
        " them, and checks every call that was made.",
        epilog=exit_codes.described("chaos"),
    )
    chaos.set_defaults(start=_start_trial)
    count = at_least(1, int)
    chaos.add_argument("--seconds", type=at_least(1.0, float), default=DEFAULT_SECONDS,
                       help="how long faults are injected in all (60)")  # fmt: skip
    chaos.add_argument("--clients", type=count, default=5,
                       help="that do all kinds of calls (5); more of them only trade, or only"
                       " look up")  # fmt: skip
    chaos.add_argument("--frontends", type=count, default=2, help="over the same replicas (2)")
    chaos.add_argument("--caches", choices=("shared", "own"), default="",
                       help="further front-ends cache where the first one does, or in their own"
                       " memory (by seed)")  # fmt: skip
    chaos.add_argument("--seed", type=at_least(0, int), help="of all choices (any)")
    for name, what in SHARES.items():
        chaos.add_argument(f"--{name}", type=at_least(0.0, float), default=1.0, metavar="SHARE",
                           help=f"how much of the faults are {what} (1); 0: none")  # fmt: skip
    chaos.add_argument("--only", action="append", default=[], metavar="TEXT",
                       help="leave out faults without this in their name; may be"
                       " repeated")  # fmt: skip
    chaos.add_argument("--spare", action="append", default=[], metavar="NAME",
                       help="a process to leave alone; may be repeated")  # fmt: skip
    chaos.add_argument("--no-members", action="store_true",
                       help="add and remove no replicas meanwhile")  # fmt: skip
    chaos.add_argument("--replicas", type=count, help="of `twistd bazaar` (its own default)")
    chaos.add_argument("--cache", help="of `twistd bazaar` (its own default)")
    chaos.add_argument("--engine", default="", metavar="ENGINE",
                       help="have the log in an engine: `patroni` starts three servers of"
                       " PostgreSQL, which have faults as well; or as of `twistd bazaar`: an"
                       " empty database, or `embedded-postgres`")  # fmt: skip
    chaos.add_argument("--partitions", type=count, help="of the engine's market (4)")
    chaos.add_argument("--beside", action="store_true",
                       help="first a stage without an engine, as long, to compare")  # fmt: skip
    chaos.add_argument("--url", default="", help="of a bazaar that runs already, with --data")
    chaos.add_argument("--data", type=Path, help="its folder, which has processes.json")
    chaos.add_argument("--folder", type=Path, help="for all files; kept (a temporary one)")
    chaos.add_argument("--history", type=Path, metavar="FILE", help="keep every call in FILE")
    chaos.add_argument("--json", action="store_true", help="print the figures as JSON")
    chaos.add_argument("--html", type=Path, metavar="FILE", help="a page with plots over time")


def add_inside(commands: "Commands") -> None:
    """Add the command that a trial starts in network namespaces."""
    inside = commands.add_parser("inside", help="for chaos itself: one stage, in namespaces")
    inside.set_defaults(start=_start_inside)
    inside.add_argument("question", type=Path)
    inside.add_argument("answer", type=Path)


def _start_trial(asked: argparse.Namespace, reactor: "Reactor") -> Coroutine[Any, Any, int]:
    from .command import Trial

    return Trial(reactor, _options(asked), tell).run()


def _start_inside(asked: argparse.Namespace, reactor: "Reactor") -> Coroutine[Any, Any, int]:
    from .command import run_inside

    return run_inside(reactor, asked.question, asked.answer)


def _options(asked: argparse.Namespace) -> "TrialOptions":
    from .command import TrialOptions

    if bool(asked.url) != bool(asked.data):
        refuse("--url and --data must be given together")
    if asked.kill + asked.pause + asked.cut <= 0:
        refuse("one of --kill, --pause and --cut must be more than 0")
    given = {"replicas": asked.replicas, "cache": asked.cache}
    options = [f"--{name}={value}" for name, value in given.items() if value is not None]
    if options and asked.url:
        refuse("--replicas and --cache are for a bazaar that is started here, not with --url")
    if asked.engine and asked.url:
        refuse("--engine is for a bazaar that is started here, not with --url")
    if not asked.engine and (asked.partitions or asked.beside):
        refuse("--partitions and --beside are for a bazaar with an --engine")
    number = seed(asked)
    return TrialOptions(
        seconds=asked.seconds,
        clients=asked.clients,
        frontends=asked.frontends,
        seed=number,
        kill=asked.kill,
        pause=asked.pause,
        cut=asked.cut,
        spare=tuple(asked.spare),
        caches=asked.caches,
        only=tuple(asked.only),
        members=not asked.no_members,
        bazaar_options=tuple(options),
        engine=asked.engine,
        partitions=asked.partitions or DEFAULT_PARTITIONS,
        beside=asked.beside,
        folder=asked.folder,
        history=asked.history,
        url=asked.url,
        data=asked.data,
        json=asked.json,
        html=asked.html,
        command=_command(asked, number, options),
    )


def _command(asked: argparse.Namespace, seed: int, options: list[str]) -> str:
    """The command that repeats the trial."""
    command = (
        f"python -m load chaos --seconds {asked.seconds:g} --clients {asked.clients}"
        f" --frontends {asked.frontends} --seed {seed}"
    )
    for name, share in (("kill", asked.kill), ("pause", asked.pause), ("cut", asked.cut)):
        command += f" --{name} {share:g}" if share != 1 else ""
    command += "".join(f" --spare {name}" for name in asked.spare)
    command += "".join(f" --only {shlex.quote(text)}" for text in asked.only)
    command += " --no-members" if asked.no_members else ""
    command += f" --caches {asked.caches}" if asked.caches else ""
    if asked.engine:
        command += f" --engine {shlex.quote(shown(asked.engine))}"
        command += f" --partitions {asked.partitions or DEFAULT_PARTITIONS}"
        command += " --beside" if asked.beside else ""
    return command + "".join(f" {option}" for option in options)
