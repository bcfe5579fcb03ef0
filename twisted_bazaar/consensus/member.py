"""What the trading desk asks of what decides who leads: a `Replica` of a Raft group, or a `Tenure`
over a log in an engine. Pure types."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from .entries import Entry, Event

__all__ = ["Member", "MemberLog", "Observed"]


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """What a member has come to; part of each `Ready`."""

    committed: Sequence[Entry]
    """Newly committed entries, each exactly once in a life."""
    released: int
    """Clients may see what entries up to this index say."""
    confirmed: int
    """The last round, as `confirm` numbers them, that proves that this member led after it was
    begun; 0: none does, or this member does not lead."""
    leading_term: int
    """The term that this member leads in; 0: it does not lead."""


class MemberLog(Protocol):
    """The log of a member, as far as it is in memory or can be read."""

    @property
    def last_index(self) -> int:
        """The index of the last entry, proposed or committed; 0: there is none."""

    def entries(self, after: int, upto: int) -> Sequence[Entry]:
        """The entries `after` < index <= `upto`, or only the first of them, one at least."""

    def digest_at(self, index: int) -> str:
        """The digest that names the history up to `index`; empty: it is not known here."""


class Member(Protocol):
    """Decides who leads, and proposes what the leader decided."""

    @property
    def log(self) -> MemberLog: ...

    @property
    def opened(self) -> int:
        """Index of this leadership's first entry. Raises `NotLeader`."""

    @property
    def history(self) -> str:
        """Names the log that versions of stocks are indexes of; empty: it does not lead."""

    def next_at_milliseconds(self) -> int:
        """The time that an entry would have that is proposed now."""

    def propose(
        self, events: Sequence[Event], at_milliseconds: int | None = None
    ) -> Sequence[Entry]:
        """Append what the leader decided, as entries of its term. Raises `NotLeader`."""

    def confirm(self) -> int:
        """Begin a round, and return its number: once `Observed.confirmed` has reached it, this
        member was the leader at some moment after this call. Raises `NotLeader`."""
