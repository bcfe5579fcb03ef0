"""How slow a disk is, and what the operator is told of it, each thing once."""

from twisted_bazaar.consensus.disk_latency import LONGEST_WRITE_SECONDS, DiskLatency

SLOW = 0.15


class Disk:
    """A disk, and the remarks on it."""

    def __init__(self) -> None:
        self.latency = DiskLatency(SLOW)
        self.now = 100.0
        self.said: list[str] = []

    def write(self, seconds: float, times: int = 1) -> None:
        for _ in range(times):
            self.latency.begun(self.now)
            self.wait(seconds)
            self.latency.ended(self.now)
            self.look()

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.look()

    def look(self) -> None:
        remark = self.latency.remark(self.now)
        if remark is not None:
            self.said.append(remark)


def test_the_longest_of_the_last_writes_counts() -> None:
    disk = Disk()
    assert disk.latency.seconds(disk.now) == 0.0
    disk.write(0.5)
    disk.write(0.01, times=7)
    assert round(disk.latency.seconds(disk.now), 3) == 0.5
    disk.write(0.01)
    assert round(disk.latency.seconds(disk.now), 3) == 0.01


def test_one_that_is_under_way_counts_as_soon_as_it_is_longer() -> None:
    disk = Disk()
    disk.write(0.5)
    disk.latency.begun(disk.now)
    disk.wait(0.3)
    assert round(disk.latency.seconds(disk.now), 3) == 0.5
    disk.wait(0.3)
    assert round(disk.latency.seconds(disk.now), 3) == 0.6
    assert round(disk.latency.recent, 3) == 0.5


def test_a_disk_that_is_quick_is_not_talked_of() -> None:
    disk = Disk()
    disk.write(0.1, times=1000)
    assert disk.said == []


def test_a_slow_disk_is_told_of_once_and_when_it_is_well_again() -> None:
    disk = Disk()
    disk.write(0.16, times=100)
    assert disk.said == ["the disk is slow: a write took 0.16 s"]
    disk.write(0.001, times=100)
    assert len(disk.said) == 1, "it may be slow again in a moment"
    disk.wait(10.0)
    assert disk.said[1:] == ["the disk is well again: a write took 0.001 s"]
    assert round(disk.latency.seconds(disk.now), 3) == 0.001
    disk.write(0.16)
    assert len(disk.said) == 3


def test_one_that_is_slow_now_and_then_fills_no_log() -> None:
    disk = Disk()
    for _ in range(100):
        disk.write(0.2)
        disk.write(0.001)
        disk.wait(1.0)
    assert len(disk.said) == 1


def test_a_disk_that_hangs_is_told_of_in_one_line_while_it_hangs() -> None:
    disk = Disk()
    disk.latency.begun(disk.now)
    for _ in range(1000):
        disk.wait(0.1)
    (line,) = disk.said
    assert f"more than {LONGEST_WRITE_SECONDS:g} s" in line
    disk.latency.ended(disk.now)
    disk.write(0.001)
    disk.wait(11.0)
    assert disk.said[1:] == ["the disk is well again: a write took 0.001 s"]
