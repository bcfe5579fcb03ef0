"""Paths and answers for clients of the system that this one replaced.

Answers below `PREFIX` have the fields of that system in addition: `success`, and `errors` with a
`text` each. Statuses are the same as elsewhere.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import Resource

from twisted_bazaar.http.connections import REQUEST_SECONDS
from twisted_bazaar.http.figures import HttpFigures
from twisted_bazaar.http.site import BazaarRequest, BazaarSite

from .batches import MAX_BATCH_BYTES
from .old_shape import in_old_shape

__all__ = ["PREFIX", "public_site"]

PREFIX = "/api/frontend_service"

_BELOW = PREFIX.encode() + b"/"
_BATCH = _BELOW + b"trade/orders/batch"


class _Request(BazaarRequest):
    """A request that is answered in the old shape if its path is below `PREFIX`."""

    def respond(self, body: bytes) -> None:
        super().respond(in_old_shape(body) if self.path.startswith(_BELOW) else body)


def public_site(
    resource: Resource,
    reactor: IReactorTime,
    wall_clock: Callable[[], float],
    request_ids: Callable[[], str],
    max_connections: int,
    figures: HttpFigures | None = None,
    request_seconds: float = REQUEST_SECONDS,
) -> BazaarSite:
    """The site for clients. See `BazaarSite` for the arguments."""
    site = BazaarSite(
        resource,
        reactor,
        wall_clock,
        request_ids,
        max_connections=max_connections,
        body_bytes={b"/orders/batch": MAX_BATCH_BYTES, _BATCH: MAX_BATCH_BYTES},
        figures=figures,
        request_seconds=request_seconds,
    )
    site.requestFactory = _Request
    return site
