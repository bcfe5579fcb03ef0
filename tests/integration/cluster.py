"""The services of a bazaar, each started and ended by the test: nothing restarts them."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

from tests.fakes.certificates import make_folder
from twisted_bazaar.local.command_lines import twistd
from twisted_bazaar.local.ports import Ports
from twisted_bazaar.runtime.address import Address

from .bazaar import REQUEST_SECONDS, START_SECONDS, STOP_SECONDS, Bazaar
from .chosen_engine import Engine, chosen
from .waiting import wait_until

ONE_FRONTEND: Mapping[str, Sequence[str]] = MappingProxyType({"frontend": ()})
ONE_CATALOG: Mapping[str, Sequence[str]] = MappingProxyType({"catalog": ()})


class Cluster(Bazaar):
    """Front-ends, catalogs and three order replicas, each a process of its own.

    Like `Bazaar`, but `kill` ends a service for good, until `launch` starts it again. The
    first front-end is `frontend`.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        frontends: Mapping[str, Sequence[str]] = ONE_FRONTEND,
        catalogs: Mapping[str, Sequence[str]] = ONE_CATALOG,
        engine: Engine | None = None,
        tls: bool | None = None,
    ) -> None:
        """`options` are for every service; `frontends` and `catalogs` are named here, each
        with options of its own. `tls`: whether they speak TLS; None: as the run of pytest says."""
        super().__init__(folder, *options, engine=engine)
        self.certificates = None
        if chosen().certificates if tls is None else tls:
            self.certificates = folder / "certificates"
        self._ports = Ports()
        self.frontends = dict(frontends)
        """The options of each; they may be changed before it is launched."""
        self._catalogs = dict(catalogs)
        names = [*frontends, *catalogs, "order-1", "order-2", "order-3"]
        self.address = {name: str(self._ports.reserve(0)) for name in names}
        self.internal = {name: self._ports.reserve(0) for name in frontends}
        """Where front-ends listen for pushes."""
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def processes(self) -> dict[str, dict[str, Any]]:
        return {
            name: {
                "pid": self._running[name].pid if name in self._running else None,
                "address": address,
                **({"internal": str(self.internal[name])} if name in self.internal else {}),
            }
            for name, address in self.address.items()
        }

    def start(self, *, ready: bool = True) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.certificates is not None and not self.certificates.exists():
            make_folder(self.certificates)
        try:
            for name in self.address:
                if name not in self.frontends:
                    self.launch(name)
            if self.engine:
                # A front-end that finds some of the members has these lead all.
                for name in self.address.keys() - self.frontends.keys():
                    self._wait(partial(self.listens, name), f"{name} listens", START_SECONDS)
            for name in self.frontends:
                self.launch(name)
            if ready:
                self.wait_ready()
        except BaseException:
            self.kill_all()
            raise
        return self

    def add_frontend(self, name: str, *options: str) -> None:
        """Start another front-end, with `options` of its own."""
        self.frontends[name] = options
        self.address[name] = str(self._ports.reserve(0))
        self.internal[name] = self._ports.reserve(0)
        self.launch(name)

    def remove_frontend(self, name: str) -> None:
        """Kill a front-end that was added."""
        self.kill(name)
        del self.frontends[name], self.address[name], self.internal[name]

    def url_of(self, name: str) -> str:
        """Of the front-end `name`, without a slash at the end."""
        return f"http://{self.address[name]}"

    def is_ready(self) -> bool:
        """Whether all front-ends that run say so."""
        running = [name for name in self.frontends if name in self._running]
        return bool(running) and all(self._says_ready(name) for name in running)

    def listens(self, name: str) -> bool:
        """Whether the service `name` can be reached."""
        host, _, port = self.address[name].rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=REQUEST_SECONDS).close()
        except ConnectionRefusedError:
            return False
        return True

    def launch(self, name: str) -> None:
        """Start the service `name`, which does not run."""
        assert name not in self._running
        with self._open_output() as log:
            self._running[name] = subprocess.Popen(
                twistd(*self.command(name), *self._inside, *self._options),
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def _inside(self) -> list[str]:
        return [] if self.certificates is None else [f"--certificates={self.certificates}"]

    def command(self, name: str) -> list[str]:
        """What `launch` starts, but for the options that all services have."""
        at = self.address
        cut = self.engine.cut if self.engine else ()
        catalogs = [f"--catalog={at[catalog]}" for catalog in self._catalogs]
        if name in self.frontends:
            return [
                "bazaar-frontend",
                f"--listen={_endpoint(Address.parse(at[name]))}",
                f"--internal={_endpoint(self.internal[name])}",
                *catalogs,
                *(f"--replica={n}={at[f'order-{n}']}" for n in (1, 2, 3)),
                *cut,
                *self.frontends[name],
            ]
        own = [f"--listen={at[name]}", f"--data={self.data / name}"]
        if name in self._catalogs:
            return ["bazaar-catalog", *own, *cut, *self._catalogs[name]]
        number = int(name.removeprefix("order-"))
        peers = [f"--peer={n}={at[f'order-{n}']}" for n in (1, 2, 3) if n != number]
        engine = self.engine.options if self.engine else ()
        return ["bazaar-order", f"--id={number}", *own, *peers, *catalogs, *engine]

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """End the service `name`, and wait until it has ended."""
        process = self._running.pop(name)
        process.send_signal(number)
        process.wait(STOP_SECONDS)
        return process.pid

    def send(self, name: str, number: signal.Signals) -> None:
        """Send `name` a signal that does not end it."""
        os.kill(self._running[name].pid, number)

    @contextmanager
    def without(self, *names: str) -> Iterator[None]:
        """Kill the services `names`, and start them again when the block ends."""
        for name in names:
            self.kill(name)
        try:
            yield
        finally:
            for name in names:
                self.launch(name)

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """SIGSTOP for the service `name`, and SIGCONT when the block ends."""
        self.send(name, signal.SIGSTOP)
        try:
            yield
        finally:
            self.send(name, signal.SIGCONT)

    def stop(self) -> None:
        """SIGTERM to each, clients' side first; every one must end with status 0.

        One that was just started is given time to load: before that Python itself ends it.
        """
        for name in self._running:
            self._wait(partial(self.listens, name), f"{name} listens", START_SECONDS)
        for names in self.frontends.keys(), self._running.keys() - self.frontends.keys():
            stopping = {name: self._running.pop(name) for name in names & self._running.keys()}
            for process in stopping.values():
                process.terminate()
            try:
                for name, process in stopping.items():
                    assert process.wait(STOP_SECONDS) == 0, f"{name}: {process.returncode}"
            except BaseException:
                self._running |= stopping
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


def _endpoint(address: Address) -> str:
    return f"tcp:{address.port}:interface={address.host}"
