"""One replica with its desk and its disk, driven by a test. No network, no thread, no clock."""

from collections.abc import Iterable, Sequence
from typing import Any

from twisted_bazaar.consensus.entries import GENESIS, Entry, Opened, encode_entry
from twisted_bazaar.consensus.log import MemoryStorage, Write
from twisted_bazaar.consensus.messages import (
    Append,
    AppendReply,
    ApplyReply,
    Message,
    PeerReply,
    PeerRequest,
    Poll,
    PollReply,
    Reply,
    Request,
    Vote,
    VoteReply,
)
from twisted_bazaar.consensus.replica import Replica
from twisted_bazaar.ledger import Ledger
from twisted_bazaar.order.desk import TradingDesk
from twisted_bazaar.timing import Timing

TIMING = Timing()
TICK = TIMING.heartbeat / 3


def entries_of(*terms: int, maker: int = 0) -> list[Entry]:
    """A log with entries of these terms. Another `maker` makes others in their place."""
    entries: list[Entry] = []
    for index, term in enumerate(terms, 1):
        digest = entries[-1].digest if entries else GENESIS
        entries.append(encode_entry(digest, index, term, 0, Opened(leader=maker)))
    return entries


def disk(term: int = 0, vote: int = 0, entries: Iterable[Entry] = ()) -> MemoryStorage:
    """What a replica finds when it starts."""
    storage = MemoryStorage()
    storage.write(Write(term, vote, None, tuple(entries)))
    return storage


def append(
    term: int,
    log: Sequence[Entry] = (),
    after: int = 0,
    upto: int | None = None,
    commit: int = 0,
    leader: int = 2,
    round_: int = 0,
) -> Append:
    """What the leader of `term`, whose log is `log`, sends to one that has it up to `after`."""
    previous_term = log[after - 1].term if after else 0
    return Append(
        term=term,
        leader=leader,
        previous_index=after,
        previous_term=previous_term,
        entries=tuple(log[after:upto]),
        commit=commit,
        released=0,
        round=round_,
        sent=0.0,
    )


def append_with(**fields: Any) -> Append:
    """An `Append` from the beginning of the log and without entries, but for these fields."""
    empty: dict[str, Any] = {"previous_index": 0, "previous_term": 0, "entries": ()}
    empty |= {"commit": 0, "released": 0, "round": 0, "sent": 0.0}
    return Append(**(empty | fields))


def append_reply_with(**fields: Any) -> AppendReply:
    """The reply of a follower whose log is empty and fits, but for these fields."""
    empty: dict[str, Any] = {"fits": True, "index": 0, "round": 0, "sent": 0.0}
    return AppendReply(**(empty | fields))


def poll_reply_with(**fields: Any) -> PollReply:
    """The reply of a peer that has nothing and would vote now, but for these fields."""
    empty: dict[str, Any] = {"term": 0, "last_index": 0, "last_term": 0, "leader": 0, "wait": 0.0}
    return PollReply(**(empty | fields))


class Clock:
    """The clock of all members of a cluster."""

    now = 0.0


class Member:
    """One life of one replica, carried out as its owner has to. Its `storage` outlives it."""

    def __init__(
        self,
        id: int,
        peers: Iterable[int] = (),
        learners: Sequence[str] = (),
        storage: MemoryStorage | None = None,
        clock: Clock | None = None,
        lag: float = 0.0,
    ) -> None:
        self.id = id
        self.clock = clock or Clock()
        self.storage = storage or MemoryStorage()
        self.replica = Replica(
            replica=id,
            peers=tuple(peers),
            learners=learners,
            storage=self.storage,
            applied=0,
            timing=TIMING,
            milliseconds=lambda: 0,
            now=self.clock.now,
            names=lambda: f"named-by-{id}",
            lag=lag,
        )
        self.desk = TradingDesk(self.replica, Ledger(), 0)
        self.slow_disk = False
        """If set: leave each write under way until `finish_write`."""
        self.write: Write | None = None
        self.sent: list[Message] = []
        """Said, and not taken off by the test or the cluster yet."""
        self.committed: list[Entry] = []
        self.confirmed = 0
        self.terms_led: set[int] = set()

    def carry_out(self) -> None:
        """Carry out what the replica decides, until there is nothing left to do."""
        while (ready := self.replica.ready(self.clock.now)) is not None:
            self.desk.observe(ready)
            self.committed += ready.committed
            self.confirmed = ready.confirmed
            self.terms_led |= {ready.leading_term} - {0}
            self.sent += ready.messages
            self.write = ready.write or self.write
            if self.write and not self.slow_disk:
                self._end_write(self.write)

    def finish_write(self) -> None:
        """The write that is under way, if there is one, reaches the disk."""
        if self.write:
            self._end_write(self.write)
        self.carry_out()

    def _end_write(self, write: Write) -> None:
        self.storage.write(write)
        self.write = None
        self.replica.written(write, self.clock.now)

    def step(
        self,
        message: PeerRequest | PeerReply | ApplyReply,
        ticket: Any = None,
        learner: str = "catalog",
    ) -> None:
        """Hand in a request or an answer, which is `learner`'s if it is that of a learner.

        Tickets are labels of any type, by which the test tells answers apart.
        """
        if isinstance(message, PeerRequest):
            self.replica.step(message, self.clock.now, ticket)
        elif isinstance(message, ApplyReply):
            self.replica.applied(learner, message, self.clock.now)
        else:
            self.replica.take_reply(message, self.clock.now)
        self.carry_out()

    def ask(self, request: PeerRequest) -> Any:
        """Hand in a request; the answer, or None if it may not be given yet."""
        self.step(request, request)
        return next((reply.message for reply in self.take(Reply) if reply.ticket is request), None)

    def take(self, kind: type) -> list[Any]:
        """Remove and return the replies sent, or the requests that carry one kind of message."""

        def wanted(said: Message) -> bool:
            return isinstance(said if kind is Reply else said.message, kind)

        taken = [said for said in self.sent if wanted(said)]
        self.sent = [said for said in self.sent if not wanted(said)]
        return taken

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.replica.tick(self.clock.now)
        self.carry_out()

    def stand(self) -> list[Request]:
        """Be asked to campaign, with all peers willing and none further: the vote requests."""
        self.replica.campaign("nomination", self.clock.now)
        self.carry_out()
        for poll in self.take(Poll):
            self.step(
                PollReply(
                    replica=poll.to,
                    term=0,
                    last_index=0,
                    last_term=0,
                    leader=0,
                    wait=0.0,
                    nonce=poll.message.nonce,
                )
            )
        return self.take(Vote)

    def win(self, *voters: int) -> None:
        """Be asked to campaign, and win by the votes of `voters` and its own."""
        self.stand()
        for voter in voters:
            self.step(VoteReply(term=self.replica.term, voter=voter, granted=True))


def hear_of_term(member: Member, term: int) -> None:
    """A peer answers with a higher term."""
    member.replica.take_reply(
        AppendReply(term=term, follower=2, fits=False, index=0, round=0, sent=0.0), member.clock.now
    )


def follower(*terms: int, term: int | None = None, peers: Iterable[int] = (2, 3)) -> Member:
    """Replica 1, with entries of these terms on disk, which has not heard a leader for long."""
    latest = max((0, *terms)) if term is None else term
    member = Member(1, peers, storage=disk(latest, 0, entries_of(*terms)))
    member.clock.now += 2 * TIMING.election_timeout
    return member


def leader(*terms: int, term: int | None = None, peers: Sequence[int] = (2, 3)) -> Member:
    """Replica 1, which has just won the next term by the votes of all."""
    member = follower(*terms, term=term, peers=peers)
    member.win(*peers)
    return member
