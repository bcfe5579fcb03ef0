"""Deliberate faults in telling strangers from members, and copies of folders from originals."""

from typing import Any

from twisted_bazaar.consensus import identity
from twisted_bazaar.consensus.replica import Replica

from .members import OrderMember
from .mutants import mutant

__all__: list[str] = []


@mutant(identity.Identity, "mistake")
def an_answer_of_another_counts(original: Any, self: Any, *arguments: Any) -> str | None:
    return None


@mutant(Replica, "refusal")
def a_request_for_another_is_taken(original: Any, self: Any, message: Any) -> str | None:
    return None


@mutant(Replica, "refusal", part_of="another_clusters_replica_is_a_member")
def _its_appends_are_taken(original: Any, self: Any, message: Any) -> str | None:
    return None if "cluster" in (why := original(self, message) or "") else why or None


@mutant(identity.Identity, "mistake", part_of="another_clusters_replica_is_a_member")
def _its_polls_count(
    original: Any, self: Any, to: int, reply: Any, cluster: str, log: Any
) -> str | None:
    return original(self, to, reply, "", log)


@mutant(identity, "majority")
def one_other_cluster_is_enough_to_stop(original: Any, members: int) -> int:
    return 1


@mutant(OrderMember, "put_back")
def a_copy_of_a_folder_is_trusted(original: Any, self: Any, copy: Any) -> None:
    original(self, copy)
    self.disk.storage.suspect, self.disk.storage.copied = None, False
