"""Directed schedules for market operations: halts that last, prices that are fresh, and what an
operator may be told."""

from twisted_bazaar.errors import BazaarError, ChangeRefused
from twisted_bazaar.market import (
    DEFAULT_LISTING,
    Change,
    Halted,
    Listed,
    Listing,
    Placed,
    Rejection,
    Repriced,
    Resumed,
    Side,
    Trade,
)
from twisted_bazaar.sending import UNGUARDED, Sending

from .bazaar import SimulatedBazaar
from .cache_scenarios import informed, probe
from .condition_scenarios import expect
from .frontends import FrontendMember
from .members import TIMING, OrderMember
from .proposal_scenarios import busy_again, quiet
from .scenarios import elected, part, scenario, wait
from .sending_scenarios import STOCK, Caller
from .trade_scenarios import told
from .truth import Violation

__all__: list[str] = []

PRICE = next(listing.price for listing in DEFAULT_LISTING if listing.name == STOCK)


def ask(bazaar: SimulatedBazaar, frontend: FrontendMember, change: Change) -> list[object]:
    """Ask for `change`; returns a list that gets the answer, once that is checked."""
    truth, outcomes = bazaar.truth, []  # type: ignore[var-annotated]
    since = truth.acknowledged_index

    def answered(outcome: int | BazaarError) -> None:
        if isinstance(outcome, int):
            truth.changed(change, outcome, since)
        elif isinstance(outcome, ChangeRefused):
            truth.change_refused(change, outcome.refusal, since)
        outcomes.append(outcome)

    frontend.operate(change, answered)
    return outcomes


def operate(bazaar: SimulatedBazaar, frontend: FrontendMember, change: Change) -> None:
    """Ask for `change`, and wait until it is made."""
    outcomes = ask(bazaar, frontend, change)
    wait(bazaar, lambda: outcomes, "an answer to an operator", TIMING.deadline + 0.5)
    if not isinstance(outcomes[0], int):
        raise Violation(11, f"{outcomes[0]!r} instead of an entry: {change}")


def guarded(bazaar: SimulatedBazaar, leader: OrderMember, number: int) -> Sending:
    """A sending for `leader` as it leads now."""
    return Sending(
        term=leader.replica.term,
        life=99,
        number=number,
        expected=(),
        expires=(leader.seconds + TIMING.deadline,),
    )


@scenario
def what_was_halted_is_not_traded_whoever_leads(bazaar: SimulatedBazaar) -> None:
    caller = Caller(bazaar)
    first, second = bazaar.frontends
    operate(bazaar, first, Halted((STOCK,)))
    leader = caller.leader
    for attempt in range(3):
        leader.crash()
        leader_before, leader = leader, elected(bazaar, but=leader)
        leader_before.start()
        bazaar.world.run(bazaar.world.now + 0.2)
        trade = Trade(f"halted-{attempt}", STOCK, Side.SELL, 1)
        expect(caller.call(second, trade), Rejection.HALTED)
    operate(bazaar, second, Resumed(()))
    caller.expect(caller.call(first, Trade("resumed", STOCK, Side.SELL, 1)), Placed)
    caller.end()


@scenario
def what_was_halted_is_not_traded_after_all_have_restarted(bazaar: SimulatedBazaar) -> None:
    """Each begins with what its index holds."""
    caller = Caller(bazaar)
    first, second = bazaar.frontends
    operate(bazaar, first, Halted((STOCK,)))
    bazaar.world.run(bazaar.world.now + 0.5)
    for process in list(bazaar.processes.values()):
        process.crash()
    for process in list(bazaar.processes.values()):
        process.start()
    elected(bazaar)
    trade = Trade("after a restart", STOCK, Side.SELL, 1)
    expect(caller.call(second, trade), Rejection.HALTED)
    operate(bazaar, second, Resumed((STOCK,)))
    caller.end()


@scenario
def a_trade_after_a_halt_is_refused_before_the_halt_is_committed(bazaar: SimulatedBazaar) -> None:
    caller = Caller(bazaar)
    world, leader = bazaar.world, caller.leader
    for peer in leader.peers.values():
        bazaar.network.delay(leader.name, peer.name, 0.05)
    leader.operate((Halted((STOCK,)), guarded(bazaar, leader, 1)), lambda _: None)
    trade = Trade("too late", STOCK, Side.BUY, 1)
    check, answered = told(bazaar, trade), []  # type: ignore[var-annotated]
    leader.trade(([trade], UNGUARDED), answered.extend)
    wait(bazaar, lambda: answered, "an answer", 2.0)
    check(answered[0])
    expect(answered[0], Rejection.HALTED)
    bazaar.network.heal()
    for peer in leader.peers.values():
        bazaar.network.delay(leader.name, peer.name, 0.0)
    world.run(world.now + 0.3)
    operate(bazaar, bazaar.frontends[0], Resumed(()))
    caller.end()


@scenario
def no_price_is_shown_that_was_before_one_that_an_operator_knows_of(
    bazaar: SimulatedBazaar,
) -> None:
    """One front-end hears late what the other has heard."""
    first, second = informed(bazaar)[:2]
    quiet(bazaar)
    for attempt in range(8):
        for member in (first, second):
            probe(bazaar, member, STOCK)
        bazaar.world.run(bazaar.world.now + 0.05)
        bazaar.network.delay(bazaar.catalog.name, second.name, 0.06)
        for change in (Repriced(STOCK, PRICE + 1 + attempt), _halt_or_resume(attempt)):
            outcomes = ask(bazaar, first, change)
            while not outcomes:
                _probe_both(bazaar)
            for _ in range(20):
                _probe_both(bazaar)
        bazaar.network.delay(bazaar.catalog.name, second.name, 0.0)
        bazaar.world.run(bazaar.world.now + 0.1)
    busy_again(bazaar)


def _halt_or_resume(attempt: int) -> Change:
    return Resumed(()) if attempt % 2 else Halted((STOCK,))


def _probe_both(bazaar: SimulatedBazaar) -> None:
    for member in bazaar.frontends:
        probe(bazaar, member, STOCK)
    bazaar.world.run(bazaar.world.now + 0.003)


@scenario
def a_new_stock_is_found_once_it_is_listed(bazaar: SimulatedBazaar) -> None:
    """Front-ends have just been told that there is none."""
    first, second = informed(bazaar)[:2]
    quiet(bazaar)
    for attempt in range(6):
        name = f"new-{attempt}"
        bazaar.network.delay(bazaar.catalog.name, second.name, 0.06)
        outcomes = ask(bazaar, first, Listed((Listing(name, 100, 5),)))
        while not outcomes:
            for member in (first, second):
                probe(bazaar, member, name)
            bazaar.world.run(bazaar.world.now + 0.003)
        for member in (first, second):
            probe(bazaar, member, name)
        bazaar.network.delay(bazaar.catalog.name, second.name, 0.0)
        bazaar.world.run(bazaar.world.now + 0.1)
    busy_again(bazaar)


@scenario
def what_only_a_parted_leader_knows_is_not_so(bazaar: SimulatedBazaar) -> None:
    """It has changed a price and listed a stock, as far as it knows."""
    caller = Caller(bazaar)
    world, truth, leader = bazaar.world, bazaar.truth, caller.leader
    part(bazaar, leader, 1.0)
    since = truth.acknowledged_index

    def check(change: Change) -> None:
        def answered(outcome: int | BazaarError) -> None:
            if isinstance(outcome, int):
                truth.changed(change, outcome, since)
            elif isinstance(outcome, ChangeRefused):
                truth.change_refused(change, outcome.refusal, since)

        numbers[0] += 1
        leader.operate((change, guarded(bazaar, leader, numbers[0])), answered)
        world.run(world.now + 0.01)

    numbers = [0]
    for _ in range(2):
        check(Repriced(STOCK, PRICE + 77))
    for quantity in (5, 6):
        check(Listed((Listing("of a parted leader", 100, quantity),)))
    world.run(world.now + 1.2)
    caller.end()


@scenario
def an_operation_that_comes_late_is_not_carried_out(bazaar: SimulatedBazaar) -> None:
    """The front-end has sent it again meanwhile, and another price is in force."""
    caller = Caller(bazaar)
    world, network, leader = bazaar.world, bazaar.network, caller.leader
    first, second = bazaar.frontends
    network.hold(first.name, leader.name, "operate")
    operate(bazaar, first, Repriced(STOCK, PRICE + 1))
    operate(bazaar, second, Repriced(STOCK, PRICE + 2))
    network.release()
    world.run(world.now + 0.5)
    if bazaar.truth.ledger.stocks[STOCK].price != PRICE + 2:
        raise Violation(12, "a price that was replaced is in force again")
    caller.end()
