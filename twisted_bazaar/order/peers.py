"""The other replicas that this one calls, as the members change.

Where a replica is, options and log may say differently: options may be older, and processes that
were all started anew elsewhere have options that are newer. One that is not reached is called at
its other address, and so on.
"""

from collections.abc import Callable, Mapping

from twisted_bazaar.runtime.address import Address

from .neighbours import Peer

__all__ = ["Peers"]

_UNREACHED_LOOKS = 50
"""About a second: an address at which a replica was not reached at so many looks in a row gives way
to the other."""


class Peers:
    """By id: the replicas that can be called now. `look` is to be called again and again."""

    def __init__(
        self,
        neighbours: Callable[[], Mapping[int, str]],
        given: Mapping[int, Address],
        dial: Callable[[int, Address], Peer],
        drop: Callable[[int], None],
    ) -> None:
        """`neighbours` returns who is to be called, by id: where, as far as the log says. `given`
        are the addresses that options name. `dial` begins to call a replica at an address, and
        `drop` ends that."""
        self._neighbours = neighbours
        self._given = given
        self._dial = dial
        self._drop = drop
        self._peers: dict[int, Peer] = {}
        self._called: dict[int, Address] = {}
        self._said: dict[int, str] = {}
        """What the log said last, by id; empty: nothing."""
        self._unreached: dict[int, int] = {}

    def get(self, replica: int) -> Peer | None:
        """The one with that id; None: it is no member, or nothing says where it is."""
        peer = self._peers.get(replica)
        if peer is None:
            # An entry has just made it a member.
            self.look()
            peer = self._peers.get(replica)
        return peer

    def look(self) -> None:
        """Call the replicas that are to be called now, and no others."""
        neighbours = self._neighbours()
        for replica in self._peers.keys() - neighbours.keys():
            self._hang_up(replica)
        for replica, said in neighbours.items():
            at = self._address(replica, said)
            self._said[replica] = said
            if at is not None and at != self._called.get(replica):
                self._call(replica, at)

    def _address(self, replica: int, said: str) -> Address | None:
        logged = Address.parse(said) if said else None
        if replica not in self._peers:
            return self._given.get(replica, logged)
        if said and self._said[replica] and said != self._said[replica]:
            return logged
        return self._other(replica, logged)

    def _other(self, replica: int, logged: Address | None) -> Address:
        """Another address of a replica that was not reached for long; else the one that it has."""
        called = self._called[replica]
        others = [at for at in (logged, self._given.get(replica)) if at not in (None, called)]
        if not others or self._peers[replica].reached:
            self._unreached.pop(replica, None)
            return called
        self._unreached[replica] = looks = self._unreached.get(replica, 0) + 1
        return called if looks < _UNREACHED_LOOKS else others[0] or called

    def _call(self, replica: int, at: Address) -> None:
        if replica in self._peers:
            self._hang_up(replica)
        self._peers[replica] = self._dial(replica, at)
        self._called[replica] = at

    def _hang_up(self, replica: int) -> None:
        del self._peers[replica], self._called[replica]
        self._unreached.pop(replica, None)
        self._drop(replica)
