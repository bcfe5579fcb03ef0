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
    opening: Callable[[int, bool], Call[None]],
    after: int,
) -> Findings[Event]:
    """The events behind the order `after`: each order once and in order, whatever breaks.

    `opening` makes the call that opens the stream behind an order, and is told whether that takes
    up one that has broken. Raises `CallFailed` if no stream is opened in as long as the attempts
    last that `attempts` makes.
    """
    again = False
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
                if isinstance(event, Order):
                    # A front-end that repeats an order would have it booked twice.
                    if event.number <= after:
                        continue
                    after = event.number
                if event is not None:
                    yield Found(event)
            if parser.last_id.isascii() and parser.last_id.isdecimal():
                # Orders of other stocks, and such as are not wanted, are passed over.
                after = max(after, int(parser.last_id))
        again = True
        frontends.failed(url)
        yield Pause(parser.retry_seconds or RETRY_SECONDS)


def _event(message: Message) -> Event | None:
    """None: a kind of event that this release does not know."""
    shape = _SHAPES.get(message.event)
    return None if shape is None else msgspec.json.decode(message.data, type=shape)
