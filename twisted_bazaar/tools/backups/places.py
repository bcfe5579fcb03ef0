"""Where backups are: a file, or an object in S3, `s3://BUCKET/KEY`."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from twisted_bazaar.errors import Unusable
from twisted_bazaar.storage.files import claim_unfinished, remove_unfinished, sync_folder
from twisted_bazaar.storage.s3 import bucket_and_key, connect, is_s3

__all__ = ["opened", "written"]

_UNFINISHED = ".unfinished"


class _S3Client(Protocol):
    def upload_fileobj(self, Fileobj: IO[bytes], Bucket: str, Key: str) -> None: ...  # noqa: N803
    def download_fileobj(self, Bucket: str, Key: str, Fileobj: IO[bytes]) -> None: ...  # noqa: N803


@contextmanager
def written(place: str) -> Iterator[IO[bytes]]:
    """A file whose content is at `place`, durably, once the block has ended; if it fails, `place`
    is as before. Raises `Unusable` if it cannot be written."""
    with _readable(place):
        if is_s3(place):
            bucket, key = _parse(place)
            with tempfile.TemporaryFile() as file:
                yield file
                file.seek(0)
                with _s3(place) as client:
                    client.upload_fileobj(file, bucket, key)
            return
        path = Path(place)
        if path.exists() and not path.is_file():
            # As root, a device would be replaced.
            raise Unusable(f"{place}: is there, and no file")
        remove_unfinished(path.parent, f".{path.name}.", _UNFINISHED)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", suffix=_UNFINISHED, delete=False
        ) as new:
            try:
                claim_unfinished(new.fileno())
                yield new.file
                new.flush()
                os.fsync(new.fileno())
                os.replace(new.name, path)
            except BaseException:
                os.unlink(new.name)
                raise
        sync_folder(path.parent)


@contextmanager
def opened(place: str) -> Iterator[IO[bytes]]:
    """What is at `place`. Raises `Unusable` if it cannot be read."""
    with _readable(place):
        if not is_s3(place):
            with Path(place).open("rb") as file:
                yield file
            return
        bucket, key = _parse(place)
        with tempfile.TemporaryFile() as file:
            with _s3(place) as client:
                client.download_fileobj(bucket, key, file)
            file.seek(0)
            yield file


def _parse(place: str) -> tuple[str, str]:
    bucket, key = bucket_and_key(place)
    if not key:
        raise Unusable(f"{place}: must be s3://BUCKET/KEY")
    return bucket, key


@contextmanager
def _readable(place: str) -> Iterator[None]:
    """Turn what is raised by the file or S3 at `place` into one line."""
    try:
        yield
    except OSError as error:
        raise Unusable(f"{place}: {error.strerror or error}") from error


@contextmanager
def _s3(place: str) -> Iterator[_S3Client]:
    """A client. What it raises becomes one line."""
    client, errors = connect()
    try:
        yield client
    except errors as error:
        raise Unusable(f"{place}: {error}") from error
