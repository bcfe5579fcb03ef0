"""`python -m twisted_bazaar members`: shows the replicas of the log; adds, removes, replaces them.

Each step is looked at before it is asked for: a command that was cut short is given again, and goes
on where it was. The clock and the pause are arguments.
"""

from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import TextIO

import attrs
import msgspec
from rich.console import Console
from rich.table import Table

from twisted_bazaar.errors import Unusable

from .signed_operations import Operator, Refused

__all__ = ["operate"]

PAUSE_SECONDS = 0.2
TELL_SECONDS = 2.0
"""Between two lines that say how far a step is."""
DEAD_SECONDS = 5.0
"""A member that does not answer for so long is dead. One that is started anew is not."""

_MEMBERS = {"operation": "members"}

_AGAIN = frozenset({"members_refused", "not_executed", "outcome_unknown", "unavailable"})
"""The reasons of failures after which a step may be asked for again."""


class _Member(msgspec.Struct):
    member: int
    address: str
    joining: bool
    leaving: bool
    reachable: bool
    role: str
    behind: int | None

    @property
    def state(self) -> str:
        if self.leaving:
            return "leaving"
        return "joining" if self.joining else "member"


class _Shown(msgspec.Struct):
    """What a front-end answers."""

    index: int
    leader: int
    settled: bool
    members: Sequence[_Member]

    def find(self, member: int) -> _Member | None:
        return next((each for each in self.members if each.member == member), None)

    def counts(self, member: int, address: str) -> bool:
        """Whether it is a member that counts, at that address."""
        known = self.find(member)
        return bool(known and known.state == "member" and known.address == address and self.settled)

    def is_gone(self, member: int) -> bool:
        return self.find(member) is None and self.settled


@attrs.frozen
class _Step:
    """One change of the members."""

    member: int
    what: str
    """Said when it is done."""
    operation: dict[str, str | int]
    done: Callable[[_Shown], bool]
    begun: Callable[[_Shown], bool]
    """Whether it need not be asked for."""
    without: int = 0
    """A member that must be removed first if it is dead; 0: none."""


def operate(
    asked: Namespace, out: TextIO, seconds: Callable[[], float], pause: Callable[[float], None]
) -> None:
    """Carry out one command, and say on `out` what came of it. Raises `Unusable`."""
    operator = Operator.find(asked)
    shown = _look(operator)
    if asked.operation == "show":
        _show(shown, out)
        return
    for step in _steps(asked, shown):
        _Progress(operator, out, seconds, pause, asked.timeout).carry_out(step)
    last = _look(operator)
    ids = ", ".join(str(each.member) for each in last.members)
    print(f"ok: the replicas are {ids}, by entry {last.index}", file=out)


def _steps(asked: Namespace, shown: _Shown) -> Sequence[_Step]:
    if asked.operation == "add":
        return [_add(asked.new, asked.address)]
    if asked.operation == "remove":
        return [_remove(asked.old)]
    if asked.old == asked.new:
        return [_add(asked.new, asked.address)]
    # A new replica asks all others first, and one that is dead would never answer.
    steps = [attrs.evolve(_add(asked.new, asked.address), without=asked.old), _remove(asked.old)]
    old = shown.find(asked.old)
    return steps if old is None or old.reachable else steps[::-1]


def _add(member: int, address: str) -> _Step:
    def begun(shown: _Shown) -> bool:
        known = shown.find(member)
        return bool(known and known.state != "leaving" and known.address == address)

    return _Step(
        member,
        what=f"replica {member} is a member, at {address}",
        operation={"operation": "add-member", "member": member, "address": address},
        done=lambda shown: shown.counts(member, address),
        begun=begun,
    )


def _remove(member: int) -> _Step:
    def begun(shown: _Shown) -> bool:
        known = shown.find(member)
        return known is None or known.state == "leaving"

    return _Step(
        member,
        what=f"replica {member} is no member",
        operation={"operation": "remove-member", "member": member},
        done=lambda shown: shown.is_gone(member),
        begun=begun,
    )


def _look(operator: Operator) -> _Shown:
    return msgspec.convert(operator.operate(_MEMBERS), _Shown)


class _Progress:
    """Carries one step out, and says how far it is."""

    def __init__(
        self,
        operator: Operator,
        out: TextIO,
        seconds: Callable[[], float],
        pause: Callable[[float], None],
        timeout: float,
    ) -> None:
        self._operator = operator
        self._out = out
        self._seconds = seconds
        self._pause = pause
        self._timeout = timeout
        self._said = ""
        self._say_at = 0.0
        self._wait_until = 0.0
        self._silent_since: float | None = None
        """Since when the member that the step is without, if it is dead, has not answered."""

    def carry_out(self, step: _Step) -> None:
        """Return once `step` is done. Raises `Unusable`."""
        late = self._seconds() + self._timeout
        while not step.done(shown := _look(self._operator)):
            if self._seconds() >= late:
                raise Unusable(
                    f"{step.what}: not yet after {self._timeout:.0f} s; to ask again goes on"
                )
            if step.without and self._is_dead(shown.find(step.without)):
                self.carry_out(_remove(step.without))
                continue
            if step.begun(shown) or self._seconds() < self._wait_until:
                self._say(_far(shown, step.member))
            else:
                self._say(self._ask(step, shown))
            self._pause(PAUSE_SECONDS)
        print(f"{step.what} (entry {shown.index})", file=self._out, flush=True)

    def _is_dead(self, member: _Member | None) -> bool:
        if member is None or member.reachable:
            self._silent_since = None
            return False
        if self._silent_since is None:
            self._silent_since = self._seconds()
        return self._seconds() - self._silent_since >= DEAD_SECONDS

    def _ask(self, step: _Step, shown: _Shown) -> str:
        try:
            # What comes late, to a leader that stood still, must not undo what was done since.
            self._operator.operate({**step.operation, "based_on": shown.index})
        except Refused as refusal:
            if refusal.reason not in _AGAIN:
                raise
            return str(refusal)
        # The front-end hears of the entry with the next pings.
        self._wait_until = self._seconds() + TELL_SECONDS
        return ""

    def _say(self, line: str) -> None:
        """Print `line`, unless it was printed last, and not too often."""
        now = self._seconds()
        if line and line != self._said and now >= self._say_at:
            self._said, self._say_at = line, now + TELL_SECONDS
            print(line, file=self._out, flush=True)


def _far(shown: _Shown, member: int) -> str:
    """How far the change of `member` is. Another one may be joining meanwhile, or never come."""
    known = shown.find(member)
    if known is not None and known.state == "joining":
        if not known.reachable:
            return f"replica {member} is to join: it does not answer at {known.address}"
        behind = "" if known.behind is None else f", {known.behind} entries behind"
        return f"replica {member} is joining{behind}"
    return "the members that count are changing" if not shown.settled else ""


def _show(shown: _Shown, out: TextIO) -> None:
    table = Table(box=None)
    for name in ("replica", "address", "state", "role", "behind"):
        table.add_column(name, justify="right" if name == "behind" else "left")
    for each in shown.members:
        role = each.role if each.reachable else "does not answer"
        behind = "-" if each.behind is None else str(each.behind)
        table.add_row(str(each.member), each.address, each.state, role, behind)
    Console(file=out).print(table)
