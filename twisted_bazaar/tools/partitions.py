"""`python -m twisted_bazaar partitions`: shows who leads each and which stocks it has; moves both.

The clock and the pause are arguments.
"""

from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import TextIO

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from twisted_bazaar.errors import Unusable

from .operations import entries_of
from .signed_operations import Operator

__all__ = ["WAIT_SECONDS", "operate"]

WAIT_SECONDS = 15.0
"""How long a command waits for what it has asked for to be so."""

PAUSE_SECONDS = 0.1

_PARTITIONS = {"operation": "partitions"}

_UNKNOWN = "-"

_FEW = 8
"""So many names are shown of a partition."""


class _Partition(msgspec.Struct):
    partition: int
    leader: int
    term: int
    preferred: int
    last_number: int
    last_index: int
    stocks: Sequence[str] | None


class _Move(msgspec.Struct):
    stock: str
    partition: int
    arrived: bool


class _Shown(msgspec.Struct):
    """What a front-end answers."""

    partitions: Sequence[_Partition]
    moved: Sequence[_Move]


def operate(
    asked: Namespace, out: TextIO, seconds: Callable[[], float], pause: Callable[[float], None]
) -> None:
    """Carry out one command, and say on `out` what came of it. Raises `Unusable`."""
    operator = Operator.find(asked)
    if asked.operation == "show":
        _show(_shown(operator), out)
    elif asked.operation == "move":
        told = {"operation": "move", "name": asked.name, "partition": asked.partition}
        done = entries_of(operator.operate(told))
        what = f"{asked.name} is in partition {asked.partition}"
        _wait(operator, _is_in(asked.name, asked.partition), what, seconds, pause)
        print(f"ok: {done}; {what}", file=out)
    else:
        told = {"operation": "lead", "partition": asked.partition, "member": asked.member}
        operator.operate(told)
        what = f"the usual replica is to lead partition {asked.partition}"
        if asked.member is not None:
            what = f"replica {asked.member} leads partition {asked.partition}"
            _wait(operator, _is_led(asked.partition, asked.member), what, seconds, pause)
        print(f"ok: {what}", file=out)


def _shown(operator: Operator) -> _Shown:
    return msgspec.convert(operator.operate(_PARTITIONS), _Shown)


def _wait(
    operator: Operator,
    so: Callable[[_Shown], bool],
    what: str,
    seconds: Callable[[], float],
    pause: Callable[[float], None],
) -> None:
    """Look until it is so. Raises `Unusable` if that takes too long."""
    late = seconds() + WAIT_SECONDS
    while not so(_shown(operator)):
        if seconds() >= late:
            raise Unusable(f"{what}: not yet after {WAIT_SECONDS:.0f} s; it stays asked for")
        pause(PAUSE_SECONDS)


def _is_in(name: str, partition: int) -> Callable[[_Shown], bool]:
    def so(shown: _Shown) -> bool:
        return any(
            each.partition == partition and name in (each.stocks or ()) for each in shown.partitions
        )

    return so


def _is_led(partition: int, member: int) -> Callable[[_Shown], bool]:
    return lambda shown: shown.partitions[partition].leader == member


def _show(shown: _Shown, out: TextIO) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    columns = "partition", "leader", "term", "preferred", "order", "entry"
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("stocks", overflow="fold")
    for each in shown.partitions:
        figures = (each.term, each.preferred, each.last_number, each.last_index)
        leader = Text(str(each.leader)) if each.leader else Text("none", "bold red")
        table.add_row(
            str(each.partition),
            leader,
            *(str(figure) if figure else _UNKNOWN for figure in figures),
            Text(_stocks(each.stocks)),
        )
    console = Console(file=out)
    console.print(table)
    for move in shown.moved:
        if not move.arrived:
            line = f"{move.stock} is on its way to partition {move.partition}"
            console.print(Text(line, "bold yellow"))


def _stocks(names: Sequence[str] | None) -> str:
    """Some of the names, in order, and how many there are."""
    if names is None:
        return "no catalog answers"
    first = ", ".join(sorted(names)[:_FEW])
    return f"{len(names)}: {first}, …" if len(names) > _FEW else first or "none"
