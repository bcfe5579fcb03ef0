"""Answers `GET /orders` where the market has several partitions."""

from collections.abc import Mapping, Sequence

from twisted.internet.defer import Deferred, gatherResults

from twisted_bazaar.access import ANONYMOUS, Client
from twisted_bazaar.errors import BazaarError
from twisted_bazaar.frontend.api import listing
from twisted_bazaar.frontend.api.services import Orders
from twisted_bazaar.selection import Page, Selection
from twisted_bazaar.tracing.context import TraceContext

from .listing import MergedList, PartitionList, decode_list, shown_merged, shown_partition
from .merging import Merge

__all__ = ["MergedLists"]


class MergedLists:
    """What the route calls."""

    def __init__(self, partitions: Sequence[Orders]) -> None:
        """Where the orders of each partition are read, in its own numbers."""
        self._partitions = partitions

    def page(
        self,
        query: bytes,
        request_id: str = "",
        context: TraceContext | None = None,
        caller: Client = ANONYMOUS,
    ) -> Deferred[bytes]:
        """The body that answers the query string `query` of `caller`. Raises `Refusal`; fails with
        `Unavailable`."""
        asked = decode_list(query, len(self._partitions), caller)
        if isinstance(asked, MergedList):
            return Deferred.fromCoroutine(self._merged(asked, request_id, context, caller))
        return self._of_one(asked, request_id, context, caller)

    def _of_one(
        self, asked: PartitionList, request_id: str, context: TraceContext | None, caller: Client
    ) -> Deferred[bytes]:
        orders = self._partitions[asked.partition]
        wanted = listing.asked_for(asked.selection)
        return orders.list(wanted, request_id, context).addCallback(
            lambda page: shown_partition(asked, page, len(self._partitions), caller)
        )

    async def _merged(
        self, asked: MergedList, request_id: str, context: TraceContext | None, caller: Client
    ) -> bytes:
        merge = Merge(listing.with_scoped_key(asked.selection), asked.positions)
        while wanted := merge.wanted():
            pages = await self._pages(wanted, request_id, context)
            failures = [page for page in pages.values() if isinstance(page, BazaarError)]
            found = any(page.orders for page in pages.values() if isinstance(page, Page))
            for partition, page in pages.items():
                if isinstance(page, Page):
                    merge.take(partition, page)
                elif asked.selection.key and found:
                    # What became of a trade is known, whatever a partition that it is not in says.
                    merge.take(partition, Page((), 0, ended=True))
                else:
                    raise failures[0]
        return shown_merged(asked, merge, caller)

    async def _pages(
        self, wanted: Mapping[int, Selection], request_id: str, context: TraceContext | None
    ) -> Mapping[int, Page | BazaarError]:
        """By partition, its answer, or why there is none."""

        async def ask(partition: int, selection: Selection) -> Page | BazaarError:
            try:
                return await self._partitions[partition].list(selection, request_id, context)
            except BazaarError as why:
                return why

        asked = [Deferred.fromCoroutine(ask(*each)) for each in wanted.items()]
        return dict(zip(wanted, await gatherResults(asked), strict=True))
