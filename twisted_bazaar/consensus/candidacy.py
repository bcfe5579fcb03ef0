"""The two sides of an election: the votes that a candidate has won, and the time that a voter
gives to the candidate that it voted for. Pure.

On a slow disk an election takes long: the candidate writes its own vote before it asks for any,
and each voter writes before it answers. So that such an election ends,

- a candidate asks again, in the same term, each peer that has not answered in time;
- the votes that it has won are kept when its time is up, for its next nomination in that term,
  unless a peer has refused: then that is in the next term, as the votes may be split for good;
- a replica that has voted asks others not to stand (PreVote) for as long as its vote took to
  write, and as long again. It still votes in a higher term.
"""

from collections.abc import Callable, Collection, Sequence

from .disk_latency import LONGEST_WRITE_SECONDS

__all__ = ["Ballot", "Candidacy"]


class Candidacy:
    """What a replica has won in one term, from its first vote request until the term is over."""

    def __init__(
        self, replica: int, peers: Sequence[int], term: int, history: tuple[str, str]
    ) -> None:
        """`history` is the name of the cluster and the last digest of the log."""
        self.term = term
        self.history = history
        self.votes: set[int] = set()
        """The replicas that voted for it; itself, once its own vote is on disk."""
        self._replica = replica
        self._refused: set[int] = set()
        """The peers whose last answer was a refusal: most have voted for another in this term."""
        self._suffice: Callable[[Collection[int]], bool] = lambda votes: False
        self._ask_at = dict.fromkeys(peers, float("-inf"))
        """By peer: when to ask it. Without those that have voted or are being asked."""
        self._began = self._seconds = self._own_disk = 0.0

    def begin(
        self,
        timeout: float,
        own_disk: float,
        voters_disk: float,
        suffice: Callable[[Collection[int]], bool],
        now: float,
    ) -> None:
        """The replica was nominated: ask for votes, for `timeout` seconds and the time of writes.

        `suffice` says whether the votes of some replicas win. A write takes `own_disk` seconds
        here, and `voters_disk` seconds at the voters.
        """
        self._began, self._own_disk = now, own_disk
        self._suffice = suffice
        self._seconds = timeout + 2 * min(voters_disk, _LONGEST_WRITE_SECONDS)

    def due(self, now: float) -> list[int]:
        """The peers to ask for a vote now; none before the candidate's own vote is on disk."""
        if self._replica not in self.votes:
            return []
        due = [peer for peer, at in self._ask_at.items() if at <= now]
        for peer in due:
            del self._ask_at[peer]
        return due

    def not_voted(self, peer: int, ask_at: float) -> None:
        """`peer` did not vote: ask it again at `ask_at`."""
        if peer not in self.votes:
            self._ask_at[peer] = ask_at

    def refused(self, peer: int, ask_at: float) -> None:
        """`peer` refused: ask it again at `ask_at`, as it may have waited for a leader."""
        if peer not in self.votes:
            self._refused.add(peer)
        self.not_voted(peer, ask_at)

    def granted(self, peer: int) -> None:
        """`peer` voted for the candidate."""
        self.votes.add(peer)
        self._refused.discard(peer)

    @property
    def is_contested(self) -> bool:
        """Whether a peer has refused. It may have voted for another: then the votes of this term
        may be split for good, and the candidate has to stand in the next one (Raft §5.2)."""
        return bool(self._refused)

    @property
    def won(self) -> bool:
        """Whether the votes suffice. The candidate's own must be one of them, as it binds like
        any other once it is on disk."""
        return self._replica in self.votes and self._suffice(self.votes)

    def over(self, own_disk: float, now: float) -> bool:
        """Whether the time is up; the longest of its own last writes took `own_disk` seconds."""
        own_disk = max(self._own_disk, own_disk)
        # Twice, as each vote may have to wait for a write that is under way.
        return now - self._began > self._seconds + 2 * min(own_disk, _LONGEST_WRITE_SECONDS)


class Ballot:
    """The last vote of a replica for another, and the time that the candidate has to win."""

    def __init__(self) -> None:
        self._given: float | None = None
        self._until = float("-inf")

    def given(self, now: float) -> None:
        """The replica has voted; the vote is to be written."""
        self._given = now
        # The vote may have to wait for a write that is under way.
        self._until = now + 2 * _LONGEST_WRITE_SECONDS

    def on_disk(self, now: float) -> None:
        """The vote is on disk, and told to the candidate."""
        if self._given is not None:
            took, self._given = now - self._given, None
            self._until = now + min(took, 2 * _LONGEST_WRITE_SECONDS)

    def settled(self) -> None:
        """There is a leader, or another term."""
        self._given, self._until = None, float("-inf")

    def wait(self, now: float) -> float:
        """Seconds for which others are asked not to stand."""
        return max(0.0, self._until - now)


_LONGEST_WRITE_SECONDS = LONGEST_WRITE_SECONDS * 1.25
"""More than a disk that keeps the bound is measured to take."""
