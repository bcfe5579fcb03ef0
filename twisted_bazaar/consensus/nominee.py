"""What a replica does to be elected: the part of `Replica` that asks its peers.

It canvasses them (`canvass.py`), catches up with the furthest, and stands for election
(`candidacy.py`). It stands only when a front-end nominates it (`campaign`), and never while a
leader is heard. It canvasses also when it starts, and to recall what it may have forgotten. Pure.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence

import msgspec

from twisted_bazaar.errors import Unusable
from twisted_bazaar.timing import Timing

from .beginning import Beginning
from .candidacy import Candidacy
from .canvass import Behind, Canvass, FetchFrom, GoAhead, Hopeless, Purpose, TakeSnapshot
from .log import Storage
from .membership import Membership, removed
from .messages import Fetch, FetchReply, Poll, PollReply, Reply, Request, Ticket, Vote, VoteReply
from .nomination import AnotherLeads, Campaigning, Outcome, Refused, Won, campaign_reply
from .role import Role
from .voter import Voter

__all__ = ["Nominee"]

_ALONE_TIMEOUTS = 10
"""How many election timeouts a follower hears no leader before it asks its peers by itself."""
_BEHIND = "it is catching up"
_HANGS = "its disk does not finish a write"
_COUNTS_NOT = "it is joining, or was removed: it does not count"
_SUSPECT = "it is suspect: it may have forgotten what it acknowledged"


class Nominee(Voter):
    """A replica that may be nominated, catch up, stand and win."""

    def __init__(
        self,
        *,
        replica: int,
        peers: Sequence[int],
        addresses: Mapping[int, str],
        join: bool,
        storage: Storage,
        applied: int,
        timing: Timing,
        batch: int,
        nonce: int,
        names: Callable[[], str],
        now: float,
    ) -> None:
        super().__init__(
            replica=replica,
            peers=peers,
            addresses=addresses,
            join=join,
            storage=storage,
            applied=applied,
            timing=timing,
            batch=batch,
            now=now,
        )
        self._names = names
        self._nonce = nonce
        """The nonce of the next canvass."""
        self._canvass: Canvass | None = None
        self._recalled = False
        """The storage is suspect, and all that it may lack is back: say so to it."""
        self._followed_at = now
        """When a front-end's word made it ask its peers last."""
        self._candidacy: Candidacy | None = None
        """The votes won in `term`, if it has stood in it and no leader was heard. Always there
        while it is a candidate."""
        self.snapshot_from = 0
        """The replica that this one is to take a snapshot of, as it lacks entries that are in no
        log in reach; 0: none. The owner begins, and goes on whatever this says then."""
        self.elections_started = 0
        """How often it became a candidate, in this life."""
        self._levels: dict[int, int] = {}
        """By peer: what it understands, as far as it has answered a poll in this life."""

    @abstractmethod
    def _lead(self, now: float) -> None:
        """Become the leader; this replica, a candidate, has won."""

    # Nominations.

    def campaign(self, ticket: Ticket, now: float) -> None:
        """A front-end nominates this replica: try to become the leader.

        Refused while a leader is heard, before any term is raised (the other half of
        CheckQuorum, Ongaro 2014 §6.4). A `CampaignReply` says within an election timeout how
        the campaign ended, or that it goes on.
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
            # The votes of all members are needed: a lower id could not lead any sooner.
            return Refused(self._timing.heartbeat)
        if self.disk.hangs(now):
            return Refused(unable=_HANGS)
        if self.suspect and self._recalled:
            # It is trusted again as soon as that is on its disk.
            return Refused(self._timing.heartbeat)
        if self.suspect:
            return Refused(self._timing.election_timeout, _SUSPECT)
        if not self.counts:
            return Refused(self._timing.election_timeout, _COUNTS_NOT)
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
        """Whether this replica is new, and so are all others that have answered it."""
        new = self.suspect and self._storage.fresh and self.term == 0 and not self._join
        return new and self._canvass is not None and not self._canvass.finds_a_cluster

    @property
    def _name_is_old(self) -> bool:
        """Whether the cluster may have got another name than this replica knows: its folder was
        copied before there was an entry, which makes the name final."""
        return self._storage.copied and not self.log.last_index

    def follow(self, now: float) -> None:
        """A front-end says that some replica leads.

        It is a hint: a replica that hears no leader asks its peers what it missed. Only what
        they say raises a term or deposes a leader.
        """
        idle = self._canvass is None and self.role in (Role.SUSPECT, Role.FOLLOWER)
        pause = self._timing.election_timeout
        if idle and self._guard(now) <= 0 and now >= self._followed_at + pause:
            self._followed_at = now
            self._begin_canvass(Purpose.RESYNC, now)

    def _tell_nominators(self, now: float) -> None:
        """Front-ends that have waited for an election timeout are told that it goes on."""
        canvass = self._canvass
        if canvass is not None and canvass.tickets:
            waited = now - self._timing.election_timeout
            told = [each for each in canvass.tickets if each[1] <= waited]
            canvass.tickets = [each for each in canvass.tickets if each[1] > waited]
            self._tell(told, Campaigning(self._timing.heartbeat))

    # Canvassing.

    def _begin_canvass(self, purpose: Purpose, now: float, *tickets: tuple[Ticket, float]) -> None:
        """Replaces a canvass that is under way."""
        self._canvass = Canvass(
            replica=self.id,
            membership=self.membership,
            purpose=purpose,
            nonce=self._nonce,
            now=now,
            poll_seconds=self._timing.heartbeat,
            catch_up_seconds=self._timing.election_timeout,
        )
        self._canvass.tickets += tickets
        self._nonce += 1
        self._consider_canvass(now)

    def _end_campaign(self, outcome: Outcome) -> None:
        """End the canvass, and tell the front-ends that nominated this replica."""
        canvass, self._canvass = self._canvass, None
        if canvass is not None:
            self._tell(canvass.tickets, outcome)

    def _tell(self, tickets: Sequence[tuple[Ticket, float]], outcome: Outcome) -> None:
        reply = campaign_reply(outcome, self.id, self.term)
        self._outbox.say(Reply(ticket, reply) for ticket, _ in tickets)

    def _ask_also(self, peer: int, now: float) -> None:
        """`peer` has sent a request. While this replica is suspect, it asks it, too."""
        if self.suspect and self._canvass is not None and self._canvass.ask_also(peer, now):
            self._consider_canvass(now)

    def _on_poll_reply(self, message: PollReply, now: float) -> None:
        """Raises `Unusable` if this replica is a member no longer."""
        self._levels[message.replica] = message.level
        self._check_removed(message)
        if self._canvass is not None and self._canvass.nonce == message.nonce:
            self._canvass.answered(message, now)
            self._consider_canvass(now)

    def _ask_levels(self, peers: Sequence[int]) -> None:
        """Poll `peers`, outside any canvass."""
        nonce, self._nonce = self._nonce, self._nonce + 1
        self._outbox.say(
            Request(peer, Poll(replica=self.id, nonce=nonce, to=peer)) for peer in peers
        )

    def _check_removed(self, message: PollReply) -> None:
        if not message.settled or message.members_index < self.membership.index:
            return
        if self._was_member and all(member.id != self.id for member in message.roster):
            raise Unusable(removed(self.id, message.members_index))

    def _may_ask_now(self, canvass: Canvass, now: float) -> bool:
        """Settle whom `canvass` asks, as far as is known. Returns whether its answers matter yet:
        a replica that is to join waits until it is a member."""
        membership: Membership | None = self.membership
        if canvass.purpose is Purpose.RECALL:
            named = self._identity.named(self.log)
            membership = canvass.furthest_membership(self.log, named)
        canvass.among(membership or self.membership, now)
        if self._join and canvass.purpose is Purpose.RECALL:
            begun = self.log.last_index > 0 or canvass.finds_a_log
            return begun and membership is not None and self.id in membership.ids
        return True

    def _consider_canvass(self, now: float) -> None:
        """Poll those that are due, and do what the answers amount to. Raises `Unusable`."""
        canvass = self._canvass
        if canvass is None or self.role is Role.CANDIDATE:
            return
        matters = self._may_ask_now(canvass, now)
        self._outbox.say(
            Request(peer, Poll(replica=self.id, nonce=canvass.nonce, to=peer))
            for peer in canvass.polls(now)
        )
        if not matters:
            return
        storage = self._storage
        verdict = canvass.verdict(self.log, self.term, storage.fresh, storage.copied, now)
        if isinstance(verdict, FetchFrom | GoAhead) and not self.log.last_index:
            name = "" if self._name_is_old else self.cluster
            self.cluster = canvass.name(name) or self.cluster
        match verdict:
            case FetchFrom(source):
                self._fetch(source, canvass.fetch_from(source, self.log))
            case GoAhead(term) if canvass.purpose is Purpose.CAMPAIGN:
                self._stand(canvass, term, now)
            case Behind():
                # Goes on fetching, so as to be up to date for the next nomination.
                canvass.purpose, canvass.late = Purpose.RESYNC, True
                self._tell(canvass.tickets, Refused(unable=_BEHIND))
                canvass.tickets = []
            case GoAhead(term):
                if self.suspect:
                    self._recalled = True
                    self._adopt(max(term, self.term))
                    # It may have voted in that term, and no replica can say for which: it votes
                    # for no other.
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
        canvass.moved_at = now
        fetch = canvass.fetched(message, self.log, self.commit)
        if fetch is None:
            self._consider_canvass(now)
        elif isinstance(fetch, TakeSnapshot):
            self.snapshot_from = message.replica
        else:
            self._fetch(message.replica, fetch)

    # Snapshots.

    def snapshot_moves(self, source: int, now: float) -> None:
        """A part of the snapshot of replica `source` has come."""
        if self._canvass is not None and self._canvass.source == source:
            self._canvass.moved_at = now

    def snapshot_lost(self, source: int, now: float) -> None:
        """The snapshot of replica `source` did not come, or is not good."""
        if self.snapshot_from == source:
            # Otherwise another one is wanted by now, and is yet to be taken.
            self.snapshot_from = 0
        if self._canvass is not None and self._canvass.source == source:
            self._canvass.lost(source, now)
            self._consider_canvass(now)

    def may_begin_after(self, beginning: Beginning) -> bool:
        """Whether this replica may drop its whole log for one that begins at `beginning`, which a
        member has released. If so, the owner ends this life of the replica at once, without letting
        it answer anything more, replaces log and state on the disk, and begins another.

        It must not if its own log has that entry: what comes after it there may be acknowledged.
        Otherwise what of its own log is committed is before `beginning`, and in the snapshot.
        """
        if self.leads or beginning.index <= self.commit:
            return False
        if not self._name_is_old and self.cluster not in ("", beginning.cluster):
            return False
        log = self.log
        has_it = beginning.index <= log.last_index
        return not has_it or log.digest_at(beginning.index) != beginning.digest

    def _fetch(self, source: int, fetch: Fetch) -> None:
        named = msgspec.structs.replace(fetch, cluster=self.cluster, to=source)
        self._outbox.say([Request(source, named)])

    # Standing.

    def _stop_standing(self) -> None:
        if self.role is Role.CANDIDATE:
            self._give_up_campaign()
        self._candidacy = None
        self._ballot.settled()

    def _give_up_campaign(self) -> None:
        # Its front-ends look for a leader again. Its votes are kept while the term lasts.
        if self.role is Role.CANDIDATE:
            self._become(Role.FOLLOWER)
        if self._canvass is not None and self._canvass.purpose is Purpose.CAMPAIGN:
            leader = self._leader_id
            self._end_campaign(AnotherLeads(leader) if leader else Refused())

    def _tick_election(self, now: float) -> None:
        """Time has passed."""
        candidacy = self._candidacy
        if candidacy is not None and self.role is Role.CANDIDATE:
            hangs = self.id not in candidacy.votes and self.disk.hangs(now)
            if hangs or candidacy.over(self.disk.recent, now):
                self._give_up_campaign()
        self._ask_for_votes(now)
        self._consider_canvass(now)
        self._tell_nominators(now)
        self._ask_if_alone(now)

    def _ask_if_alone(self, now: float) -> None:
        """A follower that has heard no leader for long may have been removed, unheard, and no
        front-end may know it: it asks by itself."""
        if self.membership.index and self._guard(now) <= 0:
            alone = now - max(self._leader_heard_at, self._followed_at)
            if alone > _ALONE_TIMEOUTS * self._timing.election_timeout:
                self.follow(now)

    def _stand(self, canvass: Canvass, term: int, now: float) -> None:
        """Be a candidate: in the next term, or once more in this one if nothing has changed and
        no peer has refused.

        `term` is the highest that any replica has named.
        """
        if not self.counts:
            self._end_campaign(Refused(self._timing.election_timeout, _COUNTS_NOT))
            return
        timeout = self._timing.election_timeout
        latest = self.disk.latest(now)
        if latest > timeout and canvass.others_elect(latest / 4):
            self._end_campaign(Refused(unable=f"a write to its disk takes {latest:.1f} s"))
            return
        # Before there is an entry, a name that is not on all disks needs the votes of all, which
        # put it there. So the cluster has one name when the first entry records it.
        self.cluster = self.cluster or self._names()
        named = self.log.last_index > 0 or (
            self._storage.cluster == self.cluster and canvass.all_named(self.cluster)
        )
        membership = self.membership
        suffice = membership.elects if named else set(membership.counted).issubset
        candidacy = self._candidacy
        stood = (self.term, (self.cluster, self.log.last_digest))
        if (
            candidacy is None
            or (candidacy.term, candidacy.history) != stood
            or candidacy.is_contested
            or term > self.term
        ):
            self.term, self.vote, self._leader_id = max(term, self.term) + 1, self.id, 0
            self._ballot.settled()
            candidacy = Candidacy(self.id, self._peers, self.term, stood[1])
            self._candidacy = candidacy
        self._become(Role.CANDIDATE)
        self.elections_started += 1
        own_disk, voters_disk = self.disk.seconds(now), canvass.voters_disk
        candidacy.begin(timeout, own_disk, voters_disk, suffice, now)
        self._ask_for_votes(now)
        self._count_votes(now)

    def _vote_on_disk(self, now: float) -> None:
        """This replica's vote in this term is on disk, for itself or for another."""
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
            members=self.membership.voters,
            members_index=self.membership.index,
        )

    def _not_voted(self, voter: int, term: int, now: float) -> None:
        if self._candidacy is not None and term == self.term:
            self._candidacy.not_voted(voter, now + self._timing.heartbeat)

    def _on_vote_reply(self, message: VoteReply, now: float) -> None:
        candidacy = self._candidacy
        if message.term > self.term:
            self._adopt(message.term)
        elif candidacy is None:
            return
        elif message.term < self.term:
            # It has not taken up the term: it hears a leader, or waits for another candidate.
            candidacy.not_voted(message.voter, now + self._timing.heartbeat)
        elif message.granted:
            candidacy.granted(message.voter)
            self._count_votes(now)
        else:
            candidacy.refused(message.voter, now + self._timing.heartbeat)

    def _count_votes(self, now: float) -> None:
        if self.role is Role.CANDIDATE and self._candidacy is not None and self._candidacy.won:
            self._candidacy = None
            self._lead(now)
