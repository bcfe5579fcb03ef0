"""Front-ends: the leadership, the trade queue, the floors and the lookup queue that ship."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from twisted_bazaar.consensus.messages import CampaignReply, Status
from twisted_bazaar.errors import (
    BazaarError,
    ChangeRefused,
    NotExecuted,
    OutcomeUnknown,
    Overloaded,
    Unavailable,
)
from twisted_bazaar.frontend.cache.floors import Floors
from twisted_bazaar.frontend.cache.quotes import Quote
from twisted_bazaar.frontend.election.leadership import Leadership
from twisted_bazaar.frontend.lookups.queue import CacheRead, LookupQueue, UpstreamCall
from twisted_bazaar.frontend.trading.queue import Batch, Pending, TradeQueue
from twisted_bazaar.market import Change, ChangeRefusal, Placed, Stock, Trade
from twisted_bazaar.order_keys import client_of
from twisted_bazaar.rpc.push import Push, PushedQuote, Subscription
from twisted_bazaar.sending import Sending

from .catalogs import CatalogMember, RedisMember
from .members import CALL_SECONDS, TICK_SECONDS, TIMING, OrderMember
from .network import Network
from .truth import body_of
from .world import Process, World

__all__ = ["FrontendMember", "quote_of"]

REDIS_SECONDS = 0.05

Answer = Callable[[Any], None]
"""What takes the answer to a trade or lookup: the ticket of both queues."""


def quote_of(stock: Stock | PushedQuote) -> Quote:
    """What a front-end caches, and a client sees, of `stock`."""
    return Quote(stock.version, body_of(stock))


class _Operation:
    """A change of the market that an operator asks for."""

    def __init__(self, change: Change, answer: Answer, give_up: float) -> None:
        self.change = change
        self.answer = answer
        self.give_up = give_up
        self.doubtful = False
        """Whether an attempt may have succeeded."""


class FrontendMember(Process):
    """A front-end. Does what `Pings`, `TradeService`, `Subscriber` and `LookupService` do."""

    def __init__(
        self,
        world: World,
        name: str,
        network: Network,
        replicas: Mapping[int, OrderMember],
        rate: float,
        confused: bool,
        catalogs: Sequence[CatalogMember],
        redis: RedisMember | None,
    ) -> None:
        super().__init__(world, name, rate)
        self._catalogs = list(catalogs)
        self._redis = redis
        self._confused = confused
        self._network = network
        self._replicas = replicas
        self.options: Collection[int] = ()
        """The replicas that it is given as an option; none: all that there are."""
        self.partition = 0
        self.told: Callable[[Status], None] = lambda status: None
        """Told of each answer to a ping."""
        self.informed: Callable[[FrontendMember], None] = lambda member: None
        """Told when it holds a lease that it did not hold before."""

    def started(self) -> None:
        self.leadership = Leadership(self.options or self._replicas, TIMING, self.partition)
        # One more than ships: batches that overtake each other are the harder case.
        self._queue: TradeQueue[Answer] = TradeQueue(in_flight=2)
        self._searching = False
        lives = self.world.random.getrandbits
        self._life = self.world.aside.getrandbits(52) | 1
        self._operations: list[_Operation] = []
        """They are sent one after the other."""
        self._operations_sent = 0
        self._under_way: dict[int, Callable[[], None]] = {}
        """How to lose each batch that was not answered yet."""
        self.floors = Floors(TIMING, lambda: lives(52) | 1)
        self._lookups: LookupQueue[Answer] = LookupQueue(self.floors if self._redis else None)
        self._subscribing = False
        self.pushed = 0
        """Quotes that came in pushes and were kept."""
        self.members: set[int] = set()
        """The replicas that it pings."""
        self._members_index = 0
        self._members_are(self.leadership.statuses)
        self._expire()
        if self._redis is not None:
            self._subscribe()

    # The heartbeat.

    def _ping(self, replica: int) -> None:
        if replica not in self.members:
            return

        def heard(status: Any) -> None:
            if status.replica == replica:
                self._learn(status)
                self.leadership.heard(status)
                self.told(status)
                self.leadership.heard_clock(replica, status.clock, self.seconds)
            else:
                self.leadership.silent(replica)
            self._look()
            self.later(TIMING.ping, self._ping, replica)

        def silent() -> None:
            self.leadership.silent(replica)
            self._look()
            self.later(TIMING.ping, self._ping, replica)

        member = self._replicas[replica]
        self._network.call(self, member, member.status, None, heard, silent, CALL_SECONDS)

    def _members_are(self, members: Iterable[int]) -> None:
        before, self.members = self.members, set(members)
        for replica in sorted(self.members - before):
            self._ping(replica)

    def _learn(self, status: Status) -> None:
        """A replica says who the members are."""
        if status.members_index <= self._members_index:
            return
        self._members_index = status.members_index
        members = {member.id for member in status.roster} | {*status.before}
        joining = {member.id for member in status.roster if member.joining}
        self.leadership.members_are(members, joining)
        self._members_are(members)

    def _look(self) -> None:
        if self.leadership.leader:
            self._queue.led_by(self.leadership.leader, self.leadership.term)
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
        self._network.call(
            self, member, member.follow, None, lambda _: None, lambda: None, CALL_SECONDS
        )

    # Trading.

    def place(self, trade: Trade, answer: Callable[[Any], None]) -> None:
        """Have the leader decide `trade`; `answer` gets the outcome."""
        try:
            deadline = self.seconds + TIMING.deadline
            self._queue.add(Pending(trade, answer, deadline, owner=_owner(trade)))
        except Overloaded as full:
            answer(full)
            return
        self._pump()

    def place_together(self, trades: Sequence[Trade], answer: Callable[[int, Any], None]) -> None:
        """Have the leader decide `trades`, in one call; `answer` gets the place of each, and its
        outcome."""
        deadline = self.seconds + TIMING.deadline
        owner = _owner(trades[0]) if trades else ""
        self._queue.add_together(
            [
                Pending(trade, partial(answer, place), deadline, owner=owner)
                for place, trade in enumerate(trades)
            ]
        )
        self._pump()

    def _pump(self) -> None:
        leadership = self.leadership
        while (batch := self._queue.take(leadership.leader, leadership.term)) is not None:
            self._send(batch)
        for pending, outcome in self._queue.take_settled():
            pending.ticket(outcome)

    def _send(self, batch: Batch[Answer]) -> None:
        member = self._replicas[batch.leader]

        def answered(outcomes: Sequence[Placed | BazaarError]) -> None:
            self._under_way.pop(batch.number, None)
            if not self._queue.answered(batch, outcomes):
                self.leadership.doubt(batch.leader)
            self._pump()

        def lost() -> None:
            self._under_way.pop(batch.number, None)
            if self._queue.lost(batch):
                self.leadership.doubt(batch.leader)
            self._pump()

        trades = [pending.trade for pending in batch.pending]
        self._under_way[batch.number] = lost
        clock_of = self.leadership.clock_of(batch.leader)
        message = trades, batch.sending(self._life, self.seconds, clock_of)
        timeout = max(0.0, batch.deadline - self.seconds)
        self._network.call(self, member, member.trade, message, answered, lost, timeout)

    @property
    def trades(self) -> int:
        """The number of batches under way."""
        return len(self._under_way)

    def break_connections(self) -> None:
        """No trade that is under way is answered."""
        for lose in list(self._under_way.values()):
            lose()

    def _expire(self) -> None:
        self._queue.expire(self.seconds)
        self._pump()
        self.later(TIMING.ping, self._expire)

    # Reading.

    def get_order(self, number: int, answer: Callable[[Any], None]) -> None:
        """Read an order: `answer` gets it, None if there is none, or an error if no replica can
        say."""

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

    # Market operations.

    def operate(self, change: Change, answer: Answer) -> None:
        """Have the leader change the market, as `OperationService` does; `answer` gets the index
        of the entry, 0 or an error."""
        operation = _Operation(change, answer, self.seconds + TIMING.deadline)
        self._operations.append(operation)
        if len(self._operations) == 1:
            self._operate(operation)

    def _operate(self, operation: _Operation) -> None:
        left, leader = operation.give_up - self.seconds, self.leadership.leader
        if left <= 0:
            why = OutcomeUnknown("no answer") if operation.doubtful else NotExecuted("no leader")
            self._operated(operation, why)
        elif not leader:
            self.later(TIMING.ping, self._operate, operation)
        else:
            self._operations_sent += 1
            sending = Sending(
                term=self.leadership.term,
                life=self._life + 1,  # Even, as that of no trade is.
                number=self._operations_sent,
                expected=(),
                expires=(self.leadership.clock_of(leader)(operation.give_up),),
            )

            def answered(outcome: int | BazaarError) -> None:
                self._took(operation, leader, outcome)

            self._network.call(
                self,
                self._replicas[leader],
                self._replicas[leader].operate,
                (operation.change, sending),
                answered,
                lambda: answered(OutcomeUnknown("lost")),
                min(left, TIMING.deadline / 3),
            )

    def _took(self, operation: _Operation, leader: int, outcome: int | BazaarError) -> None:
        if isinstance(outcome, ChangeRefused) and operation.doubtful:
            if outcome.refusal is ChangeRefusal.LISTED_ALREADY:
                outcome = OutcomeUnknown("listed, perhaps by this operation")
            self._operated(operation, outcome)
        elif isinstance(outcome, int | ChangeRefused):
            self._operated(operation, outcome)
        else:
            operation.doubtful |= not isinstance(outcome, NotExecuted)
            self.leadership.doubt(leader)
            self.later(TIMING.ping, self._operate, operation)

    def _operated(self, operation: _Operation, outcome: int | BazaarError) -> None:
        self._operations.remove(operation)
        operation.answer(outcome)
        if self._operations:
            self._operate(self._operations[0])

    # Being informed.

    def _subscribe(self) -> None:
        self.later(TICK_SECONDS, self._subscribe)
        if self._subscribing or not self.floors.subscribe(self.seconds):
            return
        self._subscribing = True
        subscription = Subscription(address=self.name, life=self.floors.life, token="", quotes=True)

        def ended(answer: BazaarError | float) -> None:
            self._subscribing = False
            if isinstance(answer, BazaarError):
                self.floors.refused(self.seconds)
            elif answer:
                self.floors.kept_out(answer, self.seconds)

        self._ask_in_turn(list(self._catalogs), "subscribe", subscription, ended)

    def push(self, push: Push, reply: Callable[[Any], None]) -> None:
        """A catalog pushes changes."""
        if outdated := self.floors.outdated(push):
            self._tell_redis("drop", (push.history, outdated))
        had_lease = self.floors.alive(self.seconds)
        answer = self.floors.push(push, self.seconds)
        if not had_lease and self.floors.alive(self.seconds):
            self.informed(self)
        reply(answer)
        quotes = self.floors.worth_keeping(push, self.seconds)
        if keep := {each.name: quote_of(each) for each in quotes}:
            self.pushed += len(keep)
            self._tell_redis("put", (push.history, keep))

    def _tell_redis(self, what: str, message: Any) -> None:
        redis = self._redis
        assert redis is not None
        serve = getattr(redis, what)
        self._network.call(self, redis, serve, message, lambda _: None, lambda: None, REDIS_SECONDS)

    # Lookups.

    def lookup(self, name: str, answer: Callable[[Any], None]) -> None:
        """Look up a stock: `answer` gets a `LookupResult`, or an error."""
        self._lookups.add(name, answer, self.seconds)
        self._look_up()

    def _look_up(self) -> None:
        while (read := self._lookups.take_read()) is not None:
            self._read(read)
        while (call := self._lookups.take_call()) is not None:
            self._call(call)
        for ticket, answer in self._lookups.take_answered():
            ticket(answer)

    def _read(self, read: CacheRead[Answer]) -> None:
        redis = self._redis
        assert redis is not None

        def had(quotes: Mapping[str, Quote]) -> None:
            self._lookups.read_done(read, quotes, self.seconds)
            self._look_up()

        asked = (read.history, read.names)
        self._network.call(self, redis, redis.get, asked, had, lambda: had({}), REDIS_SECONDS)

    def _call(self, call: UpstreamCall[Answer]) -> None:
        def ended(answer: Any) -> None:
            if isinstance(answer, BazaarError):
                self._lookups.failed(call, answer)
            else:
                quotes = {stock.name: quote_of(stock) for stock in answer.stocks}
                keep = self._lookups.answered(
                    call, quotes, self.seconds, answer.history, answer.held
                )
                if keep:
                    self._tell_redis("put", (call.history, keep))
            self._look_up()

        replicas = [self._replicas[replica] for replica in self.leadership.by_trust()]
        self._ask_in_turn([*self._catalogs, *replicas], "lookup", call.names, ended)

    def _ask_in_turn(
        self, processes: Sequence[Any], what: str, message: Any, ended: Callable[[Any], None]
    ) -> None:
        """Ask one after the other; `ended` gets the first answer that is no refusal."""
        if not processes:
            ended(Unavailable("nobody answers"))
            return

        def answered(answer: Any) -> None:
            if isinstance(answer, BazaarError):
                self._ask_in_turn(processes[1:], what, message, ended)
            else:
                if processes[0] in self._catalogs:
                    self._catalogs.remove(processes[0])
                    self._catalogs.insert(0, processes[0])
                ended(answer)

        serve = getattr(processes[0], what)
        refused = Unavailable("no answer")
        self._network.call(
            self, processes[0], serve, message, answered, lambda: answered(refused), CALL_SECONDS
        )


def _owner(trade: Trade) -> str:
    """The client that `trade` is of, by its key."""
    return client_of(trade.key) or trade.key.rpartition("-")[0]
