"""One member's tenure and its desk over a log in memory, driven by a test. No network, no thread.

Calls to the engine are made and answered only when the test says so.
"""

from collections.abc import Sequence

from twisted_bazaar.consensus.entries import GENESIS
from twisted_bazaar.consensus.messages import (
    Apply,
    ApplyReply,
    CampaignReply,
    LearnerRequest,
    MarketSnapshot,
    Message,
    Reply,
    Ticket,
)
from twisted_bazaar.engine.calls import Call, make
from twisted_bazaar.engine.memory import MemoryEngine
from twisted_bazaar.engine.shared_log import EngineError, Snapshot
from twisted_bazaar.engine.tenure import Tenure, TenureReady
from twisted_bazaar.leases import Stamp
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import Listed, Listing, Side, Trade, Traded
from twisted_bazaar.timing import Timing

__all__ = ["LISTED", "TICK", "TIMING", "TenureLife"]

TIMING = Timing()
TICK = TIMING.heartbeat / 3
LISTED = Listed((Listing("FishCo", 2050, 10**6), Listing("BoarCo", 100, 10**6)))


class TenureLife:
    """One life of a member. `now` is its own clock."""

    def __init__(
        self,
        engine: MemoryEngine,
        member: int = 1,
        catalogs: Sequence[str] = (),
        timing: Timing = TIMING,
        batch: int = 1024,
        keep: int = 4096,
        now: float = 100.0,
    ) -> None:
        self.now = now
        self.milliseconds = 1000
        self.engine = engine
        self.log = engine.log(0)
        self._names = 0
        self.tenure = Tenure(
            member=member,
            members=(1, 2, 3),
            cluster="bazaar",
            catalogs=catalogs,
            timing=timing,
            milliseconds=lambda: self.milliseconds,
            names=self._name,
            snapshot=lambda: self.market,
            now=now,
            batch=batch,
            keep=keep,
        )
        self.timing = timing
        self.call: Call | None = None
        """The call that is to be made, or answered."""
        self.calls: list[Call] = []
        """All that came up."""
        self.replies: dict[int, CampaignReply] = {}
        """By ticket."""
        self.asked: list[tuple[str, Apply]] = []
        """What catalogs were asked."""
        self.open: dict[str, LearnerRequest] = {}
        """What they were asked last, and have not answered."""
        self.readies: list[TenureReady] = []
        self.ledger = Ledger()
        """The committed market of this leadership, from the last `Ready`."""
        self.index, self.digest = 0, ""
        self._tip = Ledger()
        self._tickets = 0

    def _name(self) -> str:
        self._names += 1
        return f"{self.tenure.id}-{id(self)}-{self._names}"

    @property
    def market(self) -> MarketSnapshot:
        return MarketSnapshot(
            index=self.index,
            digest=self.digest,
            stocks=list(self.ledger.stocks.values()),
            last_number=self.ledger.last_number,
        )

    # What the owner does.

    def carry_out(self) -> None:
        more = True
        while more and (ready := self.tenure.ready(self.now)) is not None:
            more = ready.more
            if ready.leading_term and not (self.readies and self.readies[-1].leading_term):
                led = self.tenure.led
                assert led is not None
                self.ledger = Ledger(led.stocks, led.tail.last_number)
                self._tip = self.ledger.copy()
            self.readies.append(ready)
            for entry in ready.committed:
                self.ledger.apply(entry.index, entry.event)
                self.index, self.digest = entry.index, entry.digest
            for message in ready.messages:
                self._take(message)
            if ready.call is not None:
                assert self.call is None, "two calls are under way"
                self.call = ready.call
                self.calls.append(ready.call)

    def _take(self, message: Message) -> None:
        match message:
            case Reply(ticket, CampaignReply() as reply):
                assert ticket not in self.replies
                self.replies[ticket] = reply
            case LearnerRequest(to, apply):
                self.asked.append((to, apply))
                self.open[to] = message
            case _:
                raise AssertionError(message)

    @property
    def ready(self) -> TenureReady:
        """The last one."""
        return self.readies[-1]

    # What the test says.

    def look(self) -> None:
        """The member polls the tails."""
        self.tenure.saw(self.engine.tails()[0][0], self.now)
        self.carry_out()

    def tick(self, seconds: float = TICK) -> None:
        self.tick_at(self.now + seconds)

    def tick_at(self, moment: float) -> None:
        self.now = moment
        self.tenure.tick(self.now)
        self.carry_out()

    def pass_time(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.tick_at(min(self.now + TICK, until))

    def nominate(self) -> int:
        """A front-end nominates this member; returns the ticket."""
        self._tickets += 1
        self.tenure.campaign(Ticket(self._tickets), self.now)
        self.carry_out()
        return self._tickets

    def do(self) -> Call:
        """The call under way is made, and its answer comes back at once."""
        call, answer, error = self._take_call(), None, None
        try:
            answer = make(call, self.log)
        except EngineError as why:
            error = why
        if error is None:
            self.done(call, answer)
        else:
            self.fail(call, error)
        return call

    def _take_call(self) -> Call:
        call, self.call = self.call, None
        assert call is not None
        return call

    def done(self, call: Call, answer: Snapshot | None = None) -> None:
        """It is told that `call` has succeeded."""
        self.call = None
        self.tenure.done(call, answer, self.now)
        self.carry_out()

    def fail(self, call: Call, error: EngineError) -> None:
        """It is told that `call` has failed."""
        self.call = None
        self.tenure.failed(call, error, self.now)
        self.carry_out()

    def settle(self) -> None:
        """Calls are made and answered until there is none."""
        while self.call is not None:
            self.do()

    def run(self, seconds: float) -> None:
        """Time passes, and calls are made and answered."""
        until = self.now + seconds
        while self.now < until:
            self.tick_at(min(self.now + TICK, until))
            self.settle()

    def win(self) -> None:
        """It becomes the leader, as soon as it may."""
        self.look()
        self.pass_time(self.timing.tenure)
        self.look()
        self.nominate()
        self.settle()
        assert self.tenure.leads

    def win_in_vain(self) -> None:
        """Its claim lands, and it is not told."""
        self.look()
        self.pass_time(self.timing.tenure)
        self.look()
        self.nominate()
        self.do()
        self.do()
        assert not self.tenure.leads

    def lists(self) -> None:
        """Two stocks come to the market, and are committed."""
        self.propose_listing()
        self.settle()

    def propose_listing(self) -> None:
        self.tenure.propose([LISTED])
        self._tip.apply(self.tenure.log.last_index, LISTED)
        self.carry_out()

    def propose(self, *keys: str, stock: str = "FishCo") -> None:
        """An order for each key."""
        for key in keys:
            order = self._tip.decide(Trade(key, stock, Side.BUY, 1))
            assert isinstance(order, Traded)
            (entry,) = self.tenure.propose([order])
            self._tip.apply(entry.index, order)
        self.carry_out()

    def answer(
        self,
        name: str,
        cleared: int | None = None,
        applied: int | None = None,
        life: int = 7,
        holds: bool = False,
        term: int | None = None,
    ) -> Stamp:
        """Catalog `name` answers what it was asked last. Unless said otherwise, it has all."""
        message = self.open.pop(name).message
        end = message.previous_index + len(message.entries)
        if applied is None:
            applied = end
        stamp = Stamp(life, self.now * 2)
        reply = ApplyReply(
            term=message.term if term is None else term,
            applied=applied,
            digest=self.tenure.log.digest_at(applied) if applied else GENESIS,
            released=applied if cleared is None else min(cleared, applied),
            stamp=stamp,
            holds=holds,
            sent=message.sent,
            cleared=applied if cleared is None else cleared,
            taken=applied + len(message.proposed) if applied >= end else applied,
        )
        self.tenure.applied(name, reply, self.now)
        self.carry_out()
        return stamp
