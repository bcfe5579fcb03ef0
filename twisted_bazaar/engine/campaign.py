"""The attempt of a member to lead a partition, from its nomination until that is decided. Pure."""

from collections.abc import Sequence

from twisted_bazaar.consensus.entries import Opened, encode_entry
from twisted_bazaar.consensus.messages import Ticket

from .calls import Claim
from .shared_log import Batch, Snapshot, Tail

__all__ = ["Campaign", "claim_of"]


class Campaign:
    """The state is loaded first, and the end of the log that it is as of is claimed then. Times are
    seconds on this member's clock."""

    def __init__(self, now: float) -> None:
        self.since = now
        self._tickets: list[tuple[Ticket, float]] = []
        """Nominations that are not answered, and when each came."""
        self.snapshot: Snapshot | None = None
        """What is to be claimed; None: it is not loaded yet."""

    def nominated(self, ticket: Ticket, now: float) -> None:
        """A front-end waits to hear how this ends."""
        self._tickets.append((ticket, now))

    def take_tickets(self, upto: float) -> Sequence[Ticket]:
        """The nominations up to that time, which are answered now."""
        told = [ticket for ticket, at in self._tickets if at <= upto]
        self._tickets = [each for each in self._tickets if each[1] > upto]
        return told


def claim_of(seen: Tail, term: int, opened: Opened, tenure: float, milliseconds: int) -> Claim:
    """The claim of the log that ends as `seen` says, for `term`, with `opened` as the first entry
    of the leadership. The leader will rely on a write for `tenure` seconds. `milliseconds` is the
    wall clock."""
    at = max(milliseconds, seen.at_milliseconds)
    entry = encode_entry(seen.digest, seen.index + 1, term, at, opened)
    batch = Batch(previous=seen.digest, entries=(entry,), stocks=(), last_number=seen.last_number)
    return Claim(
        seen=seen,
        opened=batch,
        term=term,
        leader=opened.leader,
        tenure=tenure,
        longest_lease=max(seen.longest_lease, opened.lease),
        catalogs=sorted({*seen.catalogs, *opened.catalogs}),
    )
