"""The container engine: Docker or podman, by its command, and the compose project of one run."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from tests import ROOT

__all__ = ["CannotRun", "Engine", "Failed", "Project", "find"]

ANSWER_SECONDS = 60.0
COMPOSE = {"docker": "docker compose", "podman": "podman-compose"}


class CannotRun(Exception):
    """There is no engine, or it cannot do what is needed. One line."""


class Failed(Exception):
    """What the bazaar or the engine did is not what it must do."""


class Engine:
    """A container engine that answers."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __call__(self, *arguments: str, within: float = ANSWER_SECONDS) -> str:
        """Run one of the engine's commands and return what it prints."""
        return run([self.command, *arguments], within)

    def answers(self) -> bool:
        if shutil.which(self.command) is None:
            return False
        asked = [self.command, "info"]
        try:
            return (
                subprocess.run(asked, capture_output=True, timeout=ANSWER_SECONDS).returncode == 0
            )
        except subprocess.TimeoutExpired:
            return False


def find(command: str | None) -> Engine:
    """The engine `command`, or the first one that answers. Raises `CannotRun`."""
    commands = [command] if command else list(COMPOSE)
    for engine in map(Engine, commands):
        if engine.answers():
            return engine
    raise CannotRun(
        f"no container engine answers here ({', '.join(commands)} info): nothing was run"
    )


def run(command: Sequence[str], within: float, more: Mapping[str, str] | None = None) -> str:
    """What `command` prints. Raises `Failed` with all of it if it fails or takes too long."""
    said = shlex.join(command)
    try:
        ran = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **(more or {})}, timeout=within,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        )  # fmt: skip
    except subprocess.TimeoutExpired as late:
        raise Failed(f"{said}: not within {within:g} s\n{late.output or ''}") from None
    except FileNotFoundError:
        raise CannotRun(f"{command[0]} is not there") from None
    if ran.returncode != 0:
        raise Failed(f"{said}: status {ran.returncode}\n{ran.stdout}")
    return ran.stdout


class Container(msgspec.Struct, frozen=True):
    """One container of the project."""

    service: str
    name: str
    pid: int
    """Of its first process, as the host counts; 0 while it does not run."""
    status: int
    """With which that ended."""
    restarts: int
    running: bool
    address: str


class Project:
    """The containers, volumes and networks that belong to one run, and to nothing else."""

    def __init__(
        self, engine: Engine, name: str, compose: str | None, variables: Mapping[str, str]
    ) -> None:
        self.engine = engine
        self.name = name
        self._variables = variables
        chosen = compose or COMPOSE[Path(engine.command).name]
        self._compose = [*shlex.split(chosen), "-p", name, "-f", str(ROOT / "docker-compose.yml")]

    def check(self) -> None:
        """Raises `CannotRun` if there is no compose command."""
        try:
            self.compose("version")
        except Failed:
            raise CannotRun(f"{shlex.join(self._compose[:2])} does not run") from None

    def compose(self, *arguments: str, within: float = ANSWER_SECONDS) -> str:
        """Run one of compose's commands on this project, and return what it prints."""
        return run([*self._compose, *arguments], within, self._variables)

    def containers(self) -> dict[str, Container]:
        """Every container of the project, by service."""
        ours = f"label=com.docker.compose.project={self.name}"
        names = self.engine("ps", "-aq", "--filter", ours).split()
        if not names:
            return {}
        found = map(_container, msgspec.json.decode(self.engine("inspect", *names)))
        return {each.service: each for each in found}


def _container(inspected: dict) -> Container:
    state = inspected["State"]
    networks = inspected["NetworkSettings"]["Networks"].values()
    return Container(
        inspected["Config"]["Labels"]["com.docker.compose.service"],
        inspected["Name"].lstrip("/"),
        state["Pid"],
        state["ExitCode"],
        inspected["RestartCount"],
        state["Running"],
        " ".join(each["IPAddress"] for each in networks),
    )
