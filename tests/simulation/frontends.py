"""Front-ends and their clients: the real leadership and queue, and clients that remember."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted_bazaar.errors import BazaarError, KeyReused, NotExecuted, Overloaded, Rejected
from twisted_bazaar.frontend.leadership import Leadership
from twisted_bazaar.frontend.queue import Batch, Pending, TradeQueue
from twisted_bazaar.market import DEFAULT_LISTING, Placed, Side, Trade, Traded
from twisted_bazaar.replication.messages import CampaignReply

from .members import CALL_SECONDS, TIMING, OrderMember
from .network import Network
from .truth import Truth
from .world import Process, World

__all__ = ["Client", "FrontendMember"]


class FrontendMember(Process):
    """A front-end. Does what `heartbeat.Heartbeat` and `trading.Trading` do."""

    def __init__(
        self,
        world: World,
        name: str,
        network: Network,
        replicas: Mapping[int, OrderMember],
        rate: float,
        confused: bool,
    ) -> None:
        super().__init__(world, name, rate)
        self._confused = confused
        self._network = network
        self._replicas = replicas

    def started(self) -> None:
        self.leadership = Leadership(self._replicas)
        self._queue = TradeQueue()
        self._searching = False
        for replica in self._replicas:
            self._ping(replica)
        self._expire()

    # The heartbeat.

    def _ping(self, replica: int) -> None:
        def heard(status: Any) -> None:
            self.leadership.heard(status)
            self._look()
            self.later(TIMING.ping, self._ping, replica)

        def silent() -> None:
            self.leadership.silent(replica)
            self._look()
            self.later(TIMING.ping, self._ping, replica)

        member = self._replicas[replica]
        self._network.call(self, member, member.status, None, heard, silent, CALL_SECONDS)

    def _look(self) -> None:
        if self.leadership.leader:
            self._queue.led_by(self.leadership.leader)
            self._pump()
        elif not self._searching:
            nominee = self.leadership.nominee(self.seconds)
            if nominee is not None:
                if self._confused:
                    nominee = self.world.random.choice(list(self._replicas))
                self.nominate(nominee)

    def nominate(self, nominee: int) -> None:
        """Ask a replica to campaign."""
        self._searching = True
        self.world.say(self.name, f"nominates {nominee}")
        member = self._replicas[nominee]

        def ended(reply: CampaignReply | None) -> None:
            again = self.leadership.campaigned(nominee, reply, self.seconds)
            self._searching = False
            if self.leadership.leader:
                for replica in self.leadership.followers:
                    self._notify(replica)
                self._look()
            else:
                self.later(max(0.0, again - self.seconds), self._look)

        self._network.call(
            self, member, member.campaign, None, ended, lambda: ended(None), 2 * CALL_SECONDS
        )

    def _notify(self, replica: int) -> None:
        member = self._replicas[replica]
        term = self.leadership.term
        self._network.call(
            self, member, member.follow, term, lambda _: None, lambda: None, CALL_SECONDS
        )

    # Trading.

    def place(self, trade: Trade, answer: Callable[[Any], None]) -> None:
        """Have the leader decide `trade`; `answer` gets the outcome."""
        try:
            self._queue.add(Pending(trade, answer, self.seconds + TIMING.deadline))
        except Overloaded as full:
            answer(full)
            return
        self._pump()

    def _pump(self) -> None:
        while (batch := self._queue.take(self.leadership.leader)) is not None:
            self._send(batch)
        for pending, outcome in self._queue.take_settled():
            pending.ticket(outcome)  # type: ignore[operator]

    def _send(self, batch: Batch) -> None:
        member = self._replicas[batch.leader]

        def answered(outcomes: Sequence[Placed | BazaarError]) -> None:
            if not self._queue.answered(batch, outcomes):
                self.leadership.doubt(batch.leader)
            self._pump()

        def lost() -> None:
            self._queue.lost(batch)
            self.leadership.doubt(batch.leader)
            self._pump()

        trades = [pending.trade for pending in batch.pending]
        timeout = max(0.0, batch.deadline - self.seconds)
        self._network.call(self, member, member.trade, trades, answered, lost, timeout)

    def _expire(self) -> None:
        self._queue.expire(self.seconds)
        self._pump()
        self.later(TIMING.ping, self._expire)

    # Reading.

    def get_order(self, number: int, answer: Callable[[Any], None]) -> None:
        """Read an order: `answer` gets it, None, or an error if nobody can tell."""

        def ask(replicas: list[int]) -> None:
            if not replicas:
                answer(BazaarError("nobody can tell"))
                return
            member = self._replicas[replicas[0]]

            def answered(found: Any) -> None:
                if isinstance(found, BazaarError):
                    ask(replicas[1:])
                else:
                    answer(found)

            self._network.call(
                self,
                member,
                member.get_order,
                number,
                answered,
                lambda: ask(replicas[1:]),
                CALL_SECONDS,
            )

        ask(self.leadership.by_trust())


class Client(Process):
    """A client: trades, sends keys again, reads, and holds the bazaar to what it was told."""

    def __init__(
        self, world: World, name: str, frontends: Sequence[FrontendMember], truth: Truth
    ) -> None:
        super().__init__(world, name)
        self._frontends = frontends
        self._truth = truth
        self._count = 0
        self._placed: list[tuple[Trade, int]] = []
        self.idle = False
        """Begin nothing new."""
        self.waiting = 0
        """Calls that were not answered yet."""

    def use(self, frontends: Sequence[FrontendMember]) -> None:
        """Go to these front-ends only."""
        self._frontends = frontends

    def started(self) -> None:
        self._next()

    def _next(self) -> None:
        if self.idle:
            return
        random = self.world.random
        self.later(random.expovariate(1 / 0.04), self._act)

    def _act(self) -> None:
        random = self.world.random
        frontend = random.choice(self._frontends)
        kind = random.random()
        if not frontend.alive or frontend.paused:
            self._next()
        elif kind < 0.65:
            self._trade(frontend, self._new_trade())
        elif kind < 0.75 and self._placed:
            # Mostly a late one, whose key is on its way into the index.
            trade, number = random.choice(self._placed[-3:] * 3 + self._placed)
            self._trade(frontend, trade, number)
        elif kind < 0.78 and self._placed:
            trade, _ = random.choice(self._placed)
            other = Trade(trade.key, trade.stock, trade.side, trade.quantity + 1)
            self._trade(frontend, other)
        else:
            self._read(frontend)

    def _new_trade(self) -> Trade:
        random = self.world.random
        self._count += 1
        stock = random.choice(DEFAULT_LISTING[:3]).name if random.random() < 0.97 else "Nobody"
        side = Side.BUY if random.random() < 0.6 else Side.SELL
        quantity = random.choice((1, 2, 5, 30))
        return Trade(f"{self.name}-{self._count}", stock, side, quantity)

    def _trade(self, frontend: FrontendMember, trade: Trade, number: int = 0) -> None:
        truth = self._truth
        number_before, index_before = truth.acknowledged_number, truth.acknowledged_index
        tries = [2]
        self.waiting += 1

        def answered(outcome: Any) -> None:
            match outcome:
                case Placed():
                    seen = number > 0 or outcome.replayed or tries[0] < 2
                    truth.placed(trade, outcome.number, number_before, seen)
                    self._placed.append((trade, outcome.number))
                case Rejected():
                    truth.rejected(trade, outcome.rejection, index_before)
                case KeyReused():
                    truth.key_reused(trade)
                case NotExecuted() if tries[0] == 2 and not number:
                    truth.not_executed(trade)
                case _:
                    truth.counts["unknown"] += 1
                    tries[0] -= 1
                    other = self.world.random.choice(self._frontends)
                    if tries[0] and other.alive:
                        send(other)
                        return
            self.waiting -= 1
            self._next()

        def send(frontend: FrontendMember) -> None:
            guarded = self.in_this_life(once(answered))
            # A front-end that dies takes its connections with it.
            self.later(TIMING.deadline + 1, guarded, BazaarError("no answer"))
            frontend.in_this_life(frontend.place)(trade, guarded)

        send(frontend)

    def _read(self, frontend: FrontendMember) -> None:
        truth = self._truth
        last = truth.acknowledged_number
        random = self.world.random
        # The newest order is the one that somebody may not have heard of.
        number = last if last and random.random() < 0.5 else random.randint(1, last + 2)
        self.waiting += 1

        def answered(found: Traded | BazaarError | None) -> None:
            self.waiting -= 1
            if not isinstance(found, BazaarError):
                truth.read(number, found, last)
            self._next()

        guarded = self.in_this_life(once(answered))
        self.later(TIMING.deadline, guarded, BazaarError("no answer"))
        frontend.in_this_life(frontend.get_order)(number, guarded)


def once(call: Callable[[Any], None]) -> Callable[[Any], None]:
    """`call`, the first time only."""
    called = [False]

    def first(argument: Any) -> None:
        if not called[0]:
            called[0] = True
            call(argument)

    return first
