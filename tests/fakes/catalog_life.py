"""One life of a catalog, without reactor, file or network: its publisher, driven by a test."""

from collections.abc import Sequence
from itertools import count

from twisted_bazaar.catalog.projection import Position, Projection
from twisted_bazaar.catalog.publisher import Publisher
from twisted_bazaar.catalog.subscribers import OutgoingPush
from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.consensus.messages import Apply, ApplyReply
from twisted_bazaar.leases import Stamp, kept
from twisted_bazaar.market import Stock
from twisted_bazaar.rpc.push import Push, PushReply, Subscription
from twisted_bazaar.timing import Timing

from .histories import history, ledger_of, sends

TIMING = Timing()
LEASE, HEARTBEAT = TIMING.lease, TIMING.heartbeat
LOG = history(6)
FRONTEND = 71
"""The life of a subscription."""


class CatalogLife:
    """One life of a catalog, with its leader and front-ends."""

    def __init__(self, index: int = 0, silent: bool = False) -> None:
        """Start with a file of `LOG` up to `index`. Unless `silent`, the first lease has passed."""
        self.now = 100.0
        ledger, entry = ledger_of(LOG[:index]), LOG[index - 1] if index else None
        position = Position(index, entry.digest, 1) if entry else Position()
        self.projection = Projection(ledger, position)
        self.publisher: Publisher[int] = Publisher(
            self.projection, TIMING, count(1).__next__, self.now
        )
        self.tickets = count()
        self.pushed: dict[int, Push] = {}
        self._outgoing: dict[int, OutgoingPush] = {}
        if not silent:
            self.pass_time(LEASE)

    def send(self, message: Apply) -> int:
        """The leader sends `message`; returns the ticket of its answer."""
        ticket = next(self.tickets)
        self.publisher.apply(message, ticket, self.now)
        return ticket

    def answers(self) -> dict[int, ApplyReply]:
        """What is answered now, by ticket."""
        return dict(self.publisher.take_answers())

    def ask(self, message: Apply) -> ApplyReply:
        """The leader sends `message`, and is answered at once."""
        ticket = self.send(message)
        answers = self.answers()
        assert list(answers) == [ticket]
        return answers[ticket]

    def apply(self, upto: int, stamp: Stamp | None = None, commit: int | None = None) -> ApplyReply:
        """The leader sends the entries that the catalog lacks, up to `upto`."""
        return self.ask(sends(LOG, self.projection.position.index, upto, commit, stamp=stamp))

    def lease(self) -> None:
        """The leader grants a lease for an answer that was sent now."""
        index = self.projection.position.index
        reply = self.apply(index)
        self.apply(index, stamp=reply.stamp)
        assert self.publisher.view.until == self.now + kept(LEASE)

    def subscribe(self, life: int = FRONTEND) -> None:
        """A front-end subscribes, and has answered the first push."""
        self.publisher.subscribe(
            Subscription(address="127.0.0.1:1", life=life, token="token"), self.now
        )
        for _ in range(2):
            self.push()
            self.answer(life)

    def push(self) -> Sequence[int]:
        """Send the pushes that are due; returns the subscriptions that they go to."""
        out = {pushed.push.life: pushed for pushed in self.publisher.take_pushes(self.now)}
        self._outgoing |= out
        self.pushed |= {life: pushed.push for life, pushed in out.items()}
        return list(out)

    def answer(self, life: int = FRONTEND) -> None:
        """The front-end answers the last push to it."""
        push = self.pushed.pop(life, None)
        if push is not None:
            reply = PushReply(upto=push.upto, stamp=Stamp(life, self.now))
            self.publisher.answered(self._outgoing.pop(life), reply, self.now)

    def lose(self, life: int = FRONTEND) -> None:
        """The front-end does not answer the last push to it in time."""
        del self.pushed[life]
        self.publisher.unreachable(self._outgoing.pop(life), self.now)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.publisher.tick(self.now)

    @property
    def shown(self) -> dict[str, Stock]:
        return dict(self.publisher.view.stocks)


def stocks_of(upto: int, log: Sequence[Entry] = LOG) -> dict[str, Stock]:
    return ledger_of(log[:upto]).stocks


def at_work() -> CatalogLife:
    """A catalog that has released `LOG` up to entry 6, holds a lease, and has one subscription."""
    catalog = CatalogLife()
    catalog.apply(6)
    catalog.lease()
    catalog.subscribe()
    assert catalog.shown == stocks_of(6)
    return catalog
