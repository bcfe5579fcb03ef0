"""A bar that shows how far a command is, on a terminal. Elsewhere nothing is written."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

__all__ = ["Shown", "bar_on"]

Shown = Callable[[float | None, str], None]
"""Draws the bar anew: the share that is done, from 0 to 1 (None: it is unknown), and a text."""

_BAR_COLUMNS = 20


@contextmanager
def bar_on(terminal: TextIO | None = None) -> Iterator[Shown | None]:
    """A bar while the block lasts; it is gone afterwards. None if `terminal`, which is standard
    error by default, is no terminal. What is printed meanwhile appears above the bar.

    It draws only when it is told to: a thread of its own would take time from what is measured.
    """
    terminal = sys.stderr if terminal is None else terminal
    if not terminal.isatty():
        yield None
        return
    # Imported only where it is of use.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    from rich.table import Column

    with Progress(
        BarColumn(_BAR_COLUMNS),
        TaskProgressColumn(),
        TextColumn(
            "{task.description}",
            markup=False,
            table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
        ),
        console=Console(file=terminal, highlight=False),
        auto_refresh=False,
        transient=True,
        expand=True,
    ) as drawn:
        task = drawn.add_task("", total=1.0)

        def show(share: float | None, text: str) -> None:
            total = None if share is None else 1.0
            drawn.update(task, completed=share or 0.0, total=total, description=text, refresh=True)

        yield show
