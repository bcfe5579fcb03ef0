"""What a stock may be called: the one rule for names, kept where they enter the market. Pure.

A name is part of a URL, a key in Redis, a cell of a CSV and a line of a log. What is admitted
here is served by every call; what a path cannot say, or a person cannot tell from another name,
is refused before it is listed. Names that were listed already are never judged again: an order
log keeps what an earlier release admitted.
"""

import unicodedata

__all__ = ["MAX_NAME_CHARACTERS", "Names", "shown"]

MAX_NAME_CHARACTERS = 64

_DOTS = (".", "..")
_SHOWN_CHARACTERS = 80


class Names:
    """Names that are to be listed together."""

    def __init__(self) -> None:
        self._alike: dict[str, str] = {}

    def add(self, name: str) -> None:
        """Raises ValueError, in words for a person, if no stock can be listed as `name`.

        It must be fit to be a segment of a path, and no other name may differ from it only in
        case or in how Unicode spells the same text.
        """
        if fault := _fault(name):
            raise ValueError(f"name must {fault}, not {shown(name)}")
        likeness = _likeness(name)
        if likeness in self._alike:
            other = shown(self._alike[likeness])
            raise ValueError(f"{shown(name)} is too like {other}, which is listed, too")
        self._alike[likeness] = name


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
    folded = unicodedata.normalize("NFD", name).casefold()
    folded = unicodedata.normalize("NFKD", folded).casefold()
    return unicodedata.normalize("NFKD", folded)


def shown(text: str) -> str:
    """`text` as a line of output may repeat it: quoted, short, in ASCII."""
    return ascii(text) if len(text) <= _SHOWN_CHARACTERS else ascii(text[:_SHOWN_CHARACTERS]) + "…"
