"""What a replica keeps while it leads: how far its peers are, and what is committed. Pure.

What it knows of the catalogs is in `learners`. The rules are those of Raft figure 2, "Leaders".
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from twisted_bazaar.errors import InvariantBroken, MembersRefused
from twisted_bazaar.leases import kept
from twisted_bazaar.timing import Timing

from .entries import Members
from .lag import ProposalTimes
from .learners import Learners
from .log import Log
from .membership import Membership, membership_of, promoted, settled
from .messages import Append, AppendReply, FollowerLag, MarketSnapshot, Message, Request
from .progress import Progress, majority, reached_by_majority

__all__ = ["MAX_BATCH_ENTRIES", "LeaderState", "longest_lease"]

MAX_BATCH_ENTRIES = 1024
"""Entries that one message carries at most: about 200 KB of records."""


def longest_lease(log: Log, timing: Timing) -> float:
    """Seconds of the longest lease that a leader of this log can have granted, or may grant.

    Options may differ from leader to leader. Each records its lease in its `opened` entry, which
    is committed before it grants any.
    """
    return max([timing.lease, *(opened.lease for opened in log.openings)])


class LeaderState:
    """State of one leadership, from the election until the leader steps down. Times are seconds
    on the leader's clock."""

    def __init__(
        self,
        *,
        replica: int,
        term: int,
        cluster: str,
        log: Log,
        membership: Membership,
        learners: Iterable[str],
        timing: Timing,
        batch: int,
        now: float,
        lag: float = 0.0,
        market: Callable[[], MarketSnapshot] | None = None,
    ) -> None:
        """`market`: see `Replica`. Peers without which there is a majority are told what is new
        `lag` seconds later, with what has come up by then; 0: at once."""
        self._replica = replica
        self._term = term
        self._cluster = cluster
        self._log = log
        self._timing = timing
        self._batch = batch
        self._lag = lag
        self.opened = log.last_index + 1
        """Index of this leadership's first entry. Once it is committed, so is all before it."""
        self.round = 0
        """The last round of heartbeats that was begun (`Replica.confirm`)."""
        self.wake_at: float | None = None
        """When `requests` may have something to send though nothing has come in; None: not before
        the next tick."""
        self._confirmed = 0
        last = log.last_index
        self._proposal_times = ProposalTimes(last, now)
        self._peers: dict[int, Progress] = {}
        """All that are sent the log: the other members, and those that were just removed."""
        self._voters: list[Progress | None] = []
        """Of each voter; None: this replica."""
        self._other_voters: list[tuple[int, Progress]] = []
        self._needed = 0
        """How many of them make a majority, with this replica if it counts."""
        self._voters_before: list[Progress | None] = []
        """The same of the voters before the change that is under way; empty: none is."""
        self._rounds: dict[int, tuple[int, float]] = {}
        """By joining member: the end of the round in which it is sent what there was, and when
        that began (Ongaro 2014 §4.2.1)."""
        self._left_since: float | None = None
        """Since when the last change of the members has been done; None: one is under way."""
        self.take_membership(membership, now)
        self.learners = Learners(
            term=term,
            cluster=cluster,
            log=log,
            names=learners,
            timing=timing,
            batch=batch,
            now=now,
            longest_lease=longest_lease(log, timing),
            catalogs_before={name for opened in log.openings for name in opened.catalogs},
            surely_leads=self._surely_leads,
            snapshot=market,
        )
        """The catalogs."""

    @property
    def peers(self) -> Collection[int]:
        """The ids of all that are sent the log."""
        return self._peers.keys()

    def take_membership(self, membership: Membership, now: float) -> None:
        """From now on, these are the members. Those that were are sent the log until
        `forget_removed` drops them."""
        self.membership = membership
        last = self._log.last_index
        for peer in membership.ids:
            if peer != self._replica and peer not in self._peers:
                self._peers[peer] = Progress(last, now)
        self._voters = self._progress_of(membership.voters)
        self._other_voters = [
            (voter, self._peers[voter]) for voter in membership.voters if voter != self._replica
        ]
        self._needed = majority(len(self._voters)) - (None in self._voters)
        self._voters_before = self._progress_of(membership.before)
        self._rounds = {peer: self._rounds.get(peer, (last, now)) for peer in membership.joining}
        self._left_since = None

    def _progress_of(self, voters: Iterable[int]) -> list[Progress | None]:
        return [None if voter == self._replica else self._peers[voter] for voter in voters]

    def next_members(self, commit: int, now: float) -> Members | None:
        """The entry about the members that this leader owes: it ends a change, or lets a member
        that has caught up count. None: there is none now."""
        membership = self.membership
        if commit < max(membership.index, self.opened):
            return None
        if membership.before:
            return settled(membership)
        for peer, (end, began) in self._rounds.items():
            if self._peers[peer].match < end:
                continue
            if now - began <= self._timing.election_timeout:
                after = promoted(membership, peer)
                return after if self._answer_enough(after, now) else None
            self._rounds[peer] = self._log.last_index, now
        return None

    def check_change(
        self, after: Members, commit: int, levels: Mapping[int, int], now: float
    ) -> None:
        """Raises `MembersRefused` if this leader must not propose `after` now: the change before
        is not done, or too few would answer, or one that answers does not understand it. `levels`
        says what each understands that has said so."""
        if commit < self.opened:
            raise MembersRefused("this leader does not know yet what is committed")
        if commit < self.membership.index:
            raise MembersRefused("another change of the members is under way")
        if not self._answer_enough(after, now):
            silent = ", ".join(map(str, sorted(self._silent(after, now))))
            raise MembersRefused(f"too few would be left: of these, {silent} do not answer")
        early = [
            peer
            for peer in self.membership.ids
            if peer in levels and levels[peer] < 2 and peer in {m.id for m in after.members}
        ]
        if early:
            raise MembersRefused(f"replica {early[0]} is of an earlier release")

    def unknown_levels(self, levels: Mapping[int, int], now: float) -> list[int]:
        """The members that answer and have not said what they understand."""
        return [
            peer
            for peer in self.membership.ids
            if peer != self._replica
            and peer not in levels
            and self._answers(self._peers[peer], now)
        ]

    def _answer_enough(self, after: Members, now: float) -> bool:
        """Whether those that answer have the majorities that decide while `after` is in force."""
        members = membership_of(0, after)
        return members.elects(set(members.counted) - self._silent(after, now))

    def _silent(self, after: Members, now: float) -> set[int]:
        counted = set(membership_of(0, after).counted) - {self._replica}
        return {
            peer
            for peer in counted
            if peer not in self._peers or not self._answers(self._peers[peer], now)
        }

    def _answers(self, progress: Progress, now: float) -> bool:
        return progress.match > 0 and now - progress.heard_at <= self._timing.election_timeout

    def forget_removed(self, commit: int, now: float) -> bool:
        """Once the last change has been done for as long as all who answer need to hear it, those
        that were removed are sent nothing more. Returns whether this replica is one of them."""
        membership = self.membership
        if commit < membership.index or membership.before:
            return False
        if self._left_since is None:
            self._left_since = now
        if now - self._left_since < self._timing.election_timeout:
            return False
        for peer in self._peers.keys() - set(membership.ids):
            del self._peers[peer]
        return self._replica not in membership.ids

    def requests(self, now: float, commit: int, released: int) -> Sequence[Message]:
        """The requests to send now, to peers and learners. What is proposed goes to the catalog
        first: its way is the longest. Sets `wake_at`."""
        requests: list[Message] = []
        self.learners.requests(requests, now, commit, released)
        self.wake_at = self.learners.wake_at
        last, heartbeat = self._log.last_index, self._timing.heartbeat
        self._proposal_times.reached(last, now)
        at_once: Collection[int] | None = None
        begins = self._log.begins
        for peer, progress in self._peers.items():
            # One that needs a snapshot is sent no entries before it has taken that.
            news = last if progress.next > begins else 0
            if not progress.due(now, news, self.round, heartbeat):
                continue
            if at_once is None:
                at_once = self._told_at_once(now)
            lag = 0.0 if peer in at_once else self._lag
            if lag and not progress.due(now, news, self.round, heartbeat, lag=lag):
                self._wake_for(progress, lag)
                continue
            progress.sending(now, self.round)
            requests.append(Request(peer, self._append(peer, progress, commit, released, now)))
        return requests

    def _wake_for(self, progress: Progress, lag: float) -> None:
        """Something new is not told to `progress` yet, but `lag` seconds after it came up."""
        if progress.news_since is not None:
            at = progress.news_since + lag
            self.wake_at = at if self.wake_at is None else min(at, self.wake_at)

    def _told_at_once(self, now: float) -> Collection[int]:
        """The peers that are told at once what is new: as many as a majority needs, those that
        are furthest; all, if too few answer."""
        if not self._lag:
            return self._peers.keys()
        if self._voters_before:
            return self._peers.keys()
        answering = [
            (-progress.match, peer)
            for peer, progress in self._other_voters
            if progress.answers(now, self._lag)
        ]
        needed = self._needed
        if len(answering) < needed:
            return self._peers.keys()
        answering.sort()
        return [peer for _, peer in answering[:needed]]

    def _append(
        self, peer: int, progress: Progress, commit: int, released: int, now: float
    ) -> Append:
        begins = self._log.begins
        lacks = progress.next <= begins
        previous = begins if lacks else progress.next - 1
        upto = previous if lacks else min(self._log.last_index, previous + self._batch)
        return Append(
            term=self._term,
            leader=self._replica,
            previous_index=previous,
            previous_term=self._log.term_at(previous),
            entries=self._log.entries(previous, upto),
            commit=commit,
            released=released,
            round=self.round,
            sent=now,
            cluster=self._cluster,
            to=peer,
            previous_digest=self._log.digest_at(previous),
            begins=begins if lacks else 0,
        )

    def append_answered(self, reply: AppendReply) -> None:
        """Take in a follower's answer to an append of this term."""
        progress = self._peers.get(reply.follower)
        if progress is None:
            return  # It was removed.
        progress.answered(reply.sent, reply.round)
        if not reply.fits:
            progress.back_up(reply.index)
            return
        if reply.index > self._log.last_index:
            raise InvariantBroken(f"replica {reply.follower} acknowledges entry {reply.index}")
        progress.matched(reply.index)
        progress.took(min(reply.taken, self._log.last_index))

    def _surely_leads(self, now: float) -> bool:
        """Whether no other leader can have been elected by now: a majority refuses its votes."""
        return now < self._heard_at(now) + kept(self._timing.election_timeout)

    def unreachable(self, peer: int, sent: float, now: float) -> None:
        """The request sent to `peer` at `sent` got no answer."""
        if (progress := self._peers.get(peer)) is not None:
            progress.lost(sent, now + self._timing.heartbeat)

    def committed(self, commit: int) -> int:
        """The commit index; it was `commit`. The entry there is on the disks of a majority, and
        of this term. While the voters change, of both majorities."""
        if self._log.last_index == commit:
            return commit
        own = self._log.durable
        index = reached_by_majority([own if one is None else one.match for one in self._voters])
        if self._voters_before:
            before = [own if one is None else one.match for one in self._voters_before]
            index = min(index, reached_by_majority(before))
        # An entry of an earlier term is committed by one of this term only (Raft §5.4.2).
        return index if index > commit and index >= self.opened else commit

    def follower_lags(self, now: float) -> Sequence[FollowerLag]:
        """How far each follower is behind this log."""
        last, times = self._log.last_index, self._proposal_times
        behind = {peer: progress.acknowledged for peer, progress in self._peers.items()}
        times.forget(min(behind.values(), default=last))
        return [
            FollowerLag(
                replica=peer,
                entries=max(0, last - index),
                seconds=max(0.0, now - times.proposed_at(index + 1)) if index < last else 0.0,
            )
            for peer, index in behind.items()
        ]

    @property
    def confirmed(self) -> int:
        """The last round of heartbeats that a majority has answered."""
        if self._confirmed < self.round:
            own = self.round
            self._confirmed = reached_by_majority(
                [own if one is None else one.round for one in self._voters]
            )
            if self._voters_before:
                before = [own if one is None else one.round for one in self._voters_before]
                self._confirmed = min(self._confirmed, reached_by_majority(before))
        return self._confirmed

    def in_touch(self, now: float) -> bool:
        """Whether a majority answered requests that were sent within the election timeout."""
        return now - self._heard_at(now) <= self._timing.election_timeout

    def _heard_at(self, now: float) -> float:
        """When the last requests were sent that a majority answered."""
        heard = reached_by_majority([now if one is None else one.heard_at for one in self._voters])
        if self._voters_before:
            before = [now if one is None else one.heard_at for one in self._voters_before]
            heard = min(heard, reached_by_majority(before))
        return heard
