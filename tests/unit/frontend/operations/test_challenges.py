"""A signed market operation is taken once, soon, and by the front-end that it was signed for."""

from itertools import count

import pytest

from twisted_bazaar.errors import NotAuthorised
from twisted_bazaar.frontend.operations.challenges import (
    CHALLENGE_SECONDS,
    Challenges,
    sign_operation,
)
from twisted_bazaar.rpc.push import sign

SECRET = b"0123456789abcdef"
BODY = b'{"operation":"show"}'


def challenges(secret: bytes = SECRET, key: bytes = b"its own") -> Challenges:
    numbers = count()
    return Challenges(secret, key, lambda: f"nonce{next(numbers)}")


def refused(by: Challenges, challenge: str, signature: bytes, now: float) -> str:
    with pytest.raises(NotAuthorised) as why:
        by.take(challenge, BODY, signature, now)
    return str(why.value)


def test_each_is_taken_once() -> None:
    taken = challenges()
    for now in (0.0, 7.0005):
        challenge = taken.make(now)
        signature = sign_operation(SECRET, challenge, BODY)
        taken.take(challenge, BODY, signature, now)
        assert "answered before" in refused(taken, challenge, signature, now)


def test_what_is_forgotten_is_too_old() -> None:
    """However often others were taken in between."""
    taken = challenges()
    challenge = taken.make(0.0)
    signature = sign_operation(SECRET, challenge, BODY)
    taken.take(challenge, BODY, signature, 0.5)
    for step in range(1, 100):
        now = step * CHALLENGE_SECONDS / 40
        other = taken.make(now)
        taken.take(other, BODY, sign_operation(SECRET, other, BODY), now)
        refused(taken, challenge, signature, now)
    assert len(taken._taken) < 60


def test_it_is_too_old_after_a_while() -> None:
    taken = challenges()
    challenge = taken.make(5.0)
    signature = sign_operation(SECRET, challenge, BODY)
    assert "too old" in refused(taken, challenge, signature, 5.0 + CHALLENGE_SECONDS)
    taken.take(challenge, BODY, signature, 4.999 + CHALLENGE_SECONDS)


@pytest.mark.parametrize("key", [b"of another front-end", b"of another life"])
def test_one_of_another_front_end_is_not_taken(key: bytes) -> None:
    challenge = challenges(key=key).make(0.0)
    signature = sign_operation(SECRET, challenge, BODY)
    assert "not of this front-end" in refused(challenges(), challenge, signature, 0.0)


@pytest.mark.parametrize(
    "challenge", ["", "/", "0/nonce0", "0/nonce0/", "é/é/é", "0/n/" + 99 * "0"]
)
def test_one_that_was_never_made_is_not_taken(challenge: str) -> None:
    signature = sign_operation(SECRET, challenge, BODY)
    assert "not of this front-end" in refused(challenges(), challenge, signature, 0.0)


def test_a_wrong_signature_is_refused_and_uses_nothing_up() -> None:
    taken = challenges()
    challenge = taken.make(0.0)
    right = sign_operation(SECRET, challenge, BODY)
    for wrong in (
        b"",
        right[:-1],
        sign_operation(b"another secret of", challenge, BODY),
        sign_operation(SECRET, taken.make(0.0), BODY),
        sign_operation(SECRET, challenge, BODY + b" "),
        sign(SECRET, challenge, BODY),
    ):
        assert "not signed" in refused(taken, challenge, wrong, 0.0)
    taken.take(challenge, BODY, right, 0.0)


def test_without_a_secret_nothing_is_taken() -> None:
    taken = challenges(secret=b"")
    challenge = taken.make(0.0)
    signature = sign_operation(b"", challenge, BODY)
    assert "--secret-file" in refused(taken, challenge, signature, 0.0)
