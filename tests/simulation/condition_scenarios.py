"""Directed schedules for trades with conditions: a limit, a time, and to be validated only."""

from collections.abc import Callable

from twisted_bazaar.errors import BazaarError, KeyReused, Rejected
from twisted_bazaar.market import (
    DEFAULT_LISTING,
    Judged,
    Placed,
    Rejection,
    Repriced,
    Side,
    Trade,
    Traded,
)
from twisted_bazaar.sending import UNGUARDED

from .bazaar import SimulatedBazaar
from .members import OrderMember
from .scenarios import elected, scenario, wait
from .sending_scenarios import STOCK, Caller
from .trade_scenarios import told
from .truth import Violation
from .world import milliseconds

__all__: list[str] = []

PRICE = next(listing.price for listing in DEFAULT_LISTING if listing.name == STOCK)


def expect(outcome: object, rejection: Rejection) -> None:
    if not isinstance(outcome, Rejected) or outcome.rejection is not rejection:
        raise Violation(11, f"{outcome!r} instead of {rejection.name}")


def true_clocks(bazaar: SimulatedBazaar) -> None:
    """Every wall clock is true, so that a time means the same everywhere."""
    for order in bazaar.orders.values():
        order._wall_offset = 0.0


def reprice(bazaar: SimulatedBazaar, leader: OrderMember, price: int) -> None:
    """The price of the stock changes, and that is committed."""
    leader.change(Repriced(STOCK, price))
    stocks = bazaar.truth.ledger.stocks
    wait(bazaar, lambda: stocks[STOCK].price == price, "a price", 1.0)


@scenario
def a_trade_whose_time_has_passed_while_its_leader_stood_still_is_not_executed(
    bazaar: SimulatedBazaar,
) -> None:
    """It had come, in time, and its client still waits."""
    true_clocks(bazaar)
    caller = Caller(bazaar)
    world, leader, first = bazaar.world, caller.leader, bazaar.frontends[0]
    world.run(world.now + 4.0)
    soon = milliseconds(world.now + 0.1)
    trade = Trade("in time", STOCK, Side.BUY, 1, valid_until=soon)
    leader.pause()
    outcomes = caller.begin(first, trade)
    world.run(world.now + 0.15)
    leader.resume()
    expect(caller.answer(trade, outcomes), Rejection.EXPIRED)
    trade = Trade("still in time", STOCK, Side.BUY, 2, valid_until=milliseconds(world.now + 9))
    caller.expect(caller.call(first, trade), Placed)
    caller.end()


@scenario
def a_limit_is_judged_on_the_price_at_which_the_trade_would_be_executed(
    bazaar: SimulatedBazaar,
) -> None:
    """A new price is proposed and not committed yet."""
    caller = Caller(bazaar)
    world, network, leader = bazaar.world, bazaar.network, caller.leader
    for peer in leader.peers.values():
        network.delay(leader.name, peer.name, 0.05)
    for price, side, kept in (
        (PRICE + 100, Side.BUY, False),
        (PRICE + 200, Side.SELL, True),
        (PRICE - 100, Side.BUY, True),
        (PRICE - 200, Side.SELL, False),
    ):
        leader.change(Repriced(STOCK, price))
        trade = Trade(f"at {price}", STOCK, side, 1, limit=PRICE)
        answered: list[object] = []
        check = told(bazaar, trade)
        leader.trade(([trade], UNGUARDED), answered.extend)
        wait(bazaar, lambda answered=answered: answered, "an answer", 2.0)  # type: ignore[misc]
        check(answered[0])
        if kept:
            caller.expect(answered[0], Placed)
        else:
            expect(answered[0], Rejection.PRICE_OUT_OF_BOUNDS)
    world.run(world.now + 0.5)
    network.heal()
    caller.end()


@scenario
def a_trade_that_was_validated_is_not_executed(bazaar: SimulatedBazaar) -> None:
    """Its key stays free, and a replay is answered with the order."""
    caller = Caller(bazaar)
    first, second = bazaar.frontends
    number = bazaar.truth.ledger.last_number
    asked = Trade("is it possible", STOCK, Side.BUY, 5, validate=True)
    caller.expect(caller.call(first, asked), Judged)
    if bazaar.truth.ledger.last_number != number:
        raise Violation(14, "a trade that was to be validated only is an order")
    real = Trade("is it possible", STOCK, Side.BUY, 6)
    caller.expect(caller.call(second, real), Placed)
    placed = Trade("is it possible", STOCK, Side.BUY, 6, validate=True)
    answered: list[object] = []
    first.place(placed, answered.append)
    wait(bazaar, lambda: answered, "an answer", 2.0)
    caller.expect(answered[0], Placed)
    caller.end()


@scenario
def a_judgement_without_a_trade_rests_on_what_is_committed(bazaar: SimulatedBazaar) -> None:
    """A leader that is cut off has changed the price, as far as it knows."""
    caller = Caller(bazaar)
    world, leader = bazaar.world, caller.leader
    for peer in leader.peers.values():
        bazaar.network.cut(peer.name, leader.name, 10.0)
        bazaar.network.cut(leader.name, peer.name, 10.0)
    leader.change(Repriced(STOCK, PRICE + 100))
    trade = Trade("of a parted leader", STOCK, Side.BUY, 1, validate=True)
    check = told(bazaar, trade)

    def answered(outcomes: list[object]) -> None:
        if isinstance(outcomes[0], Judged):
            check(outcomes[0])

    leader.trade(([trade], UNGUARDED), answered)  # type: ignore[arg-type]
    world.run(world.now + 1.0)
    bazaar.network.heal()
    caller.end()


@scenario
def another_limit_is_another_trade(bazaar: SimulatedBazaar) -> None:
    caller = Caller(bazaar)
    first, second = bazaar.frontends
    trade = Trade("limited", STOCK, Side.BUY, 5, limit=PRICE)
    caller.expect(caller.call(first, trade), Placed)
    caller.expect(caller.call(second, trade), Placed)
    for limit in (None, PRICE + 1):
        other = Trade("limited", STOCK, Side.BUY, 5, limit=limit)
        outcomes: list[object] = []
        second.place(other, outcomes.append)
        wait(bazaar, lambda outcomes=outcomes: outcomes, "an answer", 2.0)  # type: ignore[misc]
        if isinstance(outcomes[0], Placed):
            bazaar.truth.placed(other, outcomes[0], 0, True)
        caller.expect(outcomes[0], KeyReused)
    caller.end()


def read(bazaar: SimulatedBazaar, number: int) -> Callable[[object], None]:
    """Checks what a client reads as order `number`, which it knows."""

    def answered(found: object) -> None:
        if not isinstance(found, BazaarError):
            bazaar.truth.read(number, found, number)  # type: ignore[arg-type]

    return answered


@scenario
def an_order_of_an_earlier_release_keeps_its_price(bazaar: SimulatedBazaar) -> None:
    """It does not hold its price, which has changed since."""
    caller = Caller(bazaar)
    world, truth, leader = bazaar.world, bazaar.truth, caller.leader
    number = truth.ledger.last_number + 1
    leader.change(Traded(number, "old", STOCK, Side.BUY, 1))
    wait(bazaar, lambda: number in truth.orders, "an order", 1.0)
    reprice(bazaar, leader, PRICE + 100)
    trade = Trade("old", STOCK, Side.BUY, 1)
    caller.expect(caller.call(bazaar.frontends[0], trade), Placed)
    for order in bazaar.orders.values():
        order.get_order(number, read(bazaar, number))
    leader.crash()
    elected(bazaar, but=leader)
    world.run(world.now + 0.2)
    for frontend in bazaar.frontends:
        frontend.get_order(number, read(bazaar, number))
    caller.expect(caller.call(bazaar.frontends[1], trade), Placed)
    caller.end()
