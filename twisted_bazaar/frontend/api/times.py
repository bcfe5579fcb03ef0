"""Reads the times that clients name. Pure."""

import re
from datetime import date

__all__ = ["TIME_RULE", "milliseconds_of"]

TIME_RULE = "a time of RFC 3339 with a zone, like 2026-11-22T10:43:46.064Z"

_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,32}))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_DAY_S = 86_400
_EPOCH = date(1970, 1, 1).toordinal()


def milliseconds_of(text: str, *, round_up: bool) -> int | None:
    """Milliseconds since 1970, which may be negative, at a time of RFC 3339; None: it is no such
    time. Fractions of a millisecond are rounded up or down. A leap second counts as the second
    after it."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    try:
        day = date.fromisoformat(found[1]).toordinal() - _EPOCH
    except ValueError:
        return None
    hour, minute, second = int(found[2]), int(found[3]), int(found[4])
    east = -1 if found[6] == "-" else 1
    zone_hour, zone_minute = int(found[7] or 0), int(found[8] or 0)
    if hour > 23 or minute > 59 or second > 60 or zone_hour > 23 or zone_minute > 59:
        return None
    seconds = day * _DAY_S + hour * 3600 + minute * 60 + second
    seconds -= east * (zone_hour * 3600 + zone_minute * 60)
    if second == 60 and seconds % _DAY_S:
        return None
    fraction = (found[5] or "").ljust(3, "0")
    more = round_up and bool(fraction[3:].strip("0"))
    return seconds * 1000 + int(fraction[:3]) + more
