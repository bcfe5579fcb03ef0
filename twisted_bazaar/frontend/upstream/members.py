"""The order replicas that a front-end knows: those of its options, then those that the order log
has as members. Pure.

A replica says in each answer to a ping who the members are, as of which entry of the log; of two
answers that of the later entry counts. Addresses of the options may be out of date, and so may
those in the log, where all processes were started anew at other ports. So both are kept, and one at
which nothing answers gives way to the other.
"""

from collections.abc import Collection, Iterator, Mapping

from twisted_bazaar.consensus.messages import Status
from twisted_bazaar.runtime.address import Address

__all__ = ["Members"]

_SILENT_PINGS = 5
"""An address at which so many pings in a row were not answered gives way to another."""


class Members(Mapping[int, Address]):
    """By id: where each replica is called. It changes as the members do."""

    def __init__(self, given: Mapping[int, Address]) -> None:
        """`given` are the replicas of the options."""
        self._given = dict(given)
        self._where: dict[int, Address] = dict(sorted(given.items()))
        self._logged: dict[int, Address] = {}
        """The addresses that the newest known entry about the members names."""
        self._places = {replica: (at, 0) for replica, at in given.items()}
        self._joining: Collection[int] = ()
        self._leaving: Collection[int] = ()
        self.before: Collection[int] = ()
        """The voters before the change that is under way; empty: none is."""
        self._silent: dict[int, int] = {}
        self.of_cluster = ""
        """The cluster of that entry; empty: none is known."""
        self.index = 0
        """Of that entry."""

    def __getitem__(self, replica: int) -> Address:
        return self._where[replica]

    def __iter__(self) -> Iterator[int]:
        return iter(self._where)

    def __len__(self) -> int:
        return len(self._where)

    def place_of(self, replica: int) -> tuple[Address, int]:
        """Where `replica`, which is or was a member, is called, and since which entry."""
        return self._places[replica]

    @property
    def voters(self) -> Collection[int]:
        """The ids of those that count."""
        return self._where.keys() - self._joining

    def named(self, replica: int) -> Address:
        """Where `replica` is, as the log says; if it says nothing, where it is called."""
        return self._logged.get(replica) or self._where[replica]

    @property
    def leaving(self) -> Collection[int]:
        """The ids of those that are no members once the change under way is done."""
        return self._leaving

    @property
    def joining(self) -> Collection[int]:
        """The ids of those that do not count yet."""
        return self._joining

    def heard(self, status: Status, is_certain: bool) -> bool:
        """A replica described itself. Returns whether it names other members or addresses.

        `is_certain`: a majority of the members named its cluster. Before that, one wrong address
        must not lead to another bazaar: its members count only if they contradict no option.
        """
        if not status.roster:
            return False
        if status.cluster == self.of_cluster and status.members_index <= self.index:
            return False
        logged = {each.id: Address.parse(each.address) for each in status.roster if each.address}
        if not is_certain and self._contradicts(logged):
            return False
        before, joined_before = self._where, self._joining
        where = {id_: self._address(id_, at) for id_, at in logged.items()}
        # Of those that are to leave, one may lead until the change is done.
        others = {each.id for each in status.roster}.union(status.before) - where.keys()
        where |= {id_: before[id_] for id_ in others & before.keys()}
        self._where = dict(sorted(where.items()))
        self._joining = frozenset(each.id for each in status.roster if each.joining)
        self._logged, self.before = logged, status.before
        self._leaving = where.keys() - {each.id for each in status.roster}
        self.of_cluster, self.index = status.cluster, status.members_index
        for id_, at in where.items():
            if before.get(id_) != at:
                self._places[id_] = at, self.index
        return self._where != before or self._joining != joined_before

    def _contradicts(self, logged: Mapping[int, Address]) -> bool:
        return any(self._given.get(id_, at) != at for id_, at in logged.items())

    def _address(self, replica: int, logged: Address) -> Address:
        """Where to call `replica`, whose address in the log is `logged` now."""
        if replica not in self._where or self._logged.get(replica, logged) != logged:
            return logged
        return self._where[replica]

    def answered(self, replica: int) -> None:
        """`replica` answered a ping."""
        self._silent.pop(replica, None)

    def unanswered(self, replica: int) -> bool:
        """A ping of `replica` was not answered. Returns whether it is called elsewhere from now
        on."""
        self._silent[replica] = self._silent.get(replica, 0) + 1
        if replica not in self._where or self._silent[replica] < _SILENT_PINGS:
            return False
        del self._silent[replica]
        now = self._where[replica]
        others = [
            known[replica]
            for known in (self._logged, self._given)
            if replica in known and known[replica] != now
        ]
        if not others:
            return False
        self._where[replica] = others[0]
        self._places[replica] = others[0], self.index
        return True
