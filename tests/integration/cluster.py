"""The services of a bazaar, each started and ended by the test: nothing restarts them."""

import os
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from twisted_bazaar.ports import Ports

from .bazaar import REQUEST_SECONDS, STOP_SECONDS, TWISTD, Bazaar
from .waiting import wait_until


class Cluster(Bazaar):
    """A front-end, a catalog and three order replicas, each a process of its own.

    Like `Bazaar`, but `kill` ends a service for good, until `launch` starts it again.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder, *options)
        self._ports = Ports()
        self.address = {
            name: str(self._ports.reserve(0))
            for name in ("frontend", "catalog", "order-1", "order-2", "order-3")
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def processes(self) -> dict[str, dict[str, Any]]:
        return {
            name: {
                "pid": self._running[name].pid if name in self._running else None,
                "address": address,
            }
            for name, address in self.address.items()
        }

    def start(self, *, ready: bool = True) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in self.address:
            self.launch(name)
        if ready:
            self.wait_ready()
        return self

    def launch(self, name: str) -> None:
        """Start the service `name`, which does not run."""
        assert name not in self._running
        with self.log.open("ab") as log:
            self._running[name] = subprocess.Popen(
                [*TWISTD, "-n", "--pidfile=", *self._command(name), *self._options],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _command(self, name: str) -> list[str]:
        at = self.address
        if name == "frontend":
            host, _, port = at[name].rpartition(":")
            return [
                "bazaar-frontend",
                f"--listen=tcp:{port}:interface={host}",
                f"--catalog={at['catalog']}",
                *(f"--replica={n}={at[f'order-{n}']}" for n in (1, 2, 3)),
            ]
        own = [f"--listen={at[name]}", f"--data={self.data / name}"]
        if name == "catalog":
            return ["bazaar-catalog", *own]
        number = int(name.removeprefix("order-"))
        peers = [f"--peer={n}={at[f'order-{n}']}" for n in (1, 2, 3) if n != number]
        return ["bazaar-order", f"--id={number}", *own, *peers, f"--catalog={at['catalog']}"]

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """End the service `name`, and wait until it has ended."""
        process = self._running.pop(name)
        process.send_signal(number)
        process.wait(STOP_SECONDS)
        return process.pid

    def send(self, name: str, number: signal.Signals) -> None:
        """Send `name` a signal that does not end it."""
        os.kill(self._running[name].pid, number)

    def stop(self) -> None:
        """SIGTERM to each, clients' side first; every one must end with status 0."""
        for name in list(self._running):
            process = self._running.pop(name)
            process.terminate()
            try:
                assert process.wait(STOP_SECONDS) == 0, f"{name}: {process.returncode}"
            except BaseException:
                process.kill()
                self.kill_all()
                raise
        self._ports.release()

    def kill_all(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()
        self._running.clear()
        self._ports.release()

    def _wait(self, happened: Any, what: str, within: float = REQUEST_SECONDS) -> Any:
        return wait_until(happened, what, within, self.tail)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.stop()
        else:
            self.kill_all()
