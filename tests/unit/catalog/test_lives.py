"""A new life of a catalog waits out the leases that earlier lives may have granted."""

import pytest

from tests.fakes.catalog_life import HEARTBEAT, LEASE, LOG, TIMING, CatalogLife, at_work, stocks_of
from tests.fakes.histories import extend, order, sends
from twisted_bazaar.catalog.projection import Position, Projection
from twisted_bazaar.catalog.publisher import Publisher
from twisted_bazaar.consensus.entries import GENESIS
from twisted_bazaar.consensus.messages import Apply
from twisted_bazaar.errors import Unavailable
from twisted_bazaar.leases import kept
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.market import Stock

OTHER = LOG[:1] + extend(LOG[:1], [LOG[1].event, *(order(n, f"o-{n}") for n in range(1, 5))], 2)
"""Parts with `LOG` after its first entry, by the keys of its orders."""
NOTHING: dict[str, Stock] = {}


@pytest.fixture
def catalog() -> CatalogLife:
    return at_work()


# A restart.


@pytest.mark.parametrize("index", [0, 6])
def test_a_new_life_releases_nothing_for_one_lease(index: int) -> None:
    """A front-end may show what the life before let it, even if that left no file."""
    catalog = CatalogLife(index, silent=True)
    until = catalog.now + LEASE
    while catalog.now + HEARTBEAT < until:
        reply = catalog.apply(8)
        assert (reply.applied, reply.released, reply.holds) == (8, 0, False)
        assert catalog.shown == stocks_of(index)
        catalog.pass_time(HEARTBEAT)
    catalog.pass_time(until - catalog.now)
    assert catalog.apply(8).released == 8
    assert catalog.shown == stocks_of(8)


def test_a_new_life_answers_at_once_while_it_is_silent() -> None:
    """It takes everything in meanwhile, and the leader is not held up by one that starts."""
    catalog = CatalogLife(silent=True)
    for upto in (3, 5, 8):
        assert catalog.apply(upto).applied == upto
    catalog.pass_time(LEASE)
    assert catalog.shown == stocks_of(8)


def test_a_new_catalog_of_a_new_bazaar_is_not_silent() -> None:
    """Nothing was ever listed, so that no front-end can show it."""
    catalog = CatalogLife(silent=True)
    reply = catalog.ask(sends(LOG, 0, 1))
    assert reply.released == 1
    assert catalog.apply(8).released == 8
    assert catalog.shown == stocks_of(8)


@pytest.mark.parametrize(
    ("index", "first"),
    [(0, sends(LOG, 0, 1, commit=2)), (0, sends(LOG, 0, 0, commit=8)), (1, sends(LOG, 1, 1))],
    ids=["something is listed", "much is committed", "it had a life before"],
)
def test_one_that_may_have_had_a_life_before_is(index: int, first: Apply) -> None:
    catalog = CatalogLife(index, silent=True)
    assert catalog.ask(first).released == 0


def test_only_the_first_message_tells_that_a_bazaar_is_new() -> None:
    """A later one may be older, and come late."""
    catalog = CatalogLife(silent=True)
    catalog.ask(sends(LOG, 0, 0, commit=8))
    assert catalog.ask(sends(LOG, 0, 1)).released == 0


def test_lives_have_different_numbers() -> None:
    catalog = CatalogLife()
    lives = {catalog.apply(6).stamp.life}
    for term in range(2, 5):
        reply = catalog.ask(sends(LOG, 0, 6, rebuild=True, term=term))
        assert reply.stamp.life not in lives
        lives.add(reply.stamp.life)


# A rebuild.


def test_a_rebuild_is_a_new_life(catalog: CatalogLife) -> None:
    """The other history is no longer shown, nor pushed. What front-ends
    have of it is waited out."""
    reply = catalog.ask(sends(OTHER, 0, 6, term=2, rebuild=True))
    assert (reply.applied, reply.released, reply.holds) == (6, 0, False)
    assert catalog.publisher.view.until <= catalog.now
    assert catalog.shown == NOTHING
    assert catalog.push() == []
    with pytest.raises(Unavailable):
        catalog.subscribe()
    catalog.pass_time(LEASE / 2)
    assert catalog.push() == []
    catalog.pass_time(LEASE * 0.4)
    assert catalog.shown == NOTHING
    catalog.pass_time(LEASE * 0.2)
    assert catalog.shown == stocks_of(6, OTHER)
    catalog.ask(sends(OTHER, 6, 6, term=2, stamp=reply.stamp))
    assert catalog.publisher.view.until == reply.stamp.at_seconds + kept(LEASE)


def test_a_rebuild_ends_the_wait_of_earlier_questions(catalog: CatalogLife) -> None:
    """With what is true now."""
    ticket = catalog.send(sends(LOG, 6, 8))
    catalog.send(sends(OTHER, 0, 0, commit=6, term=2, rebuild=True))
    reply = catalog.answers()[ticket]
    assert (reply.applied, reply.digest, reply.released) == (0, GENESIS, 0)
    assert reply.stamp.life == 2


def test_what_was_not_released_before_a_rebuild_never_is(catalog: CatalogLife) -> None:
    catalog.send(sends(LOG, 6, 8))
    catalog.send(sends(OTHER, 0, 2, commit=6, term=2, rebuild=True))
    catalog.pass_time(LEASE)
    assert catalog.shown == stocks_of(2, OTHER)
    catalog.send(sends(OTHER, 2, 6, term=2))
    assert catalog.shown == stocks_of(6, OTHER)


def test_a_stamp_that_comes_with_a_rebuild_is_of_the_life_before(catalog: CatalogLife) -> None:
    stamp = catalog.apply(6).stamp
    catalog.ask(sends(OTHER, 0, 6, term=2, rebuild=True, stamp=stamp))
    assert catalog.publisher.view.until <= catalog.now


def test_answers_to_pushes_of_an_earlier_life_count_for_nothing(catalog: CatalogLife) -> None:
    catalog.send(sends(LOG, 6, 8))
    catalog.push()
    catalog.send(sends(OTHER, 0, 6, term=2, rebuild=True))
    catalog.answer()
    catalog.pass_time(LEASE / 2)
    assert catalog.shown == NOTHING


def test_a_state_that_was_not_made_of_the_log_is_a_rebuild_too(catalog: CatalogLife) -> None:
    """The file was edited. It may take a while to show: entry 7 can still be applied."""
    del catalog.projection.ledger.stocks["GameStart"]
    reply = catalog.ask(sends(LOG, 6, 8))
    assert (reply.applied, reply.released, reply.stamp.life) == (0, 0, 2)
    catalog.apply(4)
    assert catalog.shown == NOTHING
    catalog.pass_time(LEASE)
    assert catalog.shown == stocks_of(4)


def test_a_ledger_that_is_empty_shows_nothing() -> None:
    publisher = Publisher(Projection(Ledger(), Position()), TIMING, lambda: 1, 0.0)
    assert publisher.view.stocks == NOTHING
    assert publisher.take_answers() == publisher.take_pushes(0.0) == []
