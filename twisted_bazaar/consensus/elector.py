"""How a replica votes and comes to lead: the part of `Replica` that elections are made of.

It canvasses its peers (`canvass.py`), catches up with the furthest, stands for election
(`candidacy.py`), and votes. It stands only when a front-end nominates it (`campaign`), and never
while a leader is heard. Pure.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import msgspec

from twisted_bazaar.errors import Unusable
from twisted_bazaar.timing import Timing

from .candidacy import Ballot, Candidacy
from .canvass import Behind, Canvass, FetchFrom, GoAhead, Hopeless, Purpose
from .disk_latency import DiskLatency
from .entries import Entry
from .identity import Identity
from .log import Log, Storage
from .messages import (
    Fetch,
    FetchReply,
    Poll,
    PollReply,
    Reply,
    Request,
    Ticket,
    Vote,
    VoteReply,
)
from .nomination import AnotherLeads, Campaigning, Outcome, Refused, Won, campaign_reply
from .outbox import Outbox
from .progress import majority
from .role import Role, check_transition

__all__ = ["Elector"]

_BEHIND = "it is catching up"
_HANGS = "its disk does not finish a write"
_SUSPECT = "it is suspect: it may have forgotten what it acknowledged"


class Elector(ABC):
    """A replica's role, term, vote and log, and what it does to vote and to be elected."""

    def __init__(
        self,
        *,
        replica: int,
        peers: Sequence[int],
        storage: Storage,
        applied: int,
        timing: Timing,
        batch: int,
        nonce: int,
        names: Callable[[], str],
        now: float,
    ) -> None:
        self.id = replica
        self._peers = tuple(peers)
        self._identity = Identity(replica, peers)
        self._names = names
        self._timing = timing
        self._batch = batch
        self._storage = storage
        self.log = Log(storage)
        self.cluster = storage.cluster
        """The cluster that this replica is of; empty: it knows none yet."""
        self.term = storage.term
        self.vote = storage.vote
        """The replica that this one voted for in `term`; 0: none."""
        self.commit = applied
        self.role = Role.FOLLOWER if storage.suspect is None else Role.SUSPECT
        """Changed by `_become` only."""
        self._leader_id = 0
        """The leader of `term`, once it was heard; 0: none, or this replica."""
        self._leader_heard_at = now
        """When a leader was heard last. A start counts: before it, this replica may have heard a
        leader, which relies on that for an election timeout."""
        self._canvass: Canvass | None = None
        self._nonce = nonce
        self._recalled = False
        """The storage is suspect, and all that it may lack is back: say so to it."""
        self._followed = now
        """When a front-end's word made it ask its peers last."""
        self._candidacy: Candidacy | None = None
        """What came of standing in `term`, if it did, while nobody leads in it."""
        self._ballot = Ballot()
        self.disk = DiskLatency(timing.election_timeout / 2)
        self._outbox = Outbox()

    @abstractmethod
    def _lead(self, now: float) -> None:
        """It has won: become the leader."""

    @abstractmethod
    def _step_down(self) -> None:
        """It leads no longer: become a follower."""

    @property
    def leads(self) -> bool:
        """Whether this replica leads, as far as it knows; `LeaderState.in_touch` says how sure
        that is."""
        return self.role is Role.LEADER

    @property
    def suspect(self) -> bool:
        """Whether it may have forgotten votes, or entries that it acknowledged. Until it has
        recalled them from all others it neither votes nor acknowledges (protocol, resync)."""
        return self.role is Role.SUSPECT

    def known_leader(self, now: float) -> int:
        """This replica if it leads, or the leader heard within the election timeout; 0: none."""
        if self.leads:
            return self.id
        return self._leader_id if self._guard(now) > 0 else 0

    def _become(self, role: Role) -> None:
        """Change the role. Raises `InvariantBroken` if `role.TRANSITIONS` lacks the change."""
        check_transition(self.role, role)
        self.role = role

    # Nominations.

    def campaign(self, ticket: Ticket, now: float) -> None:
        """Try to become the leader, on a front-end's word; a `CampaignReply` tells the end.

        Refused, before any term is raised, while a leader is heard (CheckQuorum's other half).
        The end is told within an election timeout, or that it is not there yet.
        """
        canvass = self._canvass
        outcome = self._cannot_lead(now)
        if outcome is None and canvass is not None and canvass.purpose is Purpose.CAMPAIGN:
            canvass.tickets.append((ticket, now))
            return
        outcome = outcome or self._must_wait(now)
        if outcome is None:
            self._begin_canvass(Purpose.CAMPAIGN, now, (ticket, now))
        else:
            self._tell([(ticket, now)], outcome)

    def _cannot_lead(self, now: float) -> Outcome | None:
        """Why this replica cannot campaign, or need not; None: it can."""
        if self.leads:
            return Won()
        if self._may_found():
            # All members are needed, so that a lower id could not lead any sooner.
            return Refused(self._timing.heartbeat)
        if self.suspect:
            return Refused(self._timing.election_timeout, _SUSPECT)
        if self.disk.hangs(now):
            return Refused(unable=_HANGS)
        return None

    def _must_wait(self, now: float) -> Outcome | None:
        """Why this replica must not begin a campaign now; None: it may."""
        canvass = self._canvass
        wait = self._reluctance(self.id, now)
        if wait > 0:
            leader = self.known_leader(now)
            return AnotherLeads(leader, wait) if leader else Refused(wait)
        if canvass is not None and canvass.catches_up(now - self._timing.election_timeout):
            return Refused(unable=_BEHIND)
        return None

    def _may_found(self) -> bool:
        """Whether this replica waits for the others of what may be a new cluster."""
        new = self.suspect and self._storage.fresh and self.term == 0
        return new and self._canvass is not None and not self._canvass.finds_a_cluster

    def follow(self, now: float) -> None:
        """A front-end says that some replica leads.

        It is a hint: a replica that hears no leader asks its peers what it missed. Only what
        they say raises a term or deposes a leader.
        """
        idle = self._canvass is None and self.role in (Role.SUSPECT, Role.FOLLOWER)
        pause = self._timing.election_timeout
        if idle and self._guard(now) <= 0 and now >= self._followed + pause:
            self._followed = now
            self._begin_canvass(Purpose.RESYNC, now)

    # Terms and votes.

    def _guard(self, now: float) -> float:
        """Seconds for which this replica votes for nobody, since it has heard a leader."""
        return max(0.0, self._leader_heard_at + self._timing.election_timeout - now)

    def _wait(self, now: float) -> float:
        """Seconds until it would vote, or could campaign; one election timeout, if that is not
        for time to tell."""
        never = self.suspect or self.leads
        return self._timing.election_timeout if never else self._guard(now)

    def _reluctance(self, candidate: int, now: float) -> float:
        """Seconds for which it does not encourage `candidate` to stand: while another that it
        voted for, or itself, may be about to win."""
        pause = self._timing.heartbeat
        waiting = 0.0 if candidate == self.vote else min(pause, self._ballot.wait(now))
        return max(self._wait(now), waiting, pause if self.role is Role.CANDIDATE else 0.0)

    def _adopt(self, term: int) -> None:
        """A higher term exists: follow (Raft figure 2, "All servers")."""
        self._stop_standing()
        if self.leads:
            self._step_down()
        self.term, self.vote, self._leader_id = term, 0, 0

    def _stop_standing(self) -> None:
        """There is a leader, or another term: the votes won in this one are void."""
        if self.role is Role.CANDIDATE:
            self._give_up_campaign()
        self._candidacy = None
        self._ballot.settled()

    def _give_up_campaign(self) -> None:
        """Another may have won: the front-ends that nominated this replica look again. The votes
        that it has are kept while the term lasts."""
        if self.role is Role.CANDIDATE:
            self._become(Role.FOLLOWER)
        if self._canvass is not None and self._canvass.purpose is Purpose.CAMPAIGN:
            leader = self._leader_id
            self._end_campaign(AnotherLeads(leader) if leader else Refused())

    def _on_vote(self, message: Vote, now: float, ticket: Ticket) -> None:
        granted = False
        if self._wait(now) <= 0 and message.term >= self.term and self._named_by(message):
            if message.term > self.term:
                self._adopt(message.term)
            mine = (self.log.last_term, self.log.last_index)
            if self.vote in (0, message.candidate):
                granted = (message.last_term, message.last_index) >= mine
        if granted:
            if self.vote == 0:
                self._ballot.given(now)
            self.vote = message.candidate
            self._give_up_campaign()
        reply = VoteReply(term=self.term, voter=self.id, granted=granted)
        self._outbox.say_after_write([Reply(ticket, reply)], now)

    def _named_by(self, message: Vote) -> bool:
        """Whether this replica is of the candidate's cluster, or joins it. While neither has an
        entry, the first of two names in the order of text is the cluster's."""
        if message.last_index == self.log.last_index == 0 and message.cluster:
            self.cluster = min(self.cluster or message.cluster, message.cluster)
            return self.cluster == message.cluster
        return True

    # Canvassing: before a campaign, and after a start.

    def _on_poll(self, message: Poll, now: float, ticket: Ticket) -> None:
        reply = PollReply(
            replica=self.id,
            term=self.term,
            last_index=self.log.last_index,
            last_term=self.log.last_term,
            leader=self.known_leader(now),
            wait=self._reluctance(message.replica, now),
            suspect=self.suspect,
            nonce=message.nonce,
            copied=self._storage.copied,
            cluster=self.cluster if self.log.last_index else self._storage.cluster,
            members=self._identity.members,
            last_digest=self.log.last_digest,
            disk_seconds=self.disk.seconds(now),
        )
        self._outbox.say([Reply(ticket, reply)])

    def _on_fetch(self, message: Fetch, ticket: Ticket) -> None:
        after, last = message.after, self.log.last_index
        fits = after <= last and self.log.digest_at(after) == message.digest
        entries: Sequence[Entry] = ()
        if fits:
            entries = self.log.entries(after, min(last, after + self._batch))
        reply = FetchReply(
            replica=self.id,
            term=self.term,
            after=after,
            fits=fits,
            entries=entries,
            last_index=last,
            last_term=self.log.last_term,
        )
        self._outbox.say([Reply(ticket, reply)])

    def _begin_canvass(self, purpose: Purpose, now: float, *tickets: tuple[Ticket, float]) -> None:
        self._canvass = Canvass(
            replica=self.id,
            peers=self._peers,
            purpose=purpose,
            nonce=self._nonce,
            now=now,
            patience=self._timing.heartbeat,
            catch_up=self._timing.election_timeout,
        )
        self._canvass.tickets += tickets
        self._nonce += 1
        self._consider_canvass(now)

    def _end_campaign(self, outcome: Outcome) -> None:
        """Tell the front-ends that nominated this replica how the campaign ended."""
        canvass, self._canvass = self._canvass, None
        if canvass is not None:
            self._tell(canvass.tickets, outcome)

    def _tell(self, tickets: Sequence[tuple[Ticket, float]], outcome: Outcome) -> None:
        reply = campaign_reply(outcome, self.id, self.term)
        self._outbox.say(Reply(ticket, reply) for ticket, _ in tickets)

    def _tell_nominators(self, now: float) -> None:
        """Those who have waited for an election timeout are told that it goes on."""
        canvass = self._canvass
        if canvass is not None and canvass.tickets:
            waited = now - self._timing.election_timeout
            told = [each for each in canvass.tickets if each[1] <= waited]
            canvass.tickets = [each for each in canvass.tickets if each[1] > waited]
            self._tell(told, Campaigning(self._timing.heartbeat))

    def _on_poll_reply(self, message: PollReply, now: float) -> None:
        if self._canvass is not None and self._canvass.nonce == message.nonce:
            self._canvass.answered(message, now)
            self._consider_canvass(now)

    def _consider_canvass(self, now: float) -> None:
        canvass = self._canvass
        if canvass is None or self.role is Role.CANDIDATE:
            return
        self._outbox.say(
            Request(peer, Poll(replica=self.id, nonce=canvass.nonce, to=peer))
            for peer in canvass.polls(now)
        )
        storage = self._storage
        verdict = canvass.verdict(self.log, self.term, storage.fresh, storage.copied, now)
        if isinstance(verdict, FetchFrom | GoAhead) and not self.log.last_index:
            self.cluster = canvass.name(self.cluster)
        match verdict:
            case FetchFrom(source):
                self._fetch(source, canvass.fetch_from(source, self.log))
            case GoAhead(term) if canvass.purpose is Purpose.CAMPAIGN:
                self._stand(canvass, term, now)
            case Behind():
                # It goes on fetching, so that it is up to date for its next nomination.
                canvass.purpose, canvass.late = Purpose.RESYNC, True
                self._tell(canvass.tickets, Refused(unable=_BEHIND))
                canvass.tickets = []
            case GoAhead(term):
                if self.suspect:
                    self._recalled = True
                    self._adopt(max(term, self.term))
                    # Whom it voted for in that term is what nobody can tell: for nobody else.
                    self.vote = self.id
                self._canvass = None
            case AnotherLeads() | Refused():
                self._end_campaign(verdict)
            case Hopeless(suspects):
                others = ", ".join(map(str, suspects)) or "none"
                raise Unusable(
                    f"{self._storage.suspect}; other replicas that may have forgotten what they "
                    f"acknowledged: {others}; there is nobody to recall it from"
                )

    def _on_fetch_reply(self, message: FetchReply, now: float) -> None:
        canvass = self._canvass
        if canvass is None or canvass.source != message.replica:
            return
        if message.term > self.term:
            self._adopt(message.term)
        canvass.moved = now
        fetch = canvass.fetched(message, self.log, self.commit)
        if fetch is None:
            self._consider_canvass(now)
        else:
            self._fetch(message.replica, fetch)

    def _fetch(self, source: int, fetch: Fetch) -> None:
        named = msgspec.structs.replace(fetch, cluster=self.cluster, to=source)
        self._outbox.say([Request(source, named)])

    # Standing.

    def _go_on_electing(self, now: float) -> None:
        """Time has passed."""
        candidacy = self._candidacy
        if candidacy is not None and self.role is Role.CANDIDATE:
            hangs = self.id not in candidacy.votes and self.disk.hangs(now)
            if hangs or candidacy.over(self.disk.recent, now):
                self._give_up_campaign()
        self._ask_for_votes(now)
        self._consider_canvass(now)
        self._tell_nominators(now)

    def _stand(self, canvass: Canvass, term: int, now: float) -> None:
        """Be a candidate: in the next term, or once more in this one if nothing has changed."""
        timeout = self._timing.election_timeout
        latest = self.disk.latest(now)
        if latest > timeout and canvass.others_elect(latest / 4):
            self._end_campaign(Refused(unable=f"a write to its disk takes {latest:.1f} s"))
            return
        # Before there is an entry, a name that is not on all disks needs the votes of all: each
        # puts it there. So there is but one when the first entry names it.
        self.cluster = self.cluster or self._names()
        named = self.log.last_index > 0 or (
            self._storage.cluster == self.cluster and canvass.all_named(self.cluster)
        )
        members = len(self._peers) + 1
        needed = majority(members) if named else members
        old = self._candidacy
        history = (self.cluster, self.log.last_digest)
        if old is None or (old.term, old.history) != (self.term, history) or term > self.term:
            self.term, self.vote, self._leader_id = max(term, self.term) + 1, self.id, 0
            self._ballot.settled()
            self._candidacy = Candidacy(self.id, self._peers, self.term, history)
        assert self._candidacy is not None
        self._become(Role.CANDIDATE)
        own_disk, voters_disk = self.disk.seconds(now), canvass.voters_disk
        self._candidacy.begin(timeout, own_disk, voters_disk, needed, now)
        self._ask_for_votes(now)
        self._count_votes(now)

    def _vote_on_disk(self, now: float) -> None:
        """The vote in this term is on disk, its own or that for another."""
        self._ballot.on_disk(now)
        if self._candidacy is not None:
            self._candidacy.votes.add(self.id)
            self._ask_for_votes(now)
            self._count_votes(now)

    def _ask_for_votes(self, now: float) -> None:
        if self._candidacy is not None and self.role is Role.CANDIDATE:
            self._outbox.say(Request(to, self._vote(to)) for to in self._candidacy.due(now))

    def _vote(self, to: int) -> Vote:
        log = self.log
        return Vote(
            term=self.term,
            candidate=self.id,
            last_index=log.last_index,
            last_term=log.last_term,
            cluster=self.cluster,
            to=to,
            last_digest=log.last_digest,
            members=self._identity.members,
        )

    def _not_voted(self, voter: int, term: int, now: float) -> None:
        if self._candidacy is not None and term == self.term:
            self._candidacy.not_voted(voter, now + self._timing.heartbeat)

    def _on_vote_reply(self, message: VoteReply, now: float) -> None:
        if message.term > self.term:
            self._adopt(message.term)
        elif self._candidacy is not None and message.term == self.term and message.granted:
            self._candidacy.votes.add(message.voter)
            self._count_votes(now)
        else:
            self._not_voted(message.voter, self.term, now)

    def _count_votes(self, now: float) -> None:
        if self.role is Role.CANDIDATE and self._candidacy is not None and self._candidacy.won:
            self._candidacy = None
            self._lead(now)
