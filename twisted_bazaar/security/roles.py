"""The roles of processes and persons inside a bazaar, and what each may call. Pure.

A certificate says in which bazaar its holder has which role. A server looks the role up in
`ALLOWED` for each call; a client looks whether the server has the role that it means to call.
"""

import re
from collections.abc import Mapping
from enum import StrEnum

import attrs

from twisted_bazaar.replica_ids import MAX_REPLICA

__all__ = ["ALLOWED", "Identity", "Kind", "Role", "may_call"]

_IDENTITY = re.compile(r"bazaar://([0-9a-f]{8})/([a-z0-9-]+)")
_ORDER = re.compile(r"order-([1-9][0-9]{0,9})")


class Kind(StrEnum):
    """What a holder of a certificate is."""

    FRONTEND = "frontend"
    CATALOG = "catalog"
    ORDER = "order"
    """An order replica, or an order process of an engine."""
    OPERATOR = "operator"
    """Who changes the market, and runs the tools."""
    MONITOR = "monitor"
    """Prometheus, and health checks."""


@attrs.frozen(order=True)
class Role:
    """A kind, and for an order replica its id. As text `frontend`, or `order-2`."""

    kind: Kind
    number: int = 0
    """The id of an order replica, from 1; 0 for every other kind."""

    @classmethod
    def parse(cls, text: str) -> "Role":
        """Read what `str` gives. Raises ValueError."""
        order = _ORDER.fullmatch(text)
        if order is not None and int(order[1]) <= MAX_REPLICA:
            return cls(Kind.ORDER, int(order[1]))
        if text == Kind.ORDER or text not in set(Kind):
            others = ", ".join(kind for kind in Kind if kind != Kind.ORDER)
            raise ValueError(f"must be {others} or order-ID, not {text!r}")
        return cls(Kind(text))

    @classmethod
    def order(cls, number: int) -> "Role":
        """That of the order replica with the id `number`, from 1."""
        return cls(Kind.ORDER, number)

    def __str__(self) -> str:
        return f"{self.kind}-{self.number}" if self.kind is Kind.ORDER else str(self.kind)

    @property
    def host_name(self) -> str:
        """The host name in its certificate, for libraries that must check one. It resolves to
        nothing."""
        return f"{self}.bazaar"


@attrs.frozen
class Identity:
    """A role in one bazaar. As text the URI in its certificate: `bazaar://3f9c12ab/order-2`."""

    bazaar: str
    """The name of the bazaar's authority: 8 hexadecimal digits."""
    role: Role

    @classmethod
    def parse(cls, uri: str) -> "Identity":
        """Read what `str` gives. Raises ValueError."""
        parts = _IDENTITY.fullmatch(uri)
        if parts is None:
            raise ValueError(f"must be bazaar://NAME/ROLE, not {uri!r}")
        return cls(parts[1], Role.parse(parts[2]))

    def __str__(self) -> str:
        return f"bazaar://{self.bazaar}/{self.role}"


_ALL = frozenset(Kind)
_FRONTEND = frozenset({Kind.FRONTEND})
_ORDER_ONLY = frozenset({Kind.ORDER})
_STATUS = frozenset({Kind.FRONTEND, Kind.ORDER, Kind.OPERATOR, Kind.MONITOR})

ALLOWED: Mapping[str, frozenset[Kind]] = {
    "/bazaar.v1.Orders/Trade": _FRONTEND,
    "/bazaar.v1.Orders/GetOrder": _FRONTEND,
    "/bazaar.v1.Orders/ListOrders": _FRONTEND,
    "/bazaar.v1.Orders/Watch": _FRONTEND,
    "/bazaar.v1.Orders/Change": _FRONTEND,
    "/bazaar.v1.Orders/ChangeMembers": _FRONTEND,
    "/bazaar.v1.Orders/Lookup": _FRONTEND,
    "/bazaar.v1.Orders/Campaign": _FRONTEND,
    "/bazaar.v1.Orders/Follow": _FRONTEND,
    "/bazaar.v1.Orders/HandOver": _FRONTEND,
    "/bazaar.v1.Orders/Status": _STATUS,
    "/bazaar.v1.Replication/Append": _ORDER_ONLY,
    "/bazaar.v1.Replication/Vote": _ORDER_ONLY,
    "/bazaar.v1.Replication/Poll": _ORDER_ONLY,
    "/bazaar.v1.Replication/Fetch": _ORDER_ONLY,
    "/bazaar.v1.Replication/Snapshot": _ORDER_ONLY,
    "/bazaar.v1.Replication/Earlier": _ORDER_ONLY,
    "/bazaar.v1.Catalog/Apply": _ORDER_ONLY,
    "/bazaar.v1.Catalog/Listing": _ORDER_ONLY,
    "/bazaar.v1.Catalog/Lookup": _FRONTEND,
    "/bazaar.v1.Catalog/Subscribe": _FRONTEND,
    "/bazaar.v1.Catalog/Status": _STATUS,
    "/grpc.health.v1.Health/Check": _ALL,
    "/grpc.health.v1.Health/List": _ALL,
    "/grpc.health.v1.Health/Watch": _ALL,
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": _ALL,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": _ALL,
    "frames.Append": _ORDER_ONLY,
    "frames.Vote": _ORDER_ONLY,
    "frames.Poll": _ORDER_ONLY,
    "frames.Fetch": _ORDER_ONLY,
    "frames.Snapshot": _ORDER_ONLY,
    "frames.Earlier": _ORDER_ONLY,
    "frames.Apply": _ORDER_ONLY,
    "frames.Push": frozenset({Kind.CATALOG}),
    "frames.Announcement": frozenset({Kind.CATALOG}),
    "http /invalidations": frozenset({Kind.CATALOG}),
    "http /market": frozenset({Kind.OPERATOR}),
    "http /metrics": _ALL,
    "http /livez": _ALL,
    "http /readyz": _ALL,
}
"""The kinds that may call each method of gRPC, each kind of frame, and each path of HTTP on the
ports inside. What has no row may be called by none."""


def may_call(role: Role, method: str) -> bool:
    """Whether `ALLOWED` has a row for `method` that names the kind of `role`."""
    return role.kind in ALLOWED.get(method, frozenset())
