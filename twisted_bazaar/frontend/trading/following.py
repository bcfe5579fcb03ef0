"""What a front-end knows of trades that are followed. Made only where the log is at level debug, or
traces are exported."""

from collections.abc import Iterator
from typing import Self

from twisted.logger import Logger

from twisted_bazaar.errors import BazaarError, KeyReused, Rejected
from twisted_bazaar.market import Placed
from twisted_bazaar.tracing.followed import Followed
from twisted_bazaar.tracing.lines import say
from twisted_bazaar.tracing.spans import Kind, Tracer, Value

from .queue import Batch, Outcome, Pending, T

__all__ = ["TradeFollowing", "followed_in"]


def followed_in(batch: Batch[T], following: "TradeFollowing | None") -> list[tuple[int, Followed]]:
    """Whose the trades of `batch` are, by position, as far as they are followed: all of them where
    the log is at level debug, else those that are part of a trace."""
    all_are = following is not None and following.is_debugging
    return [
        (position, Followed(pending.request_id, pending.context))
        for position, pending in enumerate(batch.pending)
        if all_are or pending.context is not None
    ]


class TradeFollowing:
    """Says what becomes of the trades of one front-end."""

    log = Logger()

    def __init__(self, tracer: Tracer | None, is_debugging: bool) -> None:
        """`is_debugging`: the log shows lines of level debug."""
        self._tracer = tracer
        self.is_debugging = is_debugging

    @classmethod
    def of(cls, tracer: Tracer | None, is_debugging: bool) -> Self | None:
        """None: nothing is followed in this process."""
        return cls(tracer, is_debugging) if is_debugging or tracer is not None else None

    def taken(self, pending: Pending[T]) -> None:
        """A trade was taken into the queue. From here on its context is that of its own span, from
        now until it is answered."""
        if self._tracer is not None and pending.context is not None:
            attributes: dict[str, Value] = {
                "rpc.system.name": "grpc",
                "rpc.method": "bazaar.v1.Orders/Trade",
                "bazaar.stock": pending.trade.stock,
            }
            span = self._tracer.begin("Orders.Trade", Kind.CLIENT, pending.context, attributes)
            if span is not None:
                pending.span, pending.context = span, span.context
        if self.is_debugging:
            say(self.log, "trade taken", _followed(pending))

    def sent(self, batch: Batch[T]) -> None:
        """`batch` leaves for the leader."""
        for pending in _with_span(batch):
            assert pending.span is not None
            pending.span.event(
                "sent",
                {
                    "bazaar.leader.id": batch.leader,
                    "bazaar.leader.term": batch.term,
                    "bazaar.batch.trades": len(batch.pending),
                },
            )

    def answered(self, pending: Pending[T], outcome: Outcome) -> None:
        """A trade is settled."""
        failed = isinstance(outcome, BazaarError)
        if pending.span is not None:
            if isinstance(outcome, Placed):
                pending.span.set({"bazaar.order.number": outcome.number})
            # What the market refuses is no failure of the bazaar.
            refused = isinstance(outcome, Rejected | KeyReused)
            pending.span.end(str(outcome) if failed and not refused else "")
        if not self.is_debugging:
            return
        followed = _followed(pending)
        if isinstance(outcome, Placed):
            again = " again" if outcome.replayed else ""
            say(self.log, f"trade placed{again}: order {{number}}", followed, number=outcome.number)
        elif failed:
            say(self.log, "trade not placed: {why}", followed, why=str(outcome))
        else:
            say(self.log, "trade judged", followed)


def _followed(pending: Pending[T]) -> Followed:
    return Followed(pending.request_id, pending.context)


def _with_span(batch: Batch[T]) -> Iterator[Pending[T]]:
    return (pending for pending in batch.pending if pending.span is not None)
