"""A batch of trades, sent until each of them is settled. Pure."""

from collections.abc import Sequence

import msgspec

from . import requests
from .answers import Answer, Broken, no_answer
from .errors import CallFailed, NotExecuted, OutcomeUnknown
from .retries import Attempts, Doubt
from .settling import Frontends
from .steps import Pause, Send, Steps
from .values import Placed, Trade

__all__ = ["settle_each"]


class _Open(msgspec.Struct):
    """A trade that is not settled."""

    place: int
    trade: Trade
    key: str
    doubt: Doubt


def settle_each(
    trades: Sequence[Trade], keys: Sequence[str], frontends: Frontends, attempts: Attempts
) -> Steps[list[Placed | CallFailed]]:
    """The outcome of each of `trades`, in order. What is settled is not sent again."""
    known: dict[int, Placed | CallFailed] = {}
    left = [
        _Open(place, trade, key, Doubt())
        for place, (trade, key) in enumerate(zip(trades, keys, strict=True))
    ]
    while left:
        url = frontends.url
        call = requests.batch([each.trade for each in left], [each.key for each in left])
        reply = yield Send(url, call.request, attempts.timeout())
        assert isinstance(reply, Answer | Broken)
        outcomes = call.understand(reply) if isinstance(reply, Answer) else _none(reply, left)
        again: list[_Open] = []
        for each, outcome in zip(left, outcomes, strict=True):
            if isinstance(outcome, NotExecuted | OutcomeUnknown):
                again.append(each)
            if isinstance(outcome, CallFailed):
                known[each.place] = each.doubt.after(outcome, reply)
            else:
                known[each.place] = outcome
        left = again
        if left:
            asked = max(_retry_after(known[each.place]) for each in left)
            pause = attempts.pause(asked)
            if pause is None:
                break
            if not all(outcome.limited for outcome in _failures(outcomes)):
                frontends.failed(url)
            yield Pause(pause)
    return [known[place] for place in range(len(trades))]


def _none(broken: Broken, left: Sequence[_Open]) -> tuple[CallFailed, ...]:
    return tuple(no_answer(broken, each.key) for each in left)


def _failures(outcomes: Sequence[Placed | CallFailed]) -> Sequence[CallFailed]:
    return [each for each in outcomes if isinstance(each, CallFailed)]


def _retry_after(outcome: Placed | CallFailed) -> float:
    return outcome.retry_after if isinstance(outcome, CallFailed) else 0.0
