"""A bazaar whose order log is in PostgreSQL, each service started and ended by the test."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from .chosen_engine import Engine
from .cluster import ONE_CATALOG, ONE_FRONTEND, Cluster

__all__ = ["EngineCluster"]


class EngineCluster(Cluster):
    """As `Cluster`, with members in place of replicas."""

    def __init__(
        self,
        folder: Path,
        url: str,
        *options: str,
        frontends: Mapping[str, Sequence[str]] = ONE_FRONTEND,
        catalogs: Mapping[str, Sequence[str]] = ONE_CATALOG,
        partitions: int = 1,
    ) -> None:
        """`url` is that of an empty database, or of one that a bazaar of so many partitions has
        used."""
        engine = Engine(url, partitions)
        super().__init__(folder, *options, frontends=frontends, catalogs=catalogs, engine=engine)
