"""Asking around: who is furthest, would they vote, and what did this replica miss.

A replica canvasses its peers

- when it starts, to fetch what it missed;
- when it is asked to campaign: to fetch what it lacks, so that the highest id can win, and to
  raise its term only if a majority would vote (PreVote, Ongaro 2014 §9.6);
- when its storage is suspect, to recall what it may have forgotten.

This keeps the answers, says what they amount to, and what to fetch next; `Nominee` sends
the messages. Pure.
"""

from collections.abc import Iterable
from enum import Enum

import msgspec

from .log import Log
from .messages import Fetch, FetchReply, PollReply, Ticket
from .nomination import AnotherLeads, Refused
from .progress import majority

__all__ = ["Behind", "Canvass", "FetchFrom", "GoAhead", "Hopeless", "Purpose"]


class Purpose(Enum):
    """What a canvass is for."""

    RESYNC = "resync"
    CAMPAIGN = "campaign"
    RECALL = "recall"


class FetchFrom(msgspec.Struct, frozen=True):
    """Catch up with this replica: it is the furthest of those that answered."""

    source: int


class GoAhead(msgspec.Struct, frozen=True):
    """Nobody who answered is further; in a campaign, a majority would vote."""

    term: int
    """The highest term that anyone named."""


class Behind(msgspec.Struct, frozen=True):
    """A campaign must not wait any longer for what this replica lacks; it goes on fetching."""


class Hopeless(msgspec.Struct, frozen=True):
    """Others may have forgotten as much as this replica: together they cannot be sure."""

    suspects: tuple[int, ...]


Verdict = FetchFrom | GoAhead | AnotherLeads | Refused | Behind | Hopeless | None


class Canvass:
    """One round of questions, from the first poll to the last fetch."""

    def __init__(
        self,
        *,
        replica: int,
        peers: Iterable[int],
        purpose: Purpose,
        nonce: int,
        now: float,
        patience: float,
        catch_up: float,
    ) -> None:
        """`patience`: seconds for which those that do not answer are waited for; `catch_up`:
        seconds after which a campaign is given up for what is still to be fetched."""
        self.purpose = purpose
        self.nonce = nonce
        self.tickets: list[tuple[Ticket, float]] = []
        """Those who asked this replica to campaign, to be told how it ended, and when."""
        self.late = False
        """It was for a campaign, and took too long."""
        self.moved = now
        """When it began, or fetched something last."""
        self._replica = replica
        self._silent = set(peers)
        self._members = len(self._silent) + 1
        self._answers: dict[int, PollReply] = {}
        self._patience = patience
        self._patient_until = now + patience
        self._catch_up_until = now + catch_up
        self._ask_at = dict.fromkeys(self._silent, now)
        self._suspects_since: float | None = None
        self.source: int | None = None
        """The replica that is being fetched from."""
        self._step_back = 1
        self._needed = self._members
        """How many votes a campaign needs."""

    # Polling.

    def polls(self, now: float) -> list[int]:
        """Whom to poll now. Whoever is to recall asks until all have answered for certain."""
        due = [peer for peer, at in self._ask_at.items() if at <= now]
        for peer in due:
            del self._ask_at[peer]
        return due

    def answered(self, reply: PollReply, now: float) -> None:
        """A peer answered."""
        self._silent.discard(reply.replica)
        self._answers[reply.replica] = reply
        if reply.suspect:
            self._ask_again(reply.replica, now)

    def lost(self, peer: int, now: float) -> None:
        """A peer cannot be reached, or can no longer."""
        self._answers.pop(peer, None)
        if self.source == peer:
            self.source = None
        self._silent.discard(peer)
        self._ask_again(peer, now)

    def _ask_again(self, peer: int, now: float) -> None:
        if self.purpose is Purpose.RECALL:
            self._ask_at[peer] = now + self._patience
            if peer not in self._answers:
                self._silent.add(peer)

    def name(self, cluster: str) -> str:
        """The cluster to be of, for a replica that is of `cluster` (empty: of none yet): the
        first, in the order of text, that it or any of those who answered names.

        Where there is no entry yet, several candidates may have named the cluster.
        """
        named = {cluster, *(reply.cluster for reply in self._answers.values())}
        return min(named - {""}, default="")

    @property
    def finds_a_cluster(self) -> bool:
        """Whether somebody who answered has had a term, or a name of the cluster: it is not new."""
        return any(reply.term > 0 or reply.cluster for reply in self._answers.values())

    def all_named(self, cluster: str) -> bool:
        """Whether every other member has `cluster` on its disk."""
        return len(self._answers) == self._members - 1 and all(
            reply.cluster == cluster for reply in self._answers.values()
        )

    def verdict(self, log: Log, term: int, fresh: bool, copied: bool, now: float) -> Verdict:
        """What to do next; None: wait for more answers.

        `term` is this replica's; `fresh`: nothing was ever in its storage; `copied`: it is a
        copy.
        """
        if self.source is not None:
            late = self.purpose is Purpose.CAMPAIGN and now >= self._catch_up_until
            return Behind() if late else None
        if self.purpose is Purpose.RECALL:
            return self._recall(log, fresh, copied, now)
        # All are waited for, since the one that is silent may be the furthest, but only for a
        # while.
        if self._silent and now < self._patient_until:
            return None
        # The first leader ever needs all: from then on, one whose storage is fresh has lost it.
        self._needed = majority(self._members) if term else self._members
        if self.purpose is Purpose.CAMPAIGN and 1 + len(self._disks) < self._needed:
            # For how long one is suspect is not for time to tell.
            waits = [reply.wait for reply in self._answers.values() if not reply.suspect]
            leader = max((reply.leader for reply in self._answers.values()), default=0)
            wait = max(waits, default=0.0)
            return AnotherLeads(leader, wait) if leader else Refused(wait)
        return self._furthest(log)

    @property
    def _disks(self) -> list[float]:
        """How long a write takes each of those that would vote, the quickest first."""
        return sorted(reply.disk_seconds for reply in self._answers.values() if reply.wait <= 0)

    @property
    def voters_disk(self) -> float:
        """Seconds that a write takes the slowest of those whose votes are needed."""
        return max(self._disks[: self._needed - 1], default=0.0)

    def others_elect(self, disk: float) -> bool:
        """Whether a majority without this replica may vote, now or soon, each of which writes
        within `disk` seconds."""
        quick = [r for r in self._answers.values() if not r.suspect and r.disk_seconds <= disk]
        return len(quick) >= self._needed

    def _recall(self, log: Log, fresh: bool, copied: bool, now: float) -> Verdict:
        """All others are waited for: each majority that this replica was ever part of has
        another member among them, which knows the term and the entries."""
        if self._silent:
            return None
        answers = self._answers.values()
        if fresh and all(reply.last_index == reply.term == 0 for reply in answers):
            return GoAhead(0)  # a new cluster: nobody has anything to forget
        suspects = tuple(sorted(reply.replica for reply in answers if reply.suspect))
        # Where several folders were restored together, or all: what is in none of the members'
        # logs is nowhere, and what is in one of them is at hand, since all have answered.
        restored = copied and all(reply.copied for reply in answers if reply.suspect)
        if (suspects or not answers) and not restored:
            # One that was suspect when it answered may have recalled by now: ask it again.
            if self._suspects_since is None:
                self._suspects_since = now
            hopeless = now - self._suspects_since > _RECALL_PATIENCE * self._patience
            return Hopeless(suspects) if hopeless else None
        self._suspects_since = None
        return self._furthest(log)

    def _furthest(self, log: Log) -> FetchFrom | GoAhead:
        furthest = max(
            self._answers.values(),
            key=lambda reply: (reply.last_term, reply.last_index),
            default=None,
        )
        mine = (log.last_term, log.last_index)
        if furthest and (furthest.last_term, furthest.last_index) > mine:
            return FetchFrom(furthest.replica)
        return GoAhead(max((reply.term for reply in self._answers.values()), default=0))

    def catches_up(self, since: float) -> bool:
        """Whether it goes on fetching after it was too late for a campaign, and something has
        come since then."""
        return self.late and self.source is not None and self.moved >= since

    # Fetching.

    def fetch_from(self, source: int, log: Log) -> Fetch:
        """Begin to catch up with `source`."""
        self.source, self._step_back = source, 1
        return self._fetch(log, log.last_index)

    def _fetch(self, log: Log, after: int) -> Fetch:
        return Fetch(replica=self._replica, after=after, digest=log.digest_at(after))

    def fetched(self, reply: FetchReply, log: Log, committed: int) -> Fetch | None:
        """Take what the source answered into `log`, and say what to fetch next; None: enough.

        The term of `reply` must have been adopted: else a deposed leader could overwrite the
        entries.
        """
        self._answers[reply.replica] = msgspec.structs.replace(
            self._answers[reply.replica],
            term=reply.term,
            last_index=reply.last_index,
            last_term=reply.last_term,
        )
        if (reply.last_term, reply.last_index) <= (log.last_term, log.last_index):
            self.source = None
            return None
        if not reply.fits:
            # Committed entries are in the log of anyone further: no need to go back beyond.
            after = max(committed, min(reply.after - self._step_back, log.last_index))
            self._step_back *= 2
            return self._fetch(log, after)
        self._step_back = 1
        entries, after = reply.entries, reply.after
        # A leader may have changed this log since the question went out: then ask anew.
        if after <= log.last_index and all(
            entry.follows(log.digest_at(after)) for entry in entries[:1]
        ):
            log.take(entries, committed)
        return self._fetch(log, min(after + len(entries), log.last_index))


_RECALL_PATIENCE = 25
"""How many times as long as for an answer two suspects wait for each other: time enough for
one that is about to recall."""
