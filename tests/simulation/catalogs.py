"""Catalogs and Redis servers: the publisher that ships, and a store that may lose everything."""

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import msgspec

from twisted_bazaar.catalog.holds import Wait
from twisted_bazaar.catalog.market_file import Snapshot
from twisted_bazaar.catalog.node import HOLD_SECONDS
from twisted_bazaar.catalog.projection import Position
from twisted_bazaar.catalog.publisher import Publisher
from twisted_bazaar.catalog.subscribers import OutgoingPush
from twisted_bazaar.errors import BazaarError, NotOurs, Unavailable
from twisted_bazaar.frontend.cache.quotes import LookupReply, Quote
from twisted_bazaar.market import DEFAULT_LISTING, Stock
from twisted_bazaar.rpc.push import Subscription

from .members import TICK_SECONDS, TIMING, Respond
from .network import Network
from .truth import Truth
from .world import Process, World

__all__ = ["CatalogMember", "RedisMember"]

PUSH_SECONDS = TIMING.lease / 4
SAVE_SECONDS = 0.25


class CatalogMember(Process):
    """A catalog, whose file is a little behind. Does what `catalog.node.CatalogNode` does."""

    def __init__(
        self, world: World, name: str, network: Network, truth: Truth, rate: float
    ) -> None:
        super().__init__(world, name, rate)
        self._network = network
        self._truth = truth
        self._saved = Snapshot((), Position(), 0)
        self.frontends: Mapping[str, Any] = {}
        self.lease = TIMING.lease
        """Seconds: what it is given as an option. It holds from the next start on."""

    def started(self) -> None:
        self.projection = self._saved.projection()
        lives = self.world.random.getrandbits
        timing = attrs.evolve(TIMING, lease=self.lease)
        self.publisher: Publisher[Respond] = Publisher(
            self.projection, timing, lambda: lives(52) | 1, self.seconds
        )
        self._held: list[tuple[dict[str, Wait], list[str], float, Respond]] = []
        """Lookups that wait until it is known whether a cleared entry is committed."""
        self.later(SAVE_SECONDS, self._save)
        self._quoting = False
        self._tick()

    def replace_file(self, index: int, term: int) -> None:
        """Replace its file, while it is down, by that of another bazaar whose log ends with entry
        `index`."""
        assert not self.alive
        self.world.say(self.name, f"has the file of another bazaar, up to entry {index}")
        random = self.world.random
        stocks = tuple(
            Stock(name, price, random.randint(0, 200), 0, random.randint(1, index))
            for name, price, _ in (msgspec.structs.astuple(each) for each in DEFAULT_LISTING[:3])
        )
        self._saved = Snapshot(stocks, Position(index, f"{random.getrandbits(128):032x}", term), 1)

    def _save(self) -> None:
        self._saved = Snapshot.of(self.projection)
        self.later(SAVE_SECONDS, self._save)

    def _tick(self) -> None:
        self.publisher.tick(self.seconds)
        self._carry_out()
        self.later(TICK_SECONDS, self._tick)

    def step(self, message: Any, reply: Respond) -> None:
        try:
            self.publisher.apply(message, reply, self.seconds)
        except NotOurs:
            return
        projection = self.projection
        if self._truth.knows(projection.position.index, projection.position.digest):
            self._truth.applied(self.name, projection.ledger, projection.position.index)
        self._carry_out()

    def subscribe(self, subscription: Subscription, reply: Respond) -> None:
        try:
            kept_out = self.publisher.subscribe(subscription, self.seconds)
        except BazaarError as refusal:
            reply(refusal)
        else:
            reply(kept_out)
            self._carry_out()

    def lookup(self, names: list[str], reply: Respond) -> None:
        waits = {name: wait for name in names if (wait := self.publisher.wait_for(name))}
        if waits:
            self._truth.counts["held"] += 1
            self._held.append((waits, names, self.seconds + HOLD_SECONDS, reply))
            self.later(HOLD_SECONDS, self._carry_out)
        else:
            self._show(names, [], reply)

    def _answer_held(self) -> None:
        lookups, self._held = self._held, []
        for waits, names, until, reply in lookups:
            held = [name for name, wait in waits.items() if not self.publisher.is_over(wait)]
            if not held or self.seconds >= min(until, self.publisher.view.until):
                self._show(names, held, reply)
            else:
                self._held.append((waits, names, until, reply))

    def _show(self, names: list[str], held: list[str], reply: Respond) -> None:
        view = self.publisher.view
        if self.seconds < view.until and self.publisher.is_open:
            shown = [name for name in names if name in view.stocks and name not in held]
            reply(LookupReply([view.stocks[name] for name in shown], view.history, held))
        else:
            reply(Unavailable("no lease"))

    def listing(self, message: None, reply: Respond) -> None:
        reply(DEFAULT_LISTING[:4])

    def _carry_out(self) -> None:
        for ticket, answer in self.publisher.take_answers():
            ticket(answer)
        self._answer_held()
        for pushed in self.publisher.take_pushes(self.seconds):
            self._push(pushed)
        due = self.publisher.quotes_due()
        if due is not None and not self._quoting:
            self._quoting = True
            self.later(max(0.0, due - self.seconds), self._push_quotes)

    def _push_quotes(self) -> None:
        self._quoting = False
        self._carry_out()

    def _push(self, pushed: OutgoingPush) -> None:
        frontend = self.frontends[pushed.subscription.address]

        def answered(reply: Any) -> None:
            if reply is None:
                self.publisher.unreachable(pushed, self.seconds)
            else:
                self.publisher.answered(pushed, reply, self.seconds)
            self._carry_out()

        def lost() -> None:
            self.publisher.unreachable(pushed, self.seconds)

        self._network.call(self, frontend, frontend.push, pushed.push, answered, lost, PUSH_SECONDS)


class RedisMember(Process):
    """A Redis server, perhaps shared. It loses values, and returns old ones."""

    def __init__(self, world: World, name: str, stale: float = 0.0) -> None:
        """`stale`: the share of reads that return old values."""
        super().__init__(world, name)
        self._stale = stale
        self._past: dict[tuple[str, str], list[Quote]] = {}
        self._quotes: dict[tuple[str, str], Quote] = {}
        self._dump: dict[tuple[str, str], Quote] = {}

    def crashed(self) -> None:
        self._quotes = {}

    def dump(self) -> None:
        """Copy all values as they are now."""
        self._dump = dict(self._quotes)

    def restore(self) -> None:
        """Replace all values by the copy."""
        self._quotes = dict(self._dump)

    def get(self, asked: tuple[str, list[str]], reply: Callable[[Any], None]) -> None:
        history, names = asked
        there = {name: self._quotes.get((history, name)) for name in names}
        if self._stale and self.world.random.random() < self._stale:
            # As if it had just been replaced by a replica that is far behind.
            past = {name: self._past.get((history, name), [])[-20:] for name in names}
            there = {name: self.world.random.choice(old) for name, old in past.items() if old}
        reply({name: quote for name, quote in there.items() if quote is not None})

    def put(self, asked: tuple[str, Mapping[str, Quote]], reply: Callable[[Any], None]) -> None:
        history, quotes = asked
        for name, quote in quotes.items():
            known = self._quotes.get((history, name))
            if known is None or known.version < quote.version:
                self._quotes[history, name] = quote
                if self._stale:
                    self._past.setdefault((history, name), []).append(quote)
        reply(None)

    def drop(self, asked: tuple[str, list[str]], reply: Callable[[Any], None]) -> None:
        history, names = asked
        for name in names:
            self._quotes.pop((history, name), None)
        reply(None)
