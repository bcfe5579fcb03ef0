"""The leader's leases: one catalog at a time holds one, and what it must have done for it."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from tests.fakes.member import TICK, TIMING, Member, disk, entries_of
from twisted_bazaar.consensus.entries import Opened
from twisted_bazaar.consensus.messages import Append, AppendReply, Apply, ApplyReply, LearnerRequest
from twisted_bazaar.leases import Stamp, kept

LEASE, HEARTBEAT = TIMING.lease, TIMING.heartbeat
A, B = "catalog", "standby"
LIFE, NEXT_LIFE = 7, 8


class Leader:
    """A leader whose catalogs, A and B, are a test. Entry 3 is its first."""

    def __init__(self, peers: Sequence[int] = ()) -> None:
        self.member = Member(1, peers, (A, B), disk(1, 0, entries_of(1, 1)))
        self.replica = self.member.replica
        self.open: dict[str, LearnerRequest] = {}
        """What the catalogs were asked, and have not answered."""
        self.asked: list[tuple[str, Apply]] = []
        self.heard = True
        """Whether the peers answer."""
        self.member.clock.now = 100.0
        self.member.win(*peers)
        self._collect()

    @property
    def now(self) -> float:
        return self.member.clock.now

    @property
    def released(self) -> int:
        return self.replica.released

    def _collect(self) -> None:
        """Peers acknowledge what they are sent; what catalogs are asked is open."""
        for request in self.member.take(Append) if self.heard else ():
            sent = request.message
            index = sent.previous_index + len(sent.entries)
            self.member.step(
                AppendReply(
                    term=sent.term,
                    follower=request.to,
                    fits=True,
                    index=index,
                    round=sent.round,
                    sent=sent.sent,
                )
            )
        for request in self.member.take(Apply):
            self.open[request.to] = request
            self.asked.append((request.to, request.message))

    def pass_time(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until - 1e-9:
            self.member.pass_time(min(TICK, until - self.now))
            self._collect()

    def propose(self) -> None:
        """One more entry, which is committed."""
        self.replica.propose([Opened(leader=1)])
        self.member.carry_out()
        self._collect()
        assert self.replica.commit == self.replica.log.last_index

    def lose(self, *names: str) -> None:
        """What these were asked is not answered in time. They are asked again."""
        for name in names:
            if request := self.open.pop(name, None):
                self.replica.unreachable(request, self.now)
        self.pass_time(HEARTBEAT + TICK)

    def answer(
        self,
        name: str,
        released: int | None = None,
        applied: int | None = None,
        holds: bool = False,
        life: int = LIFE,
    ) -> Stamp:
        """`name` answers what it was asked last. Unless said otherwise, it has all of that."""
        message = self.next(name)
        del self.open[name]
        applied = message.commit if applied is None else applied
        released = applied if released is None else released
        stamp = Stamp(life, self.now * 2)
        digest = self.replica.log.digest_at(applied)
        term, sent = message.term, message.sent
        self.member.step(
            ApplyReply(
                term=term,
                applied=applied,
                digest=digest,
                released=released,
                stamp=stamp,
                holds=holds,
                sent=sent,
            ),
            learner=name,
        )
        self._collect()
        return stamp

    def run(self, seconds: float, *names: str) -> None:
        """`names` answer everything for so long, the others nothing."""
        until = self.now + seconds
        while self.now < until - 1e-9:
            for name in self.open.keys() & names:
                self.answer(name)
            for name in self.open.keys() - names:
                self.replica.unreachable(self.open.pop(name), self.now)
            self.pass_time(min(TICK, until - self.now))

    def granted(self, seconds: float, *names: str) -> set[str]:
        """The catalogs that are granted leases in the next `seconds`, by stamps of this time."""
        begin = len(self.asked)
        since = self.now * 2
        self.run(seconds, *names)
        return {
            name
            for name, message in self.asked[begin:]
            if message.stamp is not None and message.stamp.at_seconds > since
        }

    def next(self, name: str) -> Apply:
        """What this one is asked next."""
        if name not in self.open:
            self.pass_time(HEARTBEAT + TICK)
        message: Apply = self.open[name].message
        return message


@pytest.fixture
def leader() -> Leader:
    """A holds a lease, B stands by, and 4 entries are released."""
    leader = Leader()
    leader.run(LEASE + HEARTBEAT, A)
    leader.propose()
    leader.run(HEARTBEAT, A, B)
    assert leader.granted(LEASE, A, B) == {A}
    assert leader.released == 4
    leader.next(A)
    leader.next(B)
    return leader


# At most one at a time.


def test_a_new_leader_grants_nothing_for_one_lease() -> None:
    """A catalog may hold one of the leader before, and another one must not then."""
    leader = Leader()
    assert leader.granted(LEASE - HEARTBEAT, A, B) == set()
    assert len(leader.granted(LEASE, A, B)) == 1


def test_only_one_of_those_that_answer_gets_leases(leader: Leader) -> None:
    assert leader.granted(5 * LEASE, A, B) == {A}


def test_a_standby_takes_over_once_the_first_is_waited_for_no_more(leader: Leader) -> None:
    """And not a moment before."""
    leader.answer(A)
    assert leader.granted(LEASE - TICK, B) == set()
    leader.run(HEARTBEAT + 2 * TICK, B)
    assert leader.granted(LEASE, B) == {B}
    assert leader.granted(LEASE, A, B) == {B}, "the first one stands by from now on"
    assert leader.next(A).stamp is None


def test_a_lease_names_the_answer_that_earned_it(leader: Leader) -> None:
    stamp = leader.answer(A)
    message = leader.next(A)
    assert (message.stamp, message.lease) == (stamp, LEASE)
    assert leader.next(B).stamp is None


def test_a_catalog_that_holds_a_lease_goes_on_with_a_new_leader() -> None:
    """At most one of them does, so no other needs to be waited for. A change of leader costs no
    lookup that way."""
    leader = Leader()
    stamp = leader.answer(B, holds=True)
    assert leader.released == 3, "what the other has released is of no matter"
    assert leader.next(B).stamp == stamp
    assert leader.granted(3 * LEASE, A, B) == {B}


def test_one_that_stands_by_does_not_get_in_by_saying_that_it_holds(leader: Leader) -> None:
    """That was a lease of an earlier leader's, which has run out since the answer was sent."""
    leader.answer(B, holds=True)
    assert leader.granted(LEASE, A, B) == {A}


# What an answer must say.


def test_only_what_is_released_by_the_one_with_the_lease_counts(leader: Leader) -> None:
    """The answers of the others do not matter, as no client reads from them."""
    leader.propose()
    for name in (A, B):
        leader.answer(name)
        assert leader.next(name).commit == 5
    leader.answer(B)
    assert leader.released == 4
    leader.answer(A)
    assert leader.released == 5


def test_an_answer_that_has_released_less_than_may_have_been_seen_earns_nothing(
    leader: Leader,
) -> None:
    """It is waited for nevertheless, so that the next one can."""
    leader.run(LEASE)
    leader.propose()
    assert leader.released == 5
    leader.lose(A)
    late = leader.answer(A, released=4)
    assert leader.next(A).stamp != late
    leader.propose()
    leader.pass_time(LEASE / 2)
    assert leader.released == 5
    stamp = leader.answer(A)
    assert leader.next(A).stamp == stamp


def test_what_the_one_before_may_have_shown_at_last_was_seen_too(leader: Leader) -> None:
    """It released entry 5, and its answer was lost. The first thing that happens once it is
    no longer waited for is that the other answers, which has not heard of entry 5."""
    leader.answer(A)
    leader.answer(B)
    until = leader.now + LEASE
    leader.pass_time(HEARTBEAT + TICK)
    assert leader.open[B].message.commit == 4
    leader.propose()
    leader.pass_time(until - leader.now - 0.001)
    assert leader.released == 4
    leader.member.clock.now = until + 0.001
    stamp = leader.answer(B)
    assert leader.released == 5
    assert leader.next(B).stamp != stamp


def test_an_answer_that_has_released_less_than_earlier_leaders_committed_earns_nothing() -> None:
    """A client may have been told of it by an earlier leader, which waited for no catalog then."""
    leader = Leader()
    leader.answer(A, released=2, holds=True)
    assert leader.next(A).stamp is None
    leader.pass_time(LEASE / 2)
    assert leader.released == 2, "it is waited for"
    stamp = leader.answer(A)
    assert leader.next(A).stamp == stamp


def test_one_that_has_much_to_catch_up_with_is_not_waited_for(leader: Leader) -> None:
    """Every answer would be held up until it has."""
    leader.run(2 * LEASE)
    leader.propose()
    leader.lose(A)
    leader.answer(A, applied=4)
    leader.propose()
    assert leader.released == 6


def test_one_that_has_just_begun_and_releases_nothing_is_not_waited_for(leader: Leader) -> None:
    """What its last life let others show is waited for, once. One that dies again and again must
    not hold up trades for as long as it does, nor keep another from its place."""
    leader.answer(A)
    until = leader.now + LEASE
    leader.propose()
    while leader.now < until - TICK:
        for name in tuple(leader.open):
            leader.answer(name, released=0 if name == A else None, life=NEXT_LIFE)
        leader.pass_time(TICK)
        assert leader.released == 4
    leader.pass_time(2 * TICK)
    assert leader.released == 5
    for _ in range(4):
        leader.answer(B)
        leader.next(B)
        leader.answer(A, released=0, life=NEXT_LIFE)
        leader.next(A)
    assert leader.granted(LEASE, B) == {B}


def test_one_that_is_told_to_rebuild_gets_nothing_and_is_waited_for_once(leader: Leader) -> None:
    """What it released before it lost that history counts as long as its lease may last."""
    leader.answer(A)
    until = leader.now + LEASE
    message, stamp = leader.next(A), Stamp(NEXT_LIFE, leader.now)
    digest = "of another history"
    leader.member.step(
        ApplyReply(
            term=message.term,
            applied=9,
            digest=digest,
            released=9,
            stamp=stamp,
            holds=False,
            sent=message.sent,
        ),
        learner=A,
    )
    leader.propose()
    leader.pass_time(until - leader.now - TICK)
    assert leader.released == 4
    leader.pass_time(2 * TICK)
    assert leader.released == 5
    leader.lose(A)
    assert leader.open[A].message.rebuild
    assert leader.open[A].message.stamp != stamp


def test_an_answer_without_a_stamp_earns_nothing(leader: Leader) -> None:
    """A catalog of an earlier version sends none: it is as good as one without a lease."""
    message = leader.next(A)
    digest, stamp = leader.replica.log.digest_at(4), Stamp(LIFE, 0.0)
    reply = ApplyReply(
        term=message.term,
        applied=4,
        digest=digest,
        released=4,
        stamp=stamp,
        holds=False,
        sent=message.sent,
    )
    del leader.open[A]
    leader.member.step(replace(reply, stamp=None), learner=A)
    assert leader.next(A).stamp is None


# How long it is waited for.


def test_the_wait_begins_when_the_answer_comes(leader: Leader) -> None:
    """Not when it was sent: that is on the holder's clock, and the message may have been slow."""
    leader.pass_time(LEASE / 2)
    leader.answer(A)
    leader.propose()
    leader.pass_time(LEASE - TICK)
    assert leader.released == 4
    leader.pass_time(2 * TICK)
    assert leader.released == 5


def test_what_was_released_stays_so_whatever_comes_late(leader: Leader) -> None:
    leader.run(HEARTBEAT, A, B)
    late = leader.next(A)
    leader.propose()
    leader.lose(A)
    leader.answer(A)
    assert leader.released == 5
    leader.open[A] = LearnerRequest(A, late)
    leader.answer(A)
    assert leader.released == 5
    assert leader.granted(LEASE, A, B) == {A}


# No lease is granted by one that may have been replaced.


@pytest.mark.parametrize("late", [False, True])
def test_a_leader_that_may_have_been_replaced_grants_nothing(late: bool) -> None:
    """A majority votes for no other until an election timeout after it heard this leader: on
    their clocks, which may be fast, while this one's is slow."""
    leader = Leader(peers=(2, 3))
    leader.run(LEASE + HEARTBEAT, A)
    assert leader.granted(LEASE, A) == {A}
    leader.heard = False
    before = leader.answer(A)
    assert leader.next(A).stamp == before
    heard = max(progress.heard_at for progress in leader.replica._leader_state._peers.values())
    until = heard + kept(TIMING.election_timeout)
    leader.pass_time(until - leader.now + (0.001 if late else -0.001))
    stamp = leader.answer(A)
    assert leader.replica.leads, "it has not given up yet"
    assert leader.open[A].message.stamp == (before if late else stamp)


def test_one_that_cannot_earn_a_lease_by_that_is_waited_for_all_the_same() -> None:
    """The leader that replaced this one may have granted it one."""
    leader = Leader(peers=(2, 3))
    leader.run(LEASE + HEARTBEAT, A)
    leader.propose()
    leader.heard = False
    leader.pass_time(TIMING.election_timeout - TICK)
    leader.answer(A, released=3)
    assert leader.replica.leads
    leader.pass_time(TICK)
    assert leader.released == 3
