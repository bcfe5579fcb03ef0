"""Directed schedules for clients that use the same keys."""

from twisted_bazaar.access import Client, Permission
from twisted_bazaar.frontend.access import orders
from twisted_bazaar.market import Placed, Side, Trade
from twisted_bazaar.order_keys import client_of

from .bazaar import SimulatedBazaar
from .scenarios import elected, scenario, wait
from .sending_scenarios import STOCK, Caller
from .truth import Violation

__all__: list[str] = []

MAY = frozenset(Permission)
ALICE, BOB = Client("alice", MAY), Client("bob", MAY)


@scenario
def a_key_is_each_clients_own_also_after_a_fail_over(bazaar: SimulatedBazaar) -> None:
    """Both place the same trade under the same key, the leader dies, and both send it again, at
    another front-end."""
    caller = Caller(bazaar)
    leader = caller.leader
    trade = Trade("the same", STOCK, Side.BUY, 2)
    first = [caller.call(bazaar.frontends[0], orders.owned(trade, each)) for each in (ALICE, BOB)]
    for outcome in first:
        caller.expect(outcome, Placed)
    leader.crash()
    elected(bazaar, but=leader)
    again: dict[int, object] = {}
    for place, each in enumerate((ALICE, BOB)):
        bazaar.frontends[1].place(
            orders.owned(trade, each), lambda outcome, place=place: again.update({place: outcome})
        )
    wait(bazaar, lambda: len(again) == 2, "an answer to both", 8.0)
    numbers = [outcome.number for outcome in first if isinstance(outcome, Placed)]
    if len({*numbers}) != 2:
        raise Violation(5, f"two clients that use the same key have the orders {numbers}")
    for number, outcome in zip(numbers, (again[0], again[1]), strict=True):
        if not isinstance(outcome, Placed) or outcome.number != number:
            raise Violation(5, f"order {number} of a client is {outcome!r} when it is sent again")
    owners = [client_of(bazaar.truth.orders[number].key) for number in numbers]
    if owners != [ALICE.name, BOB.name]:
        raise Violation(7, f"orders {numbers} are of {owners}")
    caller.end()
