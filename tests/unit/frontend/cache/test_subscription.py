"""The subscriber: it subscribes whenever there is no lease, and takes in pushes."""

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping

import pytest
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure

from tests.fakes.leaks import nothing_leaks  # noqa: F401
from tests.fakes.replicas import FakeCatalog
from twisted_bazaar.errors import Unavailable, Unusable
from twisted_bazaar.frontend.cache.floors import Floors
from twisted_bazaar.frontend.cache.quotes import Quote
from twisted_bazaar.frontend.cache.recent import Recent
from twisted_bazaar.frontend.cache.subscription import Subscriber
from twisted_bazaar.frontend.upstream.catalogs import Catalogs
from twisted_bazaar.http import answers
from twisted_bazaar.leases import Stamp
from twisted_bazaar.market import Stock
from twisted_bazaar.rpc.push import Push, PushedQuote, PushReply, Subscription
from twisted_bazaar.timing import Timing

TIMING = Timing()
LOOK = TIMING.heartbeat / 3
"""How soon a front-end notices that it has no lease."""


class Drops:
    """A cache, as far as a subscriber asks it: what it was told to forget."""

    def __init__(self) -> None:
        self.dropped: list[tuple[str, list[str]]] = []
        self.kept: list[tuple[str, Mapping[str, Quote]]] = []

    def drop(self, history: str, names: Collection[str]) -> None:
        self.dropped.append((history, sorted(names)))

    def put(self, history: str, quotes: Mapping[str, Quote]) -> None:
        self.kept.append((history, quotes))


class Frontend:
    """A front-end with one catalog."""

    def __init__(self, address: Callable[[], str] = lambda: "127.0.0.1:8082") -> None:
        self.clock = Clock()
        self.catalog = FakeCatalog()
        self.floors = Floors(TIMING, itertools.count(1).__next__)
        self.cache = Drops()
        self.recent = Recent()
        self.subscriber = Subscriber(
            self.clock,
            self.clock.seconds,
            self.floors,
            Catalogs(self.clock.seconds, [self.catalog], TIMING),  # type: ignore[list-item]
            self.cache,
            address,
            "token",
            TIMING,
            self.recent,
        )

    def wait(self, seconds: float) -> None:
        """Time passes, a little at a time."""
        self.clock.pump([LOOK] * round(seconds / LOOK))

    def asked(self) -> list[Subscription]:
        """All subscriptions that were ever asked for."""
        return [call.arguments[0] for call in self.catalog.asked if call.name == "subscribe"]

    def push(self, stamp: Stamp | None = None, life: int | None = None, **floors: int) -> PushReply:
        life = self.floors.life if life is None else life
        return self.subscriber.push(
            Push(
                life=life, history="log-1", upto=9, floors=floors, stamp=stamp, seconds=TIMING.lease
            )
        )

    def grant(self) -> None:
        """The catalog takes the subscription, and a lease comes of it."""
        self.catalog.only("subscribe").reply()
        self.push(self.push(A=5).stamp)
        assert self.floors.alive(self.clock.seconds())


@pytest.fixture
def frontend() -> Iterator[Frontend]:
    frontend = Frontend()
    frontend.subscriber.startService()
    yield frontend
    frontend.subscriber.stopService()
    assert not frontend.clock.getDelayedCalls()


# Subscribing.


def test_a_subscription_is_asked_for_at_once(frontend: Frontend) -> None:
    assert frontend.asked() == [
        Subscription(
            address="127.0.0.1:8082",
            life=frontend.floors.life,
            token="token",
            frames=True,
            quotes=True,
        )
    ]


def test_a_second_one_is_not_asked_for_while_the_first_is_not_answered(frontend: Frontend) -> None:
    life = frontend.floors.life
    frontend.wait(3 * TIMING.lease)
    assert len(frontend.asked()) == 1
    assert frontend.floors.life == life


def test_none_is_asked_for_under_a_lease_and_another_one_soon_after_it(frontend: Frontend) -> None:
    frontend.grant()
    first = frontend.floors.life
    for _ in range(8):
        frontend.wait(TIMING.lease / 4)
        frontend.push(frontend.push().stamp)
    assert len(frontend.asked()) == 1
    frontend.wait(TIMING.lease + LOOK)
    assert [each.life for each in frontend.asked()] == [first, frontend.floors.life]
    assert frontend.floors.life != first


def test_a_subscription_that_brings_no_lease_is_replaced(frontend: Frontend) -> None:
    frontend.catalog.only("subscribe").reply()
    frontend.wait(TIMING.lease - 2 * LOOK)
    assert len(frontend.asked()) == 1
    frontend.wait(4 * LOOK)
    assert len({each.life for each in frontend.asked()}) == 2


def test_a_refused_subscription_is_soon_asked_for_again(frontend: Frontend) -> None:
    frontend.catalog.only("subscribe").fail()
    frontend.wait(TIMING.heartbeat - LOOK)
    assert len(frontend.asked()) == 1
    frontend.wait(TIMING.election_timeout + 2 * TIMING.heartbeat)
    assert len({each.life for each in frontend.asked()}) == 2
    frontend.grant()


def test_an_unexpected_error_is_logged_and_does_not_end_it(
    frontend: Frontend, logged_failures: list[Failure]
) -> None:
    frontend.catalog.only("subscribe").fail(KeyError("a bug"))
    [failure] = logged_failures
    assert failure.check(KeyError)
    logged_failures.clear()
    frontend.wait(2 * TIMING.lease)
    frontend.grant()


def test_a_stopped_service_calls_no_catalog() -> None:
    frontend = Frontend()
    frontend.subscriber.startService()
    call = frontend.catalog.only("subscribe")
    frontend.subscriber.stopService()
    call.fail(Unavailable("stopping"))
    frontend.wait(2 * TIMING.lease)
    assert len(frontend.asked()) == 1
    assert not frontend.clock.getDelayedCalls()


def test_where_catalogs_cannot_reach_it_a_front_end_does_not_start() -> None:
    """Else it would never get a lease, and no line would say why."""

    def nowhere() -> str:
        raise Unusable("--internal tcp:0: --advertise must say at which HOST:PORT it is reached")

    frontend = Frontend(nowhere)
    with pytest.raises(Unusable, match="--advertise must say"):
        frontend.subscriber.startService()
    assert not frontend.clock.getDelayedCalls()


def test_one_that_is_kept_out_says_so_and_asks_again_when_that_is_over(frontend: Frontend) -> None:
    assert frontend.subscriber.notice() is None
    with capturedLogs() as events:
        frontend.catalog.only("subscribe").reply(3.0)
    said = "lookups are not cached for 3 s: this front-end repeatedly delayed trades"
    assert [formatEvent(event) for event in events] == [said]
    assert frontend.subscriber.notice() == said
    frontend.wait(3.0 - LOOK)
    assert len(frontend.asked()) == 1
    assert not frontend.floors.alive(frontend.clock.seconds())
    frontend.wait(2 * LOOK)
    assert len(frontend.asked()) == 2
    assert frontend.subscriber.notice() is None
    frontend.grant()


def test_after_any_answer_a_catalog_is_asked_again_within_a_minute(frontend: Frontend) -> None:
    frontend.catalog.only("subscribe").reply(1e300)
    frontend.wait(60.0)
    assert len(frontend.asked()) == 2


# Being told.


def test_what_is_pushed_is_known_when_it_is_answered(frontend: Frontend) -> None:
    frontend.grant()
    now = frontend.clock.seconds()
    assert frontend.floors.allow("A", 6, now)
    frontend.wait(LOOK)
    reply = frontend.push(A=7)
    now = frontend.clock.seconds()
    assert reply == PushReply(upto=9, stamp=Stamp(frontend.floors.life, now))
    assert [frontend.floors.allow("A", version, now) for version in (6, 7)] == [False, True]


def test_what_changed_is_dropped_from_the_cache(frontend: Frontend) -> None:
    frontend.recent.add("A")
    frontend.recent.add("B")
    frontend.push(A=7, B=9)
    frontend.push(A=8, B=9)
    assert frontend.cache.dropped == [("log-1", ["A"])]


def test_what_no_client_asks_for_is_left_to_expire(frontend: Frontend) -> None:
    frontend.recent.add("B")
    frontend.push(A=7, B=9)
    frontend.push(A=8, B=10)
    assert frontend.cache.dropped == [("log-1", ["B"])]


def test_a_new_subscription_leaves_the_cache_of_the_others_as_it_is(frontend: Frontend) -> None:
    frontend.push(A=7, B=9)
    assert frontend.cache.dropped == []


def test_a_push_without_changes_drops_nothing(frontend: Frontend) -> None:
    frontend.push()
    assert frontend.cache.dropped == []


def test_a_push_of_an_earlier_subscription_is_told_that_it_is_over(frontend: Frontend) -> None:
    frontend.grant()
    first = frontend.floors.life
    frontend.wait(TIMING.lease + LOOK)
    assert frontend.floors.life != first
    assert frontend.push(life=first, A=9) == PushReply(upto=9, stamp=None)
    assert frontend.floors.history == ""


# What operators are told.


def test_the_log_says_once_when_lookups_are_cached_and_when_not(frontend: Frontend) -> None:
    with capturedLogs() as events:
        frontend.wait(5 * LOOK)
        frontend.grant()
        frontend.wait(5 * LOOK)
        frontend.wait(TIMING.lease)
    lines = [formatEvent(event) for event in events]
    assert lines == ["lookups are cached", "lookups are not cached: no lease"]


# Quotes.


def quoting(frontend: Frontend, *quotes: PushedQuote, life: int | None = None) -> None:
    """A push with `quotes` comes, and floors of 5."""
    life = frontend.floors.life if life is None else life
    floors = dict.fromkeys("AB", 5)
    frontend.subscriber.push(
        Push(
            life=life, history="log-1", upto=9, floors=floors, stamp=None, seconds=0, quotes=quotes
        )
    )


def test_quotes_that_are_pushed_are_kept_after_the_push_is_answered(frontend: Frontend) -> None:
    frontend.grant()
    frontend.recent.add("A")
    quoting(frontend, PushedQuote("A", 1599, 100, 3, 7))
    assert frontend.cache.kept == []
    frontend.clock.advance(0)
    ((history, quotes),) = frontend.cache.kept
    stock = Stock(name="A", price=1599, quantity=100, volume=3, version=7)
    assert (history, quotes) == ("log-1", {"A": Quote(7, answers.stock(stock))})


def test_quotes_that_may_not_be_shown_or_that_clients_do_not_look_up_are_not_kept(
    frontend: Frontend,
) -> None:
    frontend.recent.add("A")
    frontend.grant()
    below, beyond, not_looked_up = (
        PushedQuote("A", 1, 1, 0, 4),
        PushedQuote("A", 1, 1, 0, 10),
        PushedQuote("B", 1, 1, 0, 7),
    )
    quoting(frontend, below, beyond, not_looked_up)
    quoting(frontend, PushedQuote("A", 1, 1, 0, 7), life=frontend.floors.life + 1)
    frontend.clock.advance(0)
    assert frontend.cache.kept == []
    quoting(frontend, PushedQuote("A", 1, 1, 0, 7))
    frontend.clock.advance(TIMING.lease)
    assert frontend.cache.kept == [], "the lease was over before"


# Figures.


def test_pushes_count_and_so_do_the_stocks_that_they_change(frontend: Frontend) -> None:
    figures = frontend.subscriber._figures
    frontend.push(A=5, B=5)
    assert figures.taken.value == 1
    assert figures.invalidations.value == 0, "nothing of it was kept before"
    frontend.push(A=6, B=7)
    frontend.push(A=6, B=8)
    assert (figures.taken.value, figures.invalidations.value) == (3, 3)


def test_a_lease_that_is_lost_counts_once(frontend: Frontend) -> None:
    figures = frontend.subscriber._figures
    frontend.grant()
    frontend.wait(LOOK)
    assert figures.lease_losses.value == 0
    frontend.wait(2 * TIMING.lease)
    assert figures.lease_losses.value == 1
