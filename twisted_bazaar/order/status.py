"""How a replica sees itself. Pure."""

from twisted_bazaar.consensus.messages import LEVEL, Status
from twisted_bazaar.consensus.replica import Replica

from .desk import TradingDesk

__all__ = ["status_of", "why_not_ready"]


def status_of(replica: Replica, desk: TradingDesk, now: float) -> Status:
    """The state of `replica` and its desk at `now`."""
    applied = desk.applied
    membership = replica.committed_membership
    return Status(
        replica=replica.id,
        role=replica.role.value,
        term=replica.term,
        leader=replica.known_leader(now),
        last_index=applied,
        last_number=desk.ledger.last_number,
        digest=replica.log.digest_at(applied),
        cluster=replica.cluster,
        clock=now,
        disk_seconds=replica.disk.seconds(now),
        level=LEVEL,
        followers=replica.follower_lags(now),
        # Without an entry, each process has what its options say.
        roster=membership.members if membership.index else (),
        members_index=membership.index,
        before=membership.before,
    )


def why_not_ready(replica: Replica, now: float) -> str | None:
    """Why `replica` is of no use to the others at `now`; None: it is."""
    if replica.suspect:
        return "it is suspect"
    if not replica.known_leader(now):
        return "it knows no leader"
    return None
