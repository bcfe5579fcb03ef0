"""Backoff for lease holders that repeatedly delay releases. Pure.

A grantor of leases waits for each holder before clients may see what is new (`leases`). A holder
that stops once costs them one lease, and may: processes die, and machines pause. One that stops
over and over would cost a large part of all time. So the time for which each holder has delayed
others is counted as its debt, and a share of the time that passes is forgiven. A holder with too
much debt is *kept out*: it gets no lease, and need not be waited for once its last one has run
out. Each time it is kept out for longer, up to a bound; after good behaviour it begins anew.
"""

from collections.abc import Mapping

import msgspec

__all__ = ["LONGEST_LEASES", "Backoff", "KeptOut"]

_TOLERATED_LEASES = 1.0
"""The largest debt, in lengths of a lease, at which a holder is not kept out: one stop is free."""
_FORGIVEN_SHARE = 0.05
"""The share of the time that passes by which a debt shrinks."""
_FIRST_LEASES = 2.0
"""How long a holder is kept out the first time, in leases; each further time twice as long."""
LONGEST_LEASES = 16.0
"""How long a holder is kept out at most, in leases."""
_GOOD_LEASES = 60.0
"""A holder that has not been kept out for this long, in leases, begins anew."""
_CAPACITY = 1024
"""Holders that are remembered at most."""


class KeptOut(msgspec.Struct, frozen=True):
    """A holder is kept out from now on."""

    holder: str
    seconds: float
    times: int
    """How often it was kept out since it began anew, this time included."""


class _Record:
    """What is known of one holder that has delayed others."""

    def __init__(self, now: float) -> None:
        self.debt = 0.0
        """Seconds for which it has delayed others, less what was forgiven by `counted_at`."""
        self.counted_at = now
        self.times = 0
        self.until = float("-inf")
        """It is kept out before this moment."""


class Backoff:
    """What one grantor knows of its holders, by name. Times are seconds on the grantor's clock.

    A name outlives restarts and subscriptions of its holder. At most 1024 are remembered.
    """

    def __init__(self, lease: float) -> None:
        """`lease` is the length of a lease in seconds: what a holder that stops costs others."""
        self._lease = lease
        self._records: dict[str, _Record] = {}
        self._news: list[KeptOut] = []
        self.times_kept_out = 0
        """How often any holder was kept out."""

    def delayed(self, holder: str, seconds: float, now: float) -> None:
        """Others have waited `seconds` for `holder`, up to now."""
        record = self._records.get(holder)
        if record is None:
            self._make_room()
            record = self._records[holder] = _Record(now)
        if now < record.until:
            return  # What it delays before its last lease runs out was counted in advance.
        record.debt = self._debt(record, now) + seconds
        record.counted_at = now
        if record.debt > _TOLERATED_LEASES * self._lease:
            self._keep_out(holder, record, now)

    def _debt(self, record: _Record, now: float) -> float:
        return max(0.0, record.debt - _FORGIVEN_SHARE * (now - record.counted_at))

    def _keep_out(self, holder: str, record: _Record, now: float) -> None:
        if now >= record.until + _GOOD_LEASES * self._lease:
            record.times = 0
        leases = min(LONGEST_LEASES, _FIRST_LEASES * 2**record.times)
        record.times += 1
        # It may still hold a lease, and is waited for until that has run out.
        record.until = now + (1 + leases) * self._lease
        record.debt = _TOLERATED_LEASES * self._lease / 2
        record.counted_at = record.until
        self.times_kept_out += 1
        self._news.append(KeptOut(holder, record.until - now, record.times))

    def _make_room(self) -> None:
        """Forget the holder that has delayed nobody for the longest, if there are too many."""
        if len(self._records) >= _CAPACITY:
            del self._records[min(self._records, key=self._last_counted)]

    def _last_counted(self, holder: str) -> float:
        return self._records[holder].counted_at

    def left(self, holder: str, now: float) -> float:
        """For how many seconds more `holder` is kept out; 0: it is not."""
        record = self._records.get(holder)
        return 0.0 if record is None else max(0.0, record.until - now)

    def kept_out(self, now: float) -> Mapping[str, float]:
        """The holders that are kept out now, each with the seconds that are left."""
        left = {holder: self.left(holder, now) for holder in self._records}
        return {holder: seconds for holder, seconds in left.items() if seconds > 0}

    def take_news(self) -> list[KeptOut]:
        """The holders that were kept out since the last call."""
        news, self._news = self._news, []
        return news
