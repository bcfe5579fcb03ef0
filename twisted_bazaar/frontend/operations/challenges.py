"""Which market operations a front-end takes: those that are signed for it, each once. Pure.

    GET /market                 the front-end makes a challenge
    POST /market                the body, signed with the cluster's secret and the challenge

A challenge is taken once, for a short time, and only by the front-end, in the life, that made it.
So a recorded request has no effect, neither there nor elsewhere nor later. Challenges need no
memory until they are used: the front-end seals each with a key of its own.
"""

import hmac
from collections.abc import Callable

from twisted_bazaar.errors import NotAuthorised
from twisted_bazaar.rpc.push import sign, signed

__all__ = [
    "CHALLENGE_HEADER",
    "CHALLENGE_SECONDS",
    "PATH",
    "SIGNATURE_HEADER",
    "Challenges",
    "sign_operation",
]

PATH = b"/market"
CHALLENGE_HEADER = b"X-Bazaar-Challenge"
SIGNATURE_HEADER = b"X-Bazaar-Signature"
CHALLENGE_SECONDS = 30.0
"""For so long a challenge may be answered."""

_MAX_CHARACTERS = 128


def sign_operation(secret: bytes, challenge: str, body: bytes) -> bytes:
    """The value of `SIGNATURE_HEADER` for `body`."""
    return sign(secret, _token(challenge), body)


def _token(challenge: str) -> str:
    # No subscription has such a token: a push is no operation.
    return f"market {challenge}"


class Challenges:
    """The challenges of one front-end. Times are seconds on a clock that never goes back."""

    def __init__(self, secret: bytes, key: bytes, nonces: Callable[[], str]) -> None:
        """`secret` is the cluster's; if it is empty, nothing is taken. `key` is random, and known
        to this front-end only. Each call of `nonces` returns a text never returned before."""
        self._secret = secret
        self._key = key
        self._nonces = nonces
        self._taken: dict[str, float] = {}
        """When each was taken, the oldest first. They are too old before they are forgotten."""

    def make(self, now: float) -> str:
        """A new challenge."""
        said = f"{int(1000 * now)}/{self._nonces()}"
        return f"{said}/{self._seal(said)}"

    def take(self, challenge: str, body: bytes, signature: bytes, now: float) -> None:
        """Take the operation in `body`. Raises `NotAuthorised`."""
        if not self._secret:
            raise NotAuthorised("the front-end has no --secret-file, without which none can sign")
        made = self._made(challenge)
        if made is None or not made <= now < made + CHALLENGE_SECONDS:
            raise NotAuthorised("the challenge is not of this front-end, or too old: GET another")
        if not signed(self._secret, _token(challenge), body, signature):
            raise NotAuthorised("it is not signed with the secret of this cluster")
        for old, when in [*self._taken.items()]:
            if now < when + CHALLENGE_SECONDS:
                break
            del self._taken[old]
        if challenge in self._taken:
            raise NotAuthorised("the challenge was answered before: GET another")
        self._taken[challenge] = now

    def _made(self, challenge: str) -> float | None:
        """When `challenge` was made; None: not here."""
        said, _, seal = challenge.rpartition("/")
        if len(challenge) > _MAX_CHARACTERS or not challenge.isascii():
            return None
        if not hmac.compare_digest(seal, self._seal(said)):
            return None
        return int(said.partition("/")[0]) / 1000

    def _seal(self, said: str) -> str:
        return hmac.digest(self._key, said.encode(), "sha256").hex()[:32]
