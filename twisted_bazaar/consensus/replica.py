"""One replica of the order log: Raft without I/O.

Its owner feeds it: `step` takes a peer's request, `answered` and `applied` take answers,
`unreachable` a request without one; `tick` is called as time passes, `propose` for each trade
that the leader decides. After each call the owner takes `ready` until it is None, or says that
nothing more follows, and does what it says:

    ready = replica.ready(now)
    start sending ready.messages             # nothing in them rests on what is not on disk
    start writing ready.write, if any        # call `written` when it is on disk
    apply ready.committed, in order; show clients what is up to ready.released

These may be done in any order, or side by side: what rests on a write is not in the same `ready`.
Each `ready` must be carried out, as none repeats what one before it said.

`ready` holds back each message that rests on the write that is under way, or on the next one.
A leader's appends are not held back: it writes its own log while its followers write theirs
(Ongaro 2014 §10.2.1), and counts itself once its own write is done.

The rules are those of figure 2 of the Raft paper (Ongaro & Ousterhout 2014), with two changes: a
replica campaigns only when it is nominated (`campaign`), and a candidate first catches up with
the furthest replica that it can reach (`nominee.py`). This module knows no reactor, socket,
thread or clock.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from twisted_bazaar.backoff import Backoff
from twisted_bazaar.errors import InvariantBroken, MembersRefused, NotLeader
from twisted_bazaar.timing import Timing

from .canvass import Purpose
from .entries import Entry, Event, Members, Opened, encode_entry
from .leader import MAX_BATCH_ENTRIES, LeaderState, longest_lease
from .log import Storage, Write
from .membership import MembersChange, next_members
from .messages import (
    Append,
    AppendReply,
    ApplyReply,
    Declined,
    Fetch,
    FetchReply,
    FollowerLag,
    LearnerRequest,
    MarketSnapshot,
    PeerReply,
    PeerRequest,
    Poll,
    PollReply,
    Reply,
    Request,
    Ticket,
    Vote,
    VoteReply,
)
from .nomination import Won
from .nominee import Nominee
from .ready import Ready
from .role import Role

__all__ = ["Ready", "Replica"]


class Replica(Nominee):
    """A replica's state. Times are seconds on one monotonic clock of this machine."""

    def __init__(
        self,
        *,
        replica: int,
        peers: Sequence[int],
        learners: Sequence[str],
        storage: Storage,
        applied: int,
        timing: Timing,
        milliseconds: Callable[[], int],
        now: float,
        batch: int = MAX_BATCH_ENTRIES,
        nonce: int = 0,
        names: Callable[[], str] = lambda: "",
        lag: float = 0.0,
        addresses: Mapping[int, str] = MappingProxyType({}),
        join: bool = False,
        market: Callable[[], MarketSnapshot] | None = None,
    ) -> None:
        """Begin a life with what `storage` holds.

        `peers` are the ids of the other replicas, where the log names no members yet, and
        `addresses` says where replicas are that it names without. `join`: this replica is to join
        a cluster, of which `peers` are members. `learners` are the names of the catalogs.
        `applied` is the index of the last entry that the owner's own state holds from an
        earlier life, in which it was committed and released. `milliseconds` is the wall clock
        for the times of entries. A message carries `batch` entries at most. `nonce` is below
        2**53, and different in each life. Each call of `names` returns a name that no other
        call, here or elsewhere, has returned. Peers without which there is a majority are told what
        is new up to `lag` seconds later. `market` returns the market after some committed entry,
        for catalogs that lack entries before the log's beginning; it is needed once there are any.
        """
        super().__init__(
            replica=replica,
            peers=peers,
            addresses=addresses,
            join=join,
            storage=storage,
            applied=applied,
            timing=timing,
            batch=batch,
            nonce=nonce,
            names=names,
            now=now,
        )
        self._learners = tuple(learners)
        self._lag = lag
        self._market = market
        self._milliseconds = milliseconds
        self._leader_known_at = now
        """When this replica led last, or heard the leader."""
        self._leader_state: LeaderState | None = None
        """What it keeps while it leads; None in any other role."""
        self._applied = applied
        """Entries up to here were handed to the owner."""
        self.released = self.commit
        """Clients may see entries up to here. Invariant: released <= commit."""
        self.elections_won = 0
        """How often it became the leader, in this life."""
        self._told = (applied, 0, 0)
        """What the last `Ready` said: released, confirmed, leading_term."""

    # What the owner asks.

    @property
    def opened(self) -> int:
        """Index of this leadership's first entry. Raises `NotLeader`."""
        return self._led().opened

    @property
    def history(self) -> str:
        """Names the log that versions of stocks are indexes of; empty: this replica does not
        lead."""
        return "" if self._leader_state is None else self._leader_state.learners.history

    @property
    def backoff(self) -> Backoff | None:
        """Which catalogs this leader keeps out; None: it does not lead."""
        return self._leader_state.learners.backoff if self._leader_state is not None else None

    @property
    def neighbours(self) -> Mapping[int, str]:
        """The replicas that requests may go to, by id, and where, as far as log or options say."""
        membership, canvass, leader = self.membership, self._canvass, self._leader_state
        where = {**self._addresses, **(canvass.addresses if canvass is not None else {})}
        where |= {member.id: member.address for member in membership.members if member.address}
        asked = canvass.asked | canvass.hinted if canvass is not None else set()
        peers = {*membership.ids, *asked, *(leader.peers if leader is not None else ())}
        return {peer: where.get(peer, "") for peer in sorted(peers - {self.id})}

    def follower_lags(self, now: float) -> Sequence[FollowerLag]:
        """How far each follower is behind this leader's log; empty: this replica does not lead."""
        return self._leader_state.follower_lags(now) if self._leader_state is not None else ()

    @property
    def cleared(self) -> int:
        """Entries up to here are cleared by the catalog that may hold a lease of this leader; 0:
        there is none."""
        return self._leader_state.learners.cleared if self._leader_state is not None else 0

    def catalog_lags(self) -> Mapping[str, int]:
        """By catalog: how many entries of this leader's log it has not cleared; empty: this replica
        does not lead."""
        return self._leader_state.learners.catalog_lags() if self._leader_state is not None else {}

    def can_answer(self, now: float) -> bool:
        """Whether it leads, a majority has answered it within the election timeout, and all that
        earlier leaders acknowledged is released here, as its own first entry is."""
        leader = self._leader_state
        if leader is None or not leader.in_touch(now):
            return False
        return self.released >= leader.opened

    # What goes in.

    def start(self, now: float) -> None:
        """Ask the peers for what this replica missed while it was down, or has forgotten."""
        self._begin_canvass(Purpose.RECALL if self.suspect else Purpose.RESYNC, now)

    def tick(self, now: float) -> None:
        """Time has passed. Call it a few times a heartbeat. Raises `Unusable`, also if this replica
        was removed."""
        if self._leader_state is not None:
            self._leader_known_at = now
            if not self._leader_state.in_touch(now):
                self._step_down()
                self._leader_id = 0
            else:
                self._tend_members(now)
        elif now - self._leader_known_at > 4 * longest_lease(self.log, self._timing):
            # By now each catalog has what was committed, or its lease has run out; each cache
            # has it, or its lease has; and so has what either of them acknowledged last.
            self.released = self.commit
        timeout = self._timing.election_timeout
        # A leader that hears a follower twice in an election timeout does not take it for silent.
        contact = min(self._timing.heartbeat, timeout / 4)
        self._outbox.tick(now - contact, now - timeout, self.log, self.term)
        self._tick_election(now)
        self._check_member()

    def next_at_milliseconds(self) -> int:
        """The time that an entry would have that is proposed now."""
        return max(self._milliseconds(), self.log.last_at_milliseconds)

    def propose(
        self, events: Sequence[Event], at_milliseconds: int | None = None
    ) -> Sequence[Entry]:
        """Append what the leader decided, as entries of its term. Raises `NotLeader`.

        `at_milliseconds` is what `next_at_milliseconds` has just returned; None: ask it.
        """
        self._led()
        entries = []
        digest = self.log.last_digest
        if at_milliseconds is None:
            at_milliseconds = self.next_at_milliseconds()
        for index, event in enumerate(events, self.log.last_index + 1):
            entry = encode_entry(digest, index, self.term, at_milliseconds, event)
            digest = entry.digest
            entries.append(entry)
        self.log.append(entries)
        return entries

    def change_members(self, change: MembersChange, now: float, based_on: int | None = None) -> int:
        """Propose the entry that begins `change`, and return its index; 0: it is so already.

        What comes late changes nothing, if it names the newest `members` entry that was known when
        it was asked for (`based_on`).

        What else it takes follows by itself, under whichever leader: a new member counts once it
        has nearly all of the log. The change is done when `membership_settled` says so of a
        `membership` that has it. Raises `NotLeader`, and `MembersRefused`.
        """
        leader = self._led()
        if based_on not in (None, self.membership.index):
            raise MembersRefused(f"the members changed meanwhile, by entry {self.membership.index}")
        event = next_members(self.membership, change, self._addresses)
        if event is None:
            return 0
        if unknown := leader.unknown_levels(self._levels, now):
            self._ask_levels(unknown)
            raise MembersRefused("the members are being asked of which release they are: ask again")
        leader.check_change(event, self.commit, self._levels, now)
        return self._propose_members(event, now)

    def _propose_members(self, event: Members, now: float) -> int:
        self.propose([event])
        self._led().take_membership(self.membership, now)
        return self.log.last_index

    def _tend_members(self, now: float) -> None:
        """Propose what this leader owes about the members; leave, if it was removed."""
        if (event := self._led().next_members(self.commit, now)) is not None:
            self._propose_members(event, now)
        elif self._led().forget_removed(self.commit, now):
            self._step_down()
            self._leader_id = 0

    def confirm(self) -> int:
        """Begin a round of heartbeats, and return its number.

        Once `Ready.confirmed` has reached it, this replica was the leader at some moment after
        this call (Raft §8). Raises `NotLeader`.
        """
        leader = self._led()
        leader.round += 1
        return leader.round

    def step(self, request: PeerRequest, now: float, ticket: Ticket) -> None:
        """Take in a peer's request that `refusal` does not refuse. One `Reply` with this
        `ticket` answers it.

        Raises `Malformed`, and leaves the log as it is, if entries do not follow one another.
        """
        match request:
            case Append():
                self._on_append(request, now, ticket)
            case Vote():
                self._on_vote(request, now, ticket)
            case Poll():
                self._on_poll(request, now, ticket)
                self._ask_also(request.replica, now)
            case Fetch():
                self._on_fetch(request, ticket)

    def refusal(self, request: PeerRequest) -> str | None:
        """Why a peer's request is not for this replica, and must not be stepped; None: it is."""
        return self._identity.refusal(request, self.cluster, self.log)

    def answered(self, request: Request, reply: PeerReply, now: float) -> str | None:
        """Take in the answer to `request`. Another replica's answer counts as none; then this
        returns what is wrong, for the operator.

        Raises `Unusable` if this replica's folder or options do not fit those of a majority.
        """
        cluster = "" if self._name_is_old else self.cluster
        mistake = self._identity.mistake(request.to, reply, cluster, self.log)
        if mistake is None:
            self.take_reply(reply, now)
        else:
            self.unreachable(request, now)
        return mistake

    def take_reply(self, reply: PeerReply, now: float) -> None:
        """Take in an answer of the peer that was asked."""
        match reply:
            case AppendReply():
                self._on_append_reply(reply)
            case VoteReply():
                self._on_vote_reply(reply, now)
            case PollReply():
                self._on_poll_reply(reply, now)
            case FetchReply():
                self._on_fetch_reply(reply, now)

    def applied(self, learner: str, reply: ApplyReply, now: float) -> None:
        """Take in an answer of `learner`."""
        if reply.term > self.term:
            self._adopt(reply.term)
        elif self._leader_state is not None and reply.term == self.term:
            # Once the lease of the catalog before has run out, all that is committed is
            # released: the next holder must not be behind that.
            learners = self._leader_state.learners
            self.released = learners.released(self.commit, self.released, now)
            learners.answered(learner, reply, self.released, now)

    def unreachable(self, request: Request | LearnerRequest, now: float) -> None:
        """`request` got no answer in time."""
        match request:
            case Request(to, Append() as message):
                if self._leader_state is not None and message.term == self.term:
                    self._leader_state.unreachable(to, message.sent, now)
            case LearnerRequest(name, apply):
                if self._leader_state is not None and apply.term == self.term:
                    self._leader_state.learners.unreachable(name, apply.sent, now)
            case Request(to, Vote() as message):
                self._not_voted(to, message.term, now)
            case Request(to, Poll() | Fetch()) if self._canvass is not None:
                self._canvass.lost(to, now)
                self._consider_canvass(now)

    def written(self, write: Write, now: float) -> None:
        """`write` is on disk."""
        self.disk.ended(now)
        self.log.written(write)
        self._outbox.written()
        if write.trusted:
            self._recalled = False
            self._become(Role.FOLLOWER)
        if (write.term, write.vote) == (self.term, self.vote):
            self._vote_on_disk(now)

    # What comes out.

    def ready(self, now: float) -> Ready | None:
        """What to carry out now; None: nothing."""
        leader = self._leader_state
        if leader is not None:
            self.commit = leader.committed(self.commit)
            self.released = leader.learners.released(self.commit, self.released, now)
            self._outbox.say(leader.requests(now, self.commit, self.released))
        write = self._outbox.take_write(
            self.log, self.term, self.vote, self.cluster, self._recalled
        )
        if write is not None:
            self.disk.begun(now)
        messages = self._outbox.take_messages()
        committed: Sequence[Entry] = ()
        if self._applied < self.commit:
            upto = min(self.commit, self._applied + self._batch)
            committed = self.log.entries(self._applied, upto)
            self._applied += len(committed)
        released = min(self.released, self._applied)
        confirmed, leading_term = (leader.confirmed, self.term) if leader is not None else (0, 0)
        told = (released, confirmed, leading_term)
        if not messages and write is None and not committed and told == self._told:
            return None
        self._told = told
        return Ready(
            messages=messages,
            write=write,
            committed=committed,
            released=released,
            confirmed=confirmed,
            leading_term=leading_term,
            more=self._applied < self.commit,
        )

    @property
    def wake_at(self) -> float | None:
        """When to call `ready` though nothing has come in; None: not before the next tick."""
        return self._leader_state.wake_at if self._leader_state is not None else None

    # Following.

    def _on_append(self, message: Append, now: float, ticket: Ticket) -> None:
        if self.suspect:
            self._outbox.say([Reply(ticket, Declined("it is suspect"))])
            self._ask_also(message.leader, now)
            return
        if message.term > self.term:
            self._adopt(message.term)
        fits, index, round_ = False, self.log.last_index, 0
        if message.term == self.term:
            if self.leads:
                raise InvariantBroken(f"replica {message.leader} leads in term {self.term}, too")
            self._leader_id = message.leader
            self._leader_heard_at = self._leader_known_at = now
            round_ = message.round
            self._give_up_campaign()
            self._stop_standing()
            fits, index = self._take_append(message)
            if fits:
                self._canvass = None  # The leader sends what this replica lacks.
                self.snapshot_from = 0
            elif message.begins > self.commit and self._canvass is None:
                self._begin_canvass(Purpose.RESYNC, now)
        # Round 0 in answer to an append of another term: its leader may lead in this one by now,
        # and the round is none of those that it began since.
        reply = AppendReply(
            term=self.term,
            follower=self.id,
            fits=fits,
            index=index,
            round=round_,
            sent=message.sent,
        )
        self._outbox.say_after_write([Reply(ticket, reply)], now)

    def _take_append(self, message: Append) -> tuple[bool, int]:
        """Whether the entries fit, and up to where this log is now the leader's.

        If they do not fit: the index after which the leader is to try again. That is the end of
        a shorter log, which most likely fits, or the last committed entry, which surely does.
        """
        previous, begins = message.previous_index, self.log.begins
        if previous > self.log.last_index:
            return False, self.log.last_index
        # What this log begins after is committed, so it is in the leader's log as well.
        if previous >= begins and self.log.term_at(previous) != message.previous_term:
            return False, self.commit
        self.log.take(message.entries, self.commit)
        self.cluster = self.cluster or self.log.cluster
        index = max(begins, previous + len(message.entries))
        self.commit = max(self.commit, min(message.commit, index))
        self.released = max(self.released, min(message.released, self.commit))
        return True, index

    # Leading.

    def _lead(self, now: float) -> None:
        self._become(Role.LEADER)
        self.elections_won += 1
        self._leader_state = LeaderState(
            replica=self.id,
            term=self.term,
            cluster=self.cluster,
            log=self.log,
            membership=self.membership,
            learners=self._learners,
            timing=self._timing,
            batch=self._batch,
            now=now,
            lag=self._lag,
            market=self._market,
        )
        self._end_campaign(Won())
        opened = Opened(
            leader=self.id,
            cluster=self.cluster,
            members=self.membership.voters,
            lease=self._timing.lease,
            catalogs=self._learners,
            name=self._names(),
        )
        self.propose([opened])

    def _step_down(self) -> None:
        self._become(Role.FOLLOWER)
        self._leader_state = None

    def _led(self) -> LeaderState:
        """What this replica keeps as the leader. Raises `NotLeader`."""
        if self._leader_state is None:
            raise NotLeader()
        return self._leader_state

    def _on_append_reply(self, message: AppendReply) -> None:
        if message.term > self.term:
            self._adopt(message.term)
        elif self._leader_state is not None and message.term == self.term:
            self._leader_state.append_answered(message)
