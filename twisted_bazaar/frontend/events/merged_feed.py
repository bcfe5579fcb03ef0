"""The feed of a front-end of several partitions: one stream of the events of all of them."""

from collections.abc import Callable, Mapping, Sequence

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.internet.task import deferLater

from twisted_bazaar.errors import Unavailable
from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.frontend.positions import Positions
from twisted_bazaar.http.refusals import Reason, Refusal
from twisted_bazaar.partitions import order_number
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.timing import Timing

from .asked import Asked
from .feed import EventFeed
from .following import FollowedPartition
from .journal import Journal
from .merged_journal import MergedJournal
from .merged_reader import MergedReader
from .news import News
from .reader import Reader

__all__ = ["MergedFeed"]

_BEHIND_SECONDS = 0.02
"""Between two looks whether the feed has come to where a reader has been."""


class MergedFeed(EventFeed):
    """It begins once each partition has said what is new, and goes on while some do not answer."""

    def __init__(
        self,
        reactor: Reactor,
        seconds: Callable[[], float],
        partitions: Sequence[FollowedPartition],
        timing: Timing,
        max_readers: int,
        holder: Callable[[str], int],
    ) -> None:
        """`holder` is the partition that a stock is in, as far as this front-end knows."""
        super().__init__(reactor, seconds, partitions, timing, max_readers)
        self._holder = holder

    @property
    def _merged(self) -> MergedJournal:
        assert isinstance(self._journal, MergedJournal)
        return self._journal

    def placed(self) -> None:
        """Stocks may have been moved: `holder` may return other partitions than before."""
        if self._journal is not None and self._merged.placed():
            self._come()

    def reached(self, partition: int) -> tuple[int, int] | None:
        return None if self._journal is None else self._merged.reached(partition)

    def _begun(self, firsts: Sequence[News]) -> Journal:
        return MergedJournal(firsts, self._holder)

    def _taken(self, partition: int, news: News) -> bool:
        return self._merged.take_from(partition, news)

    def _leads(self, partition: int, leadership: Leadership) -> bool:
        return self._merged.lead(leadership.leader, leadership.term, partition)

    async def _check_orders(self, asked: Asked, positions: Positions) -> None:
        partitions = len(self._partitions)
        for partition, after in enumerate(positions):
            orders = self._partitions[partition].orders
            if self._is_behind({partition: after}) and await orders.get(after) is None:
                shown = order_number(after, partition, partitions)
                message = f"{asked.named} names order {shown}, which is not there yet"
                raise Refusal(Reason.INVALID_PARAMETER, message)
        # What another front-end has shown may be news to this one.
        give_up = self._seconds() + self._timing.deadline
        while self._is_behind(dict(enumerate(positions))):
            if self._seconds() >= give_up:
                raise Unavailable("this front-end has not heard of all that was shown before")
            await deferLater(self._reactor, _BEHIND_SECONDS)

    def _is_behind(self, positions: Mapping[int, int]) -> bool:
        """Whether a reader has been given more than this front-end knows."""
        if self._journal is None:
            return False
        here = self._merged.positions
        return any(after > here[partition] for partition, after in positions.items())

    def _reader(self, asked: Asked, compress: bool) -> Reader:
        return MergedReader(asked.wanted, asked.after, self._merged, compress, self._seconds())

    def replay(self, reader: Reader) -> Deferred[bytes]:
        assert isinstance(reader, MergedReader)
        return Deferred.fromCoroutine(self._replay(reader))

    async def _replay(self, reader: MergedReader) -> bytes:
        lacking = reader.lacking()
        asked = [self._pages[partition].after(after) for partition, after in lacking.items()]
        try:
            pages = await gatherResults(asked, consumeErrors=True)
        except FirstError as error:
            error.subFailure.raiseException()
        return reader.replayed_from(dict(zip(lacking, pages, strict=True)))
