"""What a replica wants its owner to carry out. Pure."""

from collections.abc import Sequence

from .log import Write
from .member import Observed
from .messages import Message

__all__ = ["Ready"]


class Ready(Observed, frozen=True, kw_only=True):
    """What the owner must carry out, in any order: what was newly committed, a batch at most, too.
    A round is confirmed once a majority has answered it."""

    messages: Sequence[Message]
    write: Write | None
    """None: there is nothing to write, or a write is under way."""
    more: bool
    """Whether more is ready now. If not, there is nothing until the next call of the replica."""
