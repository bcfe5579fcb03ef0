"""What can go wrong, shaped by what the caller may do next.

Each edge (HTTP, gRPC, the command line) translates this tree once, and nothing else does.
"""

from .market import Rejection

__all__ = [
    "BazaarError",
    "Damaged",
    "InvariantBroken",
    "KeyReused",
    "Malformed",
    "NotAuthorised",
    "NotExecuted",
    "NotLeader",
    "NotOurs",
    "NotUnderstood",
    "OutcomeUnknown",
    "Overloaded",
    "Rejected",
    "Unavailable",
    "Unusable",
]


class BazaarError(Exception):
    """Every failure that the bazaar expects; its text is fit for a person to read."""


class Unavailable(BazaarError):
    """The service asked cannot be reached or cannot answer now. Reading again later is safe."""


class NotOurs(Unavailable):
    """What answers there is another process than was meant: a person must look at the addresses.
    Until then it is as good as unreachable."""


class Malformed(BazaarError):
    """A message says what no service of a bazaar says. Nothing came of it, and nothing ever will
    if it is sent again."""


class NotAuthorised(BazaarError):
    """The caller has not shown that it has the cluster's secret."""


class NotExecuted(BazaarError):
    """The trade was certainly not executed: sending it again later is safe."""


class NotLeader(NotExecuted):
    """This replica does not lead: only the leader can answer."""

    def __init__(self) -> None:
        super().__init__("this replica does not lead")


class Overloaded(NotExecuted):
    """A bounded queue is full. Send it again after a pause."""


class Rejected(NotExecuted):
    """The market refused the trade. Sending it again helps only if the market changes."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection.value)
        self.rejection = rejection


class OutcomeUnknown(BazaarError):
    """The trade may have been executed or not: only sending the same key again tells."""


class KeyReused(BazaarError):
    """The idempotency key belongs to another trade. Sending this again never helps."""


class Unusable(BazaarError):
    """A folder, port or option cannot be used: a person must look. One clear line."""


class Damaged(Unusable):
    """A file says something that was never written so: it cannot be trusted past that point."""


class NotUnderstood(Unusable):
    """A sound file says something that this release does not know: a newer one wrote it. It must
    be left as it is."""


class InvariantBroken(Exception):
    """The state contradicts the protocol. Not a fault but a bug, or memory gone bad: stop."""
