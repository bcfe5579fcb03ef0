"""An archive in a bucket of S3."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.histories import history, opened, write
from twisted_bazaar.errors import Unavailable, Unusable
from twisted_bazaar.storage.archive import Archive
from twisted_bazaar.storage.stores import store_of

from .test_leaving import archive_all, check

boto3 = pytest.importorskip("boto3")
moto = pytest.importorskip("moto")
ENTRIES = history(60)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    with moto.mock_aws():
        boto3.client("s3").create_bucket(Bucket="shelf")
        yield "shelf"


def test_what_is_in_a_bucket_is_read_as_from_a_folder(tmp_path: Path, bucket: str) -> None:
    place = f"s3://{bucket}/bazaar/one"
    with opened(tmp_path, archive=Archive(store_of(place, tmp_path))) as log:
        for at in range(0, len(ENTRIES), 3):
            write(log, ENTRIES[at : at + 3])
        assert archive_all(log) > 3
        check(log)
    # A replica with another log shares the bucket.
    with opened(tmp_path, archive=Archive(store_of(place, tmp_path))) as log:
        check(log)
    assert not (tmp_path / "archive").exists()


def test_a_bucket_that_is_not_there_is_unavailable(tmp_path: Path, bucket: str) -> None:
    archive = Archive(store_of("s3://another", tmp_path))
    with pytest.raises(OSError, match="s3://another"):
        archive.add(ENTRIES, 0, "")
    with pytest.raises(Unavailable):
        archive.read(0, 1)
    with pytest.raises(Unusable, match="names no bucket"):
        store_of("s3://", tmp_path)
