"""Where archived files are: a folder, or a bucket of S3."""

import os
import tempfile
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from .files import claim_unfinished, remove_unfinished, sync_folder, write_all
from .s3 import S3Store, bucket_and_key, is_s3

__all__ = ["FolderStore", "Store", "store_of"]


class Store(Protocol):
    """Where the files are. On any thread; everything blocks, and raises OSError."""

    @property
    def where(self) -> str:
        """The place, for the operator."""

    def names(self) -> Collection[str]:
        """The names of all files."""

    def read(self, name: str, offset: int, size: int) -> bytes:
        """So many bytes of a file."""

    def tail(self, name: str, size: int) -> bytes:
        """The last bytes of a file, so many or all."""

    def put(self, name: str, content: bytes) -> None:
        """Make a file, durably. One of that name is replaced whole."""

    def settle(self) -> None:
        """Make durable which files are there. One that a process has put there which was killed
        since may not be."""


class FolderStore:
    """A `Store` that is a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def where(self) -> str:
        return str(self._folder)

    def names(self) -> Collection[str]:
        try:
            return [path.name for path in self._folder.iterdir()]
        except FileNotFoundError:
            return []

    def read(self, name: str, offset: int, size: int) -> bytes:
        with (self._folder / name).open("rb", buffering=0) as file:
            file.seek(offset)
            return file.read(size)

    def tail(self, name: str, size: int) -> bytes:
        with (self._folder / name).open("rb", buffering=0) as file:
            file.seek(-min(size, file.seek(0, 2)), 2)
            return file.read(size)

    def put(self, name: str, content: bytes) -> None:
        self._folder.mkdir(0o700, parents=True, exist_ok=True)
        sync_folder(self._folder.parent)
        # Replicas that share the folder may make the same file at the same time.
        remove_unfinished(self._folder, f"{name}.", ".new")
        file, aside = tempfile.mkstemp(".new", f"{name}.", self._folder)
        try:
            try:
                claim_unfinished(file)
                write_all(file, content)
                os.fsync(file)
            finally:
                os.close(file)
            os.replace(aside, self._folder / name)
        except OSError:
            with suppress(OSError):
                os.unlink(aside)
            raise
        sync_folder(self._folder)

    def settle(self) -> None:
        # The content of a file is on disk before it has its name.
        sync_folder(self._folder.parent)
        sync_folder(self._folder)


def store_of(place: str, folder: Path, hurried: bool = False) -> Store:
    """The store at `place`: a folder, or s3://BUCKET/PREFIX; empty: beside the log in `folder`.
    `hurried`: one in S3 is given up on after seconds. Raises `Unusable`."""
    if not place:
        return FolderStore(folder / "archive")
    if is_s3(place):
        return S3Store(*bucket_and_key(place), hurried)
    return FolderStore(Path(place))
