"""The lines that the log has, at level debug, of trades that are followed."""

from twisted.logger import Logger

from .followed import Followed, FollowedEntry

__all__ = ["say", "say_of_entry"]


def say(log: Logger, text: str, followed: Followed, **fields: str | int | float) -> None:
    """Log what happens to a trade or request. `text` names the `fields`."""
    if followed.trace_id is not None:
        fields["trace_id"] = followed.trace_id
    log.debug(f"{text} (request {{request_id}})", request_id=followed.request_id, **fields)


def say_of_entry(log: Logger, what: str, entry: FollowedEntry) -> None:
    """Log what this process has done with the entry of a trade."""
    say(
        log,
        f"{what}: order {{number}} is entry {{index}} of term {{term}}",
        entry.followed,
        number=entry.number,
        index=entry.index,
        term=entry.term,
    )
