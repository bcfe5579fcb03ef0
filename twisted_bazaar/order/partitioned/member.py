"""A member of a bazaar with an engine: all partitions in one process."""

from collections.abc import Callable, Sequence

import attrs
from twisted.application.service import MultiService

from twisted_bazaar.consensus.messages import LEVEL, Status
from twisted_bazaar.consensus.role import Role
from twisted_bazaar.engine.shared_log import Bazaar, Placement, Tail

from .moves import shown_with
from .node import PartitionNode
from .servicer import PartitionService

__all__ = ["Member", "Part"]


@attrs.frozen
class Part:
    """One partition, at work and as front-ends call it."""

    node: PartitionNode
    service: PartitionService


class Member(MultiService):
    """The partitions are made once the engine has said which bazaar it keeps. On the reactor's
    thread. `seconds` is a clock that only goes forward."""

    def __init__(
        self,
        member: int,
        tenure: float,
        seconds: Callable[[], float],
        bazaar: Callable[[], Bazaar],
        make: Callable[[Bazaar, int], Part],
    ) -> None:
        """`bazaar` is called once the engine has answered; `make` makes the partition with that
        number."""
        super().__init__()
        self._member = member
        self._tenure = tenure
        self._seconds = seconds
        self._bazaar = bazaar
        self._make = make
        self.cluster = ""
        """The name of the bazaar; empty: it is not known yet."""
        self.nodes: Sequence[PartitionNode] = ()
        """By number; none, before the engine has answered."""
        self.partition_services: Sequence[PartitionService] = ()
        self._placements: Sequence[Placement] = ()
        self._heard_at = seconds()

    def took(self, tails: Sequence[Tail], placements: Sequence[Placement]) -> None:
        """The engine has answered."""
        self._placements, self._heard_at = placements, self._seconds()
        if not self.running:
            return
        if not self.nodes:
            self._begin(self._bazaar())
        for node in self.nodes:
            node.saw(tails, placements)

    def _begin(self, bazaar: Bazaar) -> None:
        parts = [self._make(bazaar, partition) for partition in range(bazaar.partitions)]
        self.cluster = bazaar.name
        self.nodes = [part.node for part in parts]
        self.partition_services = [part.service for part in parts]
        for node in self.nodes:
            node.setServiceParent(self)

    @property
    def silent_seconds(self) -> float:
        """Since when the engine has not said where the logs end."""
        return self._seconds() - self._heard_at

    def status(self) -> Status:
        """How this member sees itself: in partition 0, and in all."""
        partitions = [node.status() for node in self.nodes]
        if not partitions:
            return Status(
                replica=self._member,
                role=Role.FOLLOWER.value,
                term=0,
                leader=0,
                last_index=0,
                last_number=0,
                digest="",
                clock=self._seconds(),
                level=LEVEL,
            )
        first, now = partitions[0], self._seconds()
        unseen = [each for node in self.nodes for each in node.placements()]
        return Status(
            replica=self._member,
            role=first.role,
            term=first.term,
            leader=first.leader,
            last_index=first.last_index,
            last_number=first.last_number,
            digest=first.digest,
            cluster=first.cluster,
            clock=now,
            disk_seconds=max(node.tenure.disk.seconds(now) for node in self.nodes),
            level=LEVEL,
            partitions=partitions,
            placements=shown_with(unseen, self._placements),
        )

    def end_watches(self) -> None:
        """No front-end waits for news from now on."""
        for node in self.nodes:
            node.end_watches()

    def can_answer(self) -> bool:
        """Whether this member surely leads a partition, and all that it leads are open."""
        now = self._seconds()
        led = [node.tenure for node in self.nodes if node.tenure.leads]
        return bool(led) and all(tenure.can_answer(now) for tenure in led)

    def why_not_ready(self) -> str | None:
        """Why this member is of no use now; None: it is."""
        if self.silent_seconds > self._tenure or not self.nodes:
            return "the engine does not answer"
        now = self._seconds()
        unled = [node.partition for node in self.nodes if not node.tenure.known_leader(now)]
        if unled:
            return f"it knows no leader of partition {unled[0]}"
        return None
