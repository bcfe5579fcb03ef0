"""The name of a history is another after each election: versions of a log that was cut, restored or
copied are never taken for those of another."""

from msgspec.structs import replace

from tests.fakes.catalog_life import FRONTEND, LEASE, LOG, CatalogLife
from tests.fakes.histories import extend, order, sends
from tests.fakes.member import TIMING, Member, disk, entries_of
from tests.fakes.publisher import FakePublisher
from twisted_bazaar.consensus.entries import Opened
from twisted_bazaar.consensus.messages import Apply
from twisted_bazaar.leases import Stamp
from twisted_bazaar.rpc.push import PushReply, Subscription

FIRST = LOG[0].digest
SECOND = [
    *LOG[:6],
    *extend(LOG[:6], [Opened(leader=2), *(order(n, f"o-{n}") for n in range(5, 9))], 2),
]
"""The first six entries are restored from a backup, and go on under another leader."""


def named(catalog: CatalogLife) -> set[str]:
    """How the pushes that go out now name the history."""
    return {pushed.push.history for pushed in catalog.publisher.take_pushes(catalog.now)}


def subscribed(catalog: CatalogLife) -> CatalogLife:
    catalog.publisher.subscribe(
        Subscription(address="127.0.0.1:1", life=FRONTEND, token="token"), catalog.now
    )
    return catalog


def granted(catalog: CatalogLife, message: Apply) -> CatalogLife:
    """A leader that sends `message` grants a lease for an answer that was sent now."""
    catalog.ask(replace(message, stamp=Stamp(1, catalog.now)))
    return catalog


def test_a_leader_names_its_history_by_its_own_first_entry() -> None:
    """A copy of its log has another leader, or another term, and so another name."""
    names = set()
    for id, term in (1, 1), (1, 2), (2, 2):
        member = Member(id, (), ("catalog",), disk(term, 0, entries_of(1, 1)))
        member.clock.now += 2 * TIMING.election_timeout
        member.win()
        (request,) = member.take(Apply)
        names.add(request.message.history)
        assert request.message.history == member.replica.log.digest_at(3)
    assert len(names) == 3


def test_a_catalog_names_its_history_by_the_last_first_entry_that_it_has_applied() -> None:
    catalog = CatalogLife()
    catalog.apply(6)
    catalog.lease()
    catalog.subscribe()
    catalog.pass_time(LEASE / 2)
    assert named(catalog) == {FIRST}
    catalog = CatalogLife()
    catalog.apply(6)
    catalog.lease()
    catalog.subscribe()
    catalog.send(sends(SECOND, 6, 8, term=2))
    assert named(catalog) == {SECOND[6].digest}


def test_a_catalog_that_begins_with_a_file_takes_the_name_with_a_lease() -> None:
    """The leader grants one to an answer that held its first entry."""
    catalog = CatalogLife(index=6)
    catalog.apply(6)
    assert catalog.projection.history == ""
    catalog.ask(sends(LOG, 6, 6, stamp=Stamp(99, catalog.now)))
    assert catalog.projection.history == "", "that lease is another life's"
    assert named(subscribed(granted(catalog, sends(LOG, 6, 6)))) == {FIRST}


def test_a_catalog_ahead_of_a_restored_log_does_not_take_its_name() -> None:
    """It goes on for as long as its lease lasts, under the name of what is lost."""
    catalog = CatalogLife()
    catalog.apply(8)
    catalog.lease()
    new = replace(sends(SECOND, 6, 7, term=2), history=SECOND[6].digest)
    assert catalog.ask(new).applied == 8
    assert named(subscribed(catalog)) == {FIRST}
    catalog.ask(replace(sends(SECOND, 0, 8, term=2, rebuild=True), history=SECOND[6].digest))
    assert catalog.projection.history == SECOND[6].digest
    assert catalog.publisher.view.until <= catalog.now


def test_a_late_word_of_the_leader_before_does_not_bring_its_name_back() -> None:
    catalog = CatalogLife(index=6)
    reply = catalog.apply(6)
    catalog.ask(sends(SECOND, 6, 8))
    late = sends(LOG, 6, 6, stamp=reply.stamp)
    catalog.ask(late)
    assert catalog.projection.history == SECOND[6].digest


def test_a_front_end_begins_anew_under_each_name() -> None:
    """Floors and leases of another leadership's log are not believed."""
    publisher = FakePublisher()
    old = publisher.grant(A=5)
    publisher.history = "of the next leader"
    assert publisher.push({"A": 2}, old) == PushReply(upto=9, stamp=None)
    assert not publisher.floors.allow("A", 5, publisher.now)
    publisher.grant(A=2)
    assert publisher.floors.history == "of the next leader"
    assert publisher.floors.allow("A", 2, publisher.now)
