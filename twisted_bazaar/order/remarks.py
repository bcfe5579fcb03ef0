"""What the operator is told of an order replica at work, each thing once."""

from collections.abc import Hashable
from pathlib import Path

from twisted.logger import Logger

from twisted_bazaar.backoff import Backoff

__all__ = ["Remarks"]


class Remarks:
    """The log lines of one replica."""

    log = Logger()

    def __init__(self, folder: Path | str, led: str = "") -> None:
        """`folder` is where the replica's log is, `led` what it leads; empty: the one log that
        there is."""
        self._folder = folder
        self._led = f" {led}" if led else ""
        self._of = f"{led}: " if led else ""
        self._leading_term = 0
        self._strangers: dict[Hashable, str] = {}
        """By neighbour, or kind of request: what was said last of one that is not ours."""

    def leads(self, term: int) -> None:
        """The replica leads in `term`; 0: it does not lead."""
        if term == self._leading_term:
            return
        self._leading_term = term
        if term:
            self.log.info("leads{led} in term {term}", term=term, led=self._led)
        else:
            self.log.info("leads{led} no longer", led=self._led)

    def stranger(self, of: Hashable, line: str | None) -> None:
        """What is wrong with what `of` says, which is not ours; said again only if it changes.
        None: nothing is wrong."""
        if line is None:
            self._strangers.pop(of, None)
        elif self._strangers.get(of) != line:
            self._strangers[of] = line
            self.log.warn("{of}{line}", of=self._of, line=line)

    def disk(self, remark: str | None) -> None:
        """What `DiskLatency.remark` says."""
        if remark is not None:
            self.log.warn("{folder}: {remark}", folder=self._folder, remark=remark)

    def kept_out(self, backoff: Backoff | None) -> None:
        """Which catalogs the leader keeps out since the last call; None: it does not lead."""
        if backoff is None:
            return
        for news in backoff.take_news():
            self.log.warn(
                "{of}catalog {who} is kept out for {seconds:.0f} s: it has held trades up again "
                "and again ({times} times in a row; times in all: {total})",
                of=self._of,
                who=news.holder,
                seconds=news.seconds,
                times=news.times,
                total=backoff.times_kept_out,
            )
