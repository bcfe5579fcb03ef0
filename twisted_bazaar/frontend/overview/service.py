"""Answers how the whole bazaar is."""

from collections.abc import Callable, Mapping, Sequence

import msgspec
from twisted.internet.defer import Deferred, gatherResults

from twisted_bazaar import __version__
from twisted_bazaar.consensus.messages import StockPlacement
from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.http.texts import time_text
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.status.report import ClusterStatus, Figures

from . import parts, several
from .catalogs import CatalogStatuses

__all__ = ["Overview"]


class Overview:
    """The answers of `/status`."""

    def __init__(
        self,
        wall_clock: Callable[[], float],
        leaderships: Sequence[Leadership],
        replicas: Mapping[int, Address],
        catalogs: Sequence[CatalogStatuses],
        own_lease: Callable[[], parts.OwnLease],
        notice: Callable[[], str | None],
        figures: Callable[[], Figures],
        moved: Callable[[], Sequence[StockPlacement]] = tuple,
    ) -> None:
        """`wall_clock` returns seconds since 1970. `leaderships` and `catalogs` are those of the
        partitions, by number. `notice` and `figures` return what operators should know of this
        front-end, and what it has counted; `moved` the stocks that were ever moved."""
        self._wall_clock = wall_clock
        self._leaderships = leaderships
        self._replicas = replicas
        self._catalogs = catalogs
        self._own_lease = own_lease
        self._notice = notice
        self._figures = figures
        self._moved = moved

    def status(self) -> Deferred[ClusterStatus]:
        """The bazaar as of the last pings, and of the last answers of the catalogs. Never fails,
        and fires within half a second."""
        if len(self._leaderships) == 1:
            return self._catalogs[0].ask().addCallback(self._status)
        asked = gatherResults([each.ask() for each in self._catalogs])
        return asked.addCallback(self._of_several)

    def _status(self, asked: parts.Asked) -> ClusterStatus:
        """As of partition 0."""
        leadership = self._leaderships[0]
        statuses, leader = leadership.statuses, leadership.leader
        catalogs = parts.catalog_states(asked)
        problem = parts.problem_of(leader, catalogs)
        return ClusterStatus(
            version=__version__,
            time=time_text(int(self._wall_clock() * 1000)),
            ready=problem is None,
            problem=problem,
            notice=self._notice(),
            leader=leader,
            term=leadership.term,
            last_number=parts.last_number(statuses),
            frontends=parts.frontend_states(asked, self._own_lease()),
            catalogs=catalogs,
            replicas=parts.replica_states(statuses, self._replicas, leader, leadership.joining),
            figures=self._figures(),
        )

    def _of_several(self, asked: Sequence[parts.Asked]) -> ClusterStatus:
        seen = [
            several.Seen(
                leader=leadership.leader,
                term=leadership.term,
                preferred=leadership.preferred,
                statuses=leadership.statuses,
                catalogs=catalogs,
            )
            for leadership, catalogs in zip(self._leaderships, asked, strict=True)
        ]
        first = self._status(asked[0])
        problem = several.problem_of(seen)
        return msgspec.structs.replace(
            first,
            ready=problem is None,
            problem=problem,
            last_number=several.last_number(seen, 0),
            frontends=several.frontend_states(seen, self._own_lease()),
            catalogs=several.catalog_states(first.catalogs, seen),
            replicas=several.replica_states(first.replicas, self._replicas, seen),
            partitions=several.partition_states(seen),
            moved=several.moves(self._moved()),
        )
