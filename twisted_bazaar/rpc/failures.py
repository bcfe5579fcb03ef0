"""The end of a call that failed: the status that its caller gets, and the line in the log."""

from collections.abc import Callable
from random import Random

from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.errors import BazaarError, Malformed, NotAuthorised

from .status import INTERNAL, number_of

__all__ = ["Failures"]

_LOG_SECONDS = 10.0
"""Messages that are refused are logged at most once in this time."""
_SAID_CHARACTERS = 300


class Failures:
    """The failures of one server."""

    log = Logger()

    def __init__(self, seconds: Callable[[], float], random: Random) -> None:
        """`random` names the unexpected ones."""
        self._seconds = seconds
        self._random = random
        self._log_again_at = float("-inf")
        self._not_logged = 0

    def status(self, method: str, peer: object, failure: Failure) -> tuple[int, str]:
        """The number of the gRPC status of a call of `method` that failed, and its text.

        An error that is no `BazaarError` is logged with its traceback, and the caller gets the
        name of that line. Messages that are refused are logged, too, but not each.
        """
        error = failure.value
        if isinstance(error, BazaarError):
            if isinstance(error, Malformed | NotAuthorised):
                self._report(method, peer, error)
            return number_of(error), str(error)
        name = f"{self._random.getrandbits(48):012x}"
        self.log.failure(
            "call {name} of {method} failed", failure=failure, name=name, method=method
        )
        return INTERNAL, f"the service failed; its log says {name}"

    def _report(self, method: str, peer: object, error: BazaarError) -> None:
        now = self._seconds()
        if now < self._log_again_at:
            self._not_logged += 1
            return
        self.log.warn(
            "{method} from {peer} was refused: {why} ({more} more since this was last said)",
            method=method,
            peer=peer,
            why=str(error)[:_SAID_CHARACTERS],
            more=self._not_logged,
        )
        self._log_again_at, self._not_logged = now + _LOG_SECONDS, 0
