"""Learners of a leader whose log is not in memory from the beginning on."""

from collections.abc import Sequence

from tests.fakes.cluster import Learner
from tests.fakes.histories import history, ledger_of
from tests.fakes.member import TIMING
from twisted_bazaar.consensus.entries import Entry
from twisted_bazaar.consensus.learners import Learners
from twisted_bazaar.consensus.messages import Apply, LearnerRequest, MarketSnapshot, Message

CATALOG = "catalog"
LOG = history(18)
"""Entries 1 … 20."""
BASE = 10
"""The log in memory begins after this entry."""


class Window:
    """The entries after `base` of `LOG`."""

    def __init__(self, base: int = BASE) -> None:
        self.base = base
        self.last_index = len(LOG) - 1

    def entries(self, after: int, upto: int) -> Sequence[Entry]:
        assert after >= self.base
        return tuple(LOG[after:upto])

    def digest_at(self, index: int) -> str:
        return LOG[index - 1].digest if index >= self.base else ""


class Leader:
    """Leads since its first entry, the last one of `LOG`, is committed."""

    def __init__(self) -> None:
        self.now = 0.0
        self.window = Window()
        self.snapshots = 0
        self.learners = Learners(
            term=1,
            cluster="a",
            log=self.window,
            names=[CATALOG],
            timing=TIMING,
            batch=1024,
            now=self.now,
            longest_lease=TIMING.lease,
            catalogs_before=[CATALOG],
            surely_leads=lambda now: True,
            snapshot=self.snapshot,
        )
        self.window.last_index = len(LOG)
        self.released = 0

    def snapshot(self) -> MarketSnapshot:
        """As of the last entry but one."""
        self.snapshots += 1
        entry, ledger = LOG[-2], ledger_of(LOG[:-1])
        stocks = tuple(ledger.stocks.values())
        return MarketSnapshot(
            index=entry.index, digest=entry.digest, stocks=stocks, last_number=ledger.last_number
        )

    def says(self) -> list[Apply]:
        requests: list[Message] = []
        self.released = self.learners.released(len(LOG), self.released, self.now)
        self.learners.requests(requests, self.now, len(LOG), self.released)
        return [each.message for each in requests if isinstance(each, LearnerRequest)]

    def exchange(self, learner: Learner) -> list[Apply]:
        """Bring the learner up to date; all that it was told."""
        told = []
        for _ in range(4):
            self.now += TIMING.heartbeat
            for message in self.says():
                told.append(message)
                reply = learner.apply(message, self.now)
                self.learners.answered(CATALOG, reply, self.released, self.now)
        return told


def learner_at(index: int) -> Learner:
    """A catalog whose file goes to this entry of `LOG`."""
    learner = Learner(CATALOG)
    learner.projection.ledger = ledger_of(LOG[:index])
    position = learner.projection.position
    learner.projection.position = type(position)(index, LOG[index - 1].digest, 1)
    return learner


def is_up_to_date(learner: Learner) -> bool:
    expected = ledger_of(LOG)
    return (
        learner.applied == len(LOG)
        and learner.digest == LOG[-1].digest
        and learner.ledger.stocks == expected.stocks
        and learner.ledger.last_number == expected.last_number
    )


def test_a_learner_that_the_window_reaches_is_sent_entries_only() -> None:
    leader, learner = Leader(), learner_at(BASE)
    leader.exchange(learner)
    assert is_up_to_date(learner)
    assert (leader.snapshots, learner.rebuilds) == (0, 0)


def test_a_learner_before_the_window_begins_with_a_snapshot() -> None:
    """The entries that it lacks are not in memory."""
    leader, learner = Leader(), learner_at(BASE - 1)
    told = leader.exchange(learner)
    assert is_up_to_date(learner)
    assert (leader.snapshots, learner.rebuilds) == (1, 1)
    (carried,) = [message for message in told if message.snapshot is not None]
    assert carried.rebuild
    assert carried.previous_index == carried.snapshot.index  # type: ignore[union-attr]
    assert [entry.index for entry in carried.entries] == [len(LOG)]


def test_a_learner_that_has_nothing_begins_with_a_snapshot() -> None:
    leader, learner = Leader(), Learner(CATALOG)
    leader.exchange(learner)
    assert is_up_to_date(learner)
    assert (leader.snapshots, learner.rebuilds) == (1, 1)


def test_a_learner_on_another_history_begins_with_a_snapshot() -> None:
    leader, learner = Leader(), learner_at(BASE + 2)
    position = learner.projection.position
    learner.projection.position = type(position)(BASE + 2, "f" * 32, 1)
    leader.exchange(learner)
    assert is_up_to_date(learner)
    assert leader.snapshots == 1


def test_a_learner_that_falls_behind_the_window_begins_with_a_snapshot() -> None:
    """It was in time when this leader came, and has not answered for long."""
    leader, learner = Leader(), learner_at(BASE)
    leader.learners.answered(
        CATALOG, learner.apply(leader.says()[0], leader.now), leader.released, leader.now
    )
    assert leader.snapshots == 0
    leader.window.base = len(LOG) - 1
    learner.projection = learner_at(BASE).projection
    leader.exchange(learner)
    assert is_up_to_date(learner)
    assert leader.snapshots == 1


def test_no_snapshot_is_taken_while_a_request_is_in_flight() -> None:
    """It is long: a notice of what is released must not carry it a second time."""
    leader, learner = Leader(), learner_at(BASE)
    leader.now += TIMING.lease
    leader.exchange(learner)
    leader.learners._learners[CATALOG].next = BASE  # Nothing it took since is known.
    leader.now += TIMING.heartbeat
    assert [message.snapshot is not None for message in leader.says()] == [True]
    leader.learners._learners[CATALOG].sent_commit = 0
    assert leader.learners._lease_holder is not None
    assert (leader.says(), leader.snapshots) == ([], 1)
