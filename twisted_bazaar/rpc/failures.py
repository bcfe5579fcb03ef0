"""What a server does with calls that fail: the status for the caller, and lines in the log."""

from collections.abc import Callable
from random import Random

from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_bazaar.errors import BazaarError, Malformed, NotAuthorised
from twisted_bazaar.runtime.seldom import Seldom

from .status import INTERNAL, number_of

__all__ = ["Failures"]

_SAID_CHARACTERS = 300


class Failures:
    """The failures of one server. May be used on any thread."""

    log = Logger()

    def __init__(self, seconds: Callable[[], float], random: Random) -> None:
        """`seconds` is a monotonic clock. `random` names the unexpected failures."""
        self._seconds = seconds
        self._random = random
        self._refusals = Seldom()

    def status(self, method: str, peer: object, failure: Failure) -> tuple[int, str]:
        """The number of the gRPC status of a call of `method` that failed, and its text."""
        error = failure.value
        if isinstance(error, BazaarError):
            self.expected(method, peer, error)
            return number_of(error), str(error)
        return INTERNAL, self.unexpected(method, failure)

    def expected(self, method: str, peer: object, error: BazaarError, requests: str = "") -> None:
        """Log an error that is the caller's mistake, as `refused` does; no other."""
        if isinstance(error, Malformed | NotAuthorised):
            self.refused(method, peer, error, requests)

    def unexpected(self, method: str, failure: Failure, requests: str = "") -> str:
        """Log an error that is no `BazaarError`, with its traceback. Returns what to tell the
        caller: the name of that line. `requests` is what `request_ids.named_in` returns."""
        name = f"{self._random.getrandbits(48):012x}"
        self.log.failure(
            "unexpected error in call {name} of {method}{requests}",
            failure,
            name=name,
            method=method,
            requests=requests,
        )
        return f"unexpected error: call {name} in the log of the service"

    def refused(self, what: str, peer: object, why: object, requests: str = "") -> None:
        """Log, at a bounded rate, that `what`, a method or a connection, was refused to `peer`.
        `requests` is what `request_ids.named_in` returns."""
        more = self._refusals.held_back(self._seconds())
        if more is None:
            return
        self.log.warn(
            "{what} from {peer} was refused: {why}{requests} "
            "({more} more since the last line like this)",
            what=f"{what:.{_SAID_CHARACTERS}}",
            peer=peer,
            why=f"{why!s:.{_SAID_CHARACTERS}}",
            requests=requests,
            more=more,
        )
