"""Deliberate faults in market operations (see `mutants`)."""

from typing import Any
from unittest.mock import patch

import msgspec

from twisted_bazaar.catalog import holds, projection
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import Repriced, Stock
from twisted_bazaar.order import desk

from .mutants import mutant

__all__: list[str] = []


def _traded(ledger: Ledger) -> Ledger:
    """`ledger`, with nothing halted."""
    copy = ledger.copy()
    for name, stock in copy.stocks.items():
        copy.stocks[name] = msgspec.structs.replace(stock, halted=False)
    return copy


@mutant(desk.TradingDesk, "_lead")
def the_next_leader_forgets_what_is_halted(original: Any, self: Any) -> None:
    original(self)
    self._tip = _traded(self._tip)


@mutant(desk.TradingDesk, "__init__")
def what_is_halted_is_lost_over_a_restart(
    original: Any, self: Any, replica: Any, ledger: Any, *rest: Any
) -> None:
    original(self, replica, _traded(ledger), *rest)


@mutant(desk.TradingDesk, "decide")
def halts_are_judged_on_the_committed_ledger(
    original: Any, self: Any, batch: Any, known: Any, now: float
) -> Any:
    stock_of = self._tip.stocks.copy() if self._tip else {}
    for name, stock in stock_of.items():
        committed = self.ledger.stocks.get(name)
        if committed is not None and not committed.halted:
            self._tip.stocks[name] = msgspec.structs.replace(stock, halted=False)
    return original(self, batch, known, now)


@mutant(projection, "stocks_of")
def a_new_price_has_no_floor_before_it_is_committed(original: Any, event: Any) -> Any:
    return () if isinstance(event, Repriced) else original(event)


@mutant(holds, "stocks_of", part_of="a_new_price_has_no_floor_before_it_is_committed")
def and_it_is_not_held(original: Any, event: Any) -> Any:
    return () if isinstance(event, Repriced) else original(event)


@mutant(Ledger, "_reprice")
def a_new_price_is_no_new_version(original: Any, self: Any, index: int, event: Any) -> Any:
    version = self.stocks[event.stock].version
    touched = original(self, index, event)
    stock: Stock = self.stocks[event.stock]
    self.stocks[event.stock] = msgspec.structs.replace(stock, version=version)
    return touched


@mutant(desk.TradingDesk, "operate")
def an_operation_is_answered_at_once(original: Any, self: Any, operation: Any, now: float) -> None:
    original(self, operation, now)
    waiting = self._for_release
    if waiting and waiting[-1].asker is operation:
        last = waiting.pop()
        self._settle(last, last.outcome)


@mutant(desk.TradingDesk, "operate")
def what_is_so_at_the_tip_is_said_at_once(
    original: Any, self: Any, operation: Any, now: float
) -> None:
    original(self, operation, now)
    waiting = self._for_round
    if waiting and waiting[-1].asker is operation:
        last = waiting.pop()
        self._settle(last, last.outcome)


@mutant(desk.TradingDesk, "operate")
def an_operation_is_taken_however_late_it_is(
    original: Any, self: Any, operation: Any, now: float
) -> None:
    with patch.object(desk.Sendings, "take", lambda *_: True):
        original(self, operation, now)
