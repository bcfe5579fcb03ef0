"""Answers `GET /orders` where the market has one partition."""

from twisted.internet.defer import Deferred

from twisted_bazaar.access import ANONYMOUS, Client
from twisted_bazaar.tracing.context import TraceContext

from . import listing
from .services import Orders

__all__ = ["OneList"]


class OneList:
    """What the route calls."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders

    def page(
        self,
        query: bytes,
        request_id: str = "",
        context: TraceContext | None = None,
        caller: Client = ANONYMOUS,
    ) -> Deferred[bytes]:
        """The body that answers the query string `query` of `caller`. Raises `Refusal`; fails with
        `Unavailable`."""
        selection = listing.decode_selection(query, caller)
        found = self._orders.list(listing.asked_for(selection), request_id, context)
        return found.addCallback(lambda page: listing.shown_page(selection, page, caller))
