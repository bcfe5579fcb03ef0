"""The bazaar in containers: built, brought up, traded on while parts are killed, taken down."""

import argparse
import os
import signal
import socket
import sys
import time
from contextlib import ExitStack, suppress

from . import debian
from .engine import CannotRun, Engine, Failed, Project, find
from .trial import Trial

__all__ = ["main"]

CANNOT_RUN = 3
BUILD_SECONDS = 900.0
UP_SECONDS = 180.0
WHOLE_SECONDS = 1800.0
"""After so long it is given up, whatever it waits for."""
DOWN_SECONDS = 120.0


def main() -> int:
    asked = arguments().parse_args()
    for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, give_up)
    signal.alarm(int(WHOLE_SECONDS))
    try:
        engine = find(asked.engine)
        go(engine, asked)
    except CannotRun as why:
        print(f"tests/containers: {why}", file=sys.stderr)
        return CANNOT_RUN
    except Failed as why:
        print(f"FAILED: {why}")
        return 1
    print("all held")
    return 0


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tests/containers/run", description=__doc__)
    parser.add_argument("--engine", choices=("docker", "podman"), help="(the first that answers)")
    parser.add_argument("--compose", metavar="COMMAND", help="(docker compose, podman-compose)")
    parser.add_argument("--base", metavar="IMAGE",
                        help="build on this one; `debian`: on one that debootstrap makes, with a"
                        " cache of its own, where no image can be pulled")  # fmt: skip
    parser.add_argument("--redis", metavar="IMAGE", help="use this one as cache")
    parser.add_argument("--seconds", type=float, default=30.0, help="of trading (30)")
    parser.add_argument("--wait", type=float, default=30.0,
                        help="seconds for which a front-end is alone at first (30)")  # fmt: skip
    parser.add_argument("--keep", action="store_true", help="leave it running in the end")
    return parser


def go(engine: Engine, asked: argparse.Namespace) -> None:
    base, redis = asked.base, asked.redis
    if base == "debian":
        base, redis = debian.PYTHON, redis or debian.VALKEY
    name = f"bazaar-test-{os.getpid()}"
    ports = free_ports(2)
    variables = {
        "BAZAAR_IMAGE": name,
        "FRONTEND_1_PORT": str(ports[0]),
        "FRONTEND_2_PORT": str(ports[1]),
        **({"BASE": base} if base else {}),
        **({"REDIS_IMAGE": redis} if redis else {}),
    }
    project = Project(engine, name, asked.compose, variables)
    project.check()
    if asked.base == "debian":
        say("a base of Debian")
        debian.make(engine)
    trial = Trial(project, [f"http://127.0.0.1:{port}" for port in ports], say)
    with ExitStack() as after:
        if not asked.keep:
            after.callback(take_down, engine, project, name)
        bring_up(engine, project, name, trial)
        say("clients trade while parts are killed")
        trial.trade_while_killing(asked.seconds)
        trial.agree()
        say("all are stopped, and started the wrong way round")
        trial.stop_all()
        trial.start_backwards(asked.wait)
        trial.agree()
        if not asked.keep:
            say("taken down")
            trial.stop_all()


def bring_up(engine: Engine, project: Project, image: str, trial: Trial) -> None:
    say("building")
    began = time.monotonic()
    project.compose("build", "frontend-1", within=BUILD_SECONDS)
    size = int(engine("inspect", "--format", "{{.Size}}", image))
    say(f"  {time.monotonic() - began:.0f} s; the image has {size / 1e6:.0f} MB")
    say("up -d --build")
    began = time.monotonic()
    project.compose("up", "-d", "--build", within=UP_SECONDS)
    say(f"  {time.monotonic() - began:.1f} s")
    trial.ready(began)
    trial.look()


def take_down(engine: Engine, project: Project, image: str) -> None:
    """Leave nothing that this run made but what may be used again: the bases, and build layers."""
    signal.alarm(0)
    with suppress(Failed):
        project.compose("down", "--volumes", within=DOWN_SECONDS)
    for container in project.containers().values():
        engine("rm", "--force", container.name)
    with suppress(Failed):
        engine("rmi", "--force", image)


def free_ports(number: int) -> list[int]:
    with ExitStack() as open_for_now:
        bound = [open_for_now.enter_context(socket.socket()) for _ in range(number)]
        for each in bound:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in bound]


def say(line: str) -> None:
    print(line, flush=True)


def give_up(number: int, frame: object) -> None:
    if number == signal.SIGALRM:
        raise Failed(f"not done within {WHOLE_SECONDS:g} s")
    raise Failed(f"told to stop by {signal.Signals(number).name}")


if __name__ == "__main__":
    sys.exit(main())
