"""The status of a catalog, and its protobuf messages. Pure."""

from collections.abc import Sequence

import msgspec

from . import bounds
from .bazaar.v1 import catalog_pb2

__all__ = ["CatalogStatus", "SubscriberStatus", "status_from_wire", "status_to_wire"]

_MAX_SUBSCRIBERS = 2048
"""More than a catalog has, those that it keeps out included."""


class SubscriberStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A front-end, as a catalog knows it. Times are seconds from now."""

    address: str
    """Of its internal endpoint."""
    lease_seconds: float = 0.0
    """For how long releases wait for it, as it may hold a lease; 0: it holds none."""
    kept_out_seconds: float = 0.0
    """For how long it is kept out; 0: it is not."""


class CatalogStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a catalog sees itself."""

    applied: int
    """The last entry that it has applied."""
    released: int
    """Lookups show what entries up to here left."""
    lease_seconds: float
    """For how long its lease lasts; 0: it holds none."""
    serving: bool
    """Whether it answers lookups."""
    subscribers: Sequence[SubscriberStatus] = ()
    """By address."""


def status_to_wire(status: CatalogStatus) -> catalog_pb2.CatalogStatusReply:
    """The reply that says `status`."""
    return catalog_pb2.CatalogStatusReply(
        applied=status.applied,
        released=status.released,
        lease=status.lease_seconds,
        serving=status.serving,
        subscribers=[
            catalog_pb2.Subscriber(
                address=each.address, lease=each.lease_seconds, kept_out=each.kept_out_seconds
            )
            for each in status.subscribers
        ],
    )


def status_from_wire(wire: catalog_pb2.CatalogStatusReply) -> CatalogStatus:
    """The inverse of `status_to_wire`. Raises `Malformed`."""
    for name in ("applied", "released"):
        bounds.check_integer(name, getattr(wire, name))
    bounds.check_clock("lease", wire.lease, bounds.MAX_DURATION)
    bounds.check_count("subscribers", len(wire.subscribers), _MAX_SUBSCRIBERS)
    for each in wire.subscribers:
        bounds.check_text("address", each.address)
        for name in ("lease", "kept_out"):
            bounds.check_clock(name, getattr(each, name), bounds.MAX_DURATION)
    return CatalogStatus(
        applied=wire.applied,
        released=wire.released,
        lease_seconds=wire.lease,
        serving=wire.serving,
        subscribers=[
            SubscriberStatus(
                address=each.address, lease_seconds=each.lease, kept_out_seconds=each.kept_out
            )
            for each in wire.subscribers
        ],
    )
