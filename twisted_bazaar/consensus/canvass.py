"""One round of polls: which peer is furthest, whether they would vote, and what to fetch.

A replica canvasses its peers

- when it starts, to fetch what it missed;
- when it is nominated: to fetch what it lacks, so that the highest id can win, and to raise its
  term only if a majority would vote (PreVote, Ongaro 2014 §9.6);
- when its storage is suspect, to recall what it may have forgotten.

A canvass keeps the answers, says what they amount to, and what to fetch next; `Nominee` sends
the messages. Pure.
"""

from collections.abc import Collection, Mapping
from enum import Enum

import msgspec

from .entries import MemberInfo
from .log import Log
from .membership import Membership
from .messages import Fetch, FetchReply, PollReply, Ticket
from .nomination import AnotherLeads, Refused

__all__ = ["Behind", "Canvass", "FetchFrom", "GoAhead", "Hopeless", "Purpose", "TakeSnapshot"]


class Purpose(Enum):
    """What a canvass is for."""

    RESYNC = "resync"
    """To fetch what this replica lacks."""
    CAMPAIGN = "campaign"
    """The same, and to stand then."""
    RECALL = "recall"
    """The same, from all others, and to be trusted then."""


class FetchFrom(msgspec.Struct, frozen=True):
    """Catch up with this replica: it is the furthest of those that answered."""

    source: int


class TakeSnapshot(msgspec.Struct, frozen=True):
    """The source's log begins after entries that this replica lacks."""


class GoAhead(msgspec.Struct, frozen=True):
    """No peer that answered is further; in a campaign, enough would vote."""

    term: int
    """The highest term of those that answered."""


class Behind(msgspec.Struct, frozen=True):
    """This replica lacks so much that it must not stand now. It goes on fetching."""


class Hopeless(msgspec.Struct, frozen=True):
    """Other replicas are suspect, too: what all of them have forgotten cannot be recalled."""

    suspects: tuple[int, ...]
    """Their ids; empty: there are no other members."""


Verdict = FetchFrom | GoAhead | AnotherLeads | Refused | Behind | Hopeless | None
"""None: wait for more answers."""


class Canvass:
    """One round, from the first poll to the last fetch."""

    def __init__(
        self,
        *,
        replica: int,
        membership: Membership,
        purpose: Purpose,
        nonce: int,
        now: float,
        poll_seconds: float,
        catch_up_seconds: float,
    ) -> None:
        """The others that count by `membership` are asked. Peers that do not answer are waited for,
        for `poll_seconds`. A campaign is given up if there is still something to fetch after
        `catch_up_seconds`."""
        self.purpose = purpose
        self.nonce = nonce
        self.tickets: list[tuple[Ticket, float]] = []
        """The nominations to be answered when it ends, and when each came."""
        self.late = False
        """It was for a campaign, which was given up (`Behind`)."""
        self.moved_at = now
        """When it began, or when the last answer to a fetch came."""
        self._replica = replica
        self._membership = membership
        self.asked: set[int] = set()
        """The peers without whose answers it waits."""
        self.hinted: set[int] = set()
        """Others that are asked: `ask_also`."""
        self._silent: set[int] = set()
        self._answers: dict[int, PollReply] = {}
        self._poll_seconds = poll_seconds
        self._poll_until = now + poll_seconds
        self._catch_up_until = now + catch_up_seconds
        self._ask_at: dict[int, float] = {}
        self._suspects_since: float | None = None
        self.source: int | None = None
        """The peer that is being fetched from; None: nothing is being fetched."""
        self._step_back = 1
        self._needs_all = False
        """A campaign needs the votes of all."""
        self.among(membership, now)

    def among(self, membership: Membership, now: float) -> None:
        """From now on, ask the others that count by `membership`."""
        self._membership = membership
        asked = set(membership.counted) - {self._replica}
        new, gone = asked - self.asked, self.asked - asked
        self.asked = asked
        self._silent = self._silent - gone | (new - self._answers.keys())
        for peer in gone:
            self._ask_at.pop(peer, None)
        self._ask_at |= dict.fromkeys(new, now)

    def ask_also(self, peer: int, now: float) -> bool:
        """Ask `peer`, too, which leads or wants to, and takes this replica for a member: those that
        this replica knows as members may all have been replaced. Its answer is not waited for.
        Returns whether that is new."""
        if peer in self.asked or peer in self.hinted:
            return False
        self.hinted.add(peer)
        self._ask_at[peer] = now
        return True

    def furthest_membership(self, log: Log, named: Membership | None) -> Membership | None:
        """Who counts, as far as is known: what the furthest of all logs says of which anything is
        known; of this replica's it is `named`.

        Each committed entry is in the log of each replica that is further (Raft §5.4.1), so that
        says of the last change that is committed, or of one after it.
        """
        best, known = (log.last_term, log.last_index), named
        for reply in self._answers.values():
            theirs = _membership_of(reply)
            last = reply.last_term, reply.last_index
            if theirs is not None and (known is None or last > best):
                best, known = last, theirs
        return known

    @property
    def addresses(self) -> Mapping[int, str]:
        """Where the members are, by id, as far as peers have said."""
        return {
            member.id: member.address
            for reply in self._answers.values()
            for member in reply.roster
            if member.address
        }

    # Polling.

    def polls(self, now: float) -> list[int]:
        """The peers to poll now. To recall, all are polled until none is silent or suspect; what
        others say may change meanwhile, so these are asked again as well, less often."""
        due = [peer for peer, at in self._ask_at.items() if at <= now]
        for peer in due:
            del self._ask_at[peer]
        return due

    def answered(self, reply: PollReply, now: float) -> None:
        """Take in the answer of a peer."""
        self._silent.discard(reply.replica)
        self._answers[reply.replica] = reply
        if reply.suspect:
            self._ask_again(reply.replica, now)
        elif self.purpose is Purpose.RECALL and reply.replica in self.asked:
            self._ask_at[reply.replica] = now + _REFRESH_POLLS * self._poll_seconds

    def lost(self, peer: int, now: float) -> None:
        """`peer` did not answer a poll or a fetch."""
        if self.source == peer or self.purpose is not Purpose.RECALL:
            # To recall, it is enough that each has answered once since this began.
            self._answers.pop(peer, None)
        if self.source == peer:
            self.source = None
        self._silent.discard(peer)
        self.hinted.discard(peer)
        self._ask_again(peer, now)

    def _ask_again(self, peer: int, now: float) -> None:
        if self.purpose is Purpose.RECALL and peer in self.asked:
            self._ask_at[peer] = now + self._poll_seconds
            if peer not in self._answers:
                self._silent.add(peer)

    def name(self, cluster: str) -> str:
        """The name of the cluster, for a replica that knows it as `cluster` (empty: it knows
        none): the smallest, as text, that it or a peer that answered has.

        Where there is no entry yet, several candidates may have named the cluster.
        """
        named = {cluster, *(reply.cluster for reply in self._answers.values())}
        return min(named - {""}, default="")

    @property
    def finds_a_cluster(self) -> bool:
        """Whether a peer that answered has had a term, or a name of the cluster."""
        return any(reply.term > 0 or reply.cluster for reply in self._answers.values())

    @property
    def finds_a_log(self) -> bool:
        """Whether a peer that answered has an entry."""
        return any(reply.last_index for reply in self._answers.values())

    def all_named(self, cluster: str) -> bool:
        """Whether every other member has `cluster` on its disk."""
        return self.asked <= self._answers.keys() and all(
            reply.cluster == cluster for reply in self._answers.values()
        )

    def verdict(self, log: Log, term: int, fresh: bool, copied: bool, now: float) -> Verdict:
        """What to do next.

        Of this replica: `term`; `fresh`: nothing was ever in its storage; `copied`: its folder
        is a copy.
        """
        if self.source is not None:
            late = self.purpose is Purpose.CAMPAIGN and now >= self._catch_up_until
            return Behind() if late else None
        if self.purpose is Purpose.RECALL:
            return self._recall(log, fresh, copied, now)
        # Wait for all, since a silent one may be the furthest, but not for long.
        if self._silent and now < self._poll_until:
            return None
        # The first leader needs the votes of all: from then on, a replica whose storage is fresh
        # has lost it.
        self._needs_all = not term
        if self.purpose is Purpose.CAMPAIGN and not self._suffice(self._willing):
            # How long a replica stays suspect does not depend on time.
            waits = [reply.wait for reply in self._answers.values() if not reply.suspect]
            leader = max((reply.leader for reply in self._answers.values()), default=0)
            wait = max(waits, default=0.0)
            return AnotherLeads(leader, wait) if leader else Refused(wait)
        return self._furthest(log)

    def _suffice(self, voters: Collection[int], besides: Collection[int] = ()) -> bool:
        """Whether the votes of `voters` and of this replica win; `besides`: of these instead of
        it."""
        votes = {*voters, *(besides or (self._replica,))}
        if self._needs_all:
            return votes >= set(self._membership.counted)
        return self._membership.elects(votes)

    @property
    def _willing(self) -> list[int]:
        """The peers that would vote, those with the quickest disks first."""
        willing = [
            (reply.disk_seconds, peer)
            for peer, reply in self._answers.items()
            if reply.wait <= 0 and peer in self.asked
        ]
        return [peer for _, peer in sorted(willing)]

    @property
    def voters_disk(self) -> float:
        """Seconds that a write takes the slowest of the quickest peers that suffice to win."""
        voters: list[int] = []
        for peer in self._willing:
            if self._suffice(voters):
                break
            voters.append(peer)
        return max((self._answers[peer].disk_seconds for peer in voters), default=0.0)

    def others_elect(self, disk: float) -> bool:
        """Whether a majority without this replica, each of which writes within `disk` seconds,
        may vote now or soon."""
        quick = [
            peer
            for peer, reply in self._answers.items()
            if not reply.suspect and reply.disk_seconds <= disk
        ]
        return bool(quick) and self._suffice((), besides=quick)

    def _recall(self, log: Log, fresh: bool, copied: bool, now: float) -> Verdict:
        """Waits for all others: each majority that this replica was ever part of has another
        member, which knows the term and the entries."""
        if self._silent:
            return None
        answers = [reply for peer, reply in self._answers.items() if peer in self.asked]
        if fresh and all(reply.last_index == reply.term == 0 for reply in answers):
            return GoAhead(0)  # A new cluster: no member can have forgotten anything.
        suspects = tuple(sorted(reply.replica for reply in answers if reply.suspect))
        # Where several folders, or all, were restored from a backup: what is in one of the
        # members' logs is at hand, since all have answered, and the rest is nowhere.
        restored = copied and all(reply.copied for reply in answers if reply.suspect)
        if (suspects or not answers) and not restored:
            # A peer that was suspect when it answered may have recalled by now.
            if self._suspects_since is None:
                self._suspects_since = now
            hopeless = now - self._suspects_since > _RECALL_POLLS * self._poll_seconds
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
        """Whether it goes on fetching after `Behind`, and an answer has come since `since`."""
        return self.late and self.source is not None and self.moved_at >= since

    # Fetching.

    def fetch_from(self, source: int, log: Log) -> Fetch:
        """Begin to catch up with `source`."""
        self.source, self._step_back = source, 1
        return self._fetch(log, log.last_index)

    def _fetch(self, log: Log, after: int) -> Fetch:
        digest = log.digest_at(after)
        return Fetch(replica=self._replica, after=after, digest=digest, snapshots=True)

    def fetched(self, reply: FetchReply, log: Log, committed: int) -> Fetch | TakeSnapshot | None:
        """Take the source's entries into `log`, and say what to fetch next; None: enough.

        The caller has adopted the term of `reply`: else a deposed leader could overwrite the
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
            # Committed entries are in the log of each replica that is further.
            after = max(committed, min(reply.after - self._step_back, log.last_index))
            if after < reply.begins:
                if reply.after <= reply.begins or log.last_index < reply.begins:
                    return TakeSnapshot()
                after = reply.begins
            self._step_back *= 2
            return self._fetch(log, after)
        self._step_back = 1
        entries, after = reply.entries, reply.after
        # A leader may have changed this log since the request went out: then fetch from its end.
        if after <= log.last_index and all(
            entry.follows(log.digest_at(after)) for entry in entries[:1]
        ):
            log.take(entries, committed)
        return self._fetch(log, min(after + len(entries), log.last_index))


def _membership_of(reply: PollReply) -> Membership | None:
    """Who counts, as the replica that answers says; None: it does not say."""
    if reply.roster:
        return Membership(reply.members_index, reply.roster, reply.before)
    if reply.members:
        # Of a release that knows no changes of the members.
        return Membership(0, tuple(map(MemberInfo, reply.members)))
    return None


_REFRESH_POLLS = 10
"""To recall, peers that have answered are asked again after so many times as long as for an
answer."""
_RECALL_POLLS = 25
"""Two suspects wait for each other for so many times as long as for an answer, since one of them
may be about to recall."""
