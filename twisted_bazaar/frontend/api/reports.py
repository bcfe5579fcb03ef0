"""The state of the bazaar for operators, as of the last pings."""

from collections.abc import Sequence

import msgspec
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.python.failure import Failure

from twisted_bazaar.consensus.messages import Status
from twisted_bazaar.errors import BazaarError
from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.frontend.partitions.numbers import shown_last
from twisted_bazaar.frontend.upstream.catalogs import Catalogs
from twisted_bazaar.http.answers import PartitionReport, ReplicaReport

__all__ = ["ReplicaReport", "Reports"]


class Reports:
    """The answers of `/replicas` and `/readyz`."""

    def __init__(self, leaderships: Sequence[Leadership], catalogs: Sequence[Catalogs]) -> None:
        """Those of the partitions, by number."""
        self._leaderships = leaderships
        self._catalogs = catalogs

    def report(self) -> Deferred[Sequence[ReplicaReport]]:
        """Every order replica, by id."""
        by_partition = [leadership.statuses for leadership in self._leaderships]
        rows = []
        for replica, (status, reachable) in by_partition[0].items():
            row = _report(replica, status, reachable)
            if replica in self._leaderships[0].joining:
                row = msgspec.structs.replace(row, joining=True)
            if len(by_partition) > 1:
                parts = [
                    self._part(number, *statuses[replica])
                    for number, statuses in enumerate(by_partition)
                ]
                last = shown_last(row.last_number, 0, len(by_partition))
                row = msgspec.structs.replace(row, last_number=last, partitions=parts)
            rows.append(row)
        return succeed(rows)

    def _part(self, number: int, status: Status | None, reachable: bool) -> PartitionReport:
        report = _report(0, status, reachable)
        return PartitionReport(
            partition=number,
            role=report.role,
            term=report.term,
            last_number=shown_last(report.last_number, number, len(self._leaderships)),
            last_index=report.last_index,
            digest=report.digest,
        )

    def readiness(self) -> Deferred[str | None]:
        """Why trades and lookups cannot be served now, in whichever partition; None: they can."""
        of = "" if len(self._leaderships) == 1 else " partition {}"
        for number, leadership in enumerate(self._leaderships):
            if not leadership.leader:
                return succeed(f"no order replica leads{of}".format(number))
        asked = []
        for number, catalogs in enumerate(self._catalogs):
            missing = f"no catalog answers{of and ' for' + of}".format(number)
            asked.append(catalogs.ready().addCallbacks(_nothing, _unanswered, (), {}, (missing,)))
        if len(asked) == 1:
            return asked[0]
        return gatherResults(asked).addCallback(lambda found: next(filter(None, found), None))


def _report(replica: int, status: Status | None, reachable: bool) -> ReplicaReport:
    if status is None:
        return ReplicaReport(
            id=replica,
            role="unknown",
            term=0,
            last_number=0,
            last_index=0,
            digest="",
            reachable=reachable,
        )
    return ReplicaReport(
        id=replica,
        role=status.role if reachable else "unknown",
        term=status.term,
        last_number=status.last_number,
        last_index=status.last_index,
        digest=status.digest,
        reachable=reachable,
        disk_seconds=round(status.disk_seconds, 4),
    )


def _nothing(_: object) -> str | None:
    return None


def _unanswered(failure: Failure, missing: str) -> str | None:
    failure.trap(BazaarError)
    return missing
