"""Directed schedules for trades that come to a leader after their clients were answered."""

from collections.abc import Sequence
from typing import Any

from twisted_bazaar.errors import NotExecuted, OutcomeUnknown, Rejected
from twisted_bazaar.market import DEFAULT_LISTING, Judged, Placed, Side, Trade

from .bazaar import SimulatedBazaar
from .frontends import FrontendMember
from .members import TIMING, OrderMember
from .scenarios import elected, hush, scenario, wait
from .truth import Violation

__all__: list[str] = []

STOCK = DEFAULT_LISTING[3].name
"""One that the other clients leave alone."""


def buy(key: str, quantity: int) -> Trade:
    return Trade(key, STOCK, Side.BUY, quantity)


def sell(key: str, quantity: int) -> Trade:
    return Trade(key, STOCK, Side.SELL, quantity)


class Caller:
    """A client that trades at chosen front-ends, while all others are silent."""

    def __init__(self, bazaar: SimulatedBazaar) -> None:
        self._bazaar = bazaar
        self._truth = bazaar.truth
        self.leader = elected(bazaar)
        bazaar.world.run(bazaar.world.now + 0.3)
        for client in bazaar.clients:
            client.idle = True
        wait(bazaar, lambda: not any(each.waiting for each in bazaar.clients), "silence", 3.0)

    def begin(self, frontend: FrontendMember, trade: Trade) -> list[Any]:
        """Call `frontend`; returns a list that gets the answer."""
        outcomes: list[Any] = []
        self._truth.sent(trade)
        frontend.place(trade, outcomes.append)
        return outcomes

    def answer(self, trade: Trade, outcomes: Sequence[Any], calls: int = 1) -> Any:
        """Wait for the answer, and check it."""
        wait(self._bazaar, lambda: outcomes, f"an answer for {trade.key}", TIMING.deadline + 0.5)
        [outcome] = outcomes
        if isinstance(outcome, Placed):
            self._truth.placed(trade, outcome, 0, True)
        elif isinstance(outcome, Judged):
            self._truth.judged(trade, outcome.price, 0)
        elif isinstance(outcome, Rejected):
            self._truth.rejected(trade, outcome.rejection, 0, calls)
        elif isinstance(outcome, NotExecuted):
            self._truth.not_executed(trade)
        return outcome

    def call(self, frontend: FrontendMember, trade: Trade, calls: int = 1) -> Any:
        """Call `frontend`, and wait for the answer."""
        return self.answer(trade, self.begin(frontend, trade), calls)

    def expect(self, outcome: Any, kind: type) -> None:
        if not isinstance(outcome, kind):
            raise Violation(11, f"{outcome!r} instead of {kind.__name__}")

    def end(self) -> None:
        """Deliver what is under way; the other clients trade again."""
        world = self._bazaar.world
        world.run(world.now + 0.5)
        for client in self._bazaar.clients:
            client.idle = False
            client.started()


def isolate(bazaar: SimulatedBazaar, order: OrderMember) -> None:
    for name in bazaar.processes:
        bazaar.network.cut(name, order.name, 10.0)
        bazaar.network.cut(order.name, name, 10.0)


def lead_again(bazaar: SimulatedBazaar, first: OrderMember, second: OrderMember) -> None:
    """`second`, which led since, is cut off; `first` leads again, which all front-ends reach."""
    bazaar.network.heal()
    isolate(bazaar, second)
    for frontend in bazaar.frontends:
        for order in set(bazaar.orders.values()) - {first, second}:
            bazaar.network.cut(frontend.name, order.name, 10.0)
    wait(bazaar, lambda: first.replica.leads, "the first leads again", 3.0)


@scenario
def a_trade_for_one_leadership_is_not_executed_in_another(bazaar: SimulatedBazaar) -> None:
    """Sent to leader 3, and late; leader 2 rejects the key; 3 leads again, and the trade
    arrives."""
    first, second = bazaar.frontends
    caller = Caller(bazaar)
    leader, network = caller.leader, bazaar.network
    caller.expect(caller.call(second, buy("most of it", 50)), Placed)
    network.hold(first.name, leader.name, "trade")
    outcomes = caller.begin(first, buy("late", 60))
    isolate(bazaar, leader)
    caller.expect(caller.answer(buy("late", 60), outcomes), Rejected)
    other = elected(bazaar, but=leader)
    lead_again(bazaar, leader, other)
    caller.expect(caller.call(second, sell("it is there again", 50)), Placed)
    network.release()
    caller.end()


@scenario
def a_sending_that_was_given_up_is_not_executed(bazaar: SimulatedBazaar) -> None:
    """A connection breaks with a trade on its way; the same leader rejects the second sending; then
    the first one arrives."""
    first, second = bazaar.frontends
    caller = Caller(bazaar)
    caller.expect(caller.call(second, buy("most of it", 50)), Placed)
    bazaar.network.hold(first.name, caller.leader.name, "trade")
    outcomes = caller.begin(first, buy("late", 60))
    first.break_connections()
    caller.expect(caller.answer(buy("late", 60), outcomes), Rejected)
    caller.expect(caller.call(second, sell("it is there again", 50)), Placed)
    bazaar.network.release()
    caller.end()


@scenario
def a_trade_of_an_earlier_call_is_not_executed_after_its_time(bazaar: SimulatedBazaar) -> None:
    """A client is told that the outcome is unknown, calls another front-end, and is rejected; then
    the sending of its first call arrives."""
    first, second = bazaar.frontends
    caller = Caller(bazaar)
    caller.expect(caller.call(second, buy("most of it", 50)), Placed)
    bazaar.network.hold(first.name, caller.leader.name, "trade")
    outcomes = caller.begin(first, buy("late", 60))
    # Else a second sending, at the very end, would say that the first is given up.
    bazaar.network.cut(first.name, caller.leader.name, 10.0)
    caller.expect(caller.answer(buy("late", 60), outcomes), OutcomeUnknown)
    bazaar.network.heal()
    caller.expect(caller.call(second, buy("late", 60), calls=2), Rejected)
    caller.expect(caller.call(second, sell("it is there again", 50)), Placed)
    bazaar.network.release()
    caller.end()


@scenario
def a_copy_of_a_sending_that_was_answered_is_not_executed(bazaar: SimulatedBazaar) -> None:
    first, second = bazaar.frontends
    caller = Caller(bazaar)
    caller.expect(caller.call(second, buy("most of it", 50)), Placed)
    bazaar.network.hold(first.name, caller.leader.name, "trade", copy=True)
    caller.expect(caller.call(first, buy("twice", 60)), Rejected)
    caller.expect(caller.call(second, sell("it is there again", 50)), Placed)
    bazaar.network.release()
    caller.end()


def executed_unheard(bazaar: SimulatedBazaar, caller: Caller, trade: Trade) -> list[Any]:
    """Have a trade executed, and the answer to its first front-end lost."""
    world, first = bazaar.world, bazaar.frontends[0]
    heard_again = world.now + 0.3
    bazaar.network.cut(caller.leader.name, first.name, 0.3)
    outcomes = caller.begin(first, trade)
    wait(bazaar, lambda: trade.key in bazaar.truth.keys, "an order", 0.25)
    world.run(heard_again + 0.001)
    return outcomes


@scenario
def a_copy_does_not_say_that_the_first_was_not_executed(bazaar: SimulatedBazaar) -> None:
    """The copy comes when the first was executed, and only the answer to the copy arrives."""
    caller = Caller(bazaar)
    bazaar.network.hold(bazaar.frontends[0].name, caller.leader.name, "trade", copy=True)
    outcomes = executed_unheard(bazaar, caller, buy("twice", 10))
    hush(bazaar, 10.0)
    bazaar.network.release()
    caller.expect(caller.answer(buy("twice", 10), outcomes), OutcomeUnknown)
    bazaar.network.heal()
    caller.end()


@scenario
def nor_does_it_if_the_leader_was_deposed_meanwhile(bazaar: SimulatedBazaar) -> None:
    caller = Caller(bazaar)
    leader = caller.leader
    bazaar.network.hold(bazaar.frontends[0].name, leader.name, "trade", copy=True)
    outcomes = executed_unheard(bazaar, caller, buy("twice", 10))
    hush(bazaar, 10.0)
    leader.hear_of(leader.replica.term + 1)
    bazaar.network.release()
    caller.expect(caller.answer(buy("twice", 10), outcomes), OutcomeUnknown)
    bazaar.network.heal()
    caller.end()


@scenario
def one_that_does_not_lead_says_nothing_of_earlier_sendings(bazaar: SimulatedBazaar) -> None:
    """The first sending was executed, and its answer lost; the second comes to a deposed leader."""
    first = bazaar.frontends[0]
    caller = Caller(bazaar)
    leader = caller.leader
    outcomes = executed_unheard(bazaar, caller, buy("in doubt", 10))
    bazaar.network.hold(first.name, leader.name, "trade")
    first.break_connections()
    wait(bazaar, lambda: bazaar.network.held, "the second sending", 1.0)
    hush(bazaar, 10.0)
    leader.hear_of(leader.replica.term + 1)
    bazaar.network.release()
    caller.expect(caller.answer(buy("in doubt", 10), outcomes), OutcomeUnknown)
    bazaar.network.heal()
    caller.end()


@scenario
def a_leader_that_is_overloaded_says_nothing_of_earlier_sendings(bazaar: SimulatedBazaar) -> None:
    """The first sending was executed, and its answer lost; the second is refused."""
    first = bazaar.frontends[0]
    caller = Caller(bazaar)
    outcomes = executed_unheard(bazaar, caller, buy("in doubt", 10))
    caller.leader.desk._capacity = 0
    first.break_connections()
    wait(bazaar, lambda: outcomes, "an answer", TIMING.deadline + 0.5)
    caller.leader.desk._capacity = 10_000
    caller.expect(caller.answer(buy("in doubt", 10), outcomes), OutcomeUnknown)
    caller.end()


@scenario
def no_key_is_free_while_an_order_of_it_is_on_the_leaders_disk_alone(
    bazaar: SimulatedBazaar,
) -> None:
    """A deposed leader holds an order that no other replica has; the next leader rejects its key.
    When the first is back, that order must be gone."""
    first, second = bazaar.frontends
    caller = Caller(bazaar)
    leader, network = caller.leader, bazaar.network
    for peer in leader.peers.values():
        network.cut(leader.name, peer.name, 10.0)
    outcomes = caller.begin(first, buy("alone", 60))
    bazaar.world.run(bazaar.world.now + 0.05)
    isolate(bazaar, leader)
    for peer in leader.peers.values():
        network.cut(first.name, peer.name, 10.0)
    other = elected(bazaar, but=leader)
    caller.expect(caller.call(second, buy("most of it", 50)), Placed)
    network.heal()
    isolate(bazaar, leader)
    caller.expect(caller.answer(buy("alone", 60), outcomes), Rejected)
    lead_again(bazaar, leader, other)
    caller.expect(caller.call(second, sell("it is there again", 50)), Placed)
    caller.end()
