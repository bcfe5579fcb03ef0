"""A PostgreSQL server of the bench's own: in a temporary folder, on a Unix socket, as installed.

Its settings are the defaults: each commit waits for its `fsync`.
"""

import os
import pwd
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from twisted.internet.utils import getProcessOutputAndValue

from load.bazaar.processes import Process, environment, last_message
from load.errors import CannotRun
from twisted_bazaar.runtime.reactor import Reactor

__all__ = ["Postgres", "postgres_binaries"]

_DEBIAN = Path("/usr/lib/postgresql")
_STOP_SECONDS = 5.0


def postgres_binaries() -> Path | None:
    """The folder of `initdb` and `postgres`; None: they are not installed."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    versions = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return versions[-1].parent if versions else None


class Postgres:
    """One server. It refuses to run as root, so root runs it as `nobody`."""

    def __init__(self, reactor: Reactor, binaries: Path) -> None:
        self._binaries = binaries
        is_root = os.geteuid() == 0
        # The folder that TMPDIR names may be closed to `nobody`.
        where = "/tmp" if is_root else None
        self._folder = tempfile.TemporaryDirectory(prefix="bazaar-postgres-", dir=where)
        self._as: Sequence[str] = ()
        if is_root:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            drop = shutil.which("setpriv", path=os.defpath) or "setpriv"
            user = [f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
            # A change of user takes away that it ends with its parent.
            self._as = [drop, *user, "--pdeathsig=INT"]
        self._log = self.folder / "log"
        server = [str(binaries / "postgres"), "-D", str(self._data), "-k", str(self.folder),
                  "-c", "listen_addresses="]  # fmt: skip
        self._process = Process(reactor, [*self._as, *server], self._log)

    @property
    def folder(self) -> Path:
        """Where its socket is."""
        return Path(self._folder.name)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    async def start(self) -> None:
        """Make a database and serve it. It may not answer yet. Raises `CannotRun`."""
        command = [*self._as, str(self._binaries / "initdb"), "-D", str(self._data),
                   "-U", "postgres", "-A", "trust", "--no-sync"]  # fmt: skip
        _, err, status = await getProcessOutputAndValue(command[0], command[1:], env=environment())
        if status:
            lines = err.decode("utf-8", "replace").strip().splitlines() or [""]
            raise CannotRun(f"initdb ended with status {status}: {lines[-1]}")
        self._process.start()

    async def answers(self) -> bool:
        """Whether it takes connections. Raises `CannotRun` if it has ended."""
        if self._process.status is not None:
            raise CannotRun(f"postgres: {last_message(self._log)}")
        return any(self.folder.glob(".s.PGSQL.*[0-9]"))

    async def end(self) -> None:
        """Stop it, and delete its data."""
        await self._process.stop(_STOP_SECONDS)
        self._folder.cleanup()
