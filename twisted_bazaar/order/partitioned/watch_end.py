"""Ends the calls that wait for news before their server stops, which would wait for them."""

from twisted.application.service import Service

from .member import Member

__all__ = ["WatchEnd"]


class WatchEnd(Service):
    """The first to stop."""

    def __init__(self, member: Member) -> None:
        self._member = member

    def stopService(self) -> None:
        super().stopService()
        self._member.end_watches()
