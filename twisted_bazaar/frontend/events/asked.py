"""What a client asks for when it asks for events. Pure."""

import re
from collections.abc import Sequence

import msgspec

from twisted_bazaar.frontend.positions import Positions

from .journal import Wanted

__all__ = ["Asked", "accepts_gzip"]

_GZIP = re.compile(r"(?:gzip|x-gzip|\*)[ \t]*(?:;[ \t]*q=(?P<q>[01](?:\.[0-9]{0,3})?)[ \t]*)?")


class Asked(msgspec.Struct, frozen=True):
    """A request for events."""

    wanted: Wanted
    after: Positions | None
    """By partition, the order within it after which to begin; None: from now on."""
    named: str
    """What gave that order, for a message."""


def accepts_gzip(accept_encodings: Sequence[bytes] | None) -> bool:
    """Whether a client with these headers `Accept-Encoding` takes gzip."""
    accepted = False
    for header in accept_encodings or ():
        for coding in header.decode("latin-1").lower().split(","):
            matched = _GZIP.fullmatch(coding.strip())
            if matched is not None:
                weight = float(matched["q"] or 1)
                if not coding.strip().startswith("*"):
                    return weight > 0
                accepted = weight > 0
    return accepted
