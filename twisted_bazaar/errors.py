"""Every expected failure, in a tree by what the caller may do next.

    BazaarError
        Unavailable          ask again later; nothing is known
            NotOurs          the address leads to another process: a person must look
        NotExecuted          send the trade again: it was certainly not executed
            NotLeader        to the leader
            Overloaded       after a pause
            Rejected         once the market has changed
        OutcomeUnknown       send the trade again with the same key only
            OrderUnread      later
        KeyReused            never send it again with this key
        ChangeRefused        ask for another change of the market
        MembersRefused       ask for another change of the members, or later
        Malformed            never send it again
        NotAuthorised        never send it again without the cluster's secret
        Unusable             stop: a person must look at a folder, port or option
            Damaged          at a file that cannot be trusted
            NotUnderstood    at a file of a newer release, which must be left as it is

`InvariantBroken` is outside the tree: a bug, or memory gone bad. Each edge (HTTP, gRPC, the
command line) translates this tree once, and nothing else does.
"""

from .market import ChangeRefusal, Rejection

__all__ = [
    "BazaarError",
    "ChangeRefused",
    "Damaged",
    "InvariantBroken",
    "KeyReused",
    "Malformed",
    "MembersRefused",
    "NotAuthorised",
    "NotExecuted",
    "NotLeader",
    "NotOurs",
    "NotUnderstood",
    "OrderUnread",
    "OutcomeUnknown",
    "Overloaded",
    "Rejected",
    "Unavailable",
    "Unusable",
]


class BazaarError(Exception):
    """An expected failure. Its text is one line for a person."""


class Unavailable(BazaarError):
    """The service cannot be reached or cannot answer now. A read may be repeated; of a trade
    nothing is known."""


class NotOurs(Unavailable):
    """The process at this address is another than the one meant. Until an operator has changed
    the addresses it is as good as unreachable."""


class NotExecuted(BazaarError):
    """The trade was certainly not executed, and no copy of it will be."""


class NotLeader(NotExecuted):
    """This replica does not lead: only the leader can answer."""

    def __init__(self) -> None:
        super().__init__("this replica does not lead")


class Overloaded(NotExecuted):
    """A bounded queue is full."""


class Rejected(NotExecuted):
    """The market refused the trade."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection.value)
        self.rejection = rejection


class OutcomeUnknown(BazaarError):
    """The trade may have been executed or not: only sending the same key again tells."""


class OrderUnread(OutcomeUnknown):
    """The key has an order, which the leader cannot read now: it may be of another trade."""


class KeyReused(BazaarError):
    """The idempotency key belongs to another trade."""


class ChangeRefused(BazaarError):
    """The market cannot be changed in this way, as it is now. Nothing was changed."""

    def __init__(self, refusal: ChangeRefusal, message: str) -> None:
        """`message` is one line for a person."""
        super().__init__(message)
        self.refusal = refusal


class MembersRefused(BazaarError):
    """The members of the cluster cannot be changed in this way now. Nothing was changed."""

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        """`message` is one line for a person. `is_final`: to ask again later is of no use."""
        super().__init__(message)
        self.is_final = is_final


class Malformed(BazaarError):
    """A message that no service of a bazaar sends. It changed nothing."""


class NotAuthorised(BazaarError):
    """The caller has not shown that it has the cluster's secret."""


class Unusable(BazaarError):
    """A folder, port or option cannot be used."""


class Damaged(Unusable):
    """A file does not hold what was written: it cannot be trusted past that point."""


class NotUnderstood(Unusable):
    """A sound file holds what this release does not know."""


class InvariantBroken(Exception):
    """The state contradicts the protocol: the process must stop."""
