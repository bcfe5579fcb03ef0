"""Finds the client of a request by its API key, and what it may call. Pure."""

import hmac
import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

import attrs

from twisted_bazaar.access import UNKNOWN, Client, Permission, Recognized
from twisted_bazaar.http.refusals import Reason, Refusal

from .client_file import ClientEntry

if TYPE_CHECKING:
    from twisted_bazaar.http.channel import BazaarChannel
    from twisted_bazaar.http.site import BazaarRequest

__all__ = ["CHALLENGE", "Gate"]

CHALLENGE = b'Bearer realm="bazaar"'
"""The header `WWW-Authenticate` of a request without an API key."""

_BEARER = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*)[ \t]*")
"""RFC 6750 §2.1."""
_ABSENT = bytes(sha256().digest_size)


class Gate:
    """The clients that there are now. It keeps hashes of API keys, and never a key."""

    def __init__(self, entries: Iterable[ClientEntry] = ()) -> None:
        self._clients: dict[bytes, tuple[bytes, Client]] = {}
        self.replace(entries)

    def replace(self, entries: Iterable[ClientEntry]) -> None:
        """These are the clients from now on."""
        self._clients = {
            (digest := bytes.fromhex(text.removeprefix("sha256:"))): (
                digest,
                attrs.evolve(entry.client, shown=digest),
            )
            for entry in entries
            for text in entry.hashes
        }

    def has_lost(self, client: Client) -> bool:
        """Whether `client`, once admitted, may do something else now, or nothing by the API key
        that it has shown: that was retired, or the client removed."""
        _, now = self._clients.get(client.shown, (_ABSENT, UNKNOWN))
        return (now.name, now.permissions) != (client.name, client.permissions)

    def __len__(self) -> int:
        """How many API keys there are."""
        return len(self._clients)

    def client_of(self, key: bytes) -> Client | None:
        """The client that has this API key; None: none has.

        What it takes says nothing of any API key: what is looked up is a hash, of which nobody can
        choose a part, and the comparison takes the same time wherever two hashes differ.
        """
        digest = sha256(key).digest()
        known, client = self._clients.get(digest, (_ABSENT, UNKNOWN))
        return client if hmac.compare_digest(known, digest) else None

    def admit(self, request: "BazaarRequest", permission: Permission | None) -> None:
        """Let `request` pass, and tell it its client, also if that lacks the permission. Raises
        `Refusal`.

        None is a permission that all have: then the client may be `UNKNOWN`.
        """
        shown = request.requestHeaders.getRawHeaders(b"Authorization")
        connection: BazaarChannel = request.channel
        last = connection.recognized
        # A connection on which the same headers come again has the same object for them.
        if last is not None and last.shown is shown and last.known is self._clients:
            client = request.caller = last.client
        else:
            found = self._client(shown)
            if isinstance(found, Refusal):
                request.caller = UNKNOWN
                if permission is None:
                    return
                raise found
            client = request.caller = found
            connection.recognized = Recognized(shown, self._clients, found)
        if permission is not None and permission not in client.permissions:
            raise _not_permitted(client, permission)

    def _client(self, authorization: Sequence[bytes] | None) -> Client | Refusal:
        if not authorization:
            return _NO_KEY
        matched = _BEARER.fullmatch(authorization[0]) if len(authorization) == 1 else None
        if matched is None:
            return _MALFORMED
        return self.client_of(matched[1]) or _WRONG_KEY


def _unauthenticated(message: str, error: bytes = b"") -> Refusal:
    challenge = CHALLENGE + (b', error="%b"' % error if error else b"")
    return Refusal(Reason.UNAUTHENTICATED, message, {b"WWW-Authenticate": challenge})


_NO_KEY = _unauthenticated("this call needs an API key: send Authorization: Bearer and the key")
_MALFORMED = _unauthenticated(
    "the header Authorization must be Bearer, a space and the API key, once", b"invalid_request"
)
_WRONG_KEY = _unauthenticated("no client has this API key", b"invalid_token")


def _not_permitted(client: Client, permission: Permission) -> Refusal:
    message = f"client {client.name} lacks the permission {permission}, which this call needs"
    challenge = CHALLENGE + b', error="insufficient_scope"'
    return Refusal(Reason.NOT_PERMITTED, message, {b"WWW-Authenticate": challenge})
