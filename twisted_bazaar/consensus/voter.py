"""How a replica answers its peers: its votes, and what it tells those that poll it or fetch.

The part of `Replica` with the role, the term and the vote. Pure.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import msgspec

from twisted_bazaar.errors import Unusable
from twisted_bazaar.timing import Timing

from .candidacy import Ballot
from .disk_latency import DiskLatency
from .entries import Entry
from .identity import Identity
from .log import Log, Storage
from .membership import Membership, membership_of, removed
from .messages import (
    LEVEL,
    Declined,
    Fetch,
    FetchReply,
    Poll,
    PollReply,
    Reply,
    Ticket,
    Vote,
    VoteReply,
)
from .outbox import Outbox
from .role import Role, check_transition

__all__ = ["Voter"]


class Voter(ABC):
    """A replica's role, term, vote and log (Raft figure 2, "Persistent state")."""

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
        now: float,
    ) -> None:
        self.id = replica
        self._identity = Identity(replica, peers, join)
        self._join = join
        self._addresses = addresses
        self._timing = timing
        self._batch = batch
        """Entries that one message carries at most."""
        self._storage = storage
        self.log = Log(storage)
        self.cluster = storage.cluster
        """The cluster that this replica is of; empty: it knows none yet."""
        self.term = storage.term
        """The highest term that this replica has seen. Never decreases."""
        self.vote = storage.vote
        """The replica that this one voted for in `term`; 0: none. Changes once in a term."""
        # What a log begins after is released, though the owner may have to apply it anew.
        self.commit = max(applied, storage.beginning.index)
        """Entries up to here are committed, as far as this replica knows."""
        self.role = Role.FOLLOWER if storage.suspect is None else Role.SUSPECT
        """Changed by `_become` only."""
        self._leader_id = 0
        """The leader of `term`, once it was heard; 0: none, or this replica."""
        self._leader_heard_at = now
        """When a leader was heard last. A start counts: before it, this replica may have heard a
        leader, which relies on that for an election timeout."""
        self._ballot = Ballot()
        self.disk = DiskLatency(timing.election_timeout / 2)
        self._outbox = Outbox()

    @abstractmethod
    def _step_down(self) -> None:
        """Become a follower; this replica was the leader."""

    @abstractmethod
    def _give_up_campaign(self) -> None:
        """Stop to ask for votes, as another may win; become a follower, if a candidate."""

    @abstractmethod
    def _stop_standing(self) -> None:
        """There is a leader, or another term: the votes won in this one are void."""

    # The members.

    @property
    def membership(self) -> Membership:
        """Who the members are, as far as this replica knows."""
        return self._identity.membership(self.log)

    @property
    def membership_settled(self) -> bool:
        """Whether no change of the members is under way, as far as this replica knows."""
        membership = self.membership
        return not membership.before and membership.index <= self.commit

    @property
    def committed_membership(self) -> Membership:
        """Who the members are by what is known to be committed."""
        for index, event in reversed(self.log.memberships):
            if index <= self.commit:
                return membership_of(index, event)
        return self._identity.first

    @property
    def counts(self) -> bool:
        """Whether the word of this replica counts: it is a voter, and not joining."""
        return self.id in self.membership.counted

    @property
    def _was_member(self) -> bool:
        """Whether it ever was a member, as far as it knows: if not, it waits until it is."""
        return not self._join or self.log.has_named(self.id)

    def _check_member(self) -> None:
        """Raises `Unusable` if this replica was removed."""
        membership = self.membership
        if not membership.index or self.id in membership.ids or self.suspect or self.leads:
            return
        if self._was_member and membership.index <= self.commit:
            raise Unusable(removed(self.id, membership.index))

    @property
    def _peers(self) -> tuple[int, ...]:
        """The ids of the others that count."""
        return tuple(peer for peer in self.membership.counted if peer != self.id)

    # The role.

    @property
    def leads(self) -> bool:
        """Whether this replica leads, as far as it knows; `LeaderState.in_touch` says how sure
        that is."""
        return self.role is Role.LEADER

    @property
    def suspect(self) -> bool:
        """Whether it may have forgotten votes, or entries that it acknowledged. Until it has
        recalled them from all others it neither votes nor acknowledges."""
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

    def _adopt(self, term: int) -> None:
        """A higher term exists: follow (Raft figure 2, "All servers")."""
        self._stop_standing()
        if self.leads:
            self._step_down()
        self.term, self.vote, self._leader_id = term, 0, 0

    # Votes.

    def _guard(self, now: float) -> float:
        """Seconds for which this replica votes for no other, since it has heard a leader."""
        return max(0.0, self._leader_heard_at + self._timing.election_timeout - now)

    def _wait(self, now: float) -> float:
        """Seconds until it would vote, or could campaign; one election timeout, if that does not
        depend on time."""
        never = self.suspect or self.leads
        return self._timing.election_timeout if never else self._guard(now)

    def _reluctance(self, candidate: int, now: float) -> float:
        """Seconds for which it asks `candidate` not to stand (PreVote): until it would vote, and
        while itself, or another that it voted for, may be about to win."""
        pause = self._timing.heartbeat
        waiting = 0.0 if candidate == self.vote else min(pause, self._ballot.wait(now))
        return max(self._wait(now), waiting, pause if self.role is Role.CANDIDATE else 0.0)

    def _on_vote(self, message: Vote, now: float, ticket: Ticket) -> None:
        granted = False
        if self._wait(now) <= 0 and message.term >= self.term and self._named_by(message):
            if message.term > self.term:
                self._adopt(message.term)
            granted = self._grants(message)
        if granted:
            if self.vote == 0:
                self._ballot.given(now)
            self.vote = message.candidate
            self._give_up_campaign()
        reply = VoteReply(term=self.term, voter=self.id, granted=granted)
        self._outbox.say_after_write([Reply(ticket, reply)], now)

    def _grants(self, message: Vote) -> bool:
        """Whether it votes for a candidate of its own term (Raft figure 2, RequestVote): if it
        has voted for no other in that term, and the candidate's log is at least as up to date
        as its own (§5.4.1)."""
        own = (self.log.last_term, self.log.last_index)
        up_to_date = (message.last_term, message.last_index) >= own
        return up_to_date and self.vote in (0, message.candidate)

    def _named_by(self, message: Vote) -> bool:
        """Whether this replica is of the candidate's cluster, or joins it. While neither has an
        entry, the smaller of two names, as text, is the cluster's."""
        if message.last_index == self.log.last_index == 0 and message.cluster:
            self.cluster = min(self.cluster or message.cluster, message.cluster)
            return self.cluster == message.cluster
        return True

    # Polls and fetches.

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
            last_digest=self.log.last_digest,
            level=LEVEL,
            disk_seconds=self.disk.seconds(now),
        )
        named = self._identity.named(self.log)
        if named is not None:
            reply = msgspec.structs.replace(
                reply,
                members=named.voters,
                members_index=named.index,
                roster=named.located(self._addresses),
                before=named.before,
                settled=named.index > 0 and self.membership_settled,
            )
        self._outbox.say([Reply(ticket, reply)])

    def _on_fetch(self, message: Fetch, ticket: Ticket) -> None:
        after, last, begins = message.after, self.log.last_index, self.log.begins
        if after < begins and not message.snapshots:
            self._outbox.say([Reply(ticket, Declined(f"its log begins after entry {begins}"))])
            return
        fits = begins <= after <= last and self.log.digest_at(after) == message.digest
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
            begins=begins,
        )
        self._outbox.say([Reply(ticket, reply)])
