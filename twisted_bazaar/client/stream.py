"""The stream of events, taken up again wherever it breaks. Pure."""

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from .requests import Call
from .retries import Attempts
from .settling import Frontends, settle
from .sse import Message, Parser, TooLong
from .steps import Findings, Found, Open, Pause, Read
from .values import Event, Leader, Order, Quote

__all__ = ["SILENCE_SECONDS", "follow"]

SILENCE_SECONDS = 40.0
"""A stream without a byte for so long is broken: the bazaar sends a comment every 15 s."""

RETRY_SECONDS = 1.0
"""The pause before a stream that has broken is taken up again, unless the bazaar names another."""

_BROKEN = (TooLong, msgspec.DecodeError)
"""What a stream raises that is none of the bazaar's."""

_Shape: TypeAlias = type[Order] | type[Quote] | type[Leader]
_SHAPES: dict[str, _Shape] = {"order": Order, "quote": Quote, "leader": Leader}


def follow(
    frontends: Frontends,
    attempts: Callable[[], Attempts],
    opening: Callable[[int | str | None, bool], Call[None]],
    after: int | str | None,
) -> Findings[Event]:
    """The events behind the order `after`: each order once and in order, whatever breaks. Of
    several partitions, it is the id of an event, or None: from now on.

    `opening` makes the call that opens the stream there, and is told whether that takes up one that
    has broken. Raises `CallFailed` if no stream is opened in as long as the attempts last that
    `attempts` makes.
    """
    again = False
    seen = _Seen(after if isinstance(after, int) else 0)
    while True:
        trying = attempts()
        yield from settle(opening(after, again), frontends, trying, Open)
        url = frontends.url
        parser = Parser()
        while True:
            received = yield Read(SILENCE_SECONDS)
            if not isinstance(received, bytes) or not received:
                break
            try:
                events = [_event(message) for message in parser.feed(received)]
            except _BROKEN:
                break
            for event in events:
                # A front-end that repeats an order would have it booked twice.
                if event is not None and not (isinstance(event, Order) and seen.repeats(event)):
                    yield Found(event)
            # Orders of other stocks, and such as are not wanted, are passed over.
            after = seen.upto(parser.last_id, after)
        again = True
        frontends.failed(url)
        yield Pause(parser.retry_seconds or RETRY_SECONDS)


class _Seen:
    """What was found of the orders of a stream."""

    def __init__(self, after: int) -> None:
        self._numbers: dict[int | None, int] = {None: after}
        """By partition: the highest number."""

    def repeats(self, order: Order) -> bool:
        """Whether `order` was found before. From here on, it was."""
        if order.number <= self._numbers.get(order.partition, 0):
            return True
        self._numbers[order.partition] = order.number
        return False

    def upto(self, last_id: str, after: int | str | None) -> int | str | None:
        """Where the stream goes on, which began at `after`, and whose last id is that."""
        if last_id.isascii() and last_id.isdecimal():
            self._numbers[None] = max(self._numbers[None], int(last_id))
        elif last_id:
            return last_id
        return self._numbers[None] if isinstance(after, int) else after


def _event(message: Message) -> Event | None:
    """None: a kind of event that this release does not know."""
    shape = _SHAPES.get(message.event)
    if shape is None:
        return None
    event = msgspec.json.decode(message.data, type=shape)
    if isinstance(event, Order) and event.partition is not None:
        return msgspec.structs.replace(event, event_id=message.last_id)
    return event
