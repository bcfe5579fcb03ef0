"""What a replica shows of its log and its archive."""

from pathlib import Path
from unittest.mock import patch

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from tests.fakes.histories import history, opened, write
from twisted_bazaar.metrics.exposition import Exposition
from twisted_bazaar.metrics.figures import Metrics
from twisted_bazaar.order.archiver import Archiver
from twisted_bazaar.order.log_figures import SnapshotFigures, show_log
from twisted_bazaar.storage.archive import Archive
from twisted_bazaar.storage.leaving import Keep
from twisted_bazaar.storage.logfile import LogFile
from twisted_bazaar.storage.stores import FolderStore

ENTRIES = history(60)


class AtOnce:
    """In place of a thread."""

    def __init__(self, *given: object) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def defer(self, reactor: object, call: object, *given: object) -> "Deferred[object]":
        assert callable(call)
        return succeed(None).addCallback(lambda _: call(*given))


def shown(metrics: Metrics) -> dict[str, float]:
    text, _ = Exposition(metrics).write("")
    lines = [line for line in text.decode().splitlines() if line and line[0] != "#"]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def raising(error: Exception) -> None:
    raise error


def archiving(clock: Clock, log: LogFile, archive: Archive) -> Archiver:
    with patch("twisted_bazaar.order.archiver.Threads", AtOnce):
        return Archiver(
            clock,  # type: ignore[arg-type]
            log,
            archive,
            Keep(),
            "",
            lambda: log.last_index,
            lambda: succeed(log.last_index),
            raising,
        )


def test_what_leaves_the_log_and_for_how_long_nothing_can_is_shown(tmp_path: Path) -> None:
    place = tmp_path / "archive"
    archive, clock, metrics = Archive(FolderStore(place)), Clock(), Metrics()
    with opened(tmp_path / "order", archive=archive) as log:
        write(log, ENTRIES[:30])
        write(log, ENTRIES[30:])
        archiver = archiving(clock, log, archive)
        show_log(metrics, log, SnapshotFigures(), lambda: archiver.failing_seconds)
        before = shown(metrics)
        assert before["bazaar_log_entries"] == len(ENTRIES)
        assert before["bazaar_log_begins_index"] == before["bazaar_archive_failing_seconds"] == 0
        # A file is where the folder of the archive should be.
        place.touch()
        archiver.startService()
        clock.advance(1.0)
        clock.pump([1.0] * 25)
        failing = shown(metrics)
        assert failing["bazaar_archive_failing_seconds"] == 25
        assert failing["bazaar_log_bytes"] == before["bazaar_log_bytes"]
        place.unlink()
        clock.pump([1.0] * 11)
        after = shown(metrics)
        assert after["bazaar_archive_failing_seconds"] == 0
        begins = after["bazaar_log_begins_index"]
        assert begins > 0
        assert after["bazaar_log_entries"] == len(ENTRIES) - begins
        assert after["bazaar_log_bytes"] < before["bazaar_log_bytes"]
        assert after["bazaar_archive_missing_entries"] == 0
        for path in place.iterdir():
            path.unlink()
        archive.link(log.beginning)
        assert shown(metrics)["bazaar_archive_missing_entries"] == begins
        archiver.stopService()


def test_snapshots_are_counted_by_how_they_ended() -> None:
    figures = SnapshotFigures()
    figures.ended("given", 2.5)
    figures.failed()
    assert figures.counts == {"taken": 0, "given": 1, "failed": 1}
    assert figures.seconds == {"taken": 0.0, "given": 2.5}
