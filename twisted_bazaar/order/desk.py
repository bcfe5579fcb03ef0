"""The trading desk: decides trades at the tip of the leader's log, and holds each answer back
until it is final. Pure.

A desk applies committed entries; while its member leads, it also decides trades. Every replica of a
Raft group has one, and so has each leadership of a log in an engine.

An answer waits for what it rests on:

- the number of an order, until its entry is released: committed, and released by the catalog that
  may hold a lease;
- a rejection, a judgement without a trade, or the number of the last order, until the log that it
  was judged on is released *and* a majority has confirmed that this member led after the question
  came. Otherwise it might rest on an entry that is never committed, or on a ledger that is older
  than another leader's.

A batch is decided only in the leadership and until the time that its sending names, and once
(`sendings`): else it might be executed after its clients were told that it was not
(invariant 12).

The desk remembers the orders that the index on disk may lack. The caller looks older keys up in
the index before it asks.
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice, takewhile

import msgspec

from twisted_bazaar.changes import decide_change
from twisted_bazaar.consensus.entries import Entry, Event
from twisted_bazaar.consensus.member import Member, Observed
from twisted_bazaar.errors import (
    BazaarError,
    ChangeRefused,
    KeyReused,
    NotLeader,
    OutcomeUnknown,
    Overloaded,
    Rejected,
)
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import (
    Adopted,
    Judged,
    Listed,
    Listing,
    Placed,
    Rejection,
    Stock,
    Trade,
    Traded,
)
from twisted_bazaar.sending import Sending

from .questions import Batch, IndexUpdate, Known, Operation, Outcome, Question
from .sendings import Sendings

__all__ = ["Batch", "IndexUpdate", "Known", "Operation", "Outcome", "Question", "TradingDesk"]

_MOST_RECENT = 10_000
"""Orders that `recent` returns at most: a millisecond."""
_NOWHERE: Mapping[str, Collection[int]] = {}


class _Waiting(msgspec.Struct, frozen=True):
    """An answer that is held back."""

    index: int
    """Until this entry is released."""
    round: int
    """Until this round of heartbeats is confirmed; 0: that does not matter."""
    asker: Batch | Question | Operation
    position: int
    """Of the trade in the batch."""
    outcome: Outcome | int | None
    """None: the asker is a `Question`."""


class TradingDesk:
    """The ledger, the recent orders and the answers held back of one member.

    `ledger` is the state after entry `applied`. At most `capacity` answers are held back.
    """

    def __init__(
        self,
        member: Member,
        ledger: Ledger,
        applied: int,
        capacity: int = 10_000,
        *,
        place: tuple[int, int] = (0, 1),
        released_number: int | None = None,
        opens_empty: bool = False,
        former: Mapping[str, Collection[int]] = _NOWHERE,
    ) -> None:
        """`place`: the partition that it trades in, of how many. `released_number`: clients may see
        orders up to this one, and no stocks before `observe` says that entry `applied` is released;
        None: all of `ledger` is released. `opens_empty`: stocks were listed before, so that a
        market that has none is open. `former`: by stock, the partitions that held it before."""
        self._member = member
        self._capacity = capacity
        self._place = place
        self.ledger = ledger
        """The market after entry `applied`."""
        self._tip: Ledger | None = None
        """The market after the last entry of the log, which may not be committed; None: this
        member does not lead, or has not applied its first entry yet."""
        self._leading_term = 0
        """The term that this member leads in; 0: it does not lead."""
        self._opens_empty = opens_empty
        self._former = {name: (applied, {*each} - {place[0]}) for name, each in former.items()}
        """The partitions that held a stock before, and an entry not before its coming. Who has that
        entry has all orders of the stock there."""
        self._adopted: set[tuple[int, int]] = set()
        """The moves of which this leadership has proposed the end."""
        self._sendings = Sendings(0)
        """The sendings that came in this leadership, or in the last one."""
        self.released_number = ledger.last_number
        """Clients may see orders up to this number."""
        self.released = applied
        """Clients may see entries up to this index."""
        by_version = sorted(ledger.stocks.values(), key=lambda stock: stock.version)
        self.released_stocks = {stock.name: stock for stock in by_version}
        """By name, ascending by version: the stocks as clients may see them (see
        `ask_last_number`)."""
        self._unreleased: deque[tuple[int, int, list[tuple[str, Stock | None]]]] = deque()
        """Applied entries that are not released: index, last order number, changed stocks by
        name; None: it has left the partition."""
        if released_number is not None:
            held = [(stock.name, stock) for stock in by_version]
            self._unreleased.append((applied, ledger.last_number, [*held]))
            self.released_number, self.released, self.released_stocks = released_number, 0, {}
        self._orders: dict[str, Entry] = {}
        """By key: orders that the index may lack, committed or proposed."""
        self._numbers: dict[int, Entry] = {}
        """By number: committed orders that the index may lack."""
        self._remembered: deque[Entry] = deque()
        """The committed entries that the index may lack, in order."""
        self.applied = applied
        """Index of the last entry in `ledger`."""
        self._indexed = applied
        """The index on disk has taken in entries up to here."""
        self._forgotten = applied
        """Entries up to here are forgotten. Invariant: _forgotten <= _indexed <= applied."""
        self._indexed_ledger = ledger.copy()
        """The market after the entries that were handed out by `to_index`."""
        self._for_release: deque[_Waiting] = deque()
        """Answers that wait for a release, ascending by index."""
        self._for_round: deque[_Waiting] = deque()
        """Answers that wait for a round of heartbeats and a release, ascending by both."""
        self._settled: list[Batch | Question | Operation] = []

    # What clients ask.

    def decide(self, batch: Batch, known: Known, now: float) -> bool:
        """Decide the trades of `batch`, which `take_settled` returns once all are settled.

        Returns False, and has done nothing, if `known` is too old to rule out that a key has an
        order: look the keys up again.
        """
        tip = self._tip
        if not batch.trades:
            self._settled.append(batch)
            return True
        if tip is not None and not self._covers(known, batch.trades):
            return False
        refusal = self._refusal(batch.sending, len(batch.trades), now)
        if refusal is not None:
            self._settle_all(batch, refusal)
            return True
        assert tip is not None
        # A limit of time is judged by the time that the entries will have.
        at = self._member.next_at_milliseconds()
        expires = batch.sending.expires
        some_are_late = bool(expires) and not now < min(expires)
        orders: list[Traded] = []
        fresh: dict[str, Traded] = {}
        outcomes: list[Outcome] = []
        for trade in batch.trades:
            if some_are_late and not now < expires[len(outcomes)]:
                outcomes.append(OutcomeUnknown("it came when its client had been answered"))
                continue
            outcome = self._replay(trade, known, fresh)
            if outcome is None:
                decision = tip.decide(trade, at)
                if not isinstance(decision, Traded):
                    outcome = Rejected(self._reason(trade, decision, tip))
                elif trade.validate:
                    outcome = Judged(tip.price_of(decision))
                else:
                    tip.apply(self._member.log.last_index + len(orders) + 1, decision)
                    fresh[trade.key] = decision
                    orders.append(decision)
                    outcome = Placed(decision.number, replayed=False, price=decision.price)
            outcomes.append(outcome)
        self._propose(orders, at)
        self._hold(batch, outcomes)
        return True

    def _reason(self, trade: Trade, why: Rejection, tip: Ledger) -> Rejection:
        """Where the stock may be elsewhere, that comes first: there, the key may have an order."""
        elsewhere = self._place[1] > 1 and trade.stock not in tip.stocks
        return Rejection.UNKNOWN_STOCK if elsewhere else why

    def _covers(self, known: Known, trades: Sequence[Trade]) -> bool:
        """Whether the keys of `trades` have no orders but in `known`, and those remembered here."""
        if known.index < self._forgotten:
            return False
        return not self._former or all(
            known.index >= index and former.issubset(known.searched)
            for index, former in (
                self._former[trade.stock] for trade in trades if trade.stock in self._former
            )
        )

    def former_of(self, stocks: Iterable[str]) -> Collection[int]:
        """The other partitions that may have orders of `stocks`: to be searched for their keys."""
        known = (self._former[stock][1] for stock in stocks if stock in self._former)
        return frozenset().union(*known)

    def _refusal(self, sending: Sending, count: int, now: float) -> BazaarError | None:
        """Why what came with `sending`, which waits for `count` answers, is not to be decided;
        None: it is.

        Unless it is `OutcomeUnknown`, no copy of this sending was executed or ever will be.
        """
        if sending.term == self._sendings.term and not self._sendings.take(sending, now):
            return OutcomeUnknown("this sending came before, or was given up")
        if self._tip is None or sending.term not in (0, self._leading_term):
            return NotLeader()
        if not self._tip.stocks and not self._opens_empty:
            # The market is not open: as good as no leader.
            return NotLeader()
        if len(self._for_release) + len(self._for_round) + count > self._capacity:
            return Overloaded("too many trades are under way")
        return None

    def _replay(self, trade: Trade, known: Known, fresh: Mapping[str, Traded]) -> Outcome | None:
        """The outcome if the key of `trade` has an order already; None: it has none."""
        entry = self._orders.get(trade.key)
        order = entry.event if entry else known.orders.get(trade.key) or fresh.get(trade.key)
        partition = None
        if order is None and trade.key in known.elsewhere:
            partition, order = known.elsewhere[trade.key]
            # An order of another stock may not be committed: only what moved is known to be.
            order = order if order.stock == trade.stock else None
        if order is None:
            return known.unread.get(trade.key)
        assert isinstance(order, Traded)
        if not order.fulfils(trade):
            return KeyReused(f"key {trade.key} belongs to order {order.number}, another trade")
        ledger = self._tip or self.ledger
        return Placed(order.number, True, ledger.price_of(order), partition)

    def _propose(self, events: Sequence[Event], at: int | None = None) -> None:
        if events:
            for entry in self._member.propose(events, at):
                if isinstance(entry.event, Traded):
                    self._orders[entry.event.key] = entry

    def _hold(self, batch: Batch, outcomes: Sequence[Outcome]) -> None:
        tip = self._member.log.last_index
        judged = any(isinstance(outcome, Rejected | Judged) for outcome in outcomes)
        round_ = self._member.confirm() if judged else 0
        for position, outcome in enumerate(outcomes):
            if isinstance(outcome, Rejected | Judged):
                self._for_round.append(_Waiting(tip, round_, batch, position, outcome))
            elif isinstance(outcome, Placed) and (
                outcome.partition is not None or outcome.number <= self.released_number
            ):
                self._answer(batch, position, outcome)
            else:
                self._for_release.append(_Waiting(tip, 0, batch, position, outcome))

    def operate(self, operation: Operation, now: float) -> None:
        """Decide `operation`, which `take_settled` returns once its answer is final: when no client
        is shown the market as it was before; or, if nothing is changed, as a rejection is."""
        sending = operation.sending
        outcome: int | BazaarError | None = self._refusal(sending, 1, now)
        if outcome is None and not now < min(sending.expires):
            outcome = OutcomeUnknown("it came when its caller had been answered")
        if outcome is not None or self._tip is None:
            operation.answer = outcome or NotLeader()
            self._settled.append(operation)
            return
        try:
            event = decide_change(self._tip, operation.change, *self._place)
            outcome = 0
        except ChangeRefused as refused:
            event, outcome = None, refused
        tip = self._member.log.last_index
        if event is None:
            waiting = _Waiting(tip, self._member.confirm(), operation, 0, outcome)
            self._for_round.append(waiting)
        else:
            self._tip.apply(tip + 1, event)
            self._propose([event])
            self._for_release.append(_Waiting(tip + 1, 0, operation, 0, tip + 1))

    def ask_last_number(self, question: Question) -> None:
        """Answer `question` with the number of the last order, as of some moment after this
        call.

        When it is settled, `released_stocks` are no older than what any catalog has shown before
        this call.
        """
        if self._tip is None or len(self._for_round) >= self._capacity:
            question.answer = NotLeader()
            self._settled.append(question)
        else:
            round_ = self._member.confirm()
            tip = self._member.log.last_index
            self._for_round.append(_Waiting(tip, round_, question, 0, None))

    @property
    def wants_listing(self) -> bool:
        """Whether this member leads a market that is not open."""
        return self._tip is not None and not self._tip.stocks and not self._opens_empty

    def list_stocks(self, stocks: Sequence[Listing]) -> None:
        """Propose the first stocks of the market, which opens it, if it is not open. They may be
        none."""
        if self.wants_listing and self._tip is not None:
            listed = Listed(tuple(stocks))
            self._tip.apply(self._member.log.last_index + 1, listed)
            self._propose([listed])
            self._opens_empty = True

    def adopt(self, event: Adopted, former: Collection[int]) -> None:
        """Propose that a stock is here that has left another partition, unless that was done.
        `former`: the partitions that held it before. All that it was there must be released."""
        move = event.before, event.moved
        tip = self._tip
        # The first listing must be the first: it is what opens the market.
        if tip is None or self.wants_listing or event.stock in tip.stocks or move in self._adopted:
            return
        self._adopted.add(move)
        index = self._member.log.last_index + 1
        self._former[event.stock] = index, {*former} - {self._place[0]}
        tip.apply(index, event)
        self._propose([event])

    def released_after(self, version: int) -> list[Stock]:
        """The released stocks with higher versions than this one, ascending."""
        newest = takewhile(
            lambda stock: stock.version > version, reversed(self.released_stocks.values())
        )
        return list(newest)[::-1]

    def remembers(self, number: int) -> Entry | None:
        """The order `number`, if the index may lack it; None: it does not, or there is none."""
        return self._numbers.get(number)

    def recent(self, after: int, upto: int, descending: bool) -> Sequence[Entry]:
        """The orders `after` < number <= `upto` that the index may lack, by number; if they are
        many, the first of them, or the last of them if `descending`. They must be applied."""
        after = max(after, self.ledger.last_number - len(self._numbers))
        if descending:
            after = max(after, upto - _MOST_RECENT)
        return [self._numbers[number] for number in range(after + 1, upto + 1)[:_MOST_RECENT]]

    def with_key(self, key: str) -> Entry | None:
        """The order of `key`, if it is released and the index may lack it."""
        entry = self._orders.get(key)
        if entry is None or not isinstance(entry.event, Traded):
            return None
        return entry if entry.event.number <= self.released_number else None

    def remembers_all_after(self, index: int) -> bool:
        """Whether this desk remembers all orders that an index lacks which goes to entry
        `index`."""
        return index >= self._forgotten

    # What the member has come to.

    def observe(self, ready: Observed) -> None:
        """Take in `ready`. The owner calls this before it takes the next one."""
        if self._leading_term and ready.leading_term != self._leading_term:
            self._resign()
        if ready.leading_term and ready.leading_term != self._leading_term:
            self._sendings = Sendings(ready.leading_term)
        for entry in ready.committed:
            self._apply(entry)
        # All that earlier leaders committed is applied by then: the tip is not far ahead.
        if ready.leading_term and self._tip is None and self.applied >= self._member.opened:
            self._lead()
        self._leading_term = ready.leading_term
        self._release(ready.released, ready.confirmed)

    def _apply(self, entry: Entry) -> None:
        stocks = self.ledger.stocks
        touched = [(name, stocks.get(name)) for name in self.ledger.apply(entry.index, entry.event)]
        self._remembered.append(entry)
        self.applied = entry.index
        if isinstance(entry.event, Traded):
            self._orders[entry.event.key] = entry
            self._numbers[entry.event.number] = entry
        if touched:
            self._unreleased.append((entry.index, self.ledger.last_number, touched))

    def _lead(self) -> None:
        self._tip = self.ledger.copy()
        log, after = self._member.log, self.applied
        while after < log.last_index:
            for entry in log.entries(after, log.last_index):
                self._tip.apply(entry.index, entry.event)
                if isinstance(entry.event, Traded):
                    self._orders[entry.event.key] = entry
                after = entry.index

    def _resign(self) -> None:
        """The next leader may commit what was proposed, or drop it."""
        self._tip = None
        self._orders = {
            entry.event.key: entry
            for entry in self._numbers.values()
            if isinstance(entry.event, Traded)
        }
        for waiting in self._for_release:
            self._settle(waiting, OutcomeUnknown("the leader changed"))
        for waiting in self._for_round:
            self._settle(waiting, NotLeader())
        self._for_release.clear()
        self._for_round.clear()

    def _release(self, index: int, confirmed: int) -> None:
        while self._unreleased and self._unreleased[0][0] <= index:
            _, self.released_number, stocks = self._unreleased.popleft()
            for name, stock in stocks:
                # What is inserted anew comes last.
                self.released_stocks.pop(name, None)
                if stock is not None:
                    self.released_stocks[name] = stock
        self.released = max(self.released, index)
        while self._for_release and self._for_release[0].index <= index:
            waiting = self._for_release.popleft()
            self._settle(waiting, waiting.outcome)
        rounds = self._for_round
        while rounds and rounds[0].round <= confirmed and rounds[0].index <= index:
            waiting = rounds.popleft()
            self._settle(waiting, waiting.outcome)

    def _settle(self, waiting: _Waiting, outcome: Outcome | int | None) -> None:
        asker = waiting.asker
        if isinstance(asker, Batch):
            assert isinstance(outcome, Outcome)
            self._answer(asker, waiting.position, outcome)
            return
        assert not isinstance(outcome, Placed | Judged)
        asker.answer = self.released_number if outcome is None else outcome
        self._settled.append(asker)

    def _answer(self, batch: Batch, position: int, outcome: Outcome) -> None:
        if batch.settle(position, outcome):
            self._settled.append(batch)

    def _settle_all(self, batch: Batch, outcome: Outcome) -> None:
        for position in range(len(batch.trades)):
            self._answer(batch, position, outcome)

    def take_settled(self) -> list[Batch | Question | Operation]:
        """The batches, questions and operations that were settled since the last call."""
        settled, self._settled = self._settled, []
        return settled

    # The index on disk.

    def to_index(self, upto: int) -> IndexUpdate | None:
        """The committed entries up to `upto` that the index lacks; None: it lacks none.

        The caller writes them and calls `indexed` before it asks again.
        """
        lacking = min(upto, self.applied) - self._indexed
        if lacking <= 0:
            return None
        start = len(self._remembered) - (self.applied - self._indexed)
        entries = list(islice(self._remembered, start, start + lacking))
        ledger = self._indexed_ledger
        touched = {name for entry in entries for name in ledger.apply(entry.index, entry.event)}
        return IndexUpdate(entries, [ledger.stocks[name] for name in touched], ledger.last_number)

    @property
    def index_lag(self) -> int:
        """How many applied entries the index on disk has not taken in."""
        return self.applied - self._indexed

    def indexed(self, index: int) -> None:
        """The index on disk has taken in the entries up to `index`.

        The desk forgets them at the next call: a batch whose keys are being looked up may have
        seen the index as it was.
        """
        while self._remembered and self._remembered[0].index <= self._indexed:
            entry = self._remembered.popleft()
            if isinstance(entry.event, Traded):
                del self._orders[entry.event.key]
                del self._numbers[entry.event.number]
        self._forgotten, self._indexed = self._indexed, index
