"""One sending of a batch of trades: for which leadership it is, and until when. Pure.

A trade that gets no answer is sent again under the same key. What was sent before may still be
on its way, for any time: in the network, or to a process that stands still. So that it cannot
be executed after its client was told that the trade was rejected or not executed, a sending is

- for one leadership: another leader, or the same one in a later term, does not take it;
- taken once, and only while its front-end still expects an answer to it;
- for a limited time: no trade of it is taken after its client has been answered.

Each of these is judged by the leader (`order.sendings`).
"""

from collections.abc import Sequence

import msgspec

__all__ = ["MAX_EXPECTED_SENDINGS", "MAX_SENDING_SECONDS", "UNGUARDED", "Sending"]

MAX_SENDING_SECONDS = 60.0
"""Every trade of a sending expires within this time after it was made."""

MAX_EXPECTED_SENDINGS = 16
"""So many earlier sendings can be expected beside one."""


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """What goes with a batch of trades on its way to the leader."""

    term: int
    """Of the leadership that it is for; 0: any."""
    life: int
    """Another one for each start of a front-end, from 1 to 2**53 - 1; 0: unknown."""
    number: int
    """Grows with each sending of that life."""
    expected: Sequence[int]
    """The numbers below `number` to which that life still expects an answer. The others below
    it were answered or given up."""
    expires: Sequence[float]
    """For each trade, the time on the leader's clock from which on it is not to be taken."""


UNGUARDED = Sending(term=0, life=0, number=0, expected=(), expires=())
"""Of a front-end of the release before, which says nothing of its sendings."""
