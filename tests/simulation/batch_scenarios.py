"""Directed schedules for trades that a client sends in one batch."""

import json
from random import Random

from twisted_bazaar.frontend.api import batches
from twisted_bazaar.frontend.trading.keys import FreshKeys
from twisted_bazaar.market import Placed, Rejection, Trade

from .bazaar import SimulatedBazaar
from .condition_scenarios import expect
from .scenarios import elected, scenario, wait
from .sending_scenarios import STOCK, Caller
from .trade_scenarios import told
from .truth import Violation

__all__: list[str] = []


@scenario
def trades_of_a_batch_are_each_an_order_though_their_leader_dies(bazaar: SimulatedBazaar) -> None:
    """Two are alike and have no key, one has a key, and one costs more than its limit."""
    caller = Caller(bazaar)
    world, leader, first = bazaar.world, caller.leader, bazaar.frontends[0]
    one = {"name": STOCK, "type": "buy", "quantity": 1}
    orders = [one, one, {**one, "client_order_id": "mine"}, {**one, "limit_price": 0.01}]
    body = json.dumps({"orders": orders}).encode()
    decoded = batches.decode_batch(body, None, FreshKeys(Random(1)), False)
    trades = [trade for trade in decoded if isinstance(trade, Trade)]
    outcomes: dict[int, object] = {}

    def heard(place: int, outcome: object) -> None:
        checks[place](outcome)
        outcomes[place] = outcome

    checks = [told(bazaar, trade) for trade in trades]
    first.place_together(trades, heard)
    world.run(world.now + 0.002)
    leader.crash()
    elected(bazaar, but=leader)
    wait(bazaar, lambda: len(outcomes) == len(orders), "an outcome for each", 8.0)
    placed = [outcome for outcome in outcomes.values() if isinstance(outcome, Placed)]
    if len({each.number for each in placed}) != len(orders) - 1:
        raise Violation(5, f"{len(orders) - 1} trades of a batch have the orders {placed}")
    expect(outcomes[len(orders) - 1], Rejection.PRICE_OUT_OF_BOUNDS)
    caller.end()
