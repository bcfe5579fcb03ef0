"""The partitions that one catalog shows: each has a node of its own, with a file, a leader, a lease
and subscriptions."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from twisted.internet.defer import Deferred

from twisted_bazaar.consensus.messages import Apply, ApplyReply
from twisted_bazaar.errors import NotOurs
from twisted_bazaar.tracing.followed import Followed

from .following import Following
from .node import CatalogNode

__all__ = ["Partitions", "file_of"]

_Told = tuple[Apply, Mapping[int, Followed]]


def file_of(data: Path, partition: int) -> Path:
    """Where the catalog with the folder `data` keeps what it knows of `partition`."""
    return data / (f"catalog-{partition}.csv" if partition else "catalog.csv")


class Partitions:
    """The nodes of one catalog, by partition; one at least."""

    def __init__(self, nodes: Sequence[CatalogNode]) -> None:
        self.nodes = nodes
        self.apply: Callable[[Apply], Deferred[ApplyReply]] = (
            nodes[0].apply if len(nodes) == 1 else self._apply
        )
        """Takes in a leader's entries: see `CatalogNode.apply`."""

    def node(self, partition: int) -> CatalogNode:
        """The one of `partition`. Raises `NotOurs` if there is none."""
        if 0 <= partition < len(self.nodes):
            return self.nodes[partition]
        raise NotOurs(
            f"partition {partition} was asked for, and this catalog has {len(self.nodes)}"
        )

    def _apply(self, message: Apply) -> Deferred[ApplyReply]:
        return self.node(message.partition).apply(message)

    def apply_followed(
        self, following: Callable[[], Following]
    ) -> Callable[[_Told], Deferred[ApplyReply]]:
        """As `apply`, of entries that come with whose they are. Each partition has a `following` of
        its own: indexes and terms name an entry within one only."""
        applies = [following().around(node.apply) for node in self.nodes]

        def apply(came: _Told) -> Deferred[ApplyReply]:
            self.node(came[0].partition)
            return applies[came[0].partition](came)

        return apply

    def why_not_ready(self) -> str | None:
        """Why no lookup can be answered now; None: one can, if perhaps not in each partition, since
        another catalog may hold the leases of the others."""
        whys = [node.why_not_ready() for node in self.nodes]
        return None if None in whys else whys[0]
