"""An archive in a bucket of S3."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.histories import history, opened, write
from twisted_bazaar.errors import Unavailable, Unusable
from twisted_bazaar.storage.archive import Archive
from twisted_bazaar.storage.s3 import S3Store
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


@pytest.mark.parametrize(
    ("name", "value"), [("AWS_PROFILE", "none"), ("AWS_ENDPOINT_URL", "no address")]
)
def test_settings_that_make_no_sense_are_said_in_one_line(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    # The session that boto3 keeps has read the settings.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with pytest.raises(Unusable, match=f"S3: .*{value}"):
        store_of(f"s3://{bucket}/bazaar", tmp_path)


def test_a_replica_waits_for_an_answer_of_s3_for_seconds_not_minutes(
    tmp_path: Path, bucket: str
) -> None:
    store = store_of(f"s3://{bucket}/bazaar", tmp_path, hurried=True)
    assert isinstance(store, S3Store)
    config = store._client.meta.config
    assert config.connect_timeout + config.read_timeout < 10
    assert config.retries["total_max_attempts"] == 1
    assert store._writer.meta.config.read_timeout >= 60, "a large file takes its time"
