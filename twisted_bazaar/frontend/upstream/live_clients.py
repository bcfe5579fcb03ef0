"""Clients of the replicas that are members now, made as they are needed."""

from collections.abc import Callable, Iterator, Mapping

from twisted_bazaar.frontend.clients import ReplicaClient
from twisted_bazaar.runtime.address import Address

from .members import Members

__all__ = ["LiveClients"]


class LiveClients(Mapping[int, ReplicaClient]):
    """By id: a client of each member. One that was a member still has one, whose calls fail: a
    search that goes from replica to replica may be about to ask it."""

    def __init__(self, members: Members, make: Callable[[int, Address], ReplicaClient]) -> None:
        self._members = members
        self._make = make
        self._clients: dict[int, tuple[tuple[Address, int], ReplicaClient]] = {}

    def __getitem__(self, replica: int) -> ReplicaClient:
        place = self._members.place_of(replica)
        known = self._clients.get(replica)
        if known is None or known[0] != place:
            known = self._clients[replica] = place, self._make(replica, place[0])
        return known[1]

    def __contains__(self, replica: object) -> bool:
        return replica in self._members

    def __iter__(self) -> Iterator[int]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)
