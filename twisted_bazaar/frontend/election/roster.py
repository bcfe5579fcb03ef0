"""Keeps the members that a front-end knows up to date with what replicas say of them."""

from collections.abc import Callable, Sequence

from twisted.logger import Logger

from twisted_bazaar.consensus.messages import Status
from twisted_bazaar.frontend.upstream.members import Members

from .leadership import Leadership

__all__ = ["Roster"]


class Roster:
    """Tells the `leaderships`, one for each partition, who the members are."""

    log = Logger()

    def __init__(
        self, members: Members, leaderships: Sequence[Leadership], changed: Callable[[], None]
    ) -> None:
        """`changed` is called once the members, or an address of theirs, are others."""
        self._members = members
        self._leaderships = leaderships
        self._changed = changed

    def heard(self, status: Status) -> None:
        """A replica of this cluster described itself."""
        members = self._members
        members.answered(status.replica)
        if not members.heard(status, all(each.is_certain for each in self._leaderships)):
            return
        self.log.info(
            "the order replicas are {members} by entry {index}",
            members=", ".join(
                f"{replica} at {at}{' (joining)' if replica in members.joining else ''}"
                for replica, at in members.items()
            ),
            index=members.index,
        )
        for leadership in self._leaderships:
            leadership.members_are(members, members.joining)
        self._changed()

    def unanswered(self, replica: int) -> None:
        """A ping of `replica` was not answered."""
        if self._members.unanswered(replica):
            self._changed()
