"""Messages on their way out: some are sent at once, some once the disk holds what they rest on.

An acknowledgement that waits for the disk for long is given early, for what was on disk before:
it shows the leader that the follower lives. Any other reply that waits until its caller has given
up is declined, so that nothing is kept of it. Pure.
"""

from collections.abc import Iterable

import msgspec

from .log import Log, Write
from .messages import AppendReply, Declined, Message, Reply

__all__ = ["Outbox"]


class Outbox:
    """Messages that are still to be sent, and whether a write is under way."""

    def __init__(self) -> None:
        self._now: list[Message] = []
        # Each with the time when it was held back.
        self._after_next_write: list[tuple[float, Message]] = []
        self._after_this_write: list[tuple[float, Message]] = []
        self._writing = False

    def say(self, messages: Iterable[Message]) -> None:
        """Send `messages`, which rest on nothing that is not on disk yet."""
        self._now += messages

    def say_after_write(self, messages: Iterable[Message], now: float) -> None:
        """Send `messages`, which rest on the log, term and vote as they are now."""
        self._after_next_write += ((now, message) for message in messages)

    def tick(self, contact_before: float, decline_before: float, log: Log, term: int) -> None:
        """Time has passed: give acknowledgements held back since `contact_before` early, and
        decline other replies held back since `decline_before`."""

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
        """The write to start now; None: there is nothing to write, or a write is under way."""
        if self._writing:
            return None
        write = log.take_write(term, vote, cluster, trusted)
        messages: list[tuple[float, Message]] = []
        if self._after_next_write:
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
        """The messages to send now."""
        messages, self._now = self._now, []
        return messages


def _still_true(message: Message, term: int, last: int) -> Message:
    # The term has moved on while an acknowledgement waited for the disk: its entries may have
    # been truncated before they were written, so it becomes a refusal.
    if isinstance(message, Reply):
        reply = message.message
        if isinstance(reply, AppendReply) and reply.term < term:
            refusal = msgspec.structs.replace(
                reply, term=term, fits=False, index=last, round=0, taken=0
            )
            return Reply(message.ticket, refusal)
    return message
