"""Who changes the members of a simulated bazaar, step by step, as the tool of operators does."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted_bazaar.consensus.membership import AddMember, MembersChange, RemoveMember

from .members import TIMING
from .world import Process

if TYPE_CHECKING:
    from .bazaar import SimulatedBazaar

__all__ = ["Recruiter", "ask"]

MOST = 9
"""The highest id: a name ends with one digit."""


def ask(
    bazaar: "SimulatedBazaar",
    change: MembersChange,
    answered: Callable[[Any], None],
    still: Callable[[], bool],
) -> None:
    """Ask the leader that a front-end knows, if it knows one, for `change` of the members as they
    are now. It counts only if it is `still` asked for when it comes."""
    caller = next((each for each in bazaar.frontends if each.alive and not each.paused), None)
    leader = caller.leadership.leader if caller is not None else 0
    if caller is None or not leader:
        answered(None)
        return
    order, based_on = bazaar.orders[leader], bazaar.membership().index

    def change_members(message: MembersChange, reply: Callable[[Any], None]) -> None:
        if still():
            order.change_members(message, reply, based_on)

    bazaar.network.call(
        *(caller, order, change_members, change, answered, lambda: answered(None)),
        TIMING.election_timeout,
    )


class Recruiter(Process):
    """Adds, removes and replaces replicas, one after the other, whatever else happens."""

    def __init__(self, bazaar: "SimulatedBazaar") -> None:
        super().__init__(bazaar.world, "recruiter")
        self._bazaar = bazaar
        self._retired = False
        self._change: MembersChange | None = None

    def started(self) -> None:
        self.later(0.5, self._act)

    def retire(self) -> None:
        """Begin nothing more."""
        self._retired = True

    def _act(self) -> None:
        if self._change is None and not self._retired and self._bazaar.truth.entries:
            self._change = self._drawn()
        if self._change is not None:
            if self._is_done(self._change):
                self._change = None
            elif not self._retired:
                ask(self._bazaar, self._change, lambda _: None, lambda: not self._retired)
        self.later(self.world.random.uniform(0.02, 0.3), self._act)

    def _crash(self, name: str) -> None:
        """A new replica crashes, unless faults have ended."""
        if not self._retired:
            self._bazaar.crash(name, 0.3)

    def _is_done(self, change: MembersChange) -> bool:
        membership = self._bazaar.membership()
        if isinstance(change, AddMember):
            return change.id in membership.voters and not membership.before
        if change.id in membership.ids:
            return False
        self._gone(change.id)
        return True

    def _gone(self, number: int) -> None:
        """Replica `number` was removed: its machine may come back all the same."""
        order = self._bazaar.orders[number]
        if self.world.random.random() < 0.5:
            order.crash()
            self.world.after(self.world.random.uniform(0.1, 2.0), order.start)

    def _drawn(self) -> MembersChange | None:
        random, bazaar = self.world.random, self._bazaar
        membership = bazaar.membership()
        if membership.before:
            return None
        voters, new = membership.voters, max(bazaar.orders) + 1
        shrink = len(voters) > 4 or new > MOST or (len(voters) > 2 and random.random() < 0.5)
        if shrink and len(voters) > 2:
            return RemoveMember(random.choice(voters))
        if new > MOST:
            return None
        order = bazaar.new_replica(new)
        self.world.after(random.uniform(0.0, 0.5), order.start)
        if random.random() < 0.3:
            # It is gone for a while, and back with what it has.
            self.world.after(random.uniform(0.3, 1.5), self._crash, order.name)
        return AddMember(new, order.name)
