"""Pushes: the messages by which a catalog invalidates quotes that a front-end has cached. Pure.

A front-end subscribes over gRPC; from then on the catalog sends pushes to its internal endpoint,
one at a time: in frames (see `frames`), or over HTTP if the front-end is of an earlier release, or
a proxy for HTTP is in between. Each carries floors, the lowest version of each stock that may still
be shown, for all changes since the last push that was answered, and perhaps a lease (`leases`) and
quotes: stocks as they were released since, for the front-end's cache. A push is signed with a key
that only the two know: the cluster's secret, if there is one, and the token of the subscription.
"""

import hmac
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated

import msgspec

from twisted_bazaar.errors import Malformed
from twisted_bazaar.leases import Stamp
from twisted_bazaar.market import MAX_NAME_CHARACTERS, MAX_SHARES, MAX_VOLUME

from .bounds import MAX_PRICE

__all__ = [
    "ANNOUNCEMENT_KIND",
    "ANNOUNCEMENT_METHOD",
    "HEAD_HEADER",
    "MAX_PUSH_BYTES",
    "MAX_QUOTES",
    "MAX_REPLY_BYTES",
    "MAX_UNANNOUNCED_BYTES",
    "PATH",
    "PUSH_KIND",
    "PUSH_METHOD",
    "SIGNATURE_HEADER",
    "SIGNATURE_BYTES",
    "Push",
    "PushReply",
    "PushedQuote",
    "Subscription",
    "announced",
    "announcement",
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
"""A signature of the length and the signature of the body: the receiver recognises a push by its
head, before it keeps any of the body."""
MAX_PUSH_BYTES = 6 * 1024 * 1024
"""The largest push: a floor for the most stocks, with the longest names."""
MAX_QUOTES = 128
"""In one push: less than 64 KiB, with the longest names."""
MAX_REPLY_BYTES = 4096
"""Many times the size of a front-end's answer."""

PUSH_KIND = 6
"""The kind of a request that carries a push: its signature, and then its body."""
PUSH_METHOD = "frames.Push"
"""What it is counted as, and its row in `security.roles.ALLOWED`."""
ANNOUNCEMENT_KIND = 7
"""The kind of a request that announces the next one: see `announcement`."""
ANNOUNCEMENT_METHOD = "frames.Announcement"
"""Its row in `security.roles.ALLOWED`."""
MAX_UNANNOUNCED_BYTES = 16 * 1024
"""Of a push in a frame that was not announced."""
SIGNATURE_BYTES = 64

MAX_LEASE_SECONDS = 86_400
"""Longer than any lease; a push with a longer one is malformed."""

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """A front-end's registration at a catalog for pushes."""

    address: str
    """HOST:PORT of the front-end's internal endpoint."""
    life: int
    """A random number for each subscription, from 1 to 2**53 - 1. A new one has been told
    nothing yet."""
    token: str
    """Part of the key that pushes are signed with."""
    frames: bool = False
    """Whether the front-end takes pushes in frames, too. Not proven by `prove`, which an earlier
    release checks: a change of it costs only the pushes, as a change of the address does."""
    quotes: bool = False
    """Whether it takes quotes in pushes. Likewise."""
    partition: int = 0
    """The one whose stocks this is for."""


class PushedQuote(msgspec.Struct, frozen=True, array_like=True):
    """A stock as it was released: what a lookup of it could have been answered with."""

    name: Annotated[str, msgspec.Meta(max_length=MAX_NAME_CHARACTERS)]
    price: Annotated[int, msgspec.Meta(ge=0, le=MAX_PRICE)]
    quantity: Annotated[int, msgspec.Meta(ge=0, le=MAX_SHARES)]
    volume: Annotated[int, msgspec.Meta(ge=0, le=MAX_VOLUME)]
    version: Count
    halted: bool = False
    """Absent in those of an earlier release."""


class Push(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What has changed since the last push that was answered."""

    life: Count
    """The subscription that this is for."""
    history: Annotated[str, msgspec.Meta(max_length=256)]
    """Names the order log that versions are indexes of."""
    upto: Count
    """The front-end now knows of all changes up to this index."""
    floors: Mapping[str, Count]
    """By stock, the lowest version that may still be shown."""
    stamp: Stamp | None
    """The stamp of the answer that earned a lease; None: none did."""
    seconds: Annotated[float, msgspec.Meta(ge=0, le=MAX_LEASE_SECONDS)]
    """The length of that lease, counted from when that answer was sent."""
    quotes: Annotated[Sequence[PushedQuote], msgspec.Meta(max_length=MAX_QUOTES)] = ()
    """Released since the last push. Only values for the cache: floors decide whether they may be
    shown. Left out if there are none, as an earlier release does not know this field."""


class PushReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The front-end shows nothing older from now on."""

    upto: Count
    stamp: Stamp | None
    """None: the subscription has ended, and the front-end shows nothing because of it."""


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
    """Whether `signature` is the one of `body`."""
    return hmac.compare_digest(sign(secret, token, body), signature)


def head_of(secret: bytes, token: str, length: int, signature: bytes) -> bytes:
    """The value of `HEAD_HEADER` for a body of `length` bytes with this `signature`."""
    return _mac(_key(secret, token), b"head %d %b" % (length, signature))


def announcement(secret: bytes, token: str, length: int, signature: bytes) -> bytes:
    """The body of a request that announces a push, whose body has `length` bytes and this
    `signature`: what `HEAD_HEADER` is to HTTP."""
    return length.to_bytes(4, "big") + signature + head_of(secret, token, length, signature)


def announced(secret: bytes, token: str, body: bytes) -> int | None:
    """The length that an `announcement` gives; None: it is not signed."""
    length = int.from_bytes(body[:4], "big")
    signature = body[4 : 4 + SIGNATURE_BYTES]
    head = head_of(secret, token, length, signature)
    return length if hmac.compare_digest(body[4 + SIGNATURE_BYTES :], head) else None


def prove(secret: bytes, subscription: Subscription) -> str:
    """Proves to a catalog that the sender of `subscription` has the cluster's secret. It is valid
    for this address, life, token and partition only."""
    said: tuple[str | int, ...] = (subscription.address, subscription.life, subscription.token)
    if subscription.partition:
        said += (subscription.partition,)
    return _mac(_key(secret, "subscribe"), _encode(said)).decode()


def proven(secret: bytes, subscription: Subscription, proof: str) -> bool:
    """Whether `proof` is the one for `subscription`."""
    return hmac.compare_digest(prove(secret, subscription).encode(), proof.encode())


@lru_cache(maxsize=256)
def _key(secret: bytes, token: str) -> bytes:
    # Two keyed hashes, so that secret and token cannot be confused at their border.
    return hmac.digest(secret, token.encode(), "sha256")


def _mac(key: bytes, said: bytes) -> bytes:
    return hmac.digest(key, said, "sha256").hex().encode()
