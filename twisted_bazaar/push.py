"""The push: how a catalog tells a front-end which quantities it must not show any more. Pure.

A front-end subscribes (over gRPC); from then on the catalog POSTs pushes to its internal
endpoint, one at a time, each with all that changed since the last that was answered. A push is
signed with a key that only the two know: the cluster's secret, if there is one, and the token
that came with the subscription. See `leases` for what the stamps do.
"""

import hashlib
import hmac
from collections.abc import Mapping

import msgspec

from .errors import Damaged
from .leases import Stamp

__all__ = [
    "MAX_PUSH_BYTES",
    "PATH",
    "SIGNATURE_HEADER",
    "Push",
    "PushReply",
    "Subscription",
    "decode_push",
    "decode_reply",
    "encode",
    "sign",
    "signed",
]

PATH = b"/invalidations"
SIGNATURE_HEADER = b"X-Bazaar-Signature"
MAX_PUSH_BYTES = 1024 * 1024
"""About ten thousand stocks."""


class Subscription(msgspec.Struct, frozen=True):
    """A front-end asks to be told of changes."""

    address: str
    """HOST:PORT of its internal endpoint."""
    life: int
    """Another one for each subscription: nothing is known to this one yet."""
    token: str


class Push(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What has changed."""

    life: int
    """The subscription that this is for."""
    history: str
    """Names the order log that versions are indexes of."""
    upto: int
    """After this push the front-end knows of all changes up to this index."""
    floors: Mapping[str, int]
    """By stock: the version below which nothing may be shown."""
    stamp: Stamp | None
    """The answer that earned a lease, if one did."""
    seconds: float
    """The length of that lease, from when that answer was sent."""


class PushReply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing older is shown any more."""

    upto: int
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
    """The inverse of `encode`. Raises `Damaged`."""
    try:
        return _push.decode(body)
    except _NOT_ONE as why:
        raise Damaged(f"not a push: {why}") from None


def decode_reply(body: bytes) -> PushReply:
    """The inverse of `encode`. Raises `Damaged`."""
    try:
        return _reply.decode(body)
    except _NOT_ONE as why:
        raise Damaged(f"not the answer to a push: {why}") from None


def sign(secret: bytes, token: str, body: bytes) -> bytes:
    """The signature of `body`, in hexadecimal."""
    # Two keyed hashes, so that no choice of token makes the secret and it run together.
    key = hmac.digest(secret, token.encode(), "sha256")
    return hmac.new(key, body, hashlib.sha256).hexdigest().encode()


def signed(secret: bytes, token: str, body: bytes, signature: bytes) -> bool:
    """Whether `signature` is that of `body`."""
    return hmac.compare_digest(sign(secret, token, body), signature)
