"""Places trades where the market has several partitions: each in the one that has its stock."""

from collections.abc import Callable, Sequence

import msgspec
from twisted.internet.defer import Deferred, fail, gatherResults, succeed
from twisted.python.failure import Failure

from twisted_bazaar.errors import BazaarError, NotExecuted, Rejected, Unavailable
from twisted_bazaar.frontend.trading.queue import Outcome
from twisted_bazaar.frontend.trading.service import TradeService
from twisted_bazaar.market import Judged, Placed, Rejection, Trade
from twisted_bazaar.tracing.context import TraceContext

from .numbers import shown_outcome
from .whereabouts import Whereabouts

__all__ = ["TradeRouter"]


class TradeRouter:
    """Stands before one `TradeService` for each partition; numbers are those that clients see.

    A trade that is refused as its stock is unknown is certainly not executed there, and no copy of
    it will be: so it may be sent, under the same key, to the partition that has the stock.
    """

    def __init__(
        self,
        seconds: Callable[[], float],
        services: Sequence[TradeService],
        whereabouts: Whereabouts,
        deadline: float,
    ) -> None:
        """`services` are those of the partitions, by number. A trade is settled within `deadline`
        seconds."""
        self._seconds = seconds
        self._services = services
        self._whereabouts = whereabouts
        self._placements = whereabouts.placements
        self._deadline = deadline

    def place(
        self,
        trade: Trade,
        request_id: str = "",
        context: TraceContext | None = None,
        owner: str = "",
    ) -> Deferred[Placed | Judged]:
        """As `TradeService.place`."""
        partition = self._placements.of(trade.stock)
        sent = _Sent(trade, self._seconds() + self._deadline, request_id, context, owner)
        return self._settled(self._place(sent, partition), sent, partition)

    def place_together(
        self,
        trades: Sequence[Trade],
        request_id: str = "",
        context: TraceContext | None = None,
        owner: str = "",
    ) -> Deferred[list[Outcome]]:
        """As `TradeService.place_together`, but that the trades of each partition are a call and a
        commit of their own. If they are of several, one that has no room is `Overloaded` by itself.
        """
        give_up = self._seconds() + self._deadline
        sent = [_Sent(trade, give_up, request_id, context, owner) for trade in trades]
        by_partition: dict[int, list[int]] = {}
        for at, trade in enumerate(trades):
            by_partition.setdefault(self._placements.of(trade.stock), []).append(at)
        outcomes: dict[int, Outcome] = {}

        def settled(found: Sequence[Outcome], places: Sequence[int]) -> None:
            outcomes.update(zip(places, found, strict=True))

        done = []
        for partition, places in by_partition.items():
            of_it = [sent[at] for at in places]
            placed = self._place_of(of_it, partition, alone=len(by_partition) == 1)
            done.append(placed.addCallback(settled, places))
        whole = done[0] if len(done) == 1 else gatherResults(done)
        return whole.addCallback(lambda _: [outcomes[at] for at in range(len(trades))])

    def _place_of(
        self, sent: Sequence["_Sent"], partition: int, alone: bool
    ) -> Deferred[list[Outcome]]:
        """Place those trades of a batch that are of `partition`; `alone`: there are no others."""

        def follow(outcomes: Sequence[Outcome]) -> Deferred[list[Outcome]]:
            return gatherResults(
                [
                    self._settled(_fired(outcome), one, partition).addErrback(_met)
                    for one, outcome in zip(sent, outcomes, strict=True)
                ]
            )

        def no_room(failure: Failure) -> list[Outcome]:
            return [_met(failure) for _ in sent]

        trades = [each.trade for each in sent]
        placed = self._services[partition].place_together(
            trades, sent[0].request_id, sent[0].context, sent[0].owner
        )
        followed = placed.addCallback(follow)
        return followed if alone else followed.addErrback(no_room)

    def _place(self, sent: "_Sent", partition: int) -> Deferred[Placed | Judged]:
        service = self._services[partition]
        return service.place(sent.trade, sent.request_id, sent.context, sent.owner, sent.give_up)

    def _settled(
        self, placed: Deferred[Placed | Judged], sent: "_Sent", partition: int
    ) -> Deferred[Placed | Judged]:
        """What comes of a trade that was `placed` in `partition`: there, or where its stock is."""

        def refused(failure: Failure) -> Deferred[Placed | Judged]:
            if not _is_unknown_stock(failure.value):
                return fail(failure)
            return Deferred.fromCoroutine(self._follow(sent, partition))

        settled: Deferred[Placed | Judged] = placed.addCallback(self._shown, partition)
        return settled.addErrback(refused)

    def _shown(self, outcome: Placed | Judged, partition: int) -> Placed | Judged:
        return shown_outcome(outcome, partition, len(self._services))

    async def _follow(self, sent: "_Sent", partition: int) -> Placed | Judged:
        """Place a trade where its stock is, as `partition` has not got it."""
        while True:
            stock = sent.trade.stock
            try:
                found = await self._whereabouts.after(stock, partition, sent.give_up)
            except Unavailable as why:
                raise NotExecuted(str(why)) from None
            if found is None:
                raise Rejected(Rejection.UNKNOWN_STOCK)
            partition = found
            try:
                outcome = await self._place(sent, partition)
            except Rejected as refused:
                if not _is_unknown_stock(refused):
                    raise
            else:
                return self._shown(outcome, partition)


class _Sent(msgspec.Struct, frozen=True):
    """A trade, and what goes with it to each partition that is asked."""

    trade: Trade
    give_up: float
    """On the front-end's clock."""
    request_id: str
    context: TraceContext | None
    owner: str


def _fired(outcome: Outcome) -> Deferred[Placed | Judged]:
    return fail(outcome) if isinstance(outcome, BazaarError) else succeed(outcome)


def _is_unknown_stock(error: BaseException | None) -> bool:
    return isinstance(error, Rejected) and error.rejection is Rejection.UNKNOWN_STOCK


def _met(failure: Failure) -> BazaarError:
    """What a trade met, as its outcome."""
    failure.trap(BazaarError)
    error = failure.value
    assert isinstance(error, BazaarError)
    return error
