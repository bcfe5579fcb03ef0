"""What a replica says, and when it may: at once, or only after its disk holds the reason. Pure."""

from collections.abc import Iterable

import msgspec

from .log import Log, Write
from .messages import AppendReply, Reply, Request

__all__ = ["Outbox"]

Message = Request | Reply


class Outbox:
    """Messages on their way out, and the one write that may be under way."""

    def __init__(self) -> None:
        self._now: list[Message] = []
        self._after_next_write: list[Message] = []
        self._after_this_write: list[Message] = []
        self._writing = False

    def say(self, messages: Iterable[Message]) -> None:
        """Nothing in `messages` rests on what is not on disk yet."""
        self._now += messages

    def say_after_write(self, messages: Iterable[Message]) -> None:
        """`messages` rest on the log, term and vote as they are now."""
        self._after_next_write += messages

    def take_write(
        self, log: Log, term: int, vote: int, cluster: str = "", trusted: bool = False
    ) -> Write | None:
        """The write to start now; None: there is nothing to write, or one is under way."""
        if self._writing:
            return None
        write = log.take_write(term, vote, cluster, trusted)
        messages = [
            _still_true(message, term, log.last_index) for message in self._after_next_write
        ]
        self._after_next_write = []
        if write is None:
            self._now += messages
        else:
            self._writing, self._after_this_write = True, messages
        return write

    def written(self) -> None:
        """The write that was under way is on disk."""
        self._now += self._after_this_write
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
            refusal = msgspec.structs.replace(reply, term=term, fits=False, index=last, round=0)
            return Reply(message.ticket, refusal)
    return message
