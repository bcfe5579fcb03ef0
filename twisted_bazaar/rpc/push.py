"""The push: how a catalog tells a front-end which quantities it must not show any more. Pure.

A front-end subscribes (over gRPC); from then on the catalog POSTs pushes to its internal
endpoint, one at a time, each with all that changed since the last that was answered. A push is
signed with a key that only the two know: the cluster's secret, if there is one, and the token
that came with the subscription. See `leases` for what the stamps do.
"""

import hmac
from collections.abc import Mapping
from typing import Annotated

import msgspec

from twisted_bazaar.errors import Malformed
from twisted_bazaar.leases import Stamp

__all__ = [
    "HEAD_HEADER",
    "MAX_PUSH_BYTES",
    "PATH",
    "SIGNATURE_HEADER",
    "Push",
    "PushReply",
    "Subscription",
    "decode_push",
    "decode_reply",
    "encode",
    "head_of",
    "prove",
    "proven",
    "sign",
    "signed",
]

PATH = b"/invalidations"
SIGNATURE_HEADER = b"X-Bazaar-Signature"
HEAD_HEADER = b"X-Bazaar-Head"
"""Signs length and signature of the body: so a push is known by its head, before anything of
its body is kept."""
MAX_PUSH_BYTES = 6 * 1024 * 1024
"""Every stock that there may be, with the longest names."""


MAX_LEASE_SECONDS = 86_400
"""Longer than any lease: a number that is out of bounds makes a push none."""

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """A front-end asks to be told of changes."""

    address: str
    """HOST:PORT of its internal endpoint."""
    life: int
    """Another one for each subscription: nothing is known to this one yet."""
    token: str


class Push(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What has changed."""

    life: Count
    """The subscription that this is for."""
    history: Annotated[str, msgspec.Meta(max_length=256)]
    """Names the order log that versions are indexes of."""
    upto: Count
    """After this push the front-end knows of all changes up to this index."""
    floors: Mapping[str, Count]
    """By stock: the version below which nothing may be shown."""
    stamp: Stamp | None
    """The answer that earned a lease, if one did."""
    seconds: Annotated[float, msgspec.Meta(ge=0, le=MAX_LEASE_SECONDS)]
    """The length of that lease, from when that answer was sent."""


class PushReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing older is shown any more."""

    upto: Count
    stamp: Stamp | None
    """None: the subscription is over. Nothing at all is shown because of it."""


_encode = msgspec.json.Encoder().encode
_push = msgspec.json.Decoder(Push)
_reply = msgspec.json.Decoder(PushReply)
_NOT_ONE = msgspec.DecodeError, UnicodeDecodeError, RecursionError


def encode(message: Push | PushReply) -> bytes:
    """The body that carries `message`."""
    return _encode(message)


def decode_push(body: bytes) -> Push:
    """The inverse of `encode`. Raises `Malformed`."""
    try:
        return _push.decode(body)
    except _NOT_ONE as why:
        raise Malformed(f"not a push: {why}") from None


def decode_reply(body: bytes) -> PushReply:
    """The inverse of `encode`. Raises `Malformed`."""
    try:
        return _reply.decode(body)
    except _NOT_ONE as why:
        raise Malformed(f"not the answer to a push: {why}") from None


def sign(secret: bytes, token: str, body: bytes) -> bytes:
    """The signature of `body`, in hexadecimal."""
    return _mac(_key(secret, token), body)


def signed(secret: bytes, token: str, body: bytes, signature: bytes) -> bool:
    """Whether `signature` is that of `body`."""
    return hmac.compare_digest(sign(secret, token, body), signature)


def head_of(secret: bytes, token: str, length: int, signature: bytes) -> bytes:
    """What `HEAD_HEADER` says of a body of `length` bytes with this `signature`."""
    return _mac(_key(secret, token), b"head %d %b" % (length, signature))


def prove(secret: bytes, subscription: Subscription) -> str:
    """Shows a catalog that who asks for `subscription` has the cluster's secret. It is worth
    nothing for any other address, life or token."""
    said = (subscription.address, subscription.life, subscription.token)
    return _mac(_key(secret, "subscribe"), _encode(said)).decode()


def proven(secret: bytes, subscription: Subscription, proof: str) -> bool:
    """Whether `proof` is that of `subscription`."""
    return hmac.compare_digest(prove(secret, subscription).encode(), proof.encode())


def _key(secret: bytes, token: str) -> bytes:
    # Two keyed hashes, so that no choice of token makes the secret and it run together.
    return hmac.digest(secret, token.encode(), "sha256")


def _mac(key: bytes, said: bytes) -> bytes:
    return hmac.digest(key, said, "sha256").hex().encode()
