"""A cluster whose order replicas are added, removed and replaced while it runs."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.fakes.certificates import issuing
from twisted_bazaar.security.folder import CertificateFolder
from twisted_bazaar.security.roles import Role

from .bazaar import START_SECONDS
from .cluster import Cluster
from .waiting import wait_until

STEP_SECONDS = 60.0


class ChangingCluster(Cluster):
    """Begins with replicas 1, 2 and 3. Each service keeps the options that it was first given."""

    def __init__(self, folder: Path, *options: str, **more: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.secret = folder / "secret"
        self.secret.write_text("the secret of a cluster that changes")
        super().__init__(folder, *options, **more)
        self._joined: dict[str, Sequence[str]] = {}
        """The options of each replica that was started to join."""

    def command(self, name: str) -> list[str]:
        if name in self._joined:
            at, catalogs = self.address[name], [self.address[each] for each in self._catalogs]
            own = [f"--listen={at}", f"--data={self.data / name}"]
            known = [f"--catalog={each}" for each in catalogs]
            return ["bazaar-order", *own, *known, *self._joined[name]]
        command = super().command(name)
        if name in self.frontends or name in self._catalogs:
            command.append(f"--secret-file={self.secret}")
        return command

    def join(self, number: int, *peers: int) -> str:
        """Start replica `number` at an address of its own, to join `peers`; its name."""
        name = f"order-{number}"
        self.address[name] = str(self._ports.reserve(0))
        asked = [f"--peer={peer}={self.address[f'order-{peer}']}" for peer in peers]
        self._joined[name] = [f"--id={number}", "--join", *asked]
        if self.certificates is not None:
            CertificateFolder(self.certificates).issue([Role.order(number)], issuing())
        self.launch(name)
        return name

    def wait_end(self, name: str) -> int:
        """Wait until the service `name` has ended by itself; its status."""
        status = self._running[name].wait(STEP_SECONDS)
        del self._running[name]
        return status

    def members(self, *words: str, frontend: str = "frontend") -> subprocess.Popen[str]:
        """Begin `python -m twisted_bazaar members` with `words`."""
        where = [f"--frontend={self.internal[frontend]}", f"--secret-file={self.secret}"]
        where += self._inside
        return subprocess.Popen(
            [sys.executable, "-m", "twisted_bazaar", "members", *words, *where],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self._environment,
        )

    def change(self, *words: str) -> str:
        """Do it, and return what was said."""
        said, _ = (command := self.members(*words)).communicate(timeout=STEP_SECONDS)
        assert command.returncode == 0, said + self.tail()
        return said

    def replicas(self, frontend: str = "frontend") -> dict[int, dict[str, Any]]:
        """The rows of `/replicas`, by id."""
        rows = self.request("GET", "/replicas", at=frontend).body["data"]
        return {row["id"]: row for row in rows}

    def wait_voters(self, *ids: int) -> None:
        """Wait until these are the replicas, all count, and one leads."""

        def so() -> bool:
            rows = self.replicas()
            leads = any(row["role"] == "leader" and row["reachable"] for row in rows.values())
            return sorted(rows) == [*ids] and leads

        wait_until(so, f"{ids} count", START_SECONDS, self.tail)

    def wait_replicas(self, *ids: int) -> None:
        """Wait until these are the replicas, and all have the same log."""

        def alike() -> bool:
            rows = self.replicas()
            last = {(row["last_index"], row["digest"]) for row in rows.values()}
            return sorted(rows) == [*ids] and len(last) == 1

        wait_until(alike, f"the replicas are {ids}", START_SECONDS, self.tail)
