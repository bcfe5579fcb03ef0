"""Reads single orders where the market has several partitions: the number says which has it."""

from collections.abc import Sequence

from twisted.internet.defer import Deferred, succeed

from twisted_bazaar.frontend.upstream.replicas import Replicas
from twisted_bazaar.market import Order
from twisted_bazaar.tracing.context import TraceContext

from .numbers import place_of, shown_order

__all__ = ["OrderRouter"]


class OrderRouter:
    """Stands before the `Replicas` of each partition; numbers are those that clients see."""

    def __init__(self, replicas: Sequence[Replicas]) -> None:
        self._replicas = replicas

    def get(
        self, number: int, request_id: str = "", context: TraceContext | None = None
    ) -> Deferred[Order | None]:
        """As `Replicas.get`."""
        count = len(self._replicas)
        place = place_of(number, count)
        if place is None:
            return succeed(None)

        def show(order: Order | None) -> Order | None:
            return None if order is None else shown_order(order, place.partition, count)

        found = self._replicas[place.partition].get(place.number, request_id, context)
        return found.addCallback(show)
