"""Archived files in a bucket of S3, by boto3, the extra `s3`. It takes its credentials, its region
and its endpoint from where AWS's tools do."""

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from twisted_bazaar.errors import Unusable

__all__ = ["S3Store"]

T = TypeVar("T")


class S3Store:
    """A `Store` of objects whose keys begin with a prefix."""

    def __init__(self, bucket: str, prefix: str) -> None:
        """Raises `Unusable` if boto3 is not installed."""
        try:
            import boto3
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError:
            raise Unusable("an archive in S3 needs boto3: install twisted-bazaar[s3]") from None
        self._errors = (BotoCoreError, ClientError)
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._client: Any = boto3.client("s3")

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
        self._asked(lambda: self._client.put_object(Bucket=self._bucket, Key=key, Body=content))

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
