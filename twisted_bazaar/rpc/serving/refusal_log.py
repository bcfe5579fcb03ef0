"""Logs refused calls and connections, at a bounded rate."""

from collections.abc import Callable

from twisted.logger import Logger

__all__ = ["RefusalLog"]

_LOG_SECONDS = 10.0
"""At most one log line in so many seconds reports refusals."""
_SAID_CHARACTERS = 300


class RefusalLog:
    """The refusals of one server. May be used on any thread."""

    log = Logger()

    def __init__(self, seconds: Callable[[], float]) -> None:
        """`seconds` is a monotonic clock."""
        self._seconds = seconds
        self._log_again_at = float("-inf")
        self._not_logged = 0

    def refused(self, what: str, peer: str, why: object) -> None:
        """Log that `what`, a method or a connection, was refused to `peer`."""
        now = self._seconds()
        if now < self._log_again_at:
            self._not_logged += 1
            return
        self.log.warn(
            "{what} from {peer} was refused: {why} ({more} more since the last line like this)",
            what=f"{what:.{_SAID_CHARACTERS}}",
            peer=peer,
            why=f"{why!s:.{_SAID_CHARACTERS}}",
            more=self._not_logged,
        )
        self._log_again_at, self._not_logged = now + _LOG_SECONDS, 0
