"""Deliberate faults in what leaves the log, and in what replaces a log.

None is that a replica does not know the beginning of its log to be committed, after it has lost its
index: it then applies nothing until the next message of a leader says how far the log is committed.
What is before the beginning is truncated neither way, as an append that begins there fits.
"""

from typing import Any

import msgspec

from twisted_bazaar.consensus.nominee import Nominee
from twisted_bazaar.consensus.replica import Replica

from .mutants import mutant
from .snapshots import Archiving
from .storages import KeptStorage

__all__: list[str] = []


@mutant(KeptStorage, "begin")
def a_snapshot_lacks_keys(original: Any, self: Any, snapshot: Any) -> None:
    original(self, snapshot._replace(orders={}))


@mutant(KeptStorage, "begin")
def a_log_begins_one_entry_too_late(original: Any, self: Any, snapshot: Any) -> None:
    beginning = snapshot.beginning
    late = msgspec.structs.replace(beginning, index=beginning.index + 1)
    original(self, snapshot._replace(beginning=late))


@mutant(Archiving, "give")
def a_snapshot_holds_what_is_not_released(
    original: Any, self: Any, message: Any, reply: Any
) -> None:
    storage = self._member.disk.storage
    reply(storage.snapshot(storage.last_index))


@mutant(Archiving, "archive")
def what_is_not_released_leaves_the_log(original: Any, self: Any, keep: int) -> None:
    storage = self._member.disk.storage
    self._member.indexed = storage.last_index
    storage.leave(storage.last_index)


@mutant(Nominee, "may_begin_after")
def a_replica_drops_a_log_that_has_the_entry(original: Any, self: Any, beginning: Any) -> bool:
    return not self.leads and beginning.index > 0


@mutant(Replica, "_on_append", part_of="a_replica_drops_a_log_that_has_the_entry")
def and_asks_its_leader_for_a_snapshot(
    original: Any, self: Any, message: Any, now: float, ticket: Any
) -> None:
    original(self, message, now, ticket)
    if not self.suspect and self.log.last_index > self.log.begins + 20:
        self.snapshot_from = message.leader


def _without(snapshot: Any, **lost: Any) -> Any:
    return snapshot._replace(beginning=msgspec.structs.replace(snapshot.beginning, **lost))


@mutant(KeptStorage, "begin")
def a_snapshot_lacks_the_members(original: Any, self: Any, snapshot: Any) -> None:
    original(self, _without(snapshot, memberships=()))


@mutant(KeptStorage, "begin")
def a_snapshot_lacks_who_led(original: Any, self: Any, snapshot: Any) -> None:
    original(self, _without(snapshot, openings=()))


@mutant(KeptStorage, "begin")
def a_vote_is_forgotten_with_the_log(original: Any, self: Any, snapshot: Any) -> None:
    original(self, snapshot)
    self.vote = 0


@mutant(KeptStorage, "begin")
def a_term_is_forgotten_with_the_log(original: Any, self: Any, snapshot: Any) -> None:
    original(self, snapshot)
    self.term, self.vote = snapshot.beginning.term, 0


@mutant(KeptStorage, "begin")
def a_suspect_is_trusted_with_its_snapshot(original: Any, self: Any, snapshot: Any) -> None:
    original(self, snapshot)
    self.suspect = None
