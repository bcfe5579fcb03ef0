"""The state of the bazaar for operators, as of the last pings."""

from collections.abc import Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from twisted_bazaar.errors import BazaarError
from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.frontend.upstream.catalogs import Catalogs
from twisted_bazaar.http.answers import ReplicaReport

__all__ = ["ReplicaReport", "Reports"]


class Reports:
    """The answers of `/replicas` and `/readyz`."""

    def __init__(self, leadership: Leadership, catalogs: Catalogs) -> None:
        self._leadership = leadership
        self._catalogs = catalogs

    def report(self) -> Deferred[Sequence[ReplicaReport]]:
        """Every order replica, by id."""
        rows = []
        for replica, (status, reachable) in self._leadership.statuses.items():
            if status is None:
                rows.append(
                    ReplicaReport(
                        id=replica,
                        role="unknown",
                        term=0,
                        last_number=0,
                        last_index=0,
                        digest="",
                        reachable=reachable,
                    )
                )
                continue
            rows.append(
                ReplicaReport(
                    id=replica,
                    role=status.role if reachable else "unknown",
                    term=status.term,
                    last_number=status.last_number,
                    last_index=status.last_index,
                    digest=status.digest,
                    reachable=reachable,
                    disk_seconds=round(status.disk_seconds, 4),
                )
            )
        return succeed(rows)

    def readiness(self) -> Deferred[str | None]:
        """Why trades and lookups cannot be served now; None: they can."""
        if not self._leadership.leader:
            return succeed("no order replica leads")

        def unanswered(failure: Failure) -> str:
            failure.trap(BazaarError)
            return "no catalog answers"

        return self._catalogs.ready().addCallbacks(lambda _: None, unanswered)
