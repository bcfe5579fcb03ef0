"""One sending of a batch of trades: which leadership may take it, and until when. Pure.

A trade that gets no answer is sent again under the same key. The earlier sending may still be on
its way, for any time: in the network, or to a process that is paused. It must not be executed
after the client was told that the trade was rejected or not executed (invariant 12). So a
sending is

- for one leadership: another leader, or the same one in a later term, does not take it;
- taken once, and only while its front-end still expects an answer to it;
- for a limited time: no trade of it is taken after its client has been answered.

The leader enforces this (`order.sendings`).
"""

from collections.abc import Sequence

import msgspec

__all__ = ["MAX_EXPECTED_SENDINGS", "MAX_SENDING_SECONDS", "UNGUARDED", "Sending"]

MAX_SENDING_SECONDS = 60.0
"""Every trade of a sending expires within this time after it was made."""

MAX_EXPECTED_SENDINGS = 16
"""Earlier sendings of the same front-end that may still be expected beside one."""


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """What a front-end sends with a batch of trades."""

    term: int
    """The term of the leadership that may take it; 0: any."""
    life: int
    """The start of the front-end, a random number from 1 to 2**53 - 1; 0: unknown."""
    number: int
    """Grows with each sending of that life."""
    expected: Sequence[int]
    """The numbers below `number` to which that life still expects an answer. It has been
    answered, or has given up, all others below `number`."""
    expires: Sequence[float]
    """For each trade, the time on the leader's clock, in seconds, from which on it must not be
    taken."""


UNGUARDED = Sending(term=0, life=0, number=0, expected=(), expires=())
"""What a front-end of the release before sends, which knows no sendings."""
