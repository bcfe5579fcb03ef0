"""Two front-ends that cache, a catalog, and the faults that can occur between them, step by step.

The floors, the lookup queues and the catalog's subscriptions are the real ones. Pushes are lost,
late, doubled and reordered; the cache returns anything that was ever put there, or nothing; clocks
run at different rates; catalogs and whole order logs are lost. The world records what was
acknowledged, and checks each lookup against it.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

from twisted_bazaar.catalog.projection import Position, Projection
from twisted_bazaar.catalog.subscribers import OutgoingPush, Subscribers
from twisted_bazaar.errors import BazaarError, Unavailable
from twisted_bazaar.frontend.cache.floors import Floors
from twisted_bazaar.frontend.cache.quotes import LookupResult, Quote
from twisted_bazaar.frontend.lookups.queue import CacheRead, LookupQueue, UpstreamCall
from twisted_bazaar.leases import MAX_DRIFT, Lease
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import Stock
from twisted_bazaar.rpc.push import PushReply, Subscription
from twisted_bazaar.timing import Timing

TIMING = Timing()
NAMES = "A", "B", "New"
"""The first market begins without the last."""
RATES = 1 - MAX_DRIFT, 1.0, 1 + MAX_DRIFT
WAITS = 0.01, 0.05, 0.1, 0.25, 0.5, 0.9, 1.0

Seen = tuple[int, int]
"""Which order log, and the version in it: what comes later is higher."""
NOTHING: Seen = 0, 0


class Catalog:
    """The catalog with the lease: releases what no front-end with a lease shows older."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.log = 0
        self.lease = Lease(1)
        self.lease.until = float("inf")
        self.begin(silent_until=0.0)
        self.new_log()

    def begin(self, silent_until: float) -> None:
        """A new life, which has forgotten the leases that it granted."""
        self.subscribers = Subscribers(TIMING)
        self.silent_until = silent_until

    def new_log(self) -> None:
        """The order log is lost, and a new one begins."""
        listed = NAMES if self.log else NAMES[:2]
        self.log += 1
        self.index = 1
        self.ledger = Ledger(Stock(name, 1, 1, 0, 1) for name in listed)
        self.changes = [(1, name) for name in listed]
        self.released = 0
        self.view: dict[str, Quote] = {}

    def commit(self, name: str) -> None:
        self.index += 1
        self.ledger.stocks[name] = Stock(name, 1, 1, 0, self.index)
        self.changes.append((self.index, name))

    def release(self, now: float) -> None:
        if now < self.silent_until:
            self.view = {}
            return
        self.released = max(self.released, self.subscribers.cleared(self.index, now))
        for index, name in self.changes:
            if index <= self.released:
                self.view[name] = Quote(index, f"{name} {self.log} {index}".encode())


class Sent:
    """A push that was sent."""

    def __init__(self, pushed: OutgoingPush, subscribers: Subscribers) -> None:
        self.pushed = pushed
        self.subscribers = subscribers
        self.waited_for = True
        """The catalog still expects an answer."""


class Asked:
    """A client's lookup, and what had been acknowledged by then."""

    def __init__(self, name: str, seen: Seen) -> None:
        self.name = name
        self.seen = seen
        self.answers = 0


class UnderWay:
    """A call, and the quotes that it will be answered with; None: it fails."""

    def __init__(self, call: UpstreamCall[Asked]) -> None:
        self.call = call
        self.quotes: dict[str, Quote] | None = None


class Frontend:
    """One front-end, and its calls under way."""

    def __init__(self, name: str, rate: float, lives: Callable[[], int]) -> None:
        self.name = name
        self.rate = rate
        self.floors = Floors(TIMING, lives)
        self.lookups: LookupQueue[Asked] = LookupQueue(self.floors)
        self.reads: list[CacheRead[Asked]] = []
        self.calls: list[UnderWay] = []


class World:
    """Each public method is an event that may come next; it does nothing if it cannot."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.count: Counter[str] = Counter()
        """How lookups went."""
        self._time = 100.0
        self._lives = 0
        self._catalog = Catalog(random.choice(RATES))
        self._frontends = [Frontend(name, random.choice(RATES), self._life) for name in "xy"]
        self._seen: dict[str, Seen] = {}
        self._asked: list[Asked] = []
        self._cached: dict[tuple[str, str], list[Quote]] = {}
        """All that was ever put there."""
        self._subscriptions: list[Subscription] = []
        self._sent: list[Sent] = []
        self._replies: list[tuple[Sent, PushReply]] = []
        """What may arrive late."""
        self._release()

    def finish(self) -> None:
        """End all calls under way: each lookup is answered, once."""
        for frontend in self._frontends:
            while frontend.reads or frontend.calls:
                for read in frontend.reads:
                    frontend.lookups.read_done(read, {}, self._now(frontend))
                frontend.reads.clear()
                self._turn(frontend)
                for under_way in list(frontend.calls):
                    frontend.calls.remove(under_way)
                    self._end(frontend, under_way)
        assert all(asked.answers == 1 for asked in self._asked)

    def _life(self) -> int:
        self._lives += 1
        return self._lives

    def _now(self, of: Catalog | Frontend) -> float:
        return self._time * of.rate

    def _release(self) -> None:
        """Trades are acknowledged, and the catalog shows them, at once."""
        self._catalog.release(self._now(self._catalog))
        for name, shown in self._catalog.view.items():
            self._see(name, (self._catalog.log, shown.version))

    def _see(self, name: str, seen: Seen) -> None:
        self._seen[name] = max(self._seen.get(name, NOTHING), seen)

    # The market.

    def something_changes(self) -> None:
        self._catalog.commit(self._random.choice(NAMES))
        self._release()

    def time_passes(self) -> None:
        self._time += self._random.choice(WAITS)
        self._catalog.subscribers.tick(self._now(self._catalog))
        self._release()

    def catalog_starts_again(self) -> None:
        self._catalog.begin(self._now(self._catalog) + TIMING.lease)
        self._release()
        if self._random.random() < 0.7:
            self._time += 2 * TIMING.lease
            self._release()

    def another_market_begins(self) -> None:
        """All order logs are lost: versions begin anew."""
        self._catalog.new_log()
        self.catalog_starts_again()

    # Pushes.

    def frontends_subscribe(self) -> None:
        for frontend in self._frontends:
            if frontend.floors.subscribe(self._now(frontend)):
                subscription = Subscription(
                    address=frontend.name, life=frontend.floors.life, token=""
                )
                self._subscriptions.append(subscription)
                if self._random.random() < 0.9:
                    self.subscription_arrives()

    def subscription_arrives(self) -> None:
        """A subscription arrives, perhaps late or a second time."""
        now = self._now(self._catalog)
        if self._subscriptions and now >= self._catalog.silent_until:
            self._catalog.subscribers.add(self._subscriptions[-1], now)

    def _pushes(self) -> Sequence[Sent]:
        catalog, now = self._catalog, self._now(self._catalog)
        history = f"log-{catalog.log}"
        known = Projection(catalog.ledger, Position(catalog.index))
        known.history = history
        pushes = catalog.subscribers.pushes(known, catalog.lease, now)
        return [Sent(pushed, catalog.subscribers) for pushed in pushes]

    def catalog_pushes(self) -> None:
        self._sent += self._pushes()

    def push_arrives(self) -> None:
        if self._sent:
            sent = self._random.choice(self._sent)
            self._replies.append((sent, self._deliver(sent)))

    def push_is_lost(self) -> None:
        if self._sent:
            self._sent.remove(self._random.choice(self._sent))

    def push_is_given_up(self) -> None:
        """The catalog gives it up; it may still arrive."""
        if self._sent:
            sent = self._random.choice(self._sent)
            if sent.waited_for:
                sent.waited_for = False
                sent.subscribers.unreachable(sent.pushed, self._now(self._catalog))

    def reply_arrives(self) -> None:
        if self._replies:
            self._reply(*self._replies.pop(self._random.randrange(len(self._replies))))

    def pushes_arrive_and_are_answered(self) -> None:
        for sent in self._pushes():
            self._reply(sent, self._deliver(sent))
            if self._random.random() < 0.2:
                # It comes again, when it is long out of date.
                self._sent.append(sent)

    def frontends_get_leases(self) -> None:
        self.frontends_subscribe()
        self.pushes_arrive_and_are_answered()
        self.pushes_arrive_and_are_answered()

    def _deliver(self, sent: Sent) -> PushReply:
        [to] = [each for each in self._frontends if each.name == sent.pushed.subscription.address]
        return to.floors.push(sent.pushed.push, self._now(to))

    def _reply(self, sent: Sent, reply: PushReply) -> None:
        if sent.waited_for:
            sent.waited_for = False
            sent.subscribers.answered(sent.pushed, reply, self._now(self._catalog))
            self._release()

    # Lookups.

    def clients_ask(self) -> None:
        frontend = self._random.choice(self._frontends)
        for name in self._random.choices(NAMES, k=self._random.randint(1, 3)):
            asked = Asked(name, self._seen.get(name, NOTHING))
            self._asked.append(asked)
            frontend.lookups.add(name, asked, self._now(frontend))
        self._turn(frontend)

    def cache_answers(self) -> None:
        reading = [frontend for frontend in self._frontends if frontend.reads]
        if reading:
            frontend = self._random.choice(reading)
            read = frontend.reads.pop(0)
            there = {}
            for name in sorted(read.names):
                ever = self._cached.get((read.history, name), [])
                # The newest is there often enough.
                found = self._random.choice([None, *ever, *ever[-1:] * 3])
                if found is not None:
                    there[name] = found
            frontend.lookups.read_done(read, there, self._now(frontend))
            self._turn(frontend)

    def catalog_looks_up(self) -> None:
        """The answer is on its way from now on."""
        calls = [under_way for frontend in self._frontends for under_way in frontend.calls]
        if calls:
            self._look_up(self._random.choice(calls))

    def _look_up(self, under_way: UnderWay) -> None:
        if view := self._catalog.view:
            names = under_way.call.names
            under_way.quotes = {name: view[name] for name in names if name in view}

    def call_ends(self) -> None:
        calling = [frontend for frontend in self._frontends if frontend.calls]
        if calling:
            frontend = self._random.choice(calling)
            under_way = self._random.choice(frontend.calls)
            frontend.calls.remove(under_way)
            if under_way.quotes is None and self._random.random() < 0.9:
                self._look_up(under_way)
            self._end(frontend, under_way)

    def _end(self, frontend: Frontend, under_way: UnderWay) -> None:
        call, lookups = under_way.call, frontend.lookups
        if under_way.quotes is None:
            lookups.failed(call, Unavailable("no answer"))
        else:
            self.count["joined"] += sum(map(len, call.joined.values()))
            keep = lookups.answered(call, under_way.quotes, self._now(frontend))
            for name, quote in keep.items():
                self._cached.setdefault((call.history, name), []).append(quote)
        self._turn(frontend)

    def _turn(self, frontend: Frontend) -> None:
        """A turn of the front-end's reactor."""
        while (read := frontend.lookups.take_read()) is not None:
            frontend.reads.append(read)
        while (call := frontend.lookups.take_call()) is not None:
            frontend.calls.append(UnderWay(call))
        for ticket, answer in frontend.lookups.take_answered():
            self._answered(ticket, answer)

    def _answered(self, asked: Asked, answer: LookupResult | BazaarError) -> None:
        asked.answers += 1
        assert asked.answers == 1
        if isinstance(answer, BazaarError):
            self.count["failed"] += 1
            return
        self.count[answer.source.name] += 1
        seen = NOTHING
        if answer.quote is not None:
            name, log, version = answer.quote.body.decode().split()
            assert (name, int(version)) == (asked.name, answer.quote.version)
            seen = int(log), int(version)
        assert seen >= asked.seen, f"{asked.name}: {seen} after {asked.seen}"
        self._see(asked.name, seen)
