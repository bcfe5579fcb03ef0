"""Directed schedules for trades: what a leader may answer, and what it has to confirm before."""

from collections.abc import Callable

from twisted_bazaar.errors import BazaarError, NotExecuted, Rejected
from twisted_bazaar.frontend.cache.quotes import LookupReply, LookupResult, Source
from twisted_bazaar.market import DEFAULT_LISTING, Judged, Placed, Side, Trade
from twisted_bazaar.sending import UNGUARDED

from .bazaar import SimulatedBazaar
from .cache_scenarios import informed, watch
from .frontends import quote_of
from .members import OrderMember
from .scenarios import elected, leads, part, scenario, wait

__all__: list[str] = []

NAME = DEFAULT_LISTING[0].name


def quiet(bazaar: SimulatedBazaar) -> OrderMember:
    """The leader, once all that was under way is settled; clients begin nothing new."""
    leader = elected(bazaar)
    bazaar.world.run(bazaar.world.now + 0.3)
    for client in bazaar.clients:
        client.idle = True
    bazaar.world.run(bazaar.world.now + 0.4)
    return leader


def go_on(bazaar: SimulatedBazaar) -> None:
    """Clients trade again."""
    for client in bazaar.clients:
        client.idle = False
        client.started()


def told(bazaar: SimulatedBazaar, trade: Trade) -> Callable[[object], None]:
    """Checks the answer to `trade`, which a client sends now for the first time."""
    truth = bazaar.truth
    number, index = truth.acknowledged_number, truth.acknowledged_index
    truth.sent(trade)

    def answered(outcome: object) -> None:
        match outcome:
            case Placed():
                truth.placed(trade, outcome, number, outcome.replayed)
            case Judged():
                truth.judged(trade, outcome.price, index)
            case Rejected():
                truth.rejected(trade, outcome.rejection, index, 1)
            case NotExecuted():
                truth.not_executed(trade)

    return answered


def the_only(answered: Callable[[object], None]) -> Callable[[object], None]:
    """`answered`, for a call with one trade; ignores answers that no client would get."""

    def first(outcomes: list[object]) -> None:
        if isinstance(outcomes[0], Placed | Rejected):
            answered(outcomes[0])

    return first  # type: ignore[return-value]


@scenario
def a_key_whose_order_never_was_is_free(bazaar: SimulatedBazaar) -> None:
    """A leader proposed its order while it was cut off, lost it, and leads again."""
    world = bazaar.world
    leader = elected(bazaar)
    world.run(world.now + 0.3)
    part(bazaar, leader, 1.2)
    trade = Trade("of the parted leader", NAME, Side.SELL, 1)
    leader.trade(([trade], UNGUARDED), lambda _: None)
    world.run(world.now + 0.02)
    second = elected(bazaar, but=leader)
    world.run(world.now + 1.3)
    second.crash()
    wait(bazaar, lambda: leads(leader), "it leads again", 3.0)
    world.run(world.now + 0.1)
    bazaar.frontends[0].place(trade, told(bazaar, trade))
    world.run(world.now + 1.2)


@scenario
def a_key_has_its_order_whoever_leads(bazaar: SimulatedBazaar) -> None:
    """The next leader has the order in memory only: its index waits for the catalog."""
    world = bazaar.world
    leader = quiet(bazaar)
    trade = Trade("sent to two leaders", NAME, Side.SELL, 1)
    bazaar.frontends[0].place(trade, lambda _: None)
    world.run(world.now + 0.05)
    for peer in leader.peers.values():
        bazaar.network.cut(peer.name, bazaar.catalog.name, 1.0)
    leader.crash()
    elected(bazaar, but=leader)
    bazaar.frontends[0].place(trade, lambda _: None)
    world.run(world.now + 1.0)
    go_on(bazaar)


@scenario
def a_look_up_that_took_long_proves_nothing(bazaar: SimulatedBazaar) -> None:
    """The key had no order when it was looked up, has one since, and is not in memory any
    longer."""
    world = bazaar.world
    leader = elected(bazaar)
    world.run(world.now + 0.3)
    trade = Trade("looked up twice", NAME, Side.SELL, 1)
    for seconds in (0.3, 0.001):
        leader.look_up_seconds = seconds
        leader.trade(([trade], UNGUARDED), lambda _: None)
    leader.look_up_seconds = None
    world.run(world.now + 0.4)


@scenario
def a_rejection_rests_on_what_is_committed(bazaar: SimulatedBazaar) -> None:
    """A leader that is cut off has sold all shares, as far as it knows."""
    world = bazaar.world
    leader = quiet(bazaar)
    part(bazaar, leader, 1.0)
    # Of a stock that the other clients leave alone, some are left for certain.
    name = DEFAULT_LISTING[3].name
    left = bazaar.truth.ledger.stocks[name].quantity
    for key, quantity in (("all", left), ("one more", 1)):
        trade = Trade(key, name, Side.BUY, quantity)
        leader.trade(([trade], UNGUARDED), the_only(told(bazaar, trade)))
        world.run(world.now + 0.01)
    world.run(world.now + 0.5)
    go_on(bazaar)


@scenario
def what_was_proposed_may_have_been_executed(bazaar: SimulatedBazaar) -> None:
    """Its peers have an order of a leader that does not hear them; the front-end that sent it
    reaches no other replica."""
    world, network = bazaar.world, bazaar.network
    leader = quiet(bazaar)
    first = bazaar.frontends[0]
    for peer in leader.peers.values():
        network.cut(peer.name, leader.name, 2.5)
        network.cut(first.name, peer.name, 2.5)
    trade = Trade("of the deaf leader", NAME, Side.SELL, 1)
    first.place(trade, told(bazaar, trade))
    world.run(world.now + 2.4)
    go_on(bazaar)


@scenario
def an_order_that_is_not_there_is_not_there_for_certain(bazaar: SimulatedBazaar) -> None:
    """A leader that stood still reads the question before it looks at the time."""
    world, network, truth = bazaar.world, bazaar.network, bazaar.truth
    leader = quiet(bazaar)
    leader.pause()
    part(bazaar, leader, 1.5)
    for frontend in bazaar.frontends:
        network.cut(frontend.name, leader.name, 1.5)
    go_on(bazaar)
    elected(bazaar, but=leader)
    number = truth.acknowledged_number
    wait(bazaar, lambda: truth.acknowledged_number > number, "an order", 2.0)
    number = truth.acknowledged_number

    def answered(found: object) -> None:
        if not isinstance(found, BazaarError):
            truth.read(number, found, number)  # type: ignore[arg-type]

    leader.in_this_life(leader.get_order)(number, answered)
    leader.resume(reads_first=True)
    world.run(world.now + 0.3)


@scenario
def the_leader_shows_nothing_that_a_cache_may_not_know_of(bazaar: SimulatedBazaar) -> None:
    """A trade is committed in the very round that a lookup waits for, and is not released."""
    first = informed(bazaar)[0]
    leader = quiet(bazaar)
    world, network, truth = bazaar.world, bazaar.network, bazaar.truth
    watch(bazaar, [first], 0.1)
    network.cut(bazaar.catalog.name, first.name, 1.2)
    for peer in leader.peers.values():
        network.delay(leader.name, peer.name, 0.02)

    def answered(answer: object) -> None:
        if isinstance(answer, LookupReply):
            quote = quote_of(answer.stocks[0])
            truth.looked_up(NAME, LookupResult(quote, Source.MISS), truth.seen_version(NAME))

    for _ in range(2):
        # The first round is under way while the second is asked for.
        leader.lookup([NAME], answered)
        world.run(world.now + 0.001)
    leader.trade(([Trade("not released", NAME, Side.SELL, 1)], UNGUARDED), lambda _: None)
    watch(bazaar, [first], 0.6)
    go_on(bazaar)
