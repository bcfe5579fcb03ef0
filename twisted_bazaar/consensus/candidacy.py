"""Standing for election: the votes that a replica has won, and the time that a vote is given.

On a disk that takes long, an election takes long: the candidate writes its own vote before it
asks for any, and each voter writes before it answers. So that such an election ends at all,

- a candidate asks again, in the same term, whoever has not answered in time;
- the votes that it has won are kept when its time is up, for its next nomination in that term;
- a replica that has voted encourages nobody else for as long as its vote took to write, and as
  long again (it still votes for whoever asks in a higher term).

Pure.
"""

from collections.abc import Iterable

from .disk_latency import LONGEST_WRITE_SECONDS

__all__ = ["Ballot", "Candidacy"]


class Candidacy:
    """A replica's standing in one term, from its first vote request until the term is over."""

    def __init__(
        self, replica: int, peers: Iterable[int], term: int, history: tuple[str, str]
    ) -> None:
        """`history` is the cluster, and the digest of the log, that it stands with."""
        self.term = term
        self.history = history
        self.votes: set[int] = set()
        """Who voted for it; itself, once its own vote is on disk."""
        self._replica = replica
        self._needed = 0
        self._ask_at = dict.fromkeys(peers, float("-inf"))
        """When to ask each of those who have not voted and are not being asked."""
        self._since = self._patience = self._own_disk = 0.0

    def begin(
        self, timeout: float, own_disk: float, voters_disk: float, needed: int, now: float
    ) -> None:
        """It was nominated: ask for votes, for `timeout` seconds and what disks take.

        `needed` votes win. A write takes `own_disk` seconds here, and `voters_disk` at those
        who are to vote.
        """
        self._since, self._own_disk = now, own_disk
        self._needed = needed
        self._patience = timeout + 2 * min(voters_disk, _LONGEST_WRITE)

    def due(self, now: float) -> list[int]:
        """Whom to ask for a vote now: nobody before its own vote is on disk."""
        if self._replica not in self.votes:
            return []
        due = [peer for peer, at in self._ask_at.items() if at <= now]
        for peer in due:
            del self._ask_at[peer]
        return due

    def not_voted(self, peer: int, ask_at: float) -> None:
        """`peer` refused, or did not answer: ask it again then."""
        if peer not in self.votes:
            self._ask_at[peer] = ask_at

    @property
    def won(self) -> bool:
        """Whether the votes suffice. Its own must be on disk: it is as binding as any."""
        return self._replica in self.votes and len(self.votes) >= self._needed

    def over(self, own_disk: float, now: float) -> bool:
        """Whether its time is up, if its own writes have taken `own_disk` seconds since. Each
        vote, also its own, may have to wait for a write that is under way."""
        own_disk = max(self._own_disk, own_disk)
        patience = self._patience + 2 * min(own_disk, _LONGEST_WRITE)
        return now - self._since > patience


class Ballot:
    """The vote that a replica gave to another last, and the time that this one has to win."""

    def __init__(self) -> None:
        self._given: float | None = None
        self._until = float("-inf")

    def given(self, now: float) -> None:
        """It has voted, and the vote is to be written."""
        self._given = now
        # It may have to wait for a write that is under way.
        self._until = now + 2 * _LONGEST_WRITE

    def on_disk(self, now: float) -> None:
        """The vote is on disk, and told to the candidate."""
        if self._given is not None:
            took, self._given = now - self._given, None
            self._until = now + min(took, 2 * _LONGEST_WRITE)

    def settled(self) -> None:
        """There is a leader, or another term."""
        self._given, self._until = None, float("-inf")

    def wait(self, now: float) -> float:
        """Seconds for which another candidate is not encouraged."""
        return max(0.0, self._until - now)


_LONGEST_WRITE = LONGEST_WRITE_SECONDS * 1.25
"""What a disk that barely keeps within the bound may show."""
