"""Deliberate faults in the code that ships. The simulator must catch each of them.

A mutant replaces one or more methods while it is in force. Its name says which rule it breaks.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import msgspec

from twisted_bazaar.consensus import canvass, log, outbox
from twisted_bazaar.consensus.entries import Opened
from twisted_bazaar.consensus.leader import LeaderState
from twisted_bazaar.consensus.progress import reached_by_majority
from twisted_bazaar.consensus.replica import Replica
from twisted_bazaar.errors import NotLeader
from twisted_bazaar.market import Placed
from twisted_bazaar.order import desk

__all__ = ["MUTANTS", "Mutant", "engine_mutant", "mutant"]


class Mutant:
    """One fault: which attributes are replaced while it is in force."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.partitions = 0
        """It is looked for in bazaars with an engine of so many partitions; 0: without one."""
        self._patches: list[tuple[Any, str, Any]] = []

    def replace(self, target: Any, attribute: str, replacement: Any) -> None:
        """Add `replacement` for `attribute` of `target`."""
        self._patches.append((target, attribute, replacement))

    @contextmanager
    def in_force(self) -> Iterator[None]:
        with ExitStack() as stack:
            for patched in self._patches:
                stack.enter_context(patch.object(*patched))
            yield


MUTANTS: dict[str, Mutant] = {}


def mutant(
    target: Any, attribute: str, part_of: str = ""
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare the function below as what replaces `attribute` of `target`.

    It is called with the original first. A fault that two rules forbid has more than one part: the
    others name the first by `part_of`.
    """

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        original = getattr(target, attribute)

        def replaced(*arguments: Any, **named: Any) -> Any:
            return function(original, *arguments, **named)

        name = part_of or function.__name__
        MUTANTS.setdefault(name, Mutant(name)).replace(target, attribute, replaced)
        return function

    return declare


def engine_mutant(
    target: Any, attribute: str, part_of: str = "", partitions: int = 1
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a fault that is looked for in bazaars with an engine of so many partitions."""
    declare = mutant(target, attribute, part_of)

    def declare_it(function: Callable[..., Any]) -> Callable[..., Any]:
        declared = declare(function)
        MUTANTS[part_of or function.__name__].partitions = partitions
        return declared

    return declare_it


@mutant(LeaderState, "committed")
def commit_before_majority(original: Any, self: Any, commit: int) -> int:
    acknowledged = [progress.match for progress in self._peers.values()]
    index = max(self._log.durable, *acknowledged)
    return index if index > commit and index >= self.opened else commit


@mutant(LeaderState, "committed")
def commit_entries_of_earlier_terms_by_counting(original: Any, self: Any, commit: int) -> int:
    acknowledged = [progress.match for progress in self._peers.values()]
    return max(commit, reached_by_majority([self._log.durable, *acknowledged]))


@mutant(LeaderState, "committed")
def count_a_learner_for_quorum(original: Any, self: Any, commit: int) -> int:
    # A learner that was sent everything would have acknowledged all that is on the leader's disk.
    index = max(self._log.durable if self.learners.catalog_lags() else 0, original(self, commit))
    return index if index > commit and index >= self.opened else commit


@mutant(Replica, "_on_append")
def no_term_check_on_append(
    original: Any, self: Any, message: Any, now: float, ticket: Any
) -> None:
    if message.term < self.term and not self.leads:
        message = msgspec.structs.replace(message, term=self.term)
    original(self, message, now, ticket)


@mutant(Replica, "_take_append")
def no_consistency_check_on_append(original: Any, self: Any, message: Any) -> tuple[bool, int]:
    if message.previous_index <= self.log.last_index:
        previous = self.log.term_at(message.previous_index)
        message = msgspec.structs.replace(message, previous_term=previous, entries=())
        fits, index = original(self, message)
        return fits, index
    return original(self, message)


@mutant(Replica, "_on_vote")
def vote_twice_in_a_term(original: Any, self: Any, message: Any, now: float, ticket: Any) -> None:
    if message.term == self.term and not self.leads:
        self.vote = 0
    original(self, message, now, ticket)


@mutant(Replica, "_on_vote")
def vote_for_a_log_that_lacks_entries(
    original: Any, self: Any, message: Any, now: float, ticket: Any
) -> None:
    longest = msgspec.structs.replace(message, last_index=1 << 60, last_term=1 << 60)
    original(self, longest, now, ticket)


@mutant(canvass.Canvass, "verdict", part_of="vote_for_a_log_that_lacks_entries")
def and_campaign_without_catching_up(original: Any, self: Any, *now: Any) -> Any:
    verdict = original(self, *now)
    if self.purpose is canvass.Purpose.CAMPAIGN and isinstance(verdict, canvass.FetchFrom):
        return canvass.GoAhead(max(reply.term for reply in self._answers.values()))
    return verdict


@mutant(outbox.Outbox, "say_after_write")
def acknowledge_before_fsync(original: Any, self: Any, messages: Any, now: float) -> None:
    self.say(messages)


@mutant(LeaderState, "committed")
def a_leader_counts_itself_before_its_disk(original: Any, self: Any, commit: int) -> int:
    durable, self._log.durable = self._log.durable, self._log.last_index
    index: int = original(self, commit)
    self._log.durable = durable
    return index


@mutant(log.MemoryStorage, "write")
def a_vote_is_forgotten_over_a_restart(original: Any, self: Any, write: Any) -> None:
    original(self, msgspec.structs.replace(write, vote=0))


@mutant(log.MemoryStorage, "write")
def a_term_is_forgotten_over_a_restart(original: Any, self: Any, write: Any) -> None:
    original(self, write)
    self.term = self.entries[-1].term if self.entries else 0


@mutant(Replica, "_on_fetch_reply")
def adopt_entries_before_the_term(original: Any, self: Any, message: Any, now: float) -> None:
    original(self, msgspec.structs.replace(message, term=0), now)


@mutant(log.Log, "take")
def skip_truncation_on_rejoin(original: Any, self: Any, entries: Any, committed: int) -> None:
    original(self, [entry for entry in entries if entry.index > self.last_index], committed)


@mutant(Replica, "_guard")
def ignore_the_campaign_guard(original: Any, self: Any, now: float) -> float:
    return 0.0


@mutant(LeaderState, "in_touch")
def a_leader_without_a_majority_stays(original: Any, self: Any, now: float) -> bool:
    return True


@mutant(Replica, "_count_votes")
def win_without_a_majority(original: Any, self: Any, now: float) -> None:
    if self._candidacy is not None:
        self._candidacy.votes |= set(self._peers[:1])
    original(self, now)


@mutant(Replica, "_on_vote_reply")
def count_votes_of_earlier_terms(original: Any, self: Any, message: Any, now: float) -> None:
    if message.term < self.term:
        message = msgspec.structs.replace(message, term=self.term, granted=True)
    original(self, message, now)


@mutant(Replica, "propose")
def no_opened_entry(original: Any, self: Any, events: Any) -> Any:
    events = [event for event in events if not isinstance(event, Opened)]
    return original(self, events)


@mutant(desk.TradingDesk, "_replay")
def forget_the_keys_on_failover(
    original: Any, self: Any, trade: Any, known: Any, fresh: Any
) -> Any:
    entry = self._orders.get(trade.key)
    if entry is not None and entry.term < self._member.term:
        return None
    return original(self, trade, known, fresh)


@mutant(desk.TradingDesk, "decide")
def trust_a_look_up_that_is_too_old(
    original: Any, self: Any, batch: Any, known: Any, now: float
) -> bool:
    return original(self, batch, msgspec.structs.replace(known, index=1 << 60), now)


@mutant(desk.TradingDesk, "_hold")
def reject_at_once_on_an_uncommitted_tip(
    original: Any, self: Any, batch: Any, outcomes: Any
) -> None:
    original(self, batch, outcomes)
    for waiting in self._for_round:
        if waiting.asker is batch:
            self._answer(batch, waiting.position, waiting.outcome)
    self._for_round = type(self._for_round)(w for w in self._for_round if w.asker is not batch)


@mutant(Replica, "confirm")
def no_quorum_round_for_a_404_or_a_rejection(original: Any, self: Any) -> int:
    return 0


@mutant(desk.TradingDesk, "_hold")
def acknowledge_before_commit(original: Any, self: Any, batch: Any, outcomes: Any) -> None:
    for position, outcome in enumerate(outcomes):
        self._answer(batch, position, outcome)


@mutant(desk.TradingDesk, "_resign")
def a_deposed_leader_answers_as_if_committed(original: Any, self: Any) -> None:
    for waiting in self._for_release:
        if isinstance(waiting.outcome, Placed):
            self._settle(waiting, waiting.outcome)
    self._for_release.clear()
    original(self)


@mutant(desk.TradingDesk, "_resign")
def a_deposed_leader_says_not_executed(original: Any, self: Any) -> None:
    for waiting in self._for_release:
        self._settle(waiting, NotLeader())
    self._for_release.clear()
    original(self)


@mutant(desk.TradingDesk, "decide")
def decide_on_the_committed_ledger_only(
    original: Any, self: Any, batch: Any, known: Any, now: float
) -> bool:
    if self._tip is not None:
        self._tip = self.ledger.copy()
    decided: bool = original(self, batch, known, now)
    return decided


@mutant(Replica, "_wait")
def a_suspect_votes(original: Any, self: Any, now: float) -> float:
    return original(self, now) if self.leads else self._guard(now)


@mutant(Replica, "_on_append")
def a_suspect_acknowledges(original: Any, self: Any, message: Any, now: float, ticket: Any) -> None:
    with patch.object(Replica, "suspect", False):
        original(self, message, now, ticket)


@mutant(canvass.Canvass, "_recall")
def a_suspect_asks_a_majority_only(original: Any, self: Any, log: Any, *rest: Any) -> Any:
    if self._answers and not any(reply.suspect for reply in self._answers.values()):
        return self._furthest(log)
    return original(self, log, *rest)


@mutant(canvass.Canvass, "_recall")
def two_suspects_trust_each_other(original: Any, self: Any, log: Any, *rest: Any) -> Any:
    return None if self._silent else self._furthest(log)
