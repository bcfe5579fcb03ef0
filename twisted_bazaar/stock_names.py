"""The rule for names of stocks, applied where they enter the market. Pure.

A name is part of a URL, a key in Redis, a cell of a CSV file and a line of a log. An admitted
name is served by every call. A name that a URL path cannot carry, or that a person cannot tell
from another, is refused before it is listed. Names in the order log are never judged again: the log
keeps what an earlier release admitted.
"""

import unicodedata

from twisted_bazaar.market import MAX_NAME_CHARACTERS

__all__ = ["StockNames", "shown"]

_DOTS = (".", "..")
_SHOWN_CHARACTERS = 80


class StockNames:
    """Names that are to be in one market."""

    def __init__(self) -> None:
        self._by_likeness: dict[str, str] = {}

    def know(self, name: str) -> None:
        """`name` is listed: it is not judged, and others must not be too like it."""
        self._by_likeness[_likeness(name)] = name

    def add(self, name: str) -> None:
        """Raises ValueError, in words for a person, if no stock can be listed as `name`.

        It must be fit to be a segment of a path, and no other name may differ from it only in
        case or in how Unicode spells the same text.
        """
        if fault := _fault(name):
            raise ValueError(f"name must {fault}, not {shown(name)}")
        likeness = _likeness(name)
        if likeness in self._by_likeness:
            other = shown(self._by_likeness[likeness])
            raise ValueError(f"{shown(name)} is too like {other}, which is listed, too")
        self._by_likeness[likeness] = name


def _fault(name: str) -> str | None:
    if not 1 <= len(name) <= MAX_NAME_CHARACTERS or not name.isprintable():
        return f"be 1 to {MAX_NAME_CHARACTERS} printable characters"
    if name != name.strip(" "):
        return "neither begin nor end with a space"
    if name in _DOTS:
        return "be something other than . and .., which a path cannot say"
    if not unicodedata.is_normalized("NFC", name):
        return "be in Unicode's composed form (NFC)"
    return None


def _likeness(name: str) -> str:
    """Equal for names that are too alike: Unicode's compatibility caseless match (D146)."""
    if name.isascii():
        return name.lower()
    folded = unicodedata.normalize("NFD", name).casefold()
    folded = unicodedata.normalize("NFKD", folded).casefold()
    return unicodedata.normalize("NFKD", folded)


def shown(text: str) -> str:
    """`text` as a line of output may repeat it: quoted, in ASCII, at most 80 characters of it."""
    return ascii(text) if len(text) <= _SHOWN_CHARACTERS else ascii(text[:_SHOWN_CHARACTERS]) + "…"
