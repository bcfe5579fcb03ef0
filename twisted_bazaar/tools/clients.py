"""`python -m twisted_bazaar clients`: changes the file of clients.

The file is replaced whole, so a front-end that reads it finds the old one or the new one. Comments
in it are lost. Two changes at a time take turns. An API key is printed before it is good: one that
nobody has read is in no file.
"""

import fcntl
import os
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from stat import S_ISREG
from typing import TextIO

import attrs

from twisted_bazaar.access import Client, Permission
from twisted_bazaar.errors import Unusable
from twisted_bazaar.frontend.access.client_file import (
    API_KEY_BYTES,
    DEFAULT_PERMISSIONS,
    ClientEntry,
    api_key,
    hash_of,
    read_clients,
    written,
)
from twisted_bazaar.rate import Rate
from twisted_bazaar.storage.files import sync_folder, write_all

__all__ = ["run"]

Entries = dict[str, ClientEntry]


def run(asked: Namespace, out: TextIO, random_bytes: Callable[[int], bytes]) -> None:
    """Run one operation. Raises `Unusable`."""
    path = _resolved(asked.file)
    if asked.operation == "list":
        _list(_read(path), out)
        return
    with _turn(path):
        entries = _read(path, is_new=asked.operation == "add")
        said = _changed(entries, asked, lambda: api_key(random_bytes(API_KEY_BYTES)))
        content = written([*entries.values()])
        try:
            # What is written can be read.
            assert read_clients(content) == entries
        except ValueError as why:
            raise Unusable(str(why)) from None
        _replace(path, content.encode(), lambda: print(said, file=out, flush=True))


def _changed(entries: Entries, asked: Namespace, fresh_key: Callable[[], str]) -> str:
    """Make the change in `entries`, and return what is to be printed."""
    name: str = asked.name
    if asked.operation == "add":
        if name in entries:
            raise Unusable(f"there is a client {name} already")
        key = fresh_key()
        client = _told(Client(name, frozenset(DEFAULT_PERMISSIONS)), asked)
        entries[name] = ClientEntry(client, (hash_of(key.encode()),))
        return key
    if name not in entries:
        raise Unusable(f"there is no client {name}")
    entry = entries[name]
    if asked.operation == "rotate":
        key = fresh_key()
        entries[name] = attrs.evolve(entry, hashes=(*entry.hashes, hash_of(key.encode())))
        return key
    if asked.operation == "retire":
        entries[name] = attrs.evolve(entry, hashes=entry.hashes[-1:])
        return f"ok: client {name} has its newest API key only"
    if asked.operation == "change":
        entries[name] = attrs.evolve(entry, client=_told(entry.client, asked))
        return f"ok: client {name} is changed"
    del entries[name]
    return f"ok: client {name} is removed"


def _told(client: Client, asked: Namespace) -> Client:
    """`client` with what the command line says of it."""
    if asked.permissions is not None:
        client = attrs.evolve(client, permissions=asked.permissions)
    return attrs.evolve(client, rate=_rate(client.rate, asked.rate, asked.burst))


def _rate(former: Rate | None, per_second: float | None, burst: int | None) -> Rate | None:
    """The rate of a client that had `former`. None is not told; 0 is no limit, and of `burst` what
    `per_second` says."""
    told: float | Decimal | None = per_second
    if former is not None:
        told = former.per_second if told is None else told
        burst = former.burst if burst is None and not former.is_usual else burst
    if told:
        try:
            return Rate.of(told, burst or None)
        except ValueError as why:
            raise Unusable(f"rate {why}") from None
    if burst and per_second is None:
        raise Unusable("--burst must be given with --rate")
    return None


def _list(entries: Entries, out: TextIO) -> None:
    for name, entry in sorted(entries.items()):
        client = entry.client
        permissions = ",".join(each for each in Permission if client.may(each)) or "none"
        rate = "any rate" if client.rate is None else f"{client.rate.per_second.normalize():f}/s"
        keys = f"{len(entry.hashes)} API key{'' if len(entry.hashes) == 1 else 's'}"
        print(f"{name}: {permissions}; {rate}; {keys}", file=out)


def _resolved(file: Path) -> Path:
    """The file that `file` names. A link stays one: others may read what it names by another
    name."""
    try:
        return file.resolve()
    except (OSError, RuntimeError):
        # That of links which lead to each other is a RuntimeError.
        raise Unusable(f"{file}: it names no file") from None


def _read(path: Path, *, is_new: bool = False) -> Entries:
    """The clients in the file. One that `is_new` may be missing, and then has none."""
    try:
        if not S_ISREG(path.stat().st_mode):
            # To read a pipe would wait for who writes to it, and a device would be replaced.
            raise Unusable(f"{path}: it is no file")
        return dict(read_clients(path.read_text("utf-8")))
    except UnicodeDecodeError:
        raise Unusable(f"{path}: it is not UTF-8 text") from None
    except OSError as why:
        if is_new and isinstance(why, FileNotFoundError):
            return {}
        raise Unusable(f"{path}: {why.strerror}") from None
    except ValueError as why:
        raise Unusable(f"{path}: {why}") from None


def _replace(path: Path, content: bytes, say: Callable[[], None]) -> None:
    """The file keeps its mode and, where this user may give it away, its owner: front-ends may be
    another user's. `say` is called when nothing but its name is left to be done; if that fails, the
    file stays as it was."""
    new = path.with_name(f".{path.name}.new")
    try:
        try:
            new.unlink(missing_ok=True)
            _write(new, content, path.stat() if path.exists() else None)
            try:
                say()
            except OSError as why:
                said = f"nothing is changed, as nothing can be printed: {why.strerror}"
                raise Unusable(said) from None
            new.replace(path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as why:
        raise Unusable(f"{path}: {why.strerror}") from None


def _write(path: Path, content: bytes, like: os.stat_result | None) -> None:
    """Make the file, for those who may read one that is `like` it; None: for all."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        write_all(file, content)
        if like is not None:
            # Only root may, and then only root has to.
            with suppress(PermissionError):
                os.chown(file, like.st_uid, like.st_gid)
        os.fchmod(file, 0o644 if like is None else like.st_mode & 0o777)
        os.fsync(file)
    finally:
        os.close(file)


@contextmanager
def _turn(path: Path) -> Iterator[None]:
    """Wait until no other change of `path` is being made."""
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as why:
        raise Unusable(f"{path.parent}: {why.strerror}") from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
