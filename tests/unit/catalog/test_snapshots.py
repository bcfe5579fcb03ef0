"""A catalog that is sent a snapshot: it has that state, and what it showed before is waited out."""

import msgspec
import pytest

from tests.fakes.catalog_life import (
    FRONTEND,
    HEARTBEAT,
    LEASE,
    LOG,
    CatalogLife,
    at_work,
    stocks_of,
)
from tests.fakes.histories import extend, history, ledger_of, order, sends
from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.consensus.messages import Apply, MarketSnapshot
from twisted_bazaar.rpc.push import Subscription

LONG = history(30)
"""Goes on where `LOG` ends."""
OTHER = LOG[:4] + extend(LOG[:4], [order(n, f"other-{n}") for n in range(3, 30)], term=2)
"""Parts with `LOG` after entry 4."""


def begins(index: int, upto: int, log: list[Entry] = LONG, term: int = 1) -> Apply:
    """A leader's message with the state after entry `index`, and the entries from there on."""
    ledger = ledger_of(log[:index])
    snapshot = MarketSnapshot(
        index=index,
        digest=log[index - 1].digest,
        stocks=tuple(ledger.stocks.values()),
        last_number=ledger.last_number,
    )
    message = sends(log, index, upto, term=term, rebuild=True)
    return msgspec.structs.replace(message, snapshot=snapshot)


@pytest.fixture
def catalog() -> CatalogLife:
    return at_work()


@pytest.mark.parametrize("log", [LONG, OTHER], ids=["ahead", "on another history"])
def test_a_snapshot_is_the_state_from_which_it_goes_on(
    catalog: CatalogLife, log: list[Entry]
) -> None:
    reply = catalog.ask(begins(20, 22, log, term=2))
    assert (reply.applied, reply.digest) == (22, log[21].digest)
    catalog.ask(sends(log, 22, 24, term=2))
    assert catalog.projection.ledger.stocks == stocks_of(24, log)
    assert catalog.projection.ledger.last_number == ledger_of(log[:24]).last_number


def test_a_snapshot_is_not_shown_before_the_leases_of_the_life_before_are_over(
    catalog: CatalogLife,
) -> None:
    """Its front-ends may show what it showed."""
    reply = catalog.ask(begins(20, 20))
    assert (reply.released, reply.cleared, reply.holds) == (0, 0, False)
    until = catalog.now + LEASE
    while catalog.now + HEARTBEAT < until:
        catalog.pass_time(HEARTBEAT)
        assert catalog.shown == {}
    catalog.pass_time(until - catalog.now)
    assert catalog.shown == stocks_of(20, LONG)
    assert catalog.ask(sends(LONG, 20, 20)).released == 20


def test_a_front_end_is_told_of_all_stocks_of_a_snapshot(catalog: CatalogLife) -> None:
    """It has floors of another life, or none."""
    catalog.ask(begins(20, 20))
    catalog.pass_time(LEASE)
    stamp = catalog.ask(sends(LONG, 20, 20)).stamp
    catalog.ask(sends(LONG, 20, 20, stamp=stamp))
    catalog.subscribe(72)
    catalog.send(sends(LONG, 20, 21))
    catalog.publisher.subscribe(
        Subscription(address="127.0.0.1:2", life=73, token="token"), catalog.now
    )
    catalog.push()
    assert FRONTEND not in catalog.pushed
    pushed = catalog.pushed[73]
    assert (pushed.history, pushed.upto) == (LONG[0].digest, 21)
    assert pushed.floors == {name: stock.version for name, stock in stocks_of(21, LONG).items()}


def test_a_snapshot_ends_the_holds_of_the_life_before(catalog: CatalogLife) -> None:
    """It holds all that was committed of what was cleared."""
    catalog.send(msgspec.structs.replace(sends(LOG, 6, 6), proposed=(LOG[6],)))
    catalog.push()
    catalog.answer()
    assert [reply.cleared for reply in catalog.answers().values()] == [7]
    wait = catalog.publisher.wait_for("Fish, Co")
    assert wait is not None
    assert not catalog.publisher.is_over(wait)
    catalog.ask(begins(20, 20))
    assert catalog.publisher.is_over(wait)
    assert catalog.publisher.wait_for("Fish, Co") is None


def test_a_snapshot_of_an_earlier_leader_counts_for_nothing(catalog: CatalogLife) -> None:
    catalog.send(sends(LOG, 6, 7, term=3))
    catalog.send(begins(20, 20, term=2))
    assert catalog.projection.position.index == 7


def test_a_market_without_stocks_is_a_state_too(catalog: CatalogLife) -> None:
    message = begins(20, 20)
    assert message.snapshot is not None
    empty = msgspec.structs.replace(message.snapshot, stocks=())
    reply = catalog.ask(msgspec.structs.replace(message, snapshot=empty))
    assert (reply.applied, catalog.projection.ledger.stocks) == (20, {})
    assert catalog.projection.ledger.last_number == empty.last_number
