"""A whole bazaar as real processes, started and stopped as an operator would.

Everything here blocks, so that any test can use it; a test on the reactor may too, as the
bazaar runs in processes of its own.
"""

import http.client
import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple, Self

from twisted_bazaar.local.command_lines import twistd

from .chosen_engine import Engine, chosen
from .waiting import is_alive, wait_until

START_SECONDS = 30.0
"""A start takes about two; a machine that is busy with other things may need more."""
RESTART_SECONDS = 15.0
STOP_SECONDS = 15.0
"""More than the 5 s that a bazaar gives requests in flight and its processes."""
REQUEST_SECONDS = 10.0
LOG_TAIL_LINES = 60


class Answer(NamedTuple):
    """What the front-end answered."""

    status: int
    headers: http.client.HTTPMessage
    body: Any
    """The JSON in the body, read; None if it was empty."""


class Bazaar:
    """`twistd bazaar` in `folder`, with its data in `data` and its output in `log` there.

    Its order log is in `engine`; None: where the run of pytest has all of them, in files unless
    `--engine` says otherwise.

    The public port is any free one, and no option comes from the environment of the tests. Use
    it as a context manager, or call `start` and `stop`; may be started again after a stop.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        environment: Mapping[str, str] | None = None,
        engine: Engine | None = None,
    ) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "log"
        self.engine = engine or chosen().database(folder)
        self._options = options
        self.certificates: Path | None = None
        """The folder of certificates; None: its services speak plain text."""
        if "--plain-inside" not in options:
            self.certificates = self.data / "certificates"
        ours = {name: value for name, value in os.environ.items() if "BAZAAR_" not in name}
        self._environment = {**ours, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._seen: dict[int, list[str]] = {}
        self._stale: tuple[int, int] | None = None

    def start(self, *, ready: bool = True) -> Self:
        """Start it, and wait until it is ready; else only until its processes are there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._stale = self._version()
        listen = ["--listen=tcp:0:interface=127.0.0.1", f"--data={self.data}"]
        engine = self.engine.options if self.engine else ()
        with self._open_output() as log:
            self._process = subprocess.Popen(
                twistd("bazaar", *listen, *engine, *self._options),
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait(self._is_listed, "the processes are listed", START_SECONDS)
            if ready:
                self._wait(self.is_ready, "GET /readyz answers 200", START_SECONDS)
        except BaseException:
            self.kill_all()
            raise
        return self

    def _open_output(self) -> IO[bytes]:
        return self.log.open("ab")

    def stop(self) -> None:
        """SIGTERM, and everything ends in order: status 0, nothing left behind."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            self._remember()
            process.terminate()
            process.wait(STOP_SECONDS)
            assert process.returncode == 0, f"exit status {process.returncode}\n{self.tail()}"
            left = [pid for pid in self._seen if self._is_ours(pid)]
            assert not left, f"left behind: {left}\n{self.tail()}"
        finally:
            self._process = process
            self.kill_all()

    def kill_all(self) -> None:
        """SIGKILL for the bazaar and for all of its processes that still run. Never fails."""
        process, self._process = self._process, None
        if process is None:
            return
        self._remember()
        process.kill()
        process.wait()
        for pid in self._seen:
            if self._is_ours(pid):
                os.kill(pid, signal.SIGKILL)

    @property
    def partitions(self) -> int:
        return self.engine.partitions if self.engine else 1

    @property
    def pid(self) -> int:
        """Of the process that keeps the others running."""
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def url(self) -> str:
        """Of the front-end, without a slash at the end."""
        return f"http://{self.processes()['frontend']['address']}"

    def processes(self) -> dict[str, dict[str, Any]]:
        """processes.json, by name."""
        rows = json.loads((self.data / "processes.json").read_text())
        return {row["name"]: row for row in rows}

    def process_id(self, name: str) -> int:
        """Of the process `name`, once it has one."""
        what = f"{name} has a process"
        pid: int = self._wait(lambda: self.processes()[name]["pid"], what, RESTART_SECONDS)
        return pid

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send `name` a signal. Returns the process id, for `wait_restarted`."""
        pid = self.process_id(name)
        os.kill(pid, number)
        return pid

    def wait_restarted(self, name: str, old: int, within: float = RESTART_SECONDS) -> int:
        """Wait until `name` runs as another process than `old`; its process id."""

        def new() -> int | None:
            pid = self.processes()[name]["pid"]
            return pid if pid != old and is_alive(pid) else None

        pid: int = self._wait(new, f"{name} runs again", within)
        return pid

    def is_ready(self) -> bool:
        """Whether the front-end says so."""
        return self._says_ready("frontend")

    def _says_ready(self, name: str) -> bool:
        try:
            return self.request("GET", "/readyz", at=name).status == 200
        except OSError:
            return False

    def wait_ready(self, within: float = START_SECONDS) -> None:
        """Wait until `is_ready`."""
        self._wait(self.is_ready, "GET /readyz answers 200", within)

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        at: str = "frontend",
    ) -> Answer:
        """One request on a connection of its own, to the front-end of the name `at`; `body` is
        sent as JSON. Raises OSError."""
        host, _, port = self.processes()[at]["address"].rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=REQUEST_SECONDS)
        content = {} if body is None else {"Content-Type": "application/json"}
        try:
            connection.request(
                method,
                path,
                body=None if body is None else json.dumps(body),
                headers={**content, **(headers or {})},
            )
            answer = connection.getresponse()
            text = answer.read()
            return Answer(answer.status, answer.headers, json.loads(text) if text else None)
        except http.client.HTTPException as why:
            raise ConnectionError(f"no answer to {method} {path}: {why!r}") from why
        finally:
            connection.close()

    def tail(self) -> str:
        """The end of what the bazaar has said."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(["the end of its log:", *lines[-LOG_TAIL_LINES:]])

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A test that fails should say why it failed, not that the stop then failed as well.
        if kind is None:
            self.stop()
        else:
            self.kill_all()

    def _wait(self, happened: Any, what: str, within: float) -> Any:
        def happened_or_ended() -> Any:
            result = happened()
            assert self._process is not None
            ended = self._process.poll()
            assert ended is None, f"the bazaar ended with status {ended}\n{self.tail()}"
            return result

        return wait_until(happened_or_ended, what, within, self.tail)

    def _is_listed(self) -> bool:
        if self._version() in (None, self._stale):
            return False
        return all(row["pid"] for row in self.processes().values())

    def _version(self) -> tuple[int, int] | None:
        """Which processes.json this is; one that was killed leaves its last behind."""
        try:
            stat = (self.data / "processes.json").stat()
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns

    def _remember(self) -> None:
        try:
            rows = self.processes().values()
        except OSError:
            return
        self._seen |= {row["pid"]: row["command"] for row in rows if row["pid"]}

    def _is_ours(self, pid: int) -> bool:
        """Whether `pid` is still the same process, and not a later one with the same id."""
        if not is_alive(pid):
            return False
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        except OSError:
            return not Path("/proc/self").exists()
        return words[:-1] == self._seen[pid]
