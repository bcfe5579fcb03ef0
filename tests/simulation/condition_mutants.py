"""Deliberate faults in keeping the conditions of trades: limits, times and validation."""

from typing import Any
from unittest.mock import patch

import msgspec

from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import Judged, Trade, Traded
from twisted_bazaar.order import desk

from .mutants import mutant

__all__: list[str] = []


@mutant(Ledger, "decide")
def time_is_judged_at_the_front_end_only(
    original: Any, self: Any, trade: Any, at_milliseconds: int = 0
) -> Any:
    """Each front-end judges it when the trade comes, which no schedule here needs."""
    return original(self, trade)


@mutant(desk.TradingDesk, "decide")
def limits_are_judged_on_the_committed_ledger(
    original: Any, self: Any, batch: Any, known: Any, now: float
) -> Any:
    within = Trade.accepts

    def accepts(trade: Trade, price: int) -> bool:
        return within(trade, self.ledger.stocks[trade.stock].price)

    with patch.object(Trade, "accepts", accepts):
        return original(self, batch, known, now)


@mutant(Trade, "accepts")
def the_limit_of_a_sale_is_taken_for_that_of_a_buy(original: Any, self: Any, price: int) -> bool:
    return self.limit is None or price <= self.limit


@mutant(Traded, "fulfils")
def the_limit_is_no_part_of_a_trade(original: Any, self: Any, trade: Any) -> Any:
    return original(self, msgspec.structs.replace(trade, limit=self.limit))


@mutant(desk.TradingDesk, "decide")
def a_trade_to_be_validated_leaves_an_order(
    original: Any, self: Any, batch: Any, known: Any, now: float
) -> Any:
    batch.trades = [msgspec.structs.replace(trade, validate=False) for trade in batch.trades]
    return original(self, batch, known, now)


@mutant(desk.TradingDesk, "_hold")
def a_judgement_is_given_at_once(original: Any, self: Any, batch: Any, outcomes: Any) -> None:
    held = [outcome for outcome in outcomes if not isinstance(outcome, Judged)]
    if held:
        original(self, batch, outcomes)
    else:
        for position, outcome in enumerate(outcomes):
            self._answer(batch, position, outcome)


@mutant(Ledger, "price_of")
def an_old_order_has_the_price_of_today(original: Any, self: Any, order: Any) -> Any:
    return self.stocks[order.stock].price if order.price is None else order.price
