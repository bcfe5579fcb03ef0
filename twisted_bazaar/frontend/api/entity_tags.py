"""Entity tags of stocks, for conditional requests. Pure.

A tag names the order log and the version, which is an index of it. So two bazaars share none, nor
does one bazaar before and after its log was begun anew or restored.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

__all__ = ["entity_tag", "matches"]

_FORMAT = b"2:"
"""To be changed whenever bodies show the same stock at the same version differently."""
_HISTORY_BYTES = 8
_ANY = b"*"
_TAGS = re.compile(rb'[ \t]*(?:(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*)?(?:,|$)')
"""One element of the list that RFC 9110 allows; it may be empty."""


def entity_tag(history: str, version: int) -> bytes:
    """The strong tag of a stock at `version`; empty, which is no tag, if `history` is."""
    return b'"%b-%d"' % (_name(history), version) if history else b""


@lru_cache(16)
def _name(history: str) -> bytes:
    """A hash of `history`, which may be any text."""
    text = history.encode("utf-8", "surrogatepass")
    return blake2b(_FORMAT + text, digest_size=_HISTORY_BYTES).hexdigest().encode()


def matches(if_none_match: Sequence[bytes] | None, tag: bytes) -> bool:
    """Whether `If-None-Match` names `tag`, weakly compared (RFC 9110 §13.1.2).

    A lone asterisk matches any. A malformed header matches nothing: the client gets the body.
    """
    if if_none_match is None:
        return False
    field = b",".join(if_none_match).strip(b" \t")
    if field == _ANY:
        return True
    at, found = 0, False
    while at < len(field):
        element = _TAGS.match(field, at)
        if element is None:
            return False
        found = found or (bool(tag) and element[1] == tag)
        at = element.end()
    return found
