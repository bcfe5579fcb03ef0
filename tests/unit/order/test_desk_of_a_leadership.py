"""A desk that begins with a leadership, in the middle of a log: what is released, and when the
market is open."""

from collections.abc import Sequence

import pytest

from tests.fakes.cluster import buy
from tests.fakes.histories import LISTED, history, ledger_of
from twisted_bazaar.consensus.entries import Entry, Event, Opened, encode_entry
from twisted_bazaar.consensus.member import Observed
from twisted_bazaar.errors import NotLeader, Rejected
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import Listed, Listing, Placed, Rejection, Traded
from twisted_bazaar.order.desk import Batch, Known, Outcome, Question, TradingDesk

LOG = history(4)
"""Entries 1 … 6."""
TERM = 7


class Tenant:
    """A member that leads since it opened, after `LOG`. It is its log, too."""

    def __init__(self) -> None:
        self.made = list(LOG)
        self.rounds = 0
        self.opened = len(LOG) + 1
        self.propose([Opened(leader=1)])

    @property
    def log(self) -> "Tenant":
        return self

    @property
    def history(self) -> str:
        return self.digest_at(self.opened)

    @property
    def last_index(self) -> int:
        return len(self.made)

    def entries(self, after: int, upto: int) -> Sequence[Entry]:
        assert after >= len(LOG), "what is older is in the engine"
        return self.made[after:upto]

    def digest_at(self, index: int) -> str:
        return self.made[index - 1].digest

    def next_at_milliseconds(self) -> int:
        return self.made[-1].at_milliseconds

    def propose(self, events: Sequence[Event], at: int | None = None) -> Sequence[Entry]:
        entries = []
        for event in events:
            last = self.made[-1]
            entry = encode_entry(last.digest, last.index + 1, TERM, last.at_milliseconds, event)
            self.made.append(entry)
            entries.append(entry)
        return entries

    def confirm(self) -> int:
        self.rounds += 1
        return self.rounds


class Leadership:
    """A tenant and its desk."""

    def __init__(self, ledger: Ledger, released_number: int, opens_empty: bool) -> None:
        self.tenant = Tenant()
        self.desk = TradingDesk(
            self.tenant,
            ledger,
            len(LOG),
            released_number=released_number,
            opens_empty=opens_empty,
        )

    def commit(self, released: int) -> None:
        """All that is proposed is committed, and clients may see entries up to `released`."""
        committed = self.tenant.made[self.desk.applied :]
        self.desk.observe(
            Observed(
                committed=committed,
                released=released,
                confirmed=self.tenant.rounds,
                leading_term=TERM,
            )
        )

    def trade(self, key: str, *known: Entry) -> Outcome | None:
        """What becomes of it once all is released."""
        orders = {entry.event.key: entry.event for entry in known}  # type: ignore[union-attr]
        batch = Batch([buy(key)])
        assert self.desk.decide(batch, Known(orders, len(LOG)), 0.0)  # type: ignore[arg-type]
        self.commit(released=self.tenant.last_index)
        return batch.outcomes[0]


@pytest.fixture
def leadership() -> Leadership:
    """The log has four orders; clients may see the first two."""
    return Leadership(ledger_of(LOG), released_number=2, opens_empty=True)


def test_what_the_ledger_held_is_not_released_before_the_member_says_so(
    leadership: Leadership,
) -> None:
    """The leader before may not have released it, and a catalog may show what was before it."""
    desk = leadership.desk
    leadership.commit(released=4)
    assert (desk.released, desk.released_number, desk.released_stocks) == (4, 2, {})
    leadership.commit(released=7)
    assert (desk.released, desk.released_number) == (7, 4)
    assert desk.released_stocks == ledger_of(LOG).stocks
    versions = [stock.version for stock in desk.released_stocks.values()]
    assert versions == sorted(versions)


def test_a_question_is_answered_with_what_the_ledger_held(leadership: Leadership) -> None:
    leadership.commit(released=4)
    question = Question()
    leadership.desk.ask_last_number(question)
    leadership.commit(released=4)
    assert question.answer is None
    leadership.commit(released=7)
    assert question.answer == 4


def test_a_replay_of_an_order_that_is_not_released_waits(leadership: Leadership) -> None:
    leadership.commit(released=4)
    event = LOG[-1].event
    assert isinstance(event, Traded)
    trade = buy(event.key, event.quantity, event.stock)
    batch = Batch([trade])
    known = Known({trade.key: event}, len(LOG))
    leadership.desk.decide(batch, known, 0.0)
    assert batch.outcomes == [None]
    leadership.commit(released=7)
    (outcome,) = batch.outcomes
    assert isinstance(outcome, Placed)
    assert (outcome.number, outcome.replayed) == (4, True)


def test_an_order_goes_on_from_the_ledger(leadership: Leadership) -> None:
    leadership.commit(released=7)
    outcome = leadership.trade("new")
    assert isinstance(outcome, Placed)
    assert (outcome.number, outcome.replayed) == (5, False)


def test_a_market_without_stocks_that_were_listed_before_is_open() -> None:
    """They have all been moved, or none is at home there."""
    leadership = Leadership(Ledger(), released_number=0, opens_empty=True)
    leadership.commit(released=7)
    assert not leadership.desk.wants_listing
    outcome = leadership.trade("key")
    assert isinstance(outcome, Rejected)
    assert outcome.rejection is Rejection.UNKNOWN_STOCK


@pytest.mark.parametrize("listed", [LISTED.stocks, ()], ids=["some", "none"])
def test_a_market_opens_with_its_listing(listed: Sequence[Listing]) -> None:
    """Which may list nothing: no stock is at home there."""
    leadership = Leadership(Ledger(), released_number=0, opens_empty=False)
    leadership.commit(released=7)
    assert leadership.desk.wants_listing
    assert isinstance(leadership.trade("early"), NotLeader)
    leadership.desk.list_stocks(listed)
    assert not leadership.desk.wants_listing
    leadership.desk.list_stocks(listed)
    events = [entry.event for entry in leadership.tenant.made[len(LOG) :]]
    assert events.count(Listed(tuple(listed))) == 1
    outcome = leadership.trade("key")
    assert isinstance(outcome, Placed if listed else Rejected)
