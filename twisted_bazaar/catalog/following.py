"""What a catalog knows of trades that are followed: whose they are, for its log and for spans. Made
only where the log is at level debug, or traces are exported."""

from collections.abc import Callable, Mapping

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.consensus.messages import Apply, ApplyReply
from twisted_bazaar.tracing.followed import Followed, FollowedEntries, FollowedEntry
from twisted_bazaar.tracing.lines import say_of_entry
from twisted_bazaar.tracing.spans import Kind, Tracer

__all__ = ["Following"]

_CLEARED = "cleared"


class Following:
    """What one catalog knows of the trades that are followed."""

    log = Logger()

    def __init__(self, tracer: Tracer | None, is_debugging: bool) -> None:
        """`is_debugging`: the log shows lines of level debug."""
        self._tracer = tracer
        self._is_debugging = is_debugging
        self._entries = FollowedEntries(_CLEARED)

    def around(
        self, apply: Callable[[Apply], Deferred[ApplyReply]]
    ) -> Callable[[tuple[Apply, Mapping[int, Followed]]], Deferred[ApplyReply]]:
        """`apply`, for entries that came with whose they are."""

        def ask(came: tuple[Apply, Mapping[int, Followed]]) -> Deferred[ApplyReply]:
            message, followed = came
            taken = self._take(message, followed)
            try:
                reply = apply(message)
            except Exception:
                self._entries.forget(taken)
                raise
            asked = (message, taken)
            return reply.addCallbacks(self._applied, self._failed, asked, {}, asked)

        return ask

    def _take(self, message: Apply, followed: Mapping[int, Followed]) -> list[FollowedEntry]:
        entries = (*message.entries, *message.proposed)
        self._entries.supersede(entries)
        taken = []
        for entry in entries if followed else ():
            whose = followed.get(entry.index)
            if whose is not None and (new := self._entries.remember(entry, whose)):
                if self._tracer is not None and whose.context is not None:
                    new.span = self._tracer.begin(
                        "Catalog.Apply", Kind.SERVER, whose.context, new.attributes
                    )
                taken.append(new)
        return taken

    def _applied(self, reply: ApplyReply, message: Apply, taken: list[FollowedEntry]) -> ApplyReply:
        if reply.term != message.term:
            # It is of a leader that was replaced: nothing of it was taken in.
            self._entries.forget(taken)
        else:
            for each in self._entries.take_open(_CLEARED, reply.cleared):
                if each.span is not None:
                    each.span.end()
                if self._is_debugging:
                    say_of_entry(self.log, "cleared", each)
        return reply

    def _failed(self, failure: Failure, _: Apply, taken: list[FollowedEntry]) -> Failure:
        self._entries.forget(taken)
        return failure
