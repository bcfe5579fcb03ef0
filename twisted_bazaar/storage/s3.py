"""Buckets of S3, by boto3, the extra `s3`: `S3Store` keeps an archive in one.

Credentials, region and endpoint come from where AWS's tools have them: the environment, or files.
"""

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from twisted_bazaar.errors import Unusable

__all__ = ["S3Store", "bucket_and_key", "connect", "is_s3"]

T = TypeVar("T")

_S3 = "s3://"
_CONNECT_SECONDS, _SECONDS = 2, 5
"""Of a client in a hurry, for one answer."""


def is_s3(place: str) -> bool:
    """Whether `place` is in S3, and not a path."""
    return place.startswith(_S3)


def bucket_and_key(place: str) -> tuple[str, str]:
    """The two parts of s3://BUCKET/KEY. The key may be empty. Raises `Unusable`."""
    bucket, _, key = place.removeprefix(_S3).partition("/")
    if not bucket:
        raise Unusable(f"{place}: names no bucket")
    return bucket, key


def connect(hurried: bool = False) -> tuple[Any, tuple[type[Exception], ...]]:
    """A client of S3, and what it raises. `hurried`: it gives up after seconds, not minutes.

    Raises `Unusable` if boto3 is not installed, or if AWS's settings make no sense.
    """
    try:
        import boto3
        from boto3.exceptions import Boto3Error
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        raise Unusable("S3 needs boto3: pip install 'twisted-bazaar[s3]'") from None
    config = Config(
        connect_timeout=_CONNECT_SECONDS, read_timeout=_SECONDS, retries={"total_max_attempts": 1}
    )
    try:
        client = boto3.client("s3", config=config if hurried else None)
    except (BotoCoreError, ValueError) as error:
        raise Unusable(f"S3: {error}") from error
    return client, (Boto3Error, BotoCoreError, ClientError)


class S3Store:
    """A `Store` of objects whose keys begin with a prefix."""

    def __init__(self, bucket: str, prefix: str, hurried: bool = False) -> None:
        """`hurried`: for a replica, which does not wait long for what it reads. Raises as
        `connect` does."""
        self._client, self._errors = connect(hurried)
        self._writer = connect()[0] if hurried else self._client
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    @property
    def where(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}"

    def names(self) -> Collection[str]:
        def listed() -> list[str]:
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix
            )
            found = (each["Key"] for page in pages for each in page.get("Contents", ()))
            return [key.removeprefix(self._prefix) for key in found]

        return self._asked(listed)

    def read(self, name: str, offset: int, size: int) -> bytes:
        return self._get(name, f"bytes={offset}-{offset + size - 1}")

    def tail(self, name: str, size: int) -> bytes:
        return self._get(name, f"bytes=-{size}")

    def put(self, name: str, content: bytes) -> None:
        key = self._prefix + name
        self._asked(lambda: self._writer.put_object(Bucket=self._bucket, Key=key, Body=content))

    def settle(self) -> None:
        """What is there is durable."""

    def _get(self, name: str, part: str) -> bytes:
        def got() -> bytes:
            answer = self._client.get_object(
                Bucket=self._bucket, Key=self._prefix + name, Range=part
            )
            data: bytes = answer["Body"].read()
            return data

        return self._asked(got)

    def _asked(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except self._errors as error:
            raise OSError(f"{self.where}: {error}") from error
