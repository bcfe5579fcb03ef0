"""Where backups are: a file, or an object in S3, `s3://BUCKET/KEY`.

The settings of S3 are those of boto3: region, credentials and `AWS_ENDPOINT_URL` of the
environment, or its files.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from twisted_bazaar.errors import Unusable
from twisted_bazaar.storage.files import sync_folder

__all__ = ["opened", "written"]

_S3 = "s3://"


class _S3Client(Protocol):
    def upload_fileobj(self, Fileobj: IO[bytes], Bucket: str, Key: str) -> None: ...  # noqa: N803
    def download_fileobj(self, Bucket: str, Key: str, Fileobj: IO[bytes]) -> None: ...  # noqa: N803


@contextmanager
def written(place: str) -> Iterator[IO[bytes]]:
    """A file whose content is at `place`, durably, once the block has ended; if it fails, `place`
    is as before. Raises `Unusable` if it cannot be written."""
    with _readable(place):
        if place.startswith(_S3):
            bucket, key = _parse(place)
            with tempfile.TemporaryFile() as file:
                yield file
                file.seek(0)
                with _s3(place) as client:
                    client.upload_fileobj(file, bucket, key)
            return
        path = Path(place)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as new:
            try:
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
        if not place.startswith(_S3):
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
    bucket, _, key = place.removeprefix(_S3).partition("/")
    if not bucket or not key:
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
    try:
        import boto3
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        raise Unusable("S3 needs boto3: pip install 'twisted-bazaar[s3]'") from None
    try:
        yield boto3.client("s3")
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise Unusable(f"{place}: {error}") from error
