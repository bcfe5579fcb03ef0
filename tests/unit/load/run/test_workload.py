"""The reference workload, against a front-end in memory: what clients ask, and when."""

from random import Random
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock, deferLater
from twisted.python.failure import Failure

from load.history.records import History, LookupCall, OrderCall, TradeCall, Verdict
from load.run.mix import Mix
from load.run.workload import Workload
from tests.fakes.frontend import FakeFrontend
from tests.fakes.leaks import nothing_leaks  # noqa: F401
from twisted_bazaar.client.answers import Answer, Broken
from twisted_bazaar.client.requests import Request
from twisted_bazaar.market import DEFAULT_LISTING, Side

STOCKS = [listing.name for listing in DEFAULT_LISTING]
BEGIN = 1000.0


class Frontend(FakeFrontend):
    """A front-end that counts connections, and stalls: requests meanwhile are answered after."""

    def __init__(self, clock: Clock, seed: int = 1) -> None:
        super().__init__(clock, Random(seed))
        self.connections = 0
        self.keys: list[str] = []
        self.stalls = (0.0, 0.0)
        self.dead = False
        self.lost: set[str] = set()
        """Paths that are answered with 404."""

    def connect(self) -> Any:
        self.connections += 1
        return self

    def close(self) -> Deferred[None]:
        return succeed(None)

    def send(self, url: str, request: Request, seconds: float) -> Deferred[Answer | Broken]:
        begin, end = self.stalls
        now = self._clock.seconds()
        if self.dead:
            self.requests.append((request.method, url, None))
            return succeed(Broken("refused", served=False))
        if begin <= now < end:
            call = deferLater(self._clock, end - now)
            return call.addCallbacks(
                lambda _: super(Frontend, self).send(url, request, seconds),
                lambda why: why.trap(CancelledError) and Broken("given up"),
            )
        return super().send(url, request, seconds)

    def _serve(self, path: str, body: Any, key: str) -> Answer:
        if key:
            self.keys.append(key)
        if path in self.lost:
            return super()._serve("/orders/1000000", None, "")
        return super()._serve(path, body, key)


class World:
    """A workload with a simulated clock."""

    def __init__(self, seed: int = 1, token: str = "one", **mix: Any) -> None:
        self.clock = Clock()
        self.clock.advance(BEGIN)
        self.frontend = Frontend(self.clock, seed)
        self.history = History()
        self.workload = Workload(
            self.clock,
            self.clock.seconds,
            Mix(**mix),
            "http://front",
            STOCKS,
            self.history,
            seed=str(seed),
            token=token,
            connect=self.frontend.connect,
        )
        self.left: list[object] = []

    def start(self) -> Deferred[None]:
        done = self.workload.run()
        done.addBoth(self.left.append)
        return done

    def run(self, seconds: float = 60.0) -> "World":
        """Run until all clients have ended, which must be within `seconds`."""
        self.start()
        self.pump(seconds)
        assert self.left == [None]
        return self

    def pump(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.001)):
            if self.left:
                break
            self.clock.advance(0.001)

    def calls(self, kind: type | tuple[type, ...]) -> list[Any]:
        return [record for record in self.history.records if isinstance(record, kind)]


def test_each_client_does_its_iterations_and_reads_all_its_orders_back() -> None:
    world = World(clients=3, iterations=40, share=0.5).run()
    lookups, trades, orders = map(world.calls, (LookupCall, TradeCall, OrderCall))
    assert len(lookups) == 120
    assert {sum(call.client == client for call in lookups) for client in (1, 2, 3)} == {40}
    assert 40 < len(trades) < 80
    placed = sorted(call.number for call in trades if call.verdict is Verdict.PLACED)
    assert sorted(call.number for call in orders) == placed
    assert world.workload.placed == len(placed) > 0
    comparison = world.workload.remembered.comparison()
    assert (comparison.remembered, comparison.confirmed) == (len(placed), len(placed))
    kinds = world.workload.tally.kinds()
    assert kinds["all"].count == len(lookups) + len(trades)
    assert kinds["order"].count == len(orders)
    assert world.frontend.connections == 3


def test_trades_may_have_a_connection_of_their_own() -> None:
    assert World(clients=3, iterations=2, separate=True).run().frontend.connections == 6


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_trade_follows_a_lookup_as_often_as_it_is_to(share: float) -> None:
    world = World(clients=2, iterations=30, share=share, side="sell").run()
    assert len(world.calls(TradeCall)) == 60 * share
    last: dict[int, str] = {}
    for call in world.calls((LookupCall, TradeCall)):
        if isinstance(call, TradeCall):
            assert last.pop(call.client) == call.name
        else:
            last[call.client] = call.name


def test_a_stock_that_ran_out_is_not_bought_and_is_sold() -> None:
    buying = World(clients=1, iterations=300, share=1.0, side="buy", least=20, most=20).run()
    bought = buying.calls(TradeCall)
    assert len(bought) == 5 * len(STOCKS)
    assert {call.type for call in bought} == {Side.BUY}
    both = World(clients=1, iterations=300, share=1.0, least=20, most=20).run()
    assert {call.type for call in both.calls(TradeCall)} == {Side.BUY, Side.SELL}
    after_dry = [
        after
        for before, after in zip(both.history.records, both.history.records[1:], strict=False)
        if isinstance(before, LookupCall) and before.found and not before.found.quantity
        if isinstance(after, TradeCall)
    ]
    assert {call.type for call in after_dry} == {Side.SELL}


def test_quantities_are_within_what_was_asked_for() -> None:
    world = World(clients=2, iterations=200, share=1.0, side="sell", least=3, most=6).run()
    assert {call.quantity for call in world.calls(TradeCall)} == {3, 4, 5, 6}


def test_a_seed_decides_what_each_client_asks_and_no_run_uses_the_keys_of_another() -> None:
    def asked(world: World, client: int) -> list[object]:
        lookups = [call.name for call in world.calls(LookupCall) if call.client == client]
        trades = [call for call in world.calls(TradeCall) if call.client == client]
        return [lookups, [(call.name, call.type, call.quantity) for call in trades]]

    mix = {"clients": 2, "iterations": 30, "side": "sell"}
    once, again = (World(7, token, **mix).run() for token in ("one", "two"))
    other = World(8, **mix).run()
    for client in (1, 2):
        assert asked(once, client) == asked(again, client) != asked(other, client)
    assert asked(once, 1) != asked(once, 2)
    keys = [*once.frontend.keys, *again.frontend.keys]
    assert len(set(keys)) == len(keys) > 0


def test_it_ends_when_its_time_is_over() -> None:
    world = World(clients=3, seconds=2.0, share=0.0)
    world.start()
    world.pump(1.9)
    assert not world.left
    world.pump(0.2)
    assert world.left == [None]


def test_an_open_loop_asks_as_often_as_it_is_to() -> None:
    world = World(clients=4, seconds=5.0, rate=40.0).run()
    sent = sorted(call.sent for kind in (LookupCall, TradeCall) for call in world.calls(kind))
    assert len(sent) == 200
    for number, at in enumerate(sent):
        assert at == pytest.approx(BEGIN + number / 40, abs=0.0021)
    assert world.workload.tally.kinds()["all"].latencies.max < 0.05
    assert world.workload.unsent == 0


def test_a_stall_is_hidden_in_a_closed_loop_and_not_in_an_open_one() -> None:
    slow = []
    for rate in (None, 50.0):
        world = World(clients=5, seconds=10.0, share=0.0, rate=rate)
        world.frontend.stalls = (BEGIN + 3.0, BEGIN + 5.0)
        world.run()
        latencies = world.workload.tally.kinds()["lookup"].latencies
        slow.append([latencies.percentile(each) > 0.1 for each in (81, 99)])
    # A fifth of all requests were due while it stalled.
    assert slow == [[False, False], [True, True]]


def test_a_stall_at_the_end_is_not_hidden_either() -> None:
    world = World(clients=2, seconds=4.0, share=0.0, rate=50.0)
    world.frontend.stalls = (BEGIN + 3.0, BEGIN + 6.0)
    world.run()
    latencies = world.workload.tally.kinds()["lookup"].latencies
    assert latencies.count == 200
    assert latencies.percentile(80) > 2.0


def test_requests_that_are_due_and_never_sent_are_counted() -> None:
    world = World(clients=1, seconds=2.0, share=0.0, rate=1000.0).run()
    measured = world.workload.tally.kinds()["lookup"]
    assert measured.count + world.workload.unsent == 2000
    assert world.workload.unsent > 100


def test_a_lost_order_is_found() -> None:
    world = World(clients=2, iterations=20, share=1.0)
    world.frontend.lost = {"/orders/3"}
    world.run()
    comparison = world.workload.remembered.comparison()
    assert comparison.wrong == 1
    assert comparison.confirmed == comparison.remembered - 1
    assert comparison.examples[0].startswith("order 3 was acknowledged for ")


def test_clients_give_up_a_front_end_that_is_down() -> None:
    world = World(clients=3, seconds=2.0, share=1.0)
    world.start()
    world.pump(1.9)
    world.frontend.dead = True
    asked = len(world.frontend.requests)
    world.pump(20.0)
    assert world.left == [None]
    comparison = world.workload.remembered.comparison()
    assert comparison.unread == comparison.remembered > 0
    # Each client waits between its attempts.
    assert len(world.frontend.requests) - asked < 3 * 12 / 0.05


def test_cancelled_clients_end_at_once_without_errors() -> None:
    for rate in (None, 20.0):
        world = World(clients=5, seconds=50.0, rate=rate)
        world.frontend.stalls = (BEGIN + 3.0, BEGIN + 60.0)
        done = world.start()
        world.pump(5.0)
        done.cancel()
        (failure,) = world.left
        assert isinstance(failure, Failure)
        assert failure.check(CancelledError)
        assert world.workload.left_early
        measured = world.workload.tally.kinds()["all"]
        assert (measured.count > 20, measured.errors) == (True, 0)
        assert not world.clock.getDelayedCalls()


def test_a_history_that_cannot_be_written_ends_the_run() -> None:
    world = World(clients=3, iterations=5)

    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    world.history.add = full  # type: ignore[method-assign]
    world.start()
    world.pump(2.0)
    (failure,) = world.left
    assert isinstance(failure, Failure)
    assert failure.check(OSError)
