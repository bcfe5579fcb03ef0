"""What is released, for front-ends that wait for it."""

from collections.abc import Iterator, Sequence

import msgspec
from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from twisted_bazaar.consensus.member import Member
from twisted_bazaar.errors import Unavailable
from twisted_bazaar.market import Stock

from .desk import TradingDesk

__all__ = ["MAX_WATCHES", "Released", "WatchEnd", "Watches"]

MAX_WATCHES = 64
"""Calls that may wait at a time. Each front-end has one, and one more for a moment when it has
given one up."""


class Released(msgspec.Struct, frozen=True):
    """What a member knows to be released."""

    last_number: int
    stocks: Sequence[Stock]
    """Those that changed, ascending by version."""
    version: int
    """The last entry."""
    history: str
    digest: str
    """Of the last entry."""
    before: str
    """Of the entry that the caller knew last; empty: it is not known to be released."""


class Watches:
    """The calls that wait. Each ends with news, after its time, with the member, or when its
    caller cancels it."""

    def __init__(
        self, reactor: IReactorTime, member: Member, desk: TradingDesk, most: int = MAX_WATCHES
    ) -> None:
        self._reactor = reactor
        self._member = member
        self._desk = desk
        self._most = most
        self._told = desk.released
        """What was released when callers were told last."""
        self._stopped = False
        self._waiting: dict[Deferred[None], IDelayedCall] = {}
        """The calls that wait, and when their time is over."""

    def __len__(self) -> int:
        return len(self._waiting)

    def news(self, after: int, version: int, seconds: float) -> Deferred[None]:
        """Fires once an order above `after`, or an entry above `version`, is released, as far as
        this member knows, and after `seconds` at the latest. Fails with `Unavailable` if too many
        wait, or this member stops. To cancel it is to wait no longer."""
        desk = self._desk
        if desk.released_number > after or desk.released > version or not seconds:
            return succeed(None)
        if self._stopped:
            return fail(_stopping())
        if len(self._waiting) >= self._most:
            return fail(Unavailable(f"{self._most} calls wait for news already"))
        call: Deferred[None] = Deferred(self._forget)
        self._waiting[call] = self._reactor.callLater(seconds, self._over, call)
        return call

    def released(self, version: int) -> Released:
        """What is released, to a caller that knows the entries up to `version`. Raises `Unusable`
        if an entry cannot be read."""
        desk, log = self._desk, self._member.log
        return Released(
            desk.released_number,
            desk.released_after(version),
            desk.released,
            self._member.history,
            log.digest_at(desk.released),
            log.digest_at(version) if version <= desk.released else "",
        )

    def look(self) -> None:
        """Something may have been released."""
        if self._desk.released != self._told:
            for call in self._taken():
                call.callback(None)
        self._told = self._desk.released

    def stop(self) -> None:
        """Nothing more will be released here."""
        self._stopped = True
        for call in self._taken():
            call.errback(_stopping())

    def _taken(self) -> Iterator[Deferred[None]]:
        """The calls that wait now, one by one: those that are cancelled meanwhile are left out."""
        for call in list(self._waiting):
            if (late := self._waiting.pop(call, None)) is not None:
                late.cancel()
                yield call

    def _over(self, call: Deferred[None]) -> None:
        del self._waiting[call]
        call.callback(None)

    def _forget(self, call: Deferred[None]) -> None:
        late = self._waiting.pop(call, None)
        if late is not None:
            late.cancel()


class WatchEnd(Service):
    """Ends the calls that wait before their server stops, which would wait for them."""

    def __init__(self, watches: Watches) -> None:
        self._watches = watches

    def stopService(self) -> None:
        super().stopService()
        self._watches.stop()


def _stopping() -> Unavailable:
    return Unavailable("this member is stopping")
