"""Which pushes a front-end takes: those that are signed for it. Pure.

A push raises floors, or brings the lease under which quotes may be shown. So no other process may
forge one: a body is decoded only after its signature was verified.
"""

import hmac
from typing import Protocol

from twisted_bazaar.errors import NotAuthorised
from twisted_bazaar.rpc.push import (
    SIGNATURE_BYTES,
    Push,
    PushReply,
    announced,
    decode_push,
    head_of,
    signed,
)

__all__ = ["NOT_SIGNED", "NoSubscription", "SignedPushes", "Taker"]

NOT_SIGNED = "the push is not signed for this front-end"


class Taker(Protocol):
    """What takes in the pushes of a subscription, such as `Subscriber`."""

    token: str
    """Signs them; empty: there is no subscription."""

    def push(self, push: Push, /) -> PushReply:
        """Take in a push. It may come late, twice or out of order."""


class NoSubscription:
    """The taker of a front-end without a cache: no push is signed for it."""

    token = ""

    def push(self, push: Push) -> PushReply:
        raise NotAuthorised(NOT_SIGNED)


class SignedPushes:
    """Verifies pushes and hands them to `taker`."""

    def __init__(self, secret: bytes, taker: Taker) -> None:
        """`secret` is the cluster's. If it is empty, the taker's token alone signs."""
        self._secret = secret
        self._taker = taker

    def take(self, body: bytes, signature: bytes) -> PushReply:
        """Take in a push. Raises `NotAuthorised` or `Malformed`."""
        # Without a token and a secret the key would be public.
        token = self._taker.token
        if not (token and signature and signed(self._secret, token, body, signature)):
            raise NotAuthorised(NOT_SIGNED)
        return self._taker.push(decode_push(body))

    def may_come(self, signature: bytes) -> bool:
        """Whether a body with this signature can be a push at all."""
        return bool(self._taker.token) and len(signature) == SIGNATURE_BYTES

    def is_head(self, head: bytes, length: int, signature: bytes) -> bool:
        """Whether `head` announces a push with a body of `length` bytes and this signature."""
        right = head_of(self._secret, self._taker.token, length, signature)
        return hmac.compare_digest(head, right)

    def announced(self, body: bytes) -> int:
        """The length of the body of the push that the request with `body` announces. Raises
        `NotAuthorised`."""
        token = self._taker.token
        length = announced(self._secret, token, body) if token else None
        if length is None:
            raise NotAuthorised(NOT_SIGNED)
        return length
