"""What a leader relies on is on the disks of majorities: of the voters, as its log names them, and,
while these change, of those before."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from twisted_bazaar.consensus.entries import Entry

from .storages import KeptStorage
from .truth import Violation

if TYPE_CHECKING:
    from .members import OrderMember

__all__ = ["check_commit", "check_election"]


def _suffice(leader: "OrderMember", ids: set[int]) -> bool:
    """Whether `ids` have each majority that decides, as the log of `leader` names the members."""
    log = leader.replica.log
    deciding = [{number for number, order in _orders(leader).items() if not order.join}]
    for _, event in log.memberships:
        deciding = [{member.id for member in event.members if not member.joining}]
        deciding += [set(event.before)] if event.before else []
    return all(2 * len(voters & ids) > len(voters) for voters in deciding)


def _orders(leader: "OrderMember") -> Mapping[int, "OrderMember"]:
    return {**leader.peers, leader.number: leader}


def _storages(leader: "OrderMember") -> Mapping[int, KeptStorage]:
    return {number: order.disk.storage for number, order in _orders(leader).items()}


def check_commit(leader: "OrderMember", entry: Entry) -> None:
    """`leader` commits `entry`. A disk that was lost may have held it."""
    holders = {
        number
        for number, storage in _storages(leader).items()
        if storage.suspect or _holds(storage, entry)
    }
    if not _suffice(leader, holders):
        raise Violation(2, f"{leader.name} commits {entry.index}, which is on {holders} only")


def _holds(storage: KeptStorage, entry: Entry) -> bool:
    if entry.index <= storage.beginning.index:
        # What a log begins after was committed before.
        return True
    held = storage.read(entry.index - 1, entry.index)
    return [each.digest for each in held] == [entry.digest]


def check_election(leader: "OrderMember") -> None:
    """`leader` has just been elected: each vote for it was on a disk before it was sent, whatever
    has become of the disk since."""
    vote = (leader.replica.term, leader.number)
    voters = {each for each, order in _orders(leader).items() if vote in order.disk.votes}
    if not _suffice(leader, voters):
        raise Violation(1, f"{leader.name} leads in term {vote[0]} by the votes of {voters} only")
