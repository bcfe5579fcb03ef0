"""The trading desk: decides trades at the tip of the leader's log, and holds each answer back
until nothing can make it untrue.

Every replica has a desk. It applies what is committed; while its replica leads, it also
decides. An answer waits for what it rests on:

- an order, until its entry is released: committed, and seen by every attached catalog;
- a rejection, or "no such order", until the log it was judged on is released *and* a majority
  has confirmed that this replica still led after the question came. Otherwise it might rest on
  an entry that never commits, or on a ledger that another leader has moved on from.

A batch is decided only for the leadership and the time that its sending names, and once
(`sendings`): else it might be executed after its clients were told that it was not.

Pure: no clock, reactor or thread. What a desk cannot know is asked before: whether a key is
among the orders that it no longer remembers is in the index on disk.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from itertools import islice

import msgspec

from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.consensus.replica import Ready, Replica
from twisted_bazaar.errors import (
    BazaarError,
    KeyReused,
    NotLeader,
    OutcomeUnknown,
    Overloaded,
    Rejected,
)
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import Listed, Listing, Placed, Stock, Trade, Traded
from twisted_bazaar.sending import UNGUARDED, Sending

from .sendings import Sendings

__all__ = ["Batch", "IndexUpdate", "Known", "Outcome", "Question", "TradingDesk"]


Outcome = Placed | BazaarError


class Known(msgspec.Struct, frozen=True):
    """What the index on disk says of some keys."""

    orders: Mapping[str, Traded]
    """By key; a key that is not here has no order among the entries up to `index`."""
    index: int


class IndexUpdate(msgspec.Struct, frozen=True):
    """What the index on disk is to take in: `entries`, and what follows from them."""

    entries: Sequence[Entry]
    stocks: Sequence[Stock]
    """Those that the entries touched, as they are after them."""
    last_number: int


class Batch:
    """Trades that came together and are answered together."""

    def __init__(self, trades: Sequence[Trade], sending: Sending = UNGUARDED) -> None:
        self.trades = trades
        self.sending = sending
        self.outcomes: list[Outcome | None] = [None] * len(trades)
        """One for each trade, in the same order; None: not settled yet."""
        self._open = len(trades)

    def settle(self, position: int, outcome: Outcome) -> bool:
        """Answer one of the trades; whether this was the last."""
        self.outcomes[position] = outcome
        self._open -= 1
        return not self._open

    @property
    def answer(self) -> list[Outcome]:
        """The outcomes, once all are settled."""
        return [outcome for outcome in self.outcomes if outcome is not None]


class Question:
    """Asks for the number of the last order, as of some moment after the question came."""

    def __init__(self) -> None:
        self.answer: int | BazaarError | None = None
        """None: not settled yet."""


class _Waiting(msgspec.Struct, frozen=True):
    index: int
    round: int
    asker: Batch | Question
    position: int
    outcome: Outcome | None


class TradingDesk:
    """One replica's orders, ledger and answers.

    `ledger` is the state after entry `applied`; `capacity` bounds the answers held back.
    """

    def __init__(
        self, replica: Replica, ledger: Ledger, applied: int, capacity: int = 10_000
    ) -> None:
        self._replica = replica
        self._capacity = capacity
        self.ledger = ledger
        """What is committed."""
        self._tip: Ledger | None = None
        """What is committed and all that is proposed, while this replica leads."""
        self._leading_term = 0
        self._sendings = Sendings(0)
        """What came in this leadership, or in the last one."""
        self.released_number = ledger.last_number
        """Clients may see orders up to this number."""
        self.released_stocks = dict(ledger.stocks)
        """By name: what clients may see of the stocks, if this replica leads (see
        `ask_last_number`)."""
        self._unreleased: deque[tuple[int, int, list[Stock]]] = deque()
        self._orders: dict[str, Entry] = {}
        """By key: orders that the index may lack, committed or proposed."""
        self._numbers: dict[int, Entry] = {}
        """By number: committed orders that the index may lack."""
        self._remembered: deque[Entry] = deque()
        """The committed entries that the index may lack, in order."""
        self.applied = applied
        """Index of the last entry in `ledger`."""
        self._indexed = self._forgotten = applied
        self._indexed_ledger = ledger.copy()
        self._for_release: deque[_Waiting] = deque()
        self._for_round: deque[_Waiting] = deque()
        self._settled: list[Batch | Question] = []

    # Asked by clients, through the replica's owner.

    def decide(self, batch: Batch, known: Known, now: float) -> bool:
        """Judge the trades of `batch`; it is among `take_settled` once all are answered.

        False, and nothing has happened, if `known` is too old to be sure of the keys: look
        them up again.
        """
        tip = self._tip
        if not batch.trades:
            self._settled.append(batch)
            return True
        if tip is not None and known.index < self._forgotten:
            return False
        refusal = self._refusal(batch, now)
        if refusal is not None:
            self._settle_all(batch, refusal)
            return True
        assert tip is not None
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
                decision = tip.decide(trade)
                if isinstance(decision, Traded):
                    tip.apply(self._replica.log.last_index + len(orders) + 1, decision)
                    fresh[trade.key] = decision
                    orders.append(decision)
                    outcome = Placed(decision.number, replayed=False)
                else:
                    outcome = Rejected(decision)
            outcomes.append(outcome)
        self._propose(orders)
        self._hold(batch, outcomes)
        return True

    def _refusal(self, batch: Batch, now: float) -> BazaarError | None:
        """Why not to decide `batch`; None: it is to be decided.

        All but `OutcomeUnknown` are certain: no copy of this sending was executed, or will be.
        """
        sending = batch.sending
        if sending.term == self._sendings.term and not self._sendings.take(sending, now):
            return OutcomeUnknown("this sending came before, or was given up")
        if self._tip is None or not self._tip.stocks or sending.term not in (0, self._leading_term):
            # A market without stocks waits for its listing: as good as no leader yet.
            return NotLeader()
        if len(self._for_release) + len(self._for_round) + len(batch.trades) > self._capacity:
            return Overloaded("too many trades are under way")
        return None

    def _replay(self, trade: Trade, known: Known, fresh: Mapping[str, Traded]) -> Outcome | None:
        """The answer that the key already has."""
        entry = self._orders.get(trade.key)
        order = entry.event if entry else known.orders.get(trade.key) or fresh.get(trade.key)
        if order is None:
            return None
        assert isinstance(order, Traded)
        if not order.fulfils(trade):
            return KeyReused(f"key {trade.key} belongs to order {order.number}, another trade")
        return Placed(order.number, replayed=True)

    def _propose(self, events: Sequence[Traded | Listed]) -> None:
        if events:
            for entry in self._replica.propose(events):
                if isinstance(entry.event, Traded):
                    self._orders[entry.event.key] = entry

    def _hold(self, batch: Batch, outcomes: Sequence[Outcome]) -> None:
        tip = self._replica.log.last_index
        rejected = any(isinstance(outcome, Rejected) for outcome in outcomes)
        round_ = self._replica.confirm() if rejected else 0
        for position, outcome in enumerate(outcomes):
            if isinstance(outcome, Rejected):
                self._for_round.append(_Waiting(tip, round_, batch, position, outcome))
            elif isinstance(outcome, Placed) and outcome.number <= self.released_number:
                self._answer(batch, position, outcome)
            else:
                self._for_release.append(_Waiting(tip, 0, batch, position, outcome))

    def ask_last_number(self, question: Question) -> None:
        """Answer `question` with the number of the last order, as of some moment after this.

        At that moment `released_stocks`, too, are what all clients may see: everything that
        any catalog can have shown before this is released by then.
        """
        if self._tip is None or len(self._for_round) >= self._capacity:
            question.answer = NotLeader()
            self._settled.append(question)
        else:
            round_ = self._replica.confirm()
            tip = self._replica.log.last_index
            self._for_round.append(_Waiting(tip, round_, question, 0, None))

    @property
    def wants_listing(self) -> bool:
        """Whether this replica leads a market that has no stocks yet."""
        return self._tip is not None and not self._tip.stocks

    def list_stocks(self, stocks: Sequence[Listing]) -> None:
        """Bring the first stocks to the market."""
        if self.wants_listing and self._tip is not None:
            listed = Listed(tuple(stocks))
            self._tip.apply(self._replica.log.last_index + 1, listed)
            self._propose([listed])

    def remembers(self, number: int) -> Entry | None:
        """The order `number`, if it is among those that the index may lack."""
        return self._numbers.get(number)

    # Told by the replica's owner.

    def observe(self, ready: Ready) -> None:
        """Take in what the replica has come to, before it is asked again."""
        if self._leading_term and ready.leading_term != self._leading_term:
            self._resign()
        if ready.leading_term and ready.leading_term != self._leading_term:
            self._sendings = Sendings(ready.leading_term)
        for entry in ready.committed:
            self._apply(entry)
        # What earlier leaders left is applied in batches; the tip is not far from there then.
        if ready.leading_term and self._tip is None and self.applied >= self._replica.opened:
            self._lead()
        self._leading_term = ready.leading_term
        self._release(ready.released, ready.confirmed)

    def _apply(self, entry: Entry) -> None:
        touched = [self.ledger.stocks[name] for name in self.ledger.apply(entry.index, entry.event)]
        self._remembered.append(entry)
        self.applied = entry.index
        if isinstance(entry.event, Traded):
            self._orders[entry.event.key] = entry
            self._numbers[entry.event.number] = entry
        if touched:
            self._unreleased.append((entry.index, self.ledger.last_number, touched))

    def _lead(self) -> None:
        self._tip = self.ledger.copy()
        log, after = self._replica.log, self.applied
        while after < log.last_index:
            for entry in log.entries(after, log.last_index):
                self._tip.apply(entry.index, entry.event)
                if isinstance(entry.event, Traded):
                    self._orders[entry.event.key] = entry
                after = entry.index

    def _resign(self) -> None:
        """What was proposed may be committed by the next leader, or by none."""
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
            self.released_stocks.update((stock.name, stock) for stock in stocks)
        while self._for_release and self._for_release[0].index <= index:
            waiting = self._for_release.popleft()
            self._settle(waiting, waiting.outcome)
        rounds = self._for_round
        while rounds and rounds[0].round <= confirmed and rounds[0].index <= index:
            waiting = rounds.popleft()
            self._settle(waiting, waiting.outcome)

    def _settle(self, waiting: _Waiting, outcome: Outcome | None) -> None:
        if isinstance(waiting.asker, Batch):
            assert outcome is not None
            self._answer(waiting.asker, waiting.position, outcome)
        else:
            number = self.released_number
            waiting.asker.answer = outcome if isinstance(outcome, BazaarError) else number
            self._settled.append(waiting.asker)

    def _answer(self, batch: Batch, position: int, outcome: Outcome) -> None:
        if batch.settle(position, outcome):
            self._settled.append(batch)

    def _settle_all(self, batch: Batch, outcome: Outcome) -> None:
        for position in range(len(batch.trades)):
            self._answer(batch, position, outcome)

    def take_settled(self) -> list[Batch | Question]:
        """What has been answered since the last call."""
        settled, self._settled = self._settled, []
        return settled

    # The index on disk follows.

    def to_index(self, upto: int) -> IndexUpdate | None:
        """What the index lacks of the committed entries up to `upto`; None: nothing.

        The caller writes it, says `indexed`, and only then asks for more.
        """
        lacking = min(upto, self.applied) - self._indexed
        if lacking <= 0:
            return None
        start = len(self._remembered) - (self.applied - self._indexed)
        entries = list(islice(self._remembered, start, start + lacking))
        ledger = self._indexed_ledger
        touched = {name for entry in entries for name in ledger.apply(entry.index, entry.event)}
        return IndexUpdate(entries, [ledger.stocks[name] for name in touched], ledger.last_number)

    def indexed(self, index: int) -> None:
        """The index on disk holds the entries up to `index`.

        They are forgotten here with the next call: a look-up that is under way may have seen
        the index as it was.
        """
        while self._remembered and self._remembered[0].index <= self._indexed:
            entry = self._remembered.popleft()
            if isinstance(entry.event, Traded):
                del self._orders[entry.event.key]
                del self._numbers[entry.event.number]
        self._forgotten, self._indexed = self._indexed, index
