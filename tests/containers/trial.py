"""What is done to a bazaar in containers, and what must hold."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from . import questions
from .engine import ROOT, Container, Failed, Project
from .questions import READY, until

__all__ = ["Trial"]

START_SECONDS = 90.0
AGAIN_SECONDS = 30.0
FOUND_SECONDS = 10.0
"""gRPC by itself would not look for a name again for longer than that by then."""
STOP_SECONDS = 60.0
READ_AGAIN_SECONDS = 3.0
"""A service looks each second whether its certificates have changed."""
USER = "10001"
MISMATCH = 2
"""Exit status of `python -m load run`: an order is not as it was acknowledged."""
ORDERS = ("order-1", "order-2", "order-3")
FRONTENDS = ("frontend-1", "frontend-2")
ONCE = ("secret", "certificates")
"""Those that end."""
SERVICES = ("redis", "catalog", *ORDERS, *FRONTENDS)


class Trial:
    """One run, on a project that nobody else uses."""

    def __init__(self, project: Project, urls: Sequence[str], say: Callable[[str], None]) -> None:
        self._project = project
        self._urls = urls
        self._say = say
        self._orders = 0

    def look(self) -> None:
        """Who runs in each container, and whether it lives."""
        found = self._project.containers()
        if missing := {name for name in SERVICES if name not in found or not found[name].running}:
            raise Failed(f"do not run: {', '.join(sorted(missing))}")
        for service in SERVICES:
            container = found[service]
            self._say(f"  {service}: {self._first_process(container)}")
            if service != "redis":
                self._say(f"    {self._health(container)}")
        for service in ONCE:
            if (status := found[service].status) != 0:
                raise Failed(f"{service} ended with status {status}")
        self._keep_certificates()

    def _keep_certificates(self) -> None:
        """The authority is replaced, in its three steps, while everything serves: the services read
        the files again."""
        command = ("run", "--rm", "certificates")
        tool = "python3 -m twisted_bazaar certificates"
        for step in ("begin", "issue", "end"):
            self._project.compose(*command, f"{tool} rotate /etc/authority {step}")
            self._project.compose(*command)
            time.sleep(READ_AGAIN_SECONDS)
            for url in self._urls:
                self._ready(url, AGAIN_SECONDS)
        self._say("  the authority of the certificates was replaced")

    def _first_process(self, container: Container) -> str:
        """What it is, as whom, and how large. Nobody in there may do more than it has to."""
        asked = "cat /proc/1/status; tr '\\0' ' ' </proc/1/cmdline; ! touch /written 2>/dev/null"
        lines = self._project.engine("exec", container.name, "sh", "-c", asked).splitlines()
        facts = {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}
        wanted = {
            "Uid": [USER] * 4,
            "CapEff": ["0" * 16],
            "CapBnd": ["0" * 16],
            "NoNewPrivs": ["1"],
        }
        if wrong := {name: facts[name] for name in wanted if facts[name] != wanted[name]}:
            raise Failed(f"{container.service} runs with {wrong}")
        mib, threads = int(facts["VmRSS"][0]) / 1024, facts["Threads"][0]
        return f"user {USER}, {threads} threads, {mib:.0f} MiB: {lines[-1].strip()}"

    def _health(self, container: Container) -> str:
        command = ("exec", container.name, "python3", "-m", "twisted_bazaar", "health")
        return self._project.engine(*command).strip()

    def ready(self, since: float) -> None:
        """Every front-end is ready and answers lookups from the cache."""
        for url in self._urls:
            self._ready(url, START_SECONDS)
        self._say(f"  ready {time.monotonic() - since:.1f} s after it was told to start")
        for url in self._urls:
            until(lambda url=url: questions.cached(url), f"{url} caches", AGAIN_SECONDS)
        self._say(f"  lookups come from the cache after {time.monotonic() - since:.1f} s")

    def _ready(self, url: str, within: float) -> None:
        until(lambda: questions.readiness(url) == READY, f"{url} is ready", within)

    def trade_while_killing(self, seconds: float) -> None:
        """Clients trade while the leader, the catalog and Redis are killed, one by one."""
        load = [sys.executable, "-m", "load", "run", "--url", self._urls[0], "--seed", "7",
                "--duration", str(seconds)]  # fmt: skip
        with subprocess.Popen(load, cwd=ROOT, text=True, stdout=subprocess.PIPE) as clients:
            try:
                for kill in (self._crash_leader, self._crash_catalog, self._kill_redis):
                    time.sleep(seconds / 5)
                    if clients.poll() is not None:
                        raise Failed("the clients were done before everything was killed")
                    kill()
                said, _ = clients.communicate(timeout=seconds + 120)
            finally:
                clients.kill()
        self._say("".join(f"    {line}\n" for line in said.splitlines()).rstrip())
        if clients.returncode == MISMATCH:
            raise Failed("an order is not as it was acknowledged")
        if clients.returncode != 0:
            raise Failed(f"the clients ended with status {clients.returncode}")

    def _crash_leader(self) -> None:
        leader = until(lambda: questions.leader(self._urls[0]), "a replica leads", AGAIN_SECONDS)
        self._crash(f"order-{leader}")

    def _crash_catalog(self) -> None:
        self._crash("catalog")

    def _crash(self, service: str) -> None:
        """Its process dies; the engine starts it again, as the restart policy says."""
        before = self._container(service)
        try:
            os.kill(before.pid, signal.SIGKILL)
            how = "killed; started again by the engine"
        except (PermissionError, ProcessLookupError):
            # The engine is not on this machine, or in a world of its own. What it is asked to
            # kill it does not start again.
            self._project.engine("kill", "--signal", "KILL", before.name)
            self._project.engine("start", before.name)
            how = "killed, and started again"
        began = time.monotonic()

        def again() -> bool:
            now = self._container(service)
            return now.running and now.pid not in (0, before.pid)

        until(again, f"{service} runs again", AGAIN_SECONDS)
        for url in self._urls:
            self._ready(url, AGAIN_SECONDS)
        self._say(
            f"  {service} {how}; both front-ends ready {time.monotonic() - began:.1f} s later"
        )

    def _kill_redis(self) -> None:
        name = self._container("redis").name
        self._project.engine("kill", "--signal", "KILL", name)
        time.sleep(1.0)
        if any(questions.readiness(url) != READY for url in self._urls):
            raise Failed("a front-end without Redis is not ready")
        self._project.engine("start", name)
        self._say("  redis killed, gone for a second, started again; both front-ends stay ready")

    def _container(self, service: str) -> Container:
        return self._project.containers()[service]

    def agree(self) -> None:
        """Every replica holds the same log, with all orders of before."""
        row = until(lambda: questions.alike(self._urls[0]), "all replicas agree", AGAIN_SECONDS)
        if row.last_number < self._orders:
            raise Failed(f"there are {row.last_number} orders, and there were {self._orders}")
        self._orders = row.last_number
        self._say(f"  all replicas: last number {row.last_number}, digest {row.digest}")
        for url in self._urls:
            until(lambda url=url: questions.cached(url), f"{url} caches", AGAIN_SECONDS)

    def stop_all(self) -> None:
        """Asked to stop, every service ends by itself, with status 0."""
        began = time.monotonic()
        self._project.compose("stop", within=STOP_SECONDS)
        took = time.monotonic() - began
        ended = {each.service: each.status for each in self._project.containers().values()}
        if bad := {name: status for name, status in ended.items() if status != 0}:
            raise Failed(f"did not end with 0: {bad}")
        self._say(f"  stopped in {took:.1f} s, every one with status 0")

    def start_backwards(self, wait: float) -> None:
        """Started the wrong way round, all find one another; meanwhile it is said what lacks."""
        self._start("frontend-1")
        url, *others = self._urls
        until(lambda: questions.readiness(url) != "silent", "front-end 1 answers", AGAIN_SECONDS)
        # So that those who ask for names that lead nowhere have grown tired of it.
        time.sleep(wait)
        for services, reason in (
            (("catalog",), "no order replica leads"),
            (("order-3",), "no order replica leads"),
            (("order-2",), "no order replica leads"),
        ):
            self._says(url, reason)
            self._start(*services)
        began = time.monotonic()
        self._ready(url, FOUND_SECONDS)
        found = time.monotonic() - began
        self._say(f"  ready {found:.1f} s later: two replicas, no Redis, one front-end")
        self._start("order-1", "redis", "frontend-2")
        for each in others:
            self._ready(each, AGAIN_SECONDS)

    def _says(self, url: str, reason: str) -> None:
        said = questions.readiness(url)
        if reason not in said:
            raise Failed(f"{url} says {said!r}, and not {reason!r}")
        self._say(f"  front-end 1: {said}")

    def _start(self, *services: str) -> None:
        began = time.monotonic()
        for service in services:
            self._project.engine("start", self._container(service).name)
        self._say(f"  started {', '.join(services)} ({time.monotonic() - began:.1f} s)")
