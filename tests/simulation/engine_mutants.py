"""Deliberate faults in what decides who leads a log in an engine, and in what the engine promises
(see `mutants`)."""

from contextlib import suppress
from typing import Any

import msgspec

from twisted_bazaar.catalog.projection import Projection
from twisted_bazaar.consensus.learners import Learners
from twisted_bazaar.engine import incumbent
from twisted_bazaar.engine.calls import Append, Attempt, Claim
from twisted_bazaar.engine.incumbent import Incumbent
from twisted_bazaar.engine.leadership import Leadership
from twisted_bazaar.engine.memory import MemoryEngine, MemoryLog
from twisted_bazaar.engine.shared_log import HANDED_OVER, Lost, Unknown
from twisted_bazaar.engine.tenure import Tenure
from twisted_bazaar.errors import NotLeader
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.order.desk import TradingDesk
from twisted_bazaar.order.partitioned.moves import Moves

from .mutants import engine_mutant

__all__: list[str] = []


# What the engine must compare.


@engine_mutant(MemoryLog, "append")
def the_digest_of_the_place_before_is_not_checked(
    original: Any, self: Any, batch: Any, *, term: int, beat: int, released: Any
) -> None:
    """The last to write wins."""
    rows = self._rows
    before = batch.entries[0].index - 1
    if not rows.has(batch) and before < len(rows.entries):
        digest = batch.previous
        rows.entries = rows.entries[:before]
        orders = [entry for entry in rows.orders if entry.index <= before]
        rows.numbers = {entry.event.key: entry.event.number for entry in orders}
        rows.orders = orders
        rows.tail = msgspec.structs.replace(rows.tail, digest=digest, index=before, term=term)
        beat = max(beat, rows.tail.beat + 1)
    original(self, batch, term=term, beat=beat, released=released)


@engine_mutant(MemoryLog, "claim")
def a_claim_ignores_the_beat(
    original: Any, self: Any, seen: Any, opened: Any, **named: Any
) -> None:
    original(self, msgspec.structs.replace(seen, beat=self._rows.tail.beat), opened, **named)


@engine_mutant(MemoryEngine, "end_write")
def a_warning_that_a_write_is_not_replicated_is_taken_for_success(original: Any, self: Any) -> None:
    if self.replicates:
        original(self)


@engine_mutant(MemoryLog, "beat")
def a_late_beat_counts(original: Any, self: Any, *, term: int, beat: int, released: Any) -> None:
    tail = self._rows.tail
    if tail.term == term and tail.beat != HANDED_OVER:
        self._rows.tail = msgspec.structs.replace(tail, beat=min(beat, tail.beat))
    original(self, term=term, beat=beat, released=released)


# When a leader may be replaced, and what it relies on.


@engine_mutant(Leadership, "succeeded")
def a_tenure_is_counted_from_the_acknowledgement(
    original: Any, self: Any, attempt: Any, now: float
) -> None:
    original(self, attempt, now)
    self._leads_from = now


@engine_mutant(Attempt, "make")
def a_tenure_is_counted_from_the_last_sending(original: Any, self: Any, now: float) -> Any:
    self.first_made_at = None
    return original(self, now)


@engine_mutant(Leadership, "holds_lease")
def a_leader_relies_on_its_tenure_after_it_has_left(original: Any, self: Any, now: float) -> bool:
    left, self.left = self.left, False
    holds: bool = original(self, now)
    self.left = left
    return holds


@engine_mutant(Leadership, "holds_lease")
def a_leader_that_may_have_been_replaced_counts_on_it(original: Any, self: Any, now: float) -> bool:
    return not self.left


@engine_mutant(Incumbent, "wait")
def a_leader_is_replaced_at_once(original: Any, self: Any, now: float) -> float:
    return 0.0 if self.tail is not None else original(self, now)


@engine_mutant(MemoryLog, "claim", part_of="a_leader_is_replaced_at_once")
def and_the_claim_does_not_see_it(
    original: Any, self: Any, seen: Any, opened: Any, **named: Any
) -> None:
    original(self, msgspec.structs.replace(seen, beat=self._rows.tail.beat), opened, **named)


@engine_mutant(incumbent, "_write_of")
def a_new_beat_is_not_noticed(original: Any, tail: Any) -> Any:
    return tail.term, 0, ""


@engine_mutant(Tenure, "confirm")
def no_write_proves_a_rejection(original: Any, self: Any) -> int:
    return 0


# What is unknown.


@engine_mutant(Tenure, "failed")
def a_claim_of_unknown_fate_leads(
    original: Any, self: Any, call: Any, error: Any, now: float
) -> None:
    """It answers before `opened` is committed."""
    if isinstance(call, Claim) and isinstance(error, Unknown):
        self.done(call, None, now)
    else:
        original(self, call, error, now)


@engine_mutant(Tenure, "failed")
def a_number_is_given_again_after_unknown(
    original: Any, self: Any, call: Any, error: Any, now: float
) -> None:
    """The batch is dropped, and its place is free."""
    led = self._leadership
    original(self, call, error, now)
    if not (isinstance(call, Append) and isinstance(error, Unknown)) or self._leadership is None:
        return
    log, snapshot, desk = led.log, led.snapshot, self._market.__self__.desk
    entries = call.batch.entries
    if log.base != snapshot.tail.index or log.last_index != entries[-1].index:
        return
    del log._entries[entries[0].index - log.base - 1 :]
    led._given = log.last_index
    led._ledger = Ledger(snapshot.stocks, snapshot.tail.last_number)
    for entry in log._entries:
        led._ledger.apply(entry.index, entry.event)
    desk._tip = None
    desk._lead()
    self._drop_attempt()


@engine_mutant(Tenure, "failed")
def what_is_unknown_was_not_executed(
    original: Any, self: Any, call: Any, error: Any, now: float
) -> None:
    original(self, call, error, now)
    if isinstance(call, Append) and isinstance(error, Unknown):
        self._step_down()


@engine_mutant(TradingDesk, "_resign", part_of="what_is_unknown_was_not_executed")
def and_that_is_what_clients_are_told(original: Any, self: Any) -> None:
    for waiting in self._for_release:
        self._settle(waiting, NotLeader())
    self._for_release.clear()
    original(self)


@engine_mutant(Leadership, "succeeded")
def a_write_that_is_under_way_is_committed(
    original: Any, self: Any, attempt: Any, now: float
) -> None:
    original(self, attempt, now)
    self.commit = self.log.last_index


# What a new leader begins with.


@engine_mutant(Learners, "__init__")
def a_new_leader_inherits_no_lease(original: Any, self: Any, **named: Any) -> None:
    original(self, **(named | {"longest_lease": 0.0, "catalogs_before": ()}))
    self._inherited_until = float("-inf")


@engine_mutant(Learners, "__init__")
def catalogs_of_earlier_leaders_are_not_waited_for(original: Any, self: Any, **named: Any) -> None:
    original(self, **(named | {"catalogs_before": ()}))


@engine_mutant(TradingDesk, "_replay")
def a_desk_does_not_look_into_the_engine(
    original: Any, self: Any, trade: Any, known: Any, fresh: Any
) -> Any:
    return original(self, trade, msgspec.structs.replace(known, orders={}), fresh)


# Stocks that move.


@engine_mutant(Moves, "coming", partitions=2)
def a_stock_is_taken_before_its_leaving_is_released(
    original: Any, self: Any, placements: Any, tails: Any
) -> Any:
    return [each for each in placements if each.partition == self._partition and not each.arrived]


@engine_mutant(TradingDesk, "former_of", partitions=2)
def keys_are_looked_for_here_only(original: Any, self: Any, stocks: Any) -> Any:
    return frozenset()


@engine_mutant(TradingDesk, "_covers", part_of="keys_are_looked_for_here_only", partitions=2)
def and_that_is_good_enough(original: Any, self: Any, known: Any, trades: Any) -> bool:
    return bool(known.index >= self._forgotten)


@engine_mutant(TradingDesk, "_covers", partitions=2)
def a_look_up_from_before_a_stock_came_is_good_enough(
    original: Any, self: Any, known: Any, trades: Any
) -> bool:
    return bool(known.index >= self._forgotten)


@engine_mutant(Projection, "floors", partitions=2)
def a_stock_that_left_has_no_floor(original: Any, self: Any, after: int) -> Any:
    floors = original(self, after)
    return {name: at for name, at in floors.items() if name in self.ledger.stocks}


@engine_mutant(MemoryLog, "_place", partitions=2)
def a_move_is_ended_twice(original: Any, self: Any, batch: Any) -> None:
    """What an `adopted` entry is of is not compared."""
    with suppress(Lost):
        original(self, batch)


@engine_mutant(
    TradingDesk,
    "adopt",
    part_of="a_move_is_ended_twice",
    partitions=2,
)
def and_is_taken_more_than_once(original: Any, self: Any, event: Any, former: Any) -> None:
    self._adopted.clear()
    original(self, event, former)


@engine_mutant(Ledger, "_move", partitions=2)
def a_stock_that_moves_stays(original: Any, self: Any, index: int, event: Any) -> Any:
    stock = self.stocks.get(event.stock)
    touched = original(self, index, event)
    self.stocks[event.stock] = msgspec.structs.replace(stock, version=index)
    return touched
