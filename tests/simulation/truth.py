"""What happened in a run, and the checks of the invariants in docs/protocol.md.

`Truth` is told of every step. At the first that breaks an invariant it raises `Violation`, with the
number of the invariant, so that a test can tell which one caught a fault.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from twisted_bazaar.consensus.beginning import Beginning
from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.consensus.log import MemoryStorage, Write
from twisted_bazaar.consensus.messages import AppendReply, VoteReply
from twisted_bazaar.errors import InvariantBroken
from twisted_bazaar.frontend.cache.quotes import LookupResult, Source
from twisted_bazaar.ledger import Ledger, stocks_of
from twisted_bazaar.market import (
    Change,
    ChangeRefusal,
    Halted,
    Listed,
    Order,
    Placed,
    Rejection,
    Repriced,
    Resumed,
    Side,
    Stock,
    Trade,
    Traded,
)
from twisted_bazaar.rpc.push import PushedQuote

__all__ = ["GONE", "Truth", "Violation", "body_of"]


_CUT = (
    "entries",
    "ledger",
    "orders",
    "keys",
    "acknowledged_number",
    "acknowledged_index",
    "_index_of",
    "_stocks",
    "_prices",
    "_refused",
    "_repriced",
    "_over",
    "_seen",
)
"""What a cut takes back. An entry in the copies that had not been committed when they were made may
be committed now, though a client was told since then that its trade was rejected."""


GONE = -1
"""The price, in what a stock was, of one that is in the partition no longer."""


class Violation(AssertionError):
    """An invariant is broken."""

    def __init__(self, invariant: int, what: str) -> None:
        super().__init__(f"invariant {invariant}: {what}")
        self.invariant = invariant


def _is_of(order: Traded, asked: Trade | Order) -> bool:
    """Whether `order` is what `asked` says, which has the same key."""
    wanted = (asked.stock, asked.side, asked.quantity, asked.limit)
    return (order.stock, order.side, order.quantity, order.limit) == wanted


def _is_within(trade: Trade, price: int) -> bool:
    """Whether `price` is within the limit of `trade`."""
    if trade.limit is None:
        return True
    return (price - trade.limit) * (1 if trade.side is Side.BUY else -1) <= 0


def _refusal(trade: Trade, stock: Stock) -> Rejection | None:
    """Why `trade` is refused while its stock is `stock`, apart from its time; None: it is not."""
    if stock.halted:
        return Rejection.HALTED
    if not _is_within(trade, stock.price):
        return Rejection.PRICE_OUT_OF_BOUNDS
    if trade.side is Side.BUY and stock.quantity < trade.quantity:
        return Rejection.NOT_ENOUGH_SHARES
    return None


def body_of(stock: Stock | PushedQuote) -> bytes:
    """How `stock` is shown here."""
    return b"%d %d %d" % (stock.quantity, stock.price, stock.halted)


def _holds(event: object, change: Change) -> bool:
    """Whether `event` makes `change` true, of stocks for which it was not."""
    if isinstance(change, Repriced):
        return event == change
    names = stocks_of(change)
    return type(event) is type(change) and (not names or set(stocks_of(event)) <= set(names))


class Truth:
    """The one history of the log, as far as replicas have committed it."""

    def __init__(self, clocks_are_true: bool = True) -> None:
        self.entries: list[Entry] = []
        self.ledger = Ledger()
        self.orders: dict[int, Traded] = {}
        self.keys: dict[str, Traded] = {}
        self._index_of: dict[int, int] = {}
        self._leaders: dict[int, int] = {}
        self._earlier_terms = 0
        self._stocks: dict[str, list[Stock]] = {}
        """By name: what each stock was, ascending by version."""
        self._prices: dict[int, int] = {}
        """By number, in cents: the price of the stock of the order when it was decided."""
        self._sent: dict[tuple[str, int], Trade] = {}
        """By key and quantity: what clients sent."""
        self._latest_milliseconds = 0
        """The latest time that the wall clock of any replica has shown."""
        self.acknowledged_number = 0
        self.acknowledged_index = 0
        self._refused: dict[tuple[str, int], str] = {}
        """By key and quantity, which no two trades of a client share: those of which a client
        was told that they were rejected, or certainly not executed, and what it was told."""
        kinds = "placed judged rejected unknown refused read hit missed held changed"
        self.counts = dict.fromkeys(kinds.split(), 0)
        self._repriced: set[tuple[str, int]] = set()
        """Stock and price, which no two operations share: those that are in the log."""
        self._over: set[tuple[str, int]] = set()
        """Those of which an operator was told what has become of them."""
        self._seen: dict[str, int] = {}
        self.extended: Callable[[Entry, Sequence[str]], None] = lambda entry, touched: None
        """Told of each entry, and the stocks that it changes."""
        self.clocks_are_true = clocks_are_true
        self.cuts = 0
        """How often all order logs were put back as they had been before."""
        self.lost_is_shown = False
        """Whether a lease from before the last cut may still let a process show what it took."""
        self._lost: dict[str, set[tuple[int, bytes]]] = {}
        """By stock: (version, body) as clients saw them, in what was cut off."""

    @property
    def terms(self) -> int:
        """The number of terms with a leader."""
        return self._earlier_terms + len(self._leaders)

    # Logs that are put back.

    def past(self) -> Mapping[str, Any]:
        """The state of now, to be given to `cut`."""
        return {name: deepcopy(getattr(self, name)) for name in _CUT}

    def cut(self, past: Mapping[str, Any]) -> None:
        """All order logs are as they were in `past`: what came since is gone, and rightly so."""
        for name, stocks in self._stocks.items():
            lost = ((stock.version, body_of(stock)) for stock in stocks)
            self._lost.setdefault(name, set()).update(lost)
        for name, value in deepcopy(dict(past)).items():
            setattr(self, name, value)
        # The terms that came since may come again.
        self._earlier_terms += len(self._leaders)
        self._leaders.clear()
        self.cuts += 1
        self.lost_is_shown = True

    # Told by the replicas.

    def shows(self, milliseconds: int) -> None:
        """The wall clock of a replica shows this time."""
        self._latest_milliseconds = max(self._latest_milliseconds, milliseconds)

    def leads(self, replica: int, term: int) -> None:
        if self._leaders.setdefault(term, replica) != replica:
            raise Violation(1, f"{self._leaders[term]} and {replica} lead in term {term}")

    def writes(self, replica: int, write: Write) -> None:
        """A replica begins to make `write` durable."""
        if write.entries and write.entries[-1].term > write.term:
            raise Violation(1, f"replica {replica} takes entries of a term that it is not in")

    def says(self, replica: str, asked: Any, answer: Any, storage: MemoryStorage) -> None:
        """`replica` answers a peer: its disk must hold what the answer rests on."""
        if isinstance(answer, VoteReply) and answer.granted:
            vote = (asked.term, asked.candidate)
            if (storage.term, storage.vote) != vote and storage.term <= asked.term:
                raise Violation(1, f"{replica} gives a vote that is not on its disk")
        elif isinstance(answer, AppendReply) and answer.fits and answer.index:
            begins = storage.beginning.index
            held = storage.read(max(begins, answer.index - 1), answer.index)
            sent = answer.index - asked.previous_index
            if answer.index <= begins:
                # What is before is committed.
                right = True
            elif sent > 0:
                right = [entry.digest for entry in held] == [asked.entries[sent - 1].digest]
            elif sent == 0:
                right = [entry.term for entry in held] == [asked.previous_term]
            else:
                # While the rest is being written: of what the leader knows to be alike.
                right = bool(held)
            if not right:
                raise Violation(2, f"{replica} acknowledges {answer.index}, not on its disk")

    def indexes(self, replica: str, entry: Entry, storage: MemoryStorage) -> None:
        """The index of `replica` holds `entry`: its log on disk must, too, or the two contradict
        each other after a crash."""
        begins = storage.beginning.index
        held = storage.read(max(begins, entry.index - 1), entry.index)
        if entry.index > begins and [each.digest for each in held] != [entry.digest]:
            raise Violation(2, f"{replica} indexes {entry.index}, which is not on its disk")

    def begins(self, replica: str, beginning: Beginning) -> None:
        """`replica` drops its log for one that begins there."""
        if not self.knows(beginning.index, beginning.digest):
            raise Violation(2, f"{replica} begins after {beginning.index}, which is not committed")

    def committed(self, replica: int, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if entry.index <= len(self.entries):
                known = self.entries[entry.index - 1]
                if known.digest != entry.digest:
                    raise Violation(2, f"replica {replica} commits another entry {entry.index}")
            elif entry.index > len(self.entries) + 1:
                raise Violation(3, f"replica {replica} commits {entry.index} before the others")
            else:
                self._extend(entry)

    def follows(self, log: Sequence[Entry], index: int) -> None:
        """A leader found `log` before entry `index`, which it commits: what is there is committed,
        though no leader before it came to know."""
        self.committed(0, log[len(self.entries) : index - 1])

    def _extend(self, entry: Entry) -> None:
        last = self.entries[-1].digest if self.entries else "0" * 32
        if not entry.follows(last):
            raise Violation(3, f"entry {entry.index} does not follow the one before")
        self._check_change(entry)
        if self.entries and entry.at_milliseconds < self.entries[-1].at_milliseconds:
            raise Violation(13, f"entry {entry.index} is earlier than the one before it")
        event = entry.event
        if isinstance(event, Traded):
            if event.key in self.keys:
                raise Violation(5, f"key {event.key} has orders {self.keys[event.key].number} too")
            told = self._refused.get((event.key, event.quantity))
            if told is not None:
                raise Violation(12, f"order {event.number}, key {event.key}: it was {told}")
            if event.number != self.ledger.last_number + 1:
                raise Violation(4, f"order {event.number} after {self.ledger.last_number}")
            self._check_conditions(entry, event)
            self.keys[event.key] = self.orders[event.number] = event
            self._index_of[event.number] = entry.index
        self.entries.append(entry)
        try:
            touched = self.ledger.apply(entry.index, event)
        except InvariantBroken as why:
            raise Violation(6, str(why)) from None
        for name in touched:
            stock = self.ledger.stocks.get(name) or Stock(name, GONE, 0, 0, entry.index)
            self._stocks.setdefault(name, []).append(stock)
        self.extended(entry, touched)

    def _check_conditions(self, entry: Entry, order: Traded) -> None:
        """`entry` holds what its trade asked for, at the price that its stock has there."""
        stock = self.ledger.stocks.get(order.stock)
        if stock is not None:
            self._prices[order.number] = stock.price
            if stock.halted or order.price not in (None, stock.price):
                raise Violation(14, f"order {order.number} is at {order.price}, of {stock}")
        trade = self._sent.get((order.key, order.quantity))
        if trade is None or order.price is None:
            return
        if (order.limit, order.made) != (trade.limit, trade.made):
            raise Violation(14, f"order {order.number} is {order}, and was sent as {trade}")
        if stock is not None and not _is_within(trade, stock.price):
            raise Violation(14, f"order {order.number} is beyond its limit, of {stock}: {order}")
        if trade.validate:
            raise Violation(14, f"order {order.number} was to be validated only")
        if trade.valid_until is not None and entry.at_milliseconds > trade.valid_until:
            late = entry.at_milliseconds - trade.valid_until
            raise Violation(14, f"order {order.number} is executed {late} ms too late")

    def _check_change(self, entry: Entry) -> None:
        """`entry` does not change a price once more after its operator was answered."""
        if isinstance(entry.event, Repriced):
            price = (entry.event.stock, entry.event.price)
            if price in self._over:
                raise Violation(12, f"entry {entry.index} comes after its answer: {entry.event}")
            self._repriced.add(price)

    def knows(self, index: int, digest: str) -> bool:
        """Whether the history up to `index` that `digest` names is this one."""
        return 0 < index <= len(self.entries) and self.entries[index - 1].digest == digest

    def applied(self, who: str, ledger: Ledger, index: int) -> None:
        """`who` has this ledger after entry `index`."""
        if index == len(self.entries) and ledger.stocks != self.ledger.stocks:
            raise Violation(6, f"{who} has another ledger after entry {index}")

    # Told by the clients.

    def sent(self, trade: Trade) -> None:
        """A client sends `trade` for the first time."""
        self._sent[trade.key, trade.quantity] = trade

    def placed(self, trade: Trade, told: Placed, last_acknowledged: int, replayed: bool) -> None:
        """A client was told the number of its order; before it sent the trade, orders up to
        `last_acknowledged` had been acknowledged."""
        self.counts["placed"] += 1
        number = told.number
        order = self.orders.get(number)
        if order is None:
            raise Violation(7, f"order {number} is acknowledged and not committed")
        if order.key != trade.key or not _is_of(order, trade):
            raise Violation(7, f"order {number} is acknowledged for {trade} and is {order}")
        if told.price != self._prices[number]:
            raise Violation(14, f"order {number} is said to be at {told.price}: {order}")
        if number <= last_acknowledged and not replayed:
            raise Violation(8, f"order {number} was sent after {last_acknowledged} was known")
        self._acknowledge(number)

    def _acknowledge(self, number: int) -> None:
        self.acknowledged_number = max(self.acknowledged_number, number)
        index, name = self._index_of[number], self.orders[number].stock
        self.acknowledged_index = max(self.acknowledged_index, index)
        self._seen[name] = max(self._seen.get(name, 0), index)

    def rejected(self, trade: Trade, rejection: Rejection, since: int, calls: int) -> None:
        """A trade was rejected. When it was sent first, clients had seen entries up to `since`.

        It took `calls` calls; of those before the last, only that they ended is known.
        """
        self.counts["rejected"] += 1
        # What was sent in an earlier call has expired, if clocks are true.
        if calls == 1 or self.clocks_are_true:
            self._never(trade, "rejected")
        history = self._stocks.get(trade.stock, [])
        if rejection is Rejection.EXPIRED:
            times = [
                self._latest_milliseconds,
                *(each.at_milliseconds for each in self.entries[-1:]),
            ]
            right = trade.valid_until is not None and max(times) > trade.valid_until
        elif rejection is Rejection.UNKNOWN_STOCK:
            right = not history or history[0].version > since
        else:
            right = any(
                _refusal(trade, stock) is rejection for stock in self._since(trade.stock, since)
            )
        if not right:
            raise Violation(10, f"{trade} was never to be {rejection.name} since entry {since}")

    def _since(self, name: str, since: int) -> Sequence[Stock]:
        """What a stock has been since entry `since`."""
        history = self._stocks.get(name, [])
        first = max(0, sum(stock.version <= since for stock in history) - 1)
        return history[first:]

    def judged(self, trade: Trade, price: int, since: int) -> None:
        """A client was told that `trade` would be executed at `price`."""
        self.counts["judged"] += 1
        self._never(trade, "to be validated only")
        if not trade.validate or not any(
            stock.price == price and _refusal(trade, stock) is None
            for stock in self._since(trade.stock, since)
        ):
            raise Violation(10, f"{trade} was never to be executed at {price} since entry {since}")

    def key_reused(self, trade: Trade) -> None:
        """A client was told that the key of `trade` belongs to another."""
        order = self.keys.get(trade.key)
        if order is None or _is_of(order, trade):
            raise Violation(10, f"key {trade.key} is not another trade's")

    def not_executed(self, trade: Trade) -> None:
        """A client was told that `trade` was certainly not executed; it gives up."""
        self.counts["refused"] += 1
        self._never(trade, "not executed")

    def _never(self, trade: Trade, told: str) -> None:
        order = self.keys.get(trade.key)
        if order is not None and _is_of(order, trade):
            raise Violation(12, f"{trade} was {told}, and is order {order.number}")
        self._refused[trade.key, trade.quantity] = told

    # Told by the operators.

    def changed(self, change: Change, index: int, since: int) -> None:
        """An operator was told that entry `index` holds `change`, or, if it is 0, that all is so
        already. When it asked, clients had seen entries up to `since`."""
        self.counts["changed"] += bool(index)
        if index:
            event = self.entries[index - 1].event if index <= len(self.entries) else None
            if not _holds(event, change):
                raise Violation(7, f"entry {index} is acknowledged for {change} and is {event}")
            self.acknowledged_index = max(self.acknowledged_index, index)
            for name in stocks_of(self.entries[index - 1].event):
                self._seen[name] = max(self._seen.get(name, 0), index)
        elif not self._was_so(change, since):
            raise Violation(10, f"it was never so since entry {since}: {change}")
        self._end(change)

    def _was_so(self, change: Change, since: int) -> bool:
        match change:
            case Repriced(name, price):
                return any(stock.price == price for stock in self._since(name, since))
            case Listed(listings):
                return all(listing.name in self._stocks for listing in listings)
            case Halted(names) | Resumed(names):
                halted = isinstance(change, Halted)
                moments = range(since, len(self.entries) + 1)
                return any(self._were(halted, names, moment) for moment in moments)

    def _were(self, halted: bool, names: Sequence[str], moment: int) -> bool:
        """Whether, after entry `moment`, the stocks `names` were halted, or not; without names, all
        that were listed by then."""
        chosen = [self._stocks.get(name, []) for name in names] or self._stocks.values()
        for history in chosen:
            by_then = [stock for stock in history if stock.version <= moment]
            if (by_then or names) and not (by_then and by_then[-1].halted is halted):
                return False
        return True

    def change_refused(self, change: Change, refusal: ChangeRefusal, since: int) -> None:
        """An operator was told that the market cannot be changed so."""
        histories = [self._stocks.get(name, []) for name in stocks_of(change)]
        if refusal is ChangeRefusal.UNKNOWN_STOCK:
            right = any(not history or history[0].version > since for history in histories)
        else:
            right = refusal is ChangeRefusal.LISTED_ALREADY and any(histories)
        if not right:
            raise Violation(10, f"{change} was never to be refused since entry {since}: {refusal}")
        self.not_changed(change)

    def not_changed(self, change: Change) -> None:
        """An operator was told that `change` was certainly not made."""
        if isinstance(change, Repriced) and (change.stock, change.price) in self._repriced:
            raise Violation(12, f"it was made, and said not to be: {change}")
        self._end(change)

    def _end(self, change: Change) -> None:
        if isinstance(change, Repriced):
            self._over.add((change.stock, change.price))

    # Told by clients that read and look up.

    def read(self, number: int, found: Order | None, last_acknowledged: int) -> None:
        """A client read order `number`."""
        self.counts["read"] += 1
        order = self.orders.get(number)
        if found is None:
            if number <= last_acknowledged:
                raise Violation(7, f"order {number} was acknowledged and is not found")
        elif (found.number, found.key) != (number, order.key) or not _is_of(order, found):
            raise Violation(7, f"order {number} reads {found} and is {order}")
        elif found.price != self._prices[number]:
            raise Violation(14, f"order {number} reads at {found.price}: {order}")
        else:
            self._acknowledge(number)

    def seen_version(self, name: str) -> int:
        """The newest version of a stock that any client can know of by now."""
        return self._seen.get(name, 0)

    def looked_up(self, name: str, found: LookupResult, least: int) -> None:
        """A client looked a stock up; before that, clients knew of version `least`."""
        quote = found.quote
        self.counts["hit" if found.source is Source.HIT else "missed"] += 1
        version = quote.version if quote is not None else 0
        if quote is not None:
            history = self._stocks.get(name, ())
            if not any(
                stock.version == version and body_of(stock) == quote.body for stock in history
            ):
                lost = (version, quote.body) in self._lost.get(name, ())
                if lost and self.lost_is_shown:
                    return
                raise Violation(9, f"{name} was never {quote.body!r} at entry {version}")
        # Clocks that differ by more than clocks do may show something old, but nothing untrue.
        if self.clocks_are_true:
            if version < least:
                raise Violation(9, f"{name} is shown as of {version}, and {least} was seen before")
            self._seen[name] = max(self._seen.get(name, 0), version)
