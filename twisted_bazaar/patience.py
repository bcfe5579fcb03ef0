"""Patience: for how long others wait for one that holds them up again and again. Pure.

Whoever grants leases waits for their holders before it lets anybody see what is new (`leases`).
A holder that stands still costs one lease, and may: processes die, and machines pause. One that
does it over and over would cost a large part of all time. So the time that each has held others
up is counted, and forgiven little by little; whoever has too much of it is kept out: it gets no
lease, and so need not be waited for once its last one has run out. Each time it is kept out for
longer, up to a bound; after a while of good behaviour it begins anew.
"""

from collections.abc import Mapping

import msgspec

__all__ = ["LONGEST_LEASES", "KeptOut", "Patience"]

_TOLERATED_LEASES = 1.0
"""So much may be owed: a holder that stood still once is not kept out."""
_FORGIVEN_SHARE = 0.05
"""So much of the time that passes may be spent on waiting for one holder, in the long run."""
_FIRST_LEASES = 2.0
"""For so long it is kept out the first time; then for twice as long each time."""
LONGEST_LEASES = 16.0
"""For so long at most, in lengths of a lease."""
_GOOD_LEASES = 60.0
"""One that held nobody up for so long, since it was let in again, begins anew."""
_CAPACITY = 1024
"""Holders that are remembered at most."""


class KeptOut(msgspec.Struct, frozen=True):
    """Somebody is kept out from now on."""

    who: str
    seconds: float
    times: int
    """How often it was by now, since it last behaved well for long."""


class _Record:
    """What is known of one that has held others up."""

    def __init__(self, now: float) -> None:
        self.owed = 0.0
        """Seconds that it has held others up, less what was forgiven by `counted_at`."""
        self.counted_at = now
        self.times = 0
        self.until = float("-inf")


class Patience:
    """What one grantor knows of its holders, by name. Times are seconds on its clock.

    A name is what outlives a holder's restarts and subscriptions. What is remembered is bounded.
    """

    def __init__(self, lease: float) -> None:
        """`lease` is how long a lease is: what one that stands still costs others."""
        self._lease = lease
        self._records: dict[str, _Record] = {}
        self._news: list[KeptOut] = []
        self.times_kept_out = 0
        """How often anybody was."""

    def held_up(self, who: str, seconds: float, now: float) -> None:
        """Others have waited `seconds` for `who`, up to now."""
        record = self._records.get(who)
        if record is None:
            self._make_room()
            record = self._records[who] = _Record(now)
        if now < record.until:
            return  # What it holds up before its last lease runs out was counted in advance.
        record.owed = self._owed(record, now) + seconds
        record.counted_at = now
        if record.owed > _TOLERATED_LEASES * self._lease:
            self._keep_out(who, record, now)

    def _owed(self, record: _Record, now: float) -> float:
        return max(0.0, record.owed - _FORGIVEN_SHARE * (now - record.counted_at))

    def _keep_out(self, who: str, record: _Record, now: float) -> None:
        if now >= record.until + _GOOD_LEASES * self._lease:
            record.times = 0
        leases = min(LONGEST_LEASES, _FIRST_LEASES * 2**record.times)
        record.times += 1
        # It may hold a lease as yet, and is waited for until that has run out.
        record.until = now + (1 + leases) * self._lease
        record.owed = _TOLERATED_LEASES * self._lease / 2
        record.counted_at = record.until
        self.times_kept_out += 1
        self._news.append(KeptOut(who, record.until - now, record.times))

    def _make_room(self) -> None:
        """Forget the one that has been good for the longest, if there are too many."""
        if len(self._records) >= _CAPACITY:
            del self._records[min(self._records, key=self._last_counted)]

    def _last_counted(self, who: str) -> float:
        return self._records[who].counted_at

    def left(self, who: str, now: float) -> float:
        """For how many seconds more `who` is kept out; 0: it is not."""
        record = self._records.get(who)
        return 0.0 if record is None else max(0.0, record.until - now)

    def kept_out(self, now: float) -> Mapping[str, float]:
        """Who is kept out now, and for how many seconds more."""
        left = {who: self.left(who, now) for who in self._records}
        return {who: seconds for who, seconds in left.items() if seconds > 0}

    def take_news(self) -> list[KeptOut]:
        """Who was kept out since the last call."""
        news, self._news = self._news, []
        return news
