"""What a replica keeps while it leads: how far its peers are, and what is committed. Pure.

What it knows of the catalogs is in `learners`. The rules are those of Raft figure 2, "Leaders".
"""

from collections.abc import Collection, Iterable, Sequence

from twisted_bazaar.errors import InvariantBroken
from twisted_bazaar.leases import kept
from twisted_bazaar.timing import Timing

from .lag import ProposalTimes
from .learners import Learners
from .log import Log
from .messages import Append, AppendReply, FollowerLag, Message, Request
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
        peers: Iterable[int],
        learners: Iterable[str],
        timing: Timing,
        batch: int,
        now: float,
        lag: float = 0.0,
    ) -> None:
        """Peers without which there is a majority are told what is new `lag` seconds later, with
        what has come up by then; 0: at once."""
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
        self._peers = {peer: Progress(last, now) for peer in peers}
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
        )
        """The catalogs."""

    def requests(self, now: float, commit: int, released: int) -> Sequence[Message]:
        """The requests to send now, to peers and learners. What is proposed goes to the catalog
        first: its way is the longest. Sets `wake_at`."""
        requests: list[Message] = []
        self.learners.requests(requests, now, commit, released)
        self.wake_at = self.learners.wake_at
        last, heartbeat = self._log.last_index, self._timing.heartbeat
        self._proposal_times.reached(last, now)
        at_once: Collection[int] | None = None
        for peer, progress in self._peers.items():
            if not progress.due(now, last, self.round, heartbeat):
                continue
            if at_once is None:
                at_once = self._told_at_once(now)
            lag = 0.0 if peer in at_once else self._lag
            if lag and not progress.due(now, last, self.round, heartbeat, lag=lag):
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
        answering = [
            (-progress.match, peer)
            for peer, progress in self._peers.items()
            if progress.answers(now, self._lag)
        ]
        needed = majority(len(self._peers) + 1) - 1
        if len(answering) < needed:
            return self._peers.keys()
        answering.sort()
        return [peer for _, peer in answering[:needed]]

    def _append(
        self, peer: int, progress: Progress, commit: int, released: int, now: float
    ) -> Append:
        previous = progress.next - 1
        upto = min(self._log.last_index, previous + self._batch)
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
        )

    def append_answered(self, reply: AppendReply) -> None:
        """Take in a follower's answer to an append of this term."""
        progress = self._peers[reply.follower]
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
        self._peers[peer].lost(sent, now + self._timing.heartbeat)

    def committed(self, commit: int) -> int:
        """The commit index; it was `commit`. The entry there is on the disks of a majority, and
        of this term."""
        if self._log.last_index == commit:
            return commit
        index = reached_by_majority(
            [self._log.durable, *[progress.match for progress in self._peers.values()]]
        )
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
            self._confirmed = reached_by_majority(
                [self.round, *[progress.round for progress in self._peers.values()]]
            )
        return self._confirmed

    def in_touch(self, now: float) -> bool:
        """Whether a majority answered requests that were sent within the election timeout."""
        return now - self._heard_at(now) <= self._timing.election_timeout

    def _heard_at(self, now: float) -> float:
        """When the last requests were sent that a majority answered."""
        return reached_by_majority([now, *[progress.heard_at for progress in self._peers.values()]])
