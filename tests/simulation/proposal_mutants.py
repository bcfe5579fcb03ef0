"""Deliberate faults in what is cleared before it is committed (see `mutants`)."""

from typing import Any

from twisted_bazaar.catalog.holds import Holds
from twisted_bazaar.catalog.projection import Projection
from twisted_bazaar.catalog.publisher import Publisher
from twisted_bazaar.catalog.subscribers import Subscribers
from twisted_bazaar.consensus.leader import LeaderState
from twisted_bazaar.consensus.learners import Learners
from twisted_bazaar.consensus.progress import Progress

from .mutants import mutant

__all__: list[str] = []


@mutant(LeaderState, "committed")
def what_is_cleared_counts_as_committed(original: Any, self: Any, commit: int) -> int:
    learner = self.learners._lease_holder
    return max(original(self, commit), learner.match if learner is not None else 0)


@mutant(Projection, "_now_committed")
def what_is_proposed_counts_as_committed(original: Any, self: Any, commit: int) -> Any:
    return list(self.proposed)


@mutant(Holds, "wait_for")
def lookups_of_what_is_cleared_are_not_held(
    original: Any, self: Any, name: Any, released: int
) -> None:
    return None


@mutant(Holds, "applied")
def what_was_truncated_is_held_for_ever(original: Any, self: Any) -> None:
    pass


@mutant(Holds, "is_over", part_of="what_was_truncated_is_held_for_ever")
def until_its_index_comes(original: Any, self: Any, wait: Any, released: int) -> bool:
    return bool(released >= wait.index)


@mutant(Holds, "wait_for", part_of="lookups_are_held_until_it_is_applied")
@mutant(Holds, "is_over")
def lookups_are_held_until_it_is_applied(original: Any, self: Any, what: Any, released: int) -> Any:
    return original(self, what, self._projection.position.index)


@mutant(Subscribers, "truncated")
def what_was_cleared_of_another_log_counts(original: Any, self: Any, index: int) -> None:
    pass


@mutant(Projection, "_truncate")
def what_an_earlier_leader_proposed_is_kept(original: Any, self: Any) -> None:
    pass


@mutant(Publisher, "apply")
def the_next_leader_ends_all_holds(
    original: Any, self: Any, message: Any, ticket: Any, now: float
) -> None:
    if message.term > self._projection.position.term:
        self._holds._last, self._holds._highest = {}, 0
    original(self, message, ticket, now)


@mutant(Progress, "due")
def a_commit_is_told_with_the_next_entries(
    original: Any, self: Any, *when: Any, untold: bool = False, lag: float = 0.0
) -> bool:
    return bool(original(self, *when[:4], lag=lag))


@mutant(Learners, "requests", part_of="a_commit_is_told_with_the_next_entries")
def and_no_notice_goes_out(
    original: Any, self: Any, requests: Any, now: float, commit: int, released: int
) -> None:
    for learner in self._learners.values():
        learner.due_notice = lambda released: False
    original(self, requests, now, commit, released)
