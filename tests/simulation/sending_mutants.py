"""Deliberate faults in executing a trade once, and never after its client was answered."""

from typing import Any
from unittest.mock import patch

import msgspec

from twisted_bazaar.consensus import log
from twisted_bazaar.consensus.replica import Replica
from twisted_bazaar.errors import NotLeader, OutcomeUnknown, Overloaded
from twisted_bazaar.frontend.trading import queue
from twisted_bazaar.order import desk, sendings
from twisted_bazaar.sending import UNGUARDED

from .mutants import MUTANTS, mutant

__all__: list[str] = []


@mutant(desk.TradingDesk, "_refusal")
def the_term_of_a_trade_is_not_checked(
    original: Any, self: Any, sending: Any, count: int, now: float
) -> Any:
    if self._leading_term:
        sending = msgspec.structs.replace(sending, term=self._leading_term)
    return original(self, sending, count, now)


def _came(self: Any, sending: Any) -> bool:
    """Whether this sending, or a copy of it, came before in this leadership."""
    seen = self.__dict__.setdefault("seen", set())
    number = sending.life, sending.number
    came = number in seen
    seen.add(number)
    return came


@mutant(sendings.Sendings, "take")
def sendings_that_were_given_up_are_taken(
    original: Any, self: Any, sending: Any, now: float
) -> bool:
    return not _came(self, sending)


@mutant(sendings.Sendings, "take")
def a_copy_of_a_sending_is_taken(original: Any, self: Any, sending: Any, now: float) -> bool:
    taken: bool = original(self, sending, now)
    return _came(self, sending) or taken


@mutant(sendings.Sendings, "_forget")
def a_front_end_is_forgotten_too_soon(original: Any, self: Any, now: float) -> bool:
    self._lives.clear()
    return True


MUTANTS["a_front_end_is_forgotten_too_soon"].replace(sendings, "MAX_LIVES", 1)


@mutant(desk.TradingDesk, "decide")
def a_trade_is_taken_after_its_time(
    original: Any, self: Any, batch: Any, known: Any, now: float
) -> bool:
    batch.sending = msgspec.structs.replace(batch.sending, expires=())
    decided: bool = original(self, batch, known, now)
    return decided


@mutant(desk.TradingDesk, "_refusal")
def a_copy_is_said_to_be_certainly_not_executed(
    original: Any, self: Any, sending: Any, count: int, now: float
) -> Any:
    refusal = original(self, sending, count, now)
    return NotLeader() if isinstance(refusal, OutcomeUnknown) else refusal


@mutant(desk.TradingDesk, "decide")
def sendings_are_not_guarded_at_all(
    original: Any, self: Any, batch: Any, known: Any, now: float
) -> bool:
    batch.sending = UNGUARDED
    decided: bool = original(self, batch, known, now)
    return decided


def _certain(pending: Any) -> None:
    pending.doubtful = False


@mutant(queue.TradeQueue, "answered")
def overloaded_after_a_sending_in_doubt_says_not_executed(
    original: Any, self: Any, batch: Any, outcomes: Any
) -> bool:
    for pending, outcome in zip(batch.pending, outcomes, strict=True):
        if isinstance(outcome, Overloaded):
            _certain(pending)
    took: bool = original(self, batch, outcomes)
    return took


@mutant(queue.TradeQueue, "answered")
def one_that_does_not_lead_ends_all_doubt(
    original: Any, self: Any, batch: Any, outcomes: Any
) -> bool:
    took: bool = original(self, batch, outcomes)
    for pending, outcome in zip(batch.pending, outcomes, strict=True):
        if isinstance(outcome, NotLeader):
            _certain(pending)
    return took


@mutant(queue.TradeQueue, "lost")
def what_was_lost_was_not_executed(original: Any, self: Any, batch: Any) -> bool:
    before = [pending.doubtful for pending in batch.pending]
    news: bool = original(self, batch)
    for pending, doubtful in zip(batch.pending, before, strict=True):
        pending.doubtful = doubtful
    return news


@mutant(Replica, "next_at_milliseconds")
def time_runs_backwards_with_the_leaders_clock(original: Any, self: Any) -> Any:
    with patch.object(log.Log, "last_at_milliseconds", 0):
        return original(self)


@mutant(desk.TradingDesk, "_resign")
def what_came_is_forgotten_when_a_leadership_ends(original: Any, self: Any) -> None:
    original(self)
    self._sendings = sendings.Sendings(0)
