"""Where the files of servers under test are: folders that another user than root can reach."""

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from load.errors import CannotRun
from twisted_bazaar.local.command_lines import ending_with
from twisted_bazaar.local.postgres import account_for

__all__ = ["FOLDER", "ServerFiles"]

FOLDER = Path("/tmp")
"""Not what TMPDIR names, nor a folder of pytest's: other users must reach it."""

RESERVE_BYTES = 64 * 1024
"""What `fill` leaves free: less than any file grows by."""

FILL_TRIES = 50


class ServerFiles:
    """A folder, and in it one for each server; all of it goes with `remove`.

    With `disk_megabytes` each server has a disk of that size, which `fill` fills. It is memory, so
    it needs root, and measures nothing. Raises `CannotRun` if that cannot be had.
    """

    def __init__(self, servers: Iterable[int], disk_megabytes: int | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bazaar-postgres-", dir=FOLDER))
        self.folder.chmod(0o711)
        self.account = account_for(self.folder / "of-a-server")
        """The servers' user: `USER:GROUP`, or `:` for that of this process."""
        self._has_disks = disk_megabytes is not None
        self._mounted: list[Path] = []
        try:
            for n in servers:
                if disk_megabytes is not None:
                    self._mount(self._disk(n), disk_megabytes)
                self.make(self.of(n))
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Remove everything. The servers must have ended."""
        for disk in self._mounted:
            # A process that was killed may hold it for a moment longer.
            subprocess.run(["umount", "--lazy", disk], check=True)
        self._mounted.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def of(self, server: int) -> Path:
        """The folder of a server, which is its user's."""
        return (self._disk(server) if self._has_disks else self.folder) / f"n{server}"

    def make(self, folder: Path) -> None:
        """Make a folder that is the servers' user's."""
        folder.mkdir(mode=0o700, parents=True)
        self.give(folder)

    def give(self, path: Path) -> None:
        """Make a file or folder the servers' user's."""
        user, _, group = self.account.partition(":")
        if user:
            os.chown(path, int(user), int(group))

    def as_its_user(self, command: Sequence[str | Path]) -> list[str]:
        """`command` as the servers' user; it ends with this process."""
        return ending_with(os.getpid(), [str(each) for each in command], self.account)

    def fill(self, server: int) -> None:
        """Leave no room on its disk."""
        with (self._disk(server) / "ballast").open("wb") as ballast:
            size = 0
            for _ in range(FILL_TRIES):
                disk = os.statvfs(self._disk(server))
                free = disk.f_bavail * disk.f_frsize - RESERVE_BYTES
                if free <= 0:
                    return
                try:
                    os.posix_fallocate(ballast.fileno(), size, free)
                    size += free
                except OSError as why:
                    # The server has taken some of it meanwhile.
                    if why.errno != errno.ENOSPC:
                        raise
        raise CannotRun(f"the disk of server {server} cannot be filled")

    def empty(self, server: int) -> None:
        """Make room again. A server that has ended meanwhile stays down."""
        (self._disk(server) / "ballast").unlink(missing_ok=True)

    def _mount(self, disk: Path, megabytes: int) -> None:
        disk.mkdir(mode=0o711)
        options = f"size={megabytes}m,mode=0711"
        mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
        if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
            raise CannotRun("a disk that can be filled takes root, who may mount one")
        self._mounted.append(disk)

    def _disk(self, server: int) -> Path:
        return self.folder / f"disk-{server}"
