"""What a replica says, and when it may: at once, or only after its disk holds the reason.

An acknowledgement that waits for the disk for long is given for what was on disk before: it
tells the leader no less that it is heard. Any other reply that waits until its asker has given
up is declined, so that nothing is kept of it. Pure.
"""

from collections.abc import Iterable

import msgspec

from .log import Log, Write
from .messages import AppendReply, Declined, Message, Reply

__all__ = ["Outbox"]


class Outbox:
    """Messages on their way out, and the one write that may be under way."""

    def __init__(self) -> None:
        self._now: list[Message] = []
        # Each with the time since when it is held back.
        self._after_next_write: list[tuple[float, Message]] = []
        self._after_this_write: list[tuple[float, Message]] = []
        self._writing = False

    def say(self, messages: Iterable[Message]) -> None:
        """Nothing in `messages` rests on what is not on disk yet."""
        self._now += messages

    def say_after_write(self, messages: Iterable[Message], now: float) -> None:
        """`messages` rest on the log, term and vote as they are now."""
        self._after_next_write += ((now, message) for message in messages)

    def tick(self, contact_before: float, decline_before: float, log: Log, term: int) -> None:
        """Hold no acknowledgement back that came before `contact_before`, nor any other reply
        to what came before `decline_before`, however long the write takes."""

        def held(since: float, message: Message) -> bool:
            if not isinstance(message, Reply):
                return True
            reply = message.message
            if isinstance(reply, AppendReply) and since <= contact_before:
                if reply.fits:
                    durable = min(reply.index, log.durable)
                    reply = msgspec.structs.replace(reply, index=durable, taken=reply.index)
                self._now.append(_still_true(Reply(message.ticket, reply), term, log.last_index))
            elif since <= decline_before:
                self._now.append(Reply(message.ticket, Declined("its disk takes too long")))
            else:
                return True
            return False

        for messages in (self._after_this_write, self._after_next_write):
            messages[:] = [each for each in messages if held(*each)]

    def take_write(
        self, log: Log, term: int, vote: int, cluster: str = "", trusted: bool = False
    ) -> Write | None:
        """The write to start now; None: there is nothing to write, or one is under way."""
        if self._writing:
            return None
        write = log.take_write(term, vote, cluster, trusted)
        messages = [
            (since, _still_true(message, term, log.last_index))
            for since, message in self._after_next_write
        ]
        self._after_next_write = []
        if write is None:
            self._now += (message for _, message in messages)
        else:
            self._writing, self._after_this_write = True, messages
        return write

    def written(self) -> None:
        """The write that was under way is on disk."""
        self._now += (message for _, message in self._after_this_write)
        self._writing, self._after_this_write = False, []

    def take_messages(self) -> list[Message]:
        """What may be said now."""
        messages, self._now = self._now, []
        return messages


def _still_true(message: Message, term: int, last: int) -> Message:
    # An acknowledgement that waited for the disk while the term moved on: its entries may have
    # been truncated before they were ever written, so it must not be given any more.
    if isinstance(message, Reply):
        reply = message.message
        if isinstance(reply, AppendReply) and reply.term < term:
            refusal = msgspec.structs.replace(
                reply, term=term, fits=False, index=last, round=0, taken=0
            )
            return Reply(message.ticket, refusal)
    return message
