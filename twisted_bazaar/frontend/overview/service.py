"""Answers how the whole bazaar is."""

from collections.abc import Callable, Mapping

from twisted.internet.defer import Deferred

from twisted_bazaar import __version__
from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.http.texts import time_text
from twisted_bazaar.runtime.address import Address
from twisted_bazaar.status.report import ClusterStatus, Figures

from . import parts
from .catalogs import CatalogStatuses

__all__ = ["Overview"]


class Overview:
    """The answers of `/status`."""

    def __init__(
        self,
        wall_clock: Callable[[], float],
        leadership: Leadership,
        replicas: Mapping[int, Address],
        catalogs: CatalogStatuses,
        own_lease: Callable[[], parts.OwnLease],
        notice: Callable[[], str | None],
        figures: Callable[[], Figures],
    ) -> None:
        """`wall_clock` returns seconds since 1970. `notice` and `figures` return what operators
        should know of this front-end, and what it has counted."""
        self._wall_clock = wall_clock
        self._leadership = leadership
        self._replicas = replicas
        self._catalogs = catalogs
        self._own_lease = own_lease
        self._notice = notice
        self._figures = figures

    def status(self) -> Deferred[ClusterStatus]:
        """The bazaar as of the last pings, and of the last answers of the catalogs. Never fails,
        and fires within half a second."""
        return self._catalogs.ask().addCallback(self._status)

    def _status(self, asked: parts.Asked) -> ClusterStatus:
        leadership = self._leadership
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
            replicas=parts.replica_states(statuses, self._replicas, leader),
            figures=self._figures(),
        )
