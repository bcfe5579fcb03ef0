"""Deliberate faults in what outlives a term, or must not: entries, votes and rounds."""

from typing import Any
from unittest.mock import patch

import msgspec

from twisted_bazaar.consensus import canvass, log, outbox, replica
from twisted_bazaar.consensus.replica import Replica
from twisted_bazaar.market import Traded
from twisted_bazaar.order import desk

from .mutants import mutant

__all__: list[str] = []


@mutant(outbox, "_still_true")
def an_acknowledgement_of_truncated_entries_is_kept(
    original: Any, message: Any, term: int, last: int
) -> Any:
    return message


@mutant(log.Log, "written")
def truncated_entries_count_as_durable(original: Any, self: Any, write: Any) -> None:
    original(self, write)
    if write.entries:
        self.durable = write.entries[-1].index


@mutant(Replica, "_on_append")
def old_rounds_are_echoed(original: Any, self: Any, message: Any, now: float, ticket: Any) -> None:
    reply = replica.AppendReply

    def echoing(*fields: Any, **named: Any) -> Any:
        return msgspec.structs.replace(reply(*fields, **named), round=message.round)

    with patch.object(replica, "AppendReply", echoing):
        original(self, message, now, ticket)


@mutant(Replica, "_take_append")
def a_follower_commits_what_it_was_not_sent(
    original: Any, self: Any, message: Any
) -> tuple[bool, int]:
    fits, index = original(self, message)
    if fits:
        self.commit = max(self.commit, min(message.commit, self.log.last_index))
    return fits, index


@mutant(Replica, "_consider_canvass")
def a_replica_that_recalled_votes_again_in_that_term(original: Any, self: Any, now: float) -> None:
    recalled = self._recalled
    original(self, now)
    if self._recalled and not recalled:
        self.vote = 0


@mutant(canvass.Canvass, "verdict")
def the_first_leader_needs_a_majority_only(
    original: Any, self: Any, log: Any, term: int, *rest: Any
) -> Any:
    return original(self, log, max(term, 1), *rest)


@mutant(desk.TradingDesk, "_resign")
def a_deposed_leader_remembers_the_keys_that_it_proposed(original: Any, self: Any) -> None:
    orders = self._orders
    original(self)
    self._orders = orders


@mutant(desk.TradingDesk, "_apply")
def a_replica_reads_orders_before_they_are_released(original: Any, self: Any, entry: Any) -> None:
    original(self, entry)
    if isinstance(entry.event, Traded):
        self.released_number = entry.event.number


@mutant(desk.TradingDesk, "_apply")
def the_leader_shows_what_is_not_released(original: Any, self: Any, entry: Any) -> None:
    original(self, entry)
    self.released_stocks = dict(self.ledger.stocks)


@mutant(Replica, "tick")
def a_follower_without_a_leader_releases_at_once(original: Any, self: Any, now: float) -> None:
    original(self, now)
    if not self.leads and self.known_leader(now) == 0:
        self.released = self.commit
